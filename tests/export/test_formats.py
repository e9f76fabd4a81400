"""What is the same for all formats: whole or not at all, one sentence, cancel, memory."""

import subprocess
import sys
import tracemalloc
from contextlib import nullcontext

import numpy as np
import pytest
from PIL import Image
from tests.export.scenes import HW, RING, everything, stack_of_planes, tricky, tricky_plane

from napari_sam2_openvino.core.errors import InputError, JobCancelledError
from napari_sam2_openvino.core.labelled_image import LabelledImage
from napari_sam2_openvino.core.parameters import ExportParameters
from napari_sam2_openvino.export import FORMATS, ExportJob, export_labels
from napari_sam2_openvino.export.colours import colour_of, colours_of
from napari_sam2_openvino.export.overlay import draw_objects, write_overlay

NAMES = [each.name for each in FORMATS]
BY_NAME = {each.name: each for each in FORMATS}
each_format = pytest.mark.parametrize("name", NAMES)


class Failing:
    """Labels of which the second plane cannot be read."""

    shape, dtype = (3, *HW), np.dtype(np.uint16)

    def __getitem__(self, place):
        if place == (1,):
            raise OSError("no such luck")
        return tricky_plane()


def place_for(name, folder):
    return folder / f"objécts{BY_NAME[name].suffixes[0]}"


@each_format
@pytest.mark.parametrize("labels", [tricky_plane(), stack_of_planes(), np.zeros((1, 1), np.int64)])
def test_every_format_takes_labels_of_every_shape(name, labels, tmp_path):
    path = place_for(name, tmp_path)
    export_labels(LabelledImage(labels), path, name)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


@each_format
def test_a_failure_leaves_nothing_behind_and_the_old_file_alone(name, tmp_path):
    path = place_for(name, tmp_path)
    export_labels(LabelledImage(stack_of_planes()), path, name)
    before = {each: each.read_bytes() for each in tmp_path.rglob("*") if each.is_file()}
    labelled = LabelledImage(Failing(), shown=(1,))
    with pytest.raises(InputError, match="no such luck"):
        export_labels(labelled, path, name, overwrite=True)
    after = {each: each.read_bytes() for each in tmp_path.rglob("*") if each.is_file()}
    assert after == before


@each_format
def test_a_cancelled_export_leaves_nothing_behind(name, tmp_path):
    labelled = LabelledImage(stack_of_planes())
    job = ExportJob(lambda: nullcontext(labelled), place_for(name, tmp_path), BY_NAME[name])
    reports = job.run()
    next(reports)
    next(reports)
    job.cancel()
    with pytest.raises(JobCancelledError):
        next(reports)
    assert list(tmp_path.iterdir()) == []


@each_format
def test_what_is_there_is_replaced_only_if_that_is_allowed(name, tmp_path):
    path = place_for(name, tmp_path)
    export_labels(tricky(), path, name)
    with pytest.raises(InputError, match="is there already"):
        export_labels(tricky(), path, name)
    export_labels(LabelledImage(np.zeros((2, *HW), np.uint8)), path, name, overwrite=True)


@pytest.mark.parametrize(
    ("place", "name", "said"),
    [
        ("objects.txt", "coco", "written to .json"),
        ("objects.csv", "geojson", "written to .geojson or .json"),
        ("missing/objects.csv", "csv", "There is no folder"),
        ("objects.json", "yolo", "must be one of coco, geojson"),
    ],
)
def test_names_that_cannot_be_are_refused(place, name, said, tmp_path):
    with pytest.raises(InputError, match=said):
        export_labels(tricky(), tmp_path / place, name)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_something_else_is_never_replaced(tmp_path):
    folder = tmp_path / "mine.zarr"
    folder.mkdir()
    (folder / "thesis.txt").write_text("three years")
    with pytest.raises(InputError, match="something else in it"):
        export_labels(tricky(), folder, "ome-zarr", overwrite=True)
    assert (folder / "thesis.txt").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no full disk to be had")
@each_format
def test_a_disk_that_is_full_is_one_sentence(name, tmp_path):
    """A limit on the size of files, in a process of its own, stands in for the disk."""
    code = f"""
import resource, signal
from pathlib import Path
import numpy as np
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.export import LabelledImage, export_labels

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))
labels = np.random.default_rng(0).integers(0, 9, (3, 60, 60)).astype(np.uint8)
try:
    export_labels(LabelledImage(labels), Path({str(place_for(name, tmp_path))!r}), {name!r})
except InputError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "cannot be written" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [name for name in NAMES if name != "overlay"])
def test_memory_does_not_grow_with_the_stack(name, tmp_path):
    """Forty planes that are made when they are read take little more than two do."""

    class Planes:
        dtype = np.dtype(np.uint16)

        def __init__(self, length):
            self.shape = (length, 400, 400)

        def __getitem__(self, place):
            plane = np.zeros((400, 400), np.uint16)
            start = 8 * place[0]
            plane[start : start + 60, 20:300] = 2 * place[0] + 1
            plane[start : start + 60, 310:390] = 2 * place[0] + 2
            return plane

    def peak(length, folder):
        folder.mkdir()
        labelled = LabelledImage(Planes(length))
        tracemalloc.start()
        export_labels(labelled, place_for(name, folder), name)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(2, tmp_path / "warm")
    few, many = peak(2, tmp_path / "few"), peak(40, tmp_path / "many")
    # Of thirty-eight planes; the masks and intensities of their objects alone are a fifteenth.
    assert many - few < 38 * 400 * 400 * 2 / (20 if name == "csv" else 5)


def test_contours_are_the_outermost_pixels_and_the_image_stays(tmp_path):
    image = np.random.default_rng(0).integers(0, 255, HW).astype(np.uint8)
    everything(write_overlay(tricky(image=image), tmp_path / "picture.png"))
    picture = np.asarray(Image.open(tmp_path / "picture.png"))
    ring = tricky_plane() == RING
    inside = np.zeros(HW, bool)
    inside[11, 11:18] = True
    assert (picture[10, 5:19] == colour_of(RING)).all()
    assert (picture[11, 5] == colour_of(RING)).all()
    assert (picture[inside & ring] == image[inside & ring][:, None]).all()
    assert (picture[tricky_plane() == 0] == image[tricky_plane() == 0][:, None]).all()


@pytest.mark.parametrize("width", [1, 2, 3])
def test_contours_are_as_wide_as_asked_for(width):
    labels = np.zeros((20, 20), int)
    labels[2:18, 2:18] = 1
    black = np.zeros((20, 20, 3), np.uint8)
    drawn = draw_objects(black, labels, ExportParameters(contour_width=width)).any(axis=2)
    assert drawn.sum() == 16**2 - (16 - 2 * width) ** 2


def test_filled_objects_are_mixed_with_the_image():
    grey = np.full((*HW, 3), 100, np.uint8)
    labels = tricky_plane()
    picture = draw_objects(grey, labels, ExportParameters(style="filled", opacity=0.25))
    expected = (0.25 * colours_of(labels[labels > 0]) + 75).round()
    assert np.abs(picture[labels > 0] - expected).max() <= 1
    assert (picture[labels == 0] == 100).all()


def test_a_picture_shows_the_plane_that_is_asked_for_or_the_middle(tmp_path):
    labels = stack_of_planes()
    shown = {}
    for name, place in (("asked", (1, 0)), ("middle", None)):
        path = tmp_path / f"{name}.png"
        everything(write_overlay(LabelledImage(labels, shown=place), path))
        shown[name] = np.asarray(Image.open(path)).any(axis=2).sum()
    assert shown == {"asked": 12, "middle": np.count_nonzero(tricky_contours(labels[1, 1]))}


def tricky_contours(labels):
    return draw_objects(np.zeros((*HW, 3), np.uint8), labels, ExportParameters()).any(axis=2)


def test_the_colour_of_a_label_is_the_same_everywhere():
    numbers = np.array([[1, 2, 1000], [193, 2**40, 7]])
    assert np.array_equal(
        colours_of(numbers).tolist(), [[colour_of(int(each)) for each in row] for row in numbers]
    )
    assert len({colour_of(number) for number in range(1, 100)}) == 99
