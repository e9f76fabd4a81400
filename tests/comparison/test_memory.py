"""The peak of a process is its own."""

import subprocess
import sys

import numpy as np

from napari_sam2_openvino.comparison.memory import peak_of_this_process

PRINT_PEAK = (
    "from napari_sam2_openvino.comparison.memory import peak_of_this_process as peak; print(peak())"
)


def test_the_process_that_starts_another_does_not_count():
    much = np.ones(600_000_000, np.uint8)
    assert peak_of_this_process() > much.nbytes
    found = subprocess.run(
        [sys.executable, "-c", PRINT_PEAK], stdout=subprocess.PIPE, text=True, check=True
    )
    assert 5e6 < int(found.stdout) < 4e8
