"""``napari-sam2 models quantize``, ``compare`` and ``benchmark``, from files."""

import json

import numpy as np
import pytest
import tifffile
from skimage import data, io
from tests.test_cli import assert_one_sentence, call

from napari_sam2_openvino.cli.image_arguments import read_samples
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
    assert_one_sentence(refused, "Labels must have the shape of their image without channels, 100")


def test_errors_are_one_sentence(micro_folder, folder, tmp_path):
    command = ("models", "quantize", micro_folder, "--name", "x", "--images")
    assert_one_sentence(call(*command, tmp_path), "There is no image in")
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


def test_planes_are_taken_at_even_steps_of_stacks_and_of_folders(folder, tmp_path):
    (folder / "._a.png").write_bytes(b"what macOS keeps beside a file")
    planes = list(read_samples([folder], None, 8, 512)[0])
    assert [plane.shape for plane in planes] == [(100, 120, 3)] + [(90, 100, 3)] * 7
    np.testing.assert_array_equal(planes[1][..., 0], COINS[0:90, 100:200])
    np.testing.assert_array_equal(planes[-1][..., 0], COINS[80:170, 100:200])
    for number in range(9):
        io.imsave(
            tmp_path / f"{number}.png", COINS[number : number + 50, :60], check_contrast=False
        )
    planes = list(read_samples([tmp_path], None, 3, 512)[0])
    for plane, row in zip(planes, (0, 4, 8), strict=True):
        np.testing.assert_array_equal(plane[..., 0], COINS[row : row + 50, :60])


def test_channels_are_seen_together_with_the_labels_of_their_plane(tmp_path):
    numbers = np.arange(1, 11, dtype=np.uint8)[:, None, None] * np.ones((1, 40, 50), np.uint8)
    tifffile.imwrite(tmp_path / "labels.tif", numbers, metadata={"axes": "ZYX"})
    pixels = np.stack([numbers, 100 + numbers])
    tifffile.imwrite(tmp_path / "in.ome.tif", pixels, metadata={"axes": "CZYX"}, ome=True)
    images, labels = read_samples([tmp_path / "in.ome.tif"], [tmp_path / "labels.tif"], 4, 512)
    seen = [(image[0, 0].tolist(), label) for image, label in zip(images, labels, strict=True)]
    assert [colours for colours, _ in seen] == [[z, 100 + z, 0] for z in (1, 4, 7, 10)]
    for (number, *_), label in seen:
        np.testing.assert_array_equal(label, np.full((40, 50), number))


def test_labels_of_fewer_images_are_refused(folder):
    images, _ = read_samples([folder], [folder / "b.tif"], 8, 512)
    with pytest.raises(InputError, match="2 images and labels of 1"):
        next(images)
