"""Processes and files that jobs must not leave behind."""

import os
import sys
from pathlib import Path

import pytest

from napari_sam2_openvino.core.paths import models_dir

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def workers(command: str = "conversion.worker") -> set[int]:
    """Return the processes of this test that run a command; none where there is no /proc."""
    home = os.environ["NAPARI_SAM2_HOME"].encode()
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes()
            is_ours = home in (folder / "environ").read_bytes()
        except OSError:
            continue
        if command.encode() in line and is_ours:
            found.add(int(folder.name))
    return found


def left_behind() -> list[str]:
    """Return what lies in the folder of models, hidden or not."""
    return sorted(path.name for path in models_dir().glob("*")) if models_dir().is_dir() else []


def run_until(job, stage):
    """Start a job, and return its generator at a stage."""
    reports = job.run()
    for progress in reports:
        if progress.stage == stage:
            return reports
    raise AssertionError(f"{stage} was never reported")
