"""What a figure was measured on."""

import os
import resource
import sys
from pathlib import Path

# Instruction sets that decide how fast a network is on a CPU.
_TELLING = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")


def describe_machine() -> str:
    """Return the processor, its cores and instruction sets, and OpenVINO's version."""
    import openvino
    import torch

    name = openvino.Core().get_property("CPU", "FULL_DEVICE_NAME")
    cpuinfo = Path("/proc/cpuinfo")
    words = set(cpuinfo.read_text(encoding="utf-8").split()) if cpuinfo.exists() else set()
    flags = ", ".join(flag for flag in _TELLING if flag in words)
    return (
        f"{name}, {os.cpu_count()} cores, {flags or 'instruction sets unknown'}; "
        f"OpenVINO {openvino.__version__.split('-')[0]}, PyTorch {torch.__version__}"
    )


def peak_memory() -> float:
    """Return the most memory that this process ever held, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)
