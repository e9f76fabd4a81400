"""The demo as a user runs it, less the making of its environment."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_sam2_openvino._sample_data import nuclei

APP = Path(__file__).parent.parent.parent / "scripts" / "demo_app.py"


def run(*arguments: str | Path) -> str:
    command = [sys.executable, APP, *arguments]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_without_a_window_it_writes_labels_and_a_picture_and_says_how_good_they_are(tmp_path):
    answer = run("--headless", "--output", tmp_path / "with späce")
    (image, _, _), (ground_truth, _, _) = nuclei()
    labels = tifffile.imread(tmp_path / "with späce" / "labels.tif")
    assert labels.shape == ground_truth.shape
    covered, truth = labels > 0, ground_truth > 0
    assert (covered & truth).sum() / (covered | truth).sum() > 0.7
    assert float(re.search(r"IoU +mean (\S+),", answer)[1]) > 0.7
    assert all(re.search(rf"^{name} +\d", answer, re.MULTILINE) for name in ("load", "encode"))
    with Image.open(tmp_path / "with späce" / "overlay.png") as picture:
        assert picture.size == (2 * image.shape[1], 2 * image.shape[0])


@pytest.mark.slow
def test_the_window_shows_image_prompts_mask_and_panel(tmp_path):
    file = tmp_path / "window.png"
    run("--screenshot", file)
    with Image.open(file) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert pixels.shape[0] > 600
    assert pixels.shape[1] > 900
    # The canvas without the panels beside it, the preview's yellow and a positive point's blue.
    canvas = pixels[:, round(0.3 * pixels.shape[1]) : round(0.7 * pixels.shape[1])]
    for colour in ((0xF0, 0xE4, 0x42), (0x56, 0xB4, 0xE9)):
        assert (np.abs(canvas - colour).max(axis=2) < 12).sum() > 20
