"""A computer on which numbers have a decimal comma, as Qt tells the C library on Linux."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import locale, sys
from pathlib import Path
import numpy as np
from qtpy.QtCore import QCoreApplication
application = QCoreApplication([])
assert locale.localeconv()["decimal_point"] == ","

from napari_sam2_openvino import SAM2ImagePredictor, load_model
from napari_sam2_openvino.core.labelled_image import LabelledImage
from napari_sam2_openvino.export.formats import FORMATS, export_labels

y, x = np.mgrid[:200, :240]
disc = np.hypot(x - 100, y - 90) < 40
image = np.where(disc, 200, 40).astype(np.uint8)
# Compiled, then from the cache.
for _ in range(2):
    predictor = SAM2ImagePredictor(load_model("starter"))
    predictor.set_image(image)
    masks, iou_predictions, _ = predictor.predict(point_coords=[[100, 90]], point_labels=[1])
    mask = masks[iou_predictions.argmax()]
    print((mask & disc).sum() / (mask | disc).sum())

labels = LabelledImage(disc.astype(np.uint16), image=image, scale=(0.5, 0.25), units=("um", "um"))
for each in FORMATS:
    locale.setlocale(locale.LC_NUMERIC, sys.argv[1])
    export_labels(labels, Path(f"german {each.name}{each.suffixes[0]}"), each.name)
    locale.setlocale(locale.LC_NUMERIC, "C")
    export_labels(labels, Path(f"plain {each.name}{each.suffixes[0]}"), each.name)
"""


@pytest.fixture(scope="module")
def german(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Make German as the C library knows it, where its sources are there."""
    folder = tmp_path_factory.mktemp("locales")
    command = ["localedef", "-i", "de_DE", "-f", "UTF-8", str(folder / "de_DE.UTF-8")]
    try:
        made = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        made = False
    if not made:
        pytest.skip("needs localedef and the sources of de_DE")
    environment = {key: each for key, each in os.environ.items() if not key.startswith("LC_")}
    return environment | {"LOCPATH": str(folder), "LANG": "de_DE.UTF-8"}


def test_masks_are_right_and_files_have_points(german: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, "de_DE.UTF-8"],
        env=german | {"NAPARI_SAM2_HOME": str(tmp_path / "home")},
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    ious = done.stdout.split()
    assert len(ious) == 2
    assert min(map(float, ious)) > 0.8
    for name in ("csv.csv", "geojson.geojson", "coco.json"):
        assert (tmp_path / f"german {name}").read_text().replace("german", "plain") == (
            tmp_path / f"plain {name}"
        ).read_text()
