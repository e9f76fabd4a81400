"""The wheel and the sdist, and the wheel alone in a new environment: no torch, no sources."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CONSTRAINTS = ROOT / "scripts" / "constraints.txt"
MODEL_FILES = (
    "MODEL_CARD.md",
    "image_encoder.bin",
    "image_encoder.xml",
    "mask_decoder.bin",
    "mask_decoder.xml",
    "model.json",
    "parameters.npz",
    "self_test.npz",
)

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path, status: int = 0) -> str:
    """Run a command far from the sources and return what it printed; check how it ended."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == status, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist, then the wheel from the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (path,) = dist.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an environment with the wheel and Qt; return the folder of its programs."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", folder, cwd=folder)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    install = ("-m", "pip", "install", "--quiet", "--constraint", CONSTRAINTS)
    run(programs / "python", *install, wheel, "napari[pyqt6]", cwd=folder)
    return programs


def test_the_wheel_holds_the_package_and_the_starter_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {
        "napari_sam2_openvino"
    }
    wanted = {f"napari_sam2_openvino/starter/{name}" for name in MODEL_FILES}
    wanted |= {"napari_sam2_openvino/napari.yaml", "napari_sam2_openvino/py.typed"}
    assert wanted <= set(names)
    assert not [name for name in names if name.endswith((".pt", ".pth", ".pyc"))]
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_the_sdist_holds_what_the_checks_need(dist):
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"README.md", "scripts/test.py", "scripts/bootstrap.py", "scripts/constraints.txt"}
    assert wanted | {"tests/test_package.py"} <= names
    assert not [name for name in names if name.startswith((".venv", "build/"))]


def test_nothing_that_only_converts_needs_is_installed(environment, tmp_path):
    names = ("torch", "torchvision", "sam2", "nncf")
    code = f"from importlib.util import find_spec; print([n for n in {names} if find_spec(n)])"
    assert run(environment / "python", "-c", code, cwd=tmp_path).strip() == "[]"


def test_napari_finds_the_plugin_and_opens_its_widget(environment, tmp_path):
    code = """
import napari, numpy as np
from npe2 import PluginManager

viewer = napari.Viewer(show=False)
viewer.add_image(np.zeros((64, 64), np.uint8), name="image")
dock, widget = viewer.window.add_plugin_dock_widget("napari-sam2-openvino", "SAM 2 Segment")
manifest = PluginManager.instance().get_manifest("napari-sam2-openvino")
print(manifest.name, type(widget).__module__)
viewer.close()
"""
    answer = run(environment / "python", "-c", code, cwd=tmp_path).split()
    assert answer[-2:] == ["napari-sam2-openvino", "napari_sam2_openvino._qt.segment_widget"]


def test_the_starter_segments_a_disc(environment, tmp_path):
    code = """
import numpy as np
from napari_sam2_openvino import SAM2ImagePredictor, load_model

y, x = np.mgrid[:200, :240]
disc = (x - 100) ** 2 + (y - 90) ** 2 < 40**2
image = np.where(disc, 200, 40).astype(np.uint8)
predictor = SAM2ImagePredictor(load_model("starter"))
predictor.set_image(image)
masks, iou_predictions, _ = predictor.predict(point_coords=[[100, 90]], point_labels=[1])
mask = masks[iou_predictions.argmax()]
print((mask & disc).sum() / (mask | disc).sum())
"""
    assert float(run(environment / "python", "-c", code, cwd=tmp_path).split()[-1]) > 0.8


def test_convert_says_what_to_install(environment, tmp_path):
    checkpoint = tmp_path / "checkpoint.pt"
    checkpoint.write_bytes(b"nothing")
    command = (environment / "napari-sam2", "models", "convert", checkpoint, "--name", "mine")
    answer = run(*command, cwd=tmp_path, status=1)
    sentence = answer.strip().splitlines()[-1]
    assert sentence.endswith('run pip install "napari-sam2-openvino[convert]".')
    assert "Traceback" not in answer
