"""Processes and files that jobs must not leave behind."""

import os
import sys
from pathlib import Path

import pytest

from napari_sam2_openvino.core.paths import models_dir

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def workers():
    """Return the processes that convert, of this test run."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
            environment = (folder / "environ").read_bytes()
        except OSError:
            continue
        ours = os.environ["NAPARI_SAM2_HOME"].encode() in environment
        if b"conversion.worker" in command and ours:
            found.add(int(folder.name))
    return found


def left_behind():
    return sorted(path.name for path in models_dir().glob("*")) if models_dir().is_dir() else []


def run_until(job, stage):
    """Start a job, and return its generator at a stage."""
    reports = job.run()
    for progress in reports:
        if progress.stage == stage:
            return reports
    raise AssertionError(f"{stage} was never reported")
