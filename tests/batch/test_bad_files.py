"""Whatever is wrong with files or the disk: a sentence each, and the others are done."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image as PillowImage
from tests.batch.killed import ROOT
from tests.batch.stacks import spots
from tests.batch.test_job import expected, read, settings

from napari_sam2_openvino.batch.inputs import name_outputs, plan_outputs
from napari_sam2_openvino.batch.job import BatchJob
from napari_sam2_openvino.core.errors import InputError

GOOD = spots((5, 48, 64))


def bad_files(folder):
    """Write files that are wrong in every way, and what is said of each."""
    tifffile.imwrite(folder / "good.tif", GOOD, metadata={"axes": "ZYX"})
    tifffile.imwrite(folder / "truncated.tif", GOOD, compression="zlib", metadata={"axes": "ZYX"})
    whole = (folder / "truncated.tif").read_bytes()
    (folder / "truncated.tif").write_bytes(whole[: len(whole) // 2])
    PillowImage.fromarray(GOOD[0]).save(folder / "cut.png")
    whole = (folder / "cut.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "text.png").write_text("no picture")
    (folder / "empty.tif").touch()
    np.save(folder / "no planes.npy", np.zeros((0, 48, 64), np.uint16))
    np.save(folder / "no numbers.npy", np.full((2, 48, 64), np.nan, np.float32))
    np.save(folder / "complex.npy", np.zeros((48, 64), np.complex64))
    tifffile.imwrite(folder / "pixel.tif", np.ones((1, 1), np.uint8))
    PillowImage.fromarray(np.ones((1, 1), np.uint8)).save(folder / "pixel.png")
    image = GOOD.astype(np.float32)
    image[1] = np.nan
    np.save(folder / "one plane of nan.npy", image)
    (folder / "notes.txt").write_text("left out")
    return {
        "truncated.tif": "cannot be read",
        "cut.png": "cannot be read",
        "text.png": "cannot be read",
        "empty.tif": "cannot be read",
        "no planes.npy": "has no planes: its shape is 0 x 48 x 64",
        "no numbers.npy": "every pixel is NaN or infinite",
        "complex.npy": "must hold real numbers",
        "pixel.tif": "planes of 1 x 1 pixels",
        "pixel.png": "planes of 1 x 1 pixels",
        "one plane of nan.npy": "Plane z=1: The image must hold numbers",
    }


def test_each_file_gets_its_sentence_and_the_others_are_done(tmp_path):
    (tmp_path / "images").mkdir()
    messages = bad_files(tmp_path / "images")
    found = plan_outputs([tmp_path / "images"], tmp_path / "labels")
    assert [path.name for path in found.left_out] == ["notes.txt"]
    job = BatchJob(found.pairs, settings())
    for _ in job.run():
        pass
    report = job.report
    assert (len(report.stacks), report.n_failed, report.is_whole) == (11, 10, False)
    for stack in report.stacks:
        name = Path(stack.image).name
        assert messages.get(name, "") in str(stack), stack
        assert stack.is_whole == (name == "good.tif")
        # One sentence, not a traceback.
        assert len(stack.problems) <= 3
        for problem in stack.problems:
            assert problem.endswith(".")
            assert "\n" not in problem
    np.testing.assert_array_equal(read(tmp_path / "labels" / "good.tif")[0], expected(GOOD))
    assert not (tmp_path / "labels" / "no numbers.tif").exists()
    partial, _ = read(tmp_path / "labels" / "one plane of nan.tif")
    np.testing.assert_array_equal(partial[[0, 2, 3, 4]], expected(GOOD)[[0, 2, 3, 4]])
    assert not partial[1].any()


def test_a_plane_that_failed_is_tried_again(tmp_path):
    image = GOOD.astype(np.float32)
    image[1] = np.nan
    # Not one of the planes that are looked at to know the image again.
    image = np.concatenate([image, GOOD.astype(np.float32)])
    np.save(tmp_path / "in.npy", image)

    def run(**options):
        job = BatchJob([(tmp_path / "in.npy", tmp_path / "l.tif")], settings(**options))
        for _ in job.run():
            pass
        return job.report

    assert not run().is_whole
    assert not read(tmp_path / "l.tif")[0][1].any()
    image[1] = GOOD[1]
    np.save(tmp_path / "in.npy", image)
    assert run(resume=True).is_whole
    np.testing.assert_array_equal(read(tmp_path / "l.tif")[0], expected(image))


_LIMITED = """
import resource, sys
from pathlib import Path
from tests.batch.test_job import settings
from napari_sam2_openvino.batch.job import BatchJob

folder, suffix, limit = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
images = [(folder / f"{name}.npy", folder / f"{name} labels{suffix}") for name in ("big", "small")]
job = BatchJob(images, settings(resume=True))
for _ in job.run():
    pass
for stack in job.report.stacks:
    print(stack)
sys.exit(not job.report.is_whole)
"""


def limited(folder, suffix, limit):
    """Segment in a process that can write no file larger than a limit: the real OSError."""
    command = [sys.executable, "-c", _LIMITED, str(folder), suffix, str(limit)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
@pytest.mark.parametrize("suffix", [".zarr", ".npy"])
def test_where_nothing_can_be_written_it_is_said_and_what_is_done_stays(suffix, tmp_path):
    rng = np.random.default_rng(0)
    # Noise, of which labels cannot be packed well.
    np.save(tmp_path / "big.npy", rng.integers(0, 60000, (5, 500, 500)).astype(np.uint16))
    np.save(tmp_path / "small.npy", GOOD)
    answer = limited(tmp_path, suffix, 80_000)
    assert answer.returncode == 1, answer.stderr
    big, small = answer.stdout.splitlines()
    assert re.search(r"big labels\S* \(File too large\): make room", big)
    assert "small.npy: " in small
    assert "5 of 5 planes" in small
    np.testing.assert_array_equal(read(tmp_path / f"small labels{suffix}")[0], expected(GOOD))
    # When there is room again, it goes on.
    answer = limited(tmp_path, suffix, 100_000_000)
    assert answer.returncode == 0, answer.stdout
    wanted = expected(np.load(tmp_path / "big.npy"))
    np.testing.assert_array_equal(read(tmp_path / f"big labels{suffix}")[0], wanted)


def test_names_of_labels_in_a_folder(tmp_path):
    folder, output = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name in ("a.tif", "b.ome.tif", "c.png", "c.jpg", ".hidden.png"):
        (folder / name).touch()
    (folder / "d.zarr").mkdir()
    found = plan_outputs([folder], output, ".zarr")
    assert {image.name: labels.name for image, labels in found.pairs} == {
        "a.tif": "a.zarr",
        "b.ome.tif": "b.zarr",
        "c.png": "c.png.zarr",
        "c.jpg": "c.jpg.zarr",
        "d.zarr": "d.zarr",
    }
    assert output.is_dir()
    one = plan_outputs([folder / "a.tif"], tmp_path / "labels.npy")
    assert one.pairs == ((folder / "a.tif", tmp_path / "labels.npy"),)


def test_outputs_that_do_not_fit_are_refused(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    with pytest.raises(InputError, match="There is no image in"):
        plan_outputs([folder], tmp_path / "out")
    with pytest.raises(InputError, match=r"There is no image .*mistyped: check its path"):
        plan_outputs([tmp_path / "mistyped"], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (folder / "a.tif").touch()
    for name in ("out.png", "out.JPG", "out.json"):
        with pytest.raises(InputError, match=f"or a folder, but the name is '{name}'"):
            plan_outputs([folder / "a.tif"], tmp_path / name)
        assert not (tmp_path / name).exists()
    with pytest.raises(InputError, match="go into a folder"):
        plan_outputs([folder], tmp_path / "out.tif")
    with pytest.raises(InputError, match="is where the images are"):
        plan_outputs([folder], folder)
    shutil.copytree(folder, tmp_path / "other")
    with pytest.raises(InputError, match="Two images are called"):
        plan_outputs([folder, tmp_path / "other"], tmp_path / "out")


def test_a_folder_that_cannot_be_made_is_said_in_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be made"):
        name_outputs(["a", "b"], tmp_path / "file" / "labels", ".tif")
