"""``napari-sam2 models quantize``, ``compare`` and ``benchmark``, from files."""

import json

import numpy as np
import pytest
import tifffile
from skimage import data, io
from tests.test_cli import assert_one_sentence, call

from napari_sam2_openvino.cli.image_arguments import read_planes
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.paths import models_dir

pytestmark = pytest.mark.usefixtures("sam2_home")
COINS = data.coins()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a picture, a stack and something else."""
    folder = tmp_path_factory.mktemp("imáges")
    io.imsave(folder / "a.png", COINS[:100, :120], check_contrast=False)
    stack = np.stack([COINS[row : row + 90, 100:200] for row in range(0, 90, 10)])
    tifffile.imwrite(folder / "b.tif", stack, metadata={"axes": "ZYX"})
    (folder / "notes.txt").write_text("not an image")
    return folder


def test_quantize_then_compare(micro_folder, folder, tmp_path):
    done = call(
        *("models", "quantize", micro_folder, "--images", folder, "--name", "small"),
        *("--preset", "safe", "--json"),
    )
    assert done.exit_code == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["b"]["name"] == "small"
    assert (models_dir() / "small" / "report" / "report.md").is_file()
    assert "Storing weights in 8 bits" in done.stderr

    images = ("--images", folder / "a.png", "--output", tmp_path / "report")
    done = call("models", "compare", micro_folder, "small", *images, "--precision", "f32")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("# small compared with micro")
    saved = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    assert (saved["images"], saved["a"]["precision"]) == (1, "f32")

    labels = ("--labels", folder / "b.tif")
    refused = call("models", "compare", micro_folder, "small", *images, *labels)
    assert_one_sentence(refused, "Labels must be whole numbers of shape 100 x 120")


def test_errors_are_one_sentence(micro_folder, folder, tmp_path):
    command = ("models", "quantize", micro_folder, "--name", "x", "--images")
    assert_one_sentence(call(*command, tmp_path), "There are no images in")
    assert_one_sentence(call(*command, tmp_path / "no.tif"), "There is no image")
    refused = call(*command, folder, "--preset", "best")
    assert_one_sentence(refused, "preset must be one of safe, balanced, fast")
    assert not list(models_dir().glob("*"))


def test_benchmark_tunes_once_and_remembers(micro_folder):
    done = call("benchmark", micro_folder, "--json")
    assert done.exit_code == 0, done.stderr
    first = json.loads(done.stdout)
    assert first["best"]["passed"]
    assert first["best"]["encode_seconds"] > 0
    assert {trial["choice"]["device"] for trial in first["trials"]} >= {"CPU"}
    again = call("benchmark", micro_folder)
    assert "best: CPU" in again.stdout
    assert "masks right" in again.stdout
    assert again.stderr == ""
    assert "Trying out" in call("benchmark", micro_folder, "--tune").stderr


def test_planes_are_taken_at_even_steps(folder):
    planes = list(read_planes([folder], 8))
    assert [plane.shape for plane in planes] == [(100, 120)] + [(90, 100)] * 4
    np.testing.assert_array_equal(planes[1], COINS[0:90, 100:200])
    np.testing.assert_array_equal(planes[-1], COINS[80:170, 100:200])


def test_colours_are_one_plane(tmp_path):
    io.imsave(tmp_path / "rgb.png", data.astronaut()[:64, :80], check_contrast=False)
    (plane,) = read_planes([tmp_path / "rgb.png"], 8)
    assert plane.shape == (64, 80, 3)


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(InputError, match="There are no images"):
        list(read_planes([tmp_path], 8))
