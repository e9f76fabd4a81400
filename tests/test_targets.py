"""Real Labels layers, no window: what is written, and what napari's own undo makes of it."""

from typing import Any

import dask.array as da
import numpy as np
import pytest
import zarr
from napari.layers import Image, Labels

from napari_sam2_openvino import _label_parts, _plane_windows, _targets
from napari_sam2_openvino.core.commit import commit_to_plane
from napari_sam2_openvino.core.errors import InputError, JobCancelledError
from napari_sam2_openvino.core.marks import MaskCut
from napari_sam2_openvino.core.types import PlaneIndex

ANGLE = np.deg2rad(30)
ROTATED = np.array([[np.cos(ANGLE), -np.sin(ANGLE)], [np.sin(ANGLE), np.cos(ANGLE)]])
PLACES: list[dict[str, Any]] = [
    {},
    {"scale": (0.25, 0.5)},
    {"translate": (100, -7)},
    {"rotate": 30},
    {"shear": [0.3]},
    {"affine": np.block([[ROTATED * 2, np.array([[5], [6]])], [np.zeros((1, 2)), 1]])},
    {"scale": (2, 3), "translate": (1, 2), "rotate": 20, "units": ("nm", "nm")},
]
FLAT = PlaneIndex((None, None))


def make_image(shape: tuple[int, ...] = (60, 80), **place: Any) -> Image:
    return Image(np.zeros(shape, np.uint16), name="cells", **place)


def test_a_new_labels_layer_fits_its_image() -> None:
    for place in PLACES:
        image = make_image(**place)
        assert _targets.fit_problem(_targets.new_labels_layer(image), image) is None


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Labels(np.zeros((60, 81), int)), "has shape 60 x 81, but cells has 60 x 80"),
        (lambda: Labels(np.zeros((60, 80), int), scale=(2, 1)), "lies elsewhere"),
        (lambda: Labels(np.zeros((60, 80), int), units=("nm", "nm")), "different units"),
        (lambda: Labels(da.zeros((60, 80), dtype=int)), "dask"),
        (lambda: Labels([np.zeros((60, 80), int), np.zeros((30, 40), int)]), "multiscale"),
        (lambda: Labels(np.zeros((60, 80), int), visible=False), "is hidden"),
        (lambda: Labels(np.broadcast_to(np.zeros((1, 1), int), (60, 80))), "read-only"),
    ],
)
def test_layers_that_cannot_be_written_are_refused(make: Any, words: str) -> None:
    problem = _targets.fit_problem(make(), make_image())
    assert problem is not None
    assert words in problem
    assert problem.endswith("choose another layer or a new one.")


def zarr_array(shape: tuple[int, ...]) -> Any:
    return zarr.create_array({}, shape=shape, dtype=np.uint16, chunks=(1, 32, 32))


@pytest.mark.parametrize("make_data", [lambda shape: np.zeros(shape, np.uint16), zarr_array])
@pytest.mark.parametrize("transposed", [False, True])
def test_commit_writes_the_object_and_undo_restores_every_bit(
    make_data: Any, transposed: bool
) -> None:
    labels = Labels(make_data((3, 60, 80)))
    labels.data[1, 10:14, 20:24] = 7
    before = np.array(labels.data[:])
    mask = np.zeros((6, 9), bool)
    mask[1:, 2:] = True
    plane = PlaneIndex((1, None, None), transposed=transposed)
    origin = (18, 9) if transposed else (9, 18)
    count = _targets.commit_mask(labels, mask, 8, plane, origin=origin)
    expected = before.copy()
    shown = expected[1].T if transposed else expected[1]
    window = shown[origin[0] : origin[0] + 6, origin[1] : origin[1] + 9]
    window[mask & (window == 0)] = 8
    np.testing.assert_array_equal(labels.data[:], expected)
    assert count == (expected == 8).sum() > 0
    labels.undo()
    np.testing.assert_array_equal(labels.data[:], before)


def test_commit_leaves_what_belongs_to_an_object() -> None:
    labels = Labels(np.full((8, 8), 3, np.uint8))
    assert _targets.commit_mask(labels, np.ones((2, 2), bool), 4, FLAT) == 0
    assert (labels.data == 3).all()


def test_commit_does_not_paint_other_dimensions_of_the_label_tools() -> None:
    labels = Labels(np.zeros((3, 8, 8), np.uint16))
    _targets.commit_mask(labels, np.ones((2, 2), bool), 1, PlaneIndex((2, None, None)))
    assert labels.data.sum(axis=(1, 2)).tolist() == [0, 0, 4]


def test_ids_that_do_not_fit_are_refused_and_nothing_is_written() -> None:
    labels = Labels(np.zeros((8, 8), np.uint8))
    with pytest.raises(InputError, match="from 1 to 255"):
        _targets.commit_mask(labels, np.ones((2, 2), bool), 256, FLAT)
    assert not labels.data.any()


@pytest.mark.parametrize("dtype", [np.int32, np.uint16])
def test_nothing_is_written_to_a_hidden_layer_until_it_is_shown(dtype: Any) -> None:
    labels = Labels(np.zeros((3, 60, 80), dtype), visible=False)
    mask, plane = np.ones((4, 4), bool), PlaneIndex((1, None, None))
    with pytest.raises(InputError, match="is hidden"):
        _targets.commit_mask(labels, mask, 300, plane, origin=(9, 18))
    assert not labels.data.any()
    labels.visible = True
    assert _targets.commit_mask(labels, mask, 300, plane, origin=(9, 18)) == 16
    labels.undo()
    assert not labels.data.any()


def test_the_largest_label_is_found_plane_by_plane() -> None:
    data = zarr_array((3, 60, 80))
    assert _targets.largest_label(data) == 0
    data[2, 5, 5] = 41
    assert _targets.largest_label(data) == 41


def test_the_search_for_the_largest_label_ends_when_told_to(monkeypatch: Any) -> None:
    monkeypatch.setattr(_label_parts, "PART_PIXELS", 100)
    data = np.zeros((40, 50), np.uint16)
    data[33, 7] = 41
    assert _targets.largest_label(data) == 41
    answers = iter([False, False, True])
    with pytest.raises(JobCancelledError):
        _targets.largest_label(data, lambda: next(answers))


def test_labels_whose_file_is_gone_are_one_sentence() -> None:
    class Gone:
        shape, ndim = (8, 8), 2

        def __getitem__(self, _index: Any) -> Any:
            raise OSError("no such file")

    with pytest.raises(InputError, match=r"cannot be read \(no such file\)"):
        _targets.largest_label(Gone())


def test_only_what_is_in_memory_is_looked_at_before_a_write() -> None:
    plane = PlaneIndex((1, None, None))
    for data, expected in ((np.zeros((3, 8, 8), int), 7), (zarr_array((3, 8, 8)), 0)):
        data[1, 2, 3], data[0, 0, 0] = 7, 9
        assert _targets.largest_in_memory(Labels(data), plane) == expected
