"""Real Labels layers, no window: what is written, and what napari's own undo makes of it."""

import tempfile
from typing import Any

import dask.array as da
import numpy as np
import pytest
import zarr
from napari.layers import Image, Labels
from tests.layers.places import PLACES

from napari_sam2_openvino._layers import label_parts, plane_windows, targets
from napari_sam2_openvino.core.commit import commit_to_plane
from napari_sam2_openvino.core.errors import InputError, JobCancelledError
from napari_sam2_openvino.core.marks import MaskCut
from napari_sam2_openvino.core.types import PlaneIndex

FLAT = PlaneIndex((None, None))


def commit_mask(
    labels: Labels, mask: Any, obj_id: int, plane: PlaneIndex, *, origin: Any = (0, 0)
) -> int:
    """Commit one new object; return how many pixels were written."""
    (result,) = targets.commit_masks(labels, plane, [(obj_id, MaskCut(mask, origin))], replaced={})
    return result.n_changed


def _locked(data: Any) -> Labels:
    labels = Labels(data)
    labels.editable = False
    return labels


def make_image(shape: tuple[int, ...] = (60, 80), **place: Any) -> Image:
    return Image(np.zeros(shape, np.uint16), name="cells", **place)


def test_a_new_labels_layer_fits_its_image() -> None:
    for place in PLACES:
        image = make_image(**place)
        assert targets.fit_problem(targets.new_labels_layer(image), image) is None


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Labels(np.zeros((60, 81), int)), "has shape 60 x 81, but cells has 60 x 80"),
        (lambda: Labels(np.zeros((60, 80), int), scale=(2, 1)), "lies elsewhere"),
        (lambda: Labels(np.zeros((60, 80), int), units=("nm", "nm")), "different units"),
        (lambda: Labels(da.zeros((60, 80), dtype=int)), "dask"),
        (lambda: Labels([np.zeros((60, 80), int), np.zeros((30, 40), int)]), "multiscale"),
        (lambda: Labels(np.zeros((60, 80), int), visible=False), "is hidden"),
        (lambda: Labels(np.zeros((60, 80), ">u2")), "another order than this computer (>u2)"),
        (lambda: Labels(np.broadcast_to(np.zeros((1, 1), int), (60, 80))), "read-only"),
        (lambda: _locked(np.zeros((60, 80), int)), "not editable"),
    ],
)
def test_layers_that_cannot_be_written_are_refused(make: Any, words: str) -> None:
    problem = targets.fit_problem(make(), make_image())
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
    count = commit_mask(labels, mask, 8, plane, origin=origin)
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
    assert commit_mask(labels, np.ones((2, 2), bool), 4, FLAT) == 0
    assert (labels.data == 3).all()


def test_commit_does_not_paint_other_dimensions_of_the_label_tools() -> None:
    labels = Labels(np.zeros((3, 8, 8), np.uint16))
    commit_mask(labels, np.ones((2, 2), bool), 1, PlaneIndex((2, None, None)))
    assert labels.data.sum(axis=(1, 2)).tolist() == [0, 0, 4]


def test_ids_that_do_not_fit_are_refused_and_nothing_is_written() -> None:
    labels = Labels(np.zeros((8, 8), np.uint8))
    with pytest.raises(InputError, match="from 1 to 255"):
        commit_mask(labels, np.ones((2, 2), bool), 256, FLAT)
    assert not labels.data.any()


@pytest.mark.parametrize("dtype", [np.int32, np.uint16])
def test_nothing_is_written_to_a_hidden_layer_until_it_is_shown(dtype: Any) -> None:
    labels = Labels(np.zeros((3, 60, 80), dtype), visible=False)
    mask, plane = np.ones((4, 4), bool), PlaneIndex((1, None, None))
    with pytest.raises(InputError, match="is hidden"):
        commit_mask(labels, mask, 300, plane, origin=(9, 18))
    assert not labels.data.any()
    labels.visible = True
    assert commit_mask(labels, mask, 300, plane, origin=(9, 18)) == 16
    labels.undo()
    assert not labels.data.any()


def test_the_largest_label_is_found_plane_by_plane() -> None:
    data = zarr_array((3, 60, 80))
    assert label_parts.largest_label(data) == 0
    data[2, 5, 5] = 41
    assert label_parts.largest_label(data) == 41


def test_the_search_for_the_largest_label_ends_when_told_to(monkeypatch: Any) -> None:
    monkeypatch.setattr(label_parts, "PART_PIXELS", 100)
    data = np.zeros((40, 50), np.uint16)
    data[33, 7] = 41
    assert label_parts.largest_label(data) == 41
    answers = iter([False, False, True])
    with pytest.raises(JobCancelledError):
        label_parts.largest_label(data, lambda: next(answers))


def test_labels_whose_file_is_gone_are_one_sentence() -> None:
    class Gone:
        shape, ndim = (8, 8), 2

        def __getitem__(self, _index: Any) -> Any:
            raise OSError("no such file")

    with pytest.raises(InputError, match=r"cannot be read \(no such file\)"):
        label_parts.largest_label(Gone())


def test_the_largest_label_of_one_plane() -> None:
    data = np.zeros((3, 20, 30), np.uint16)
    data[1, 5, 6], data[2] = 7, 9
    assert label_parts.largest_on_plane(data, PlaneIndex((1, None, None))) == 7
    assert label_parts.largest_on_plane(data, PlaneIndex((None, 5, None))) == 9
    assert label_parts.largest_on_plane(data, PlaneIndex((0, None, None))) == 0


def test_small_planes_in_memory_are_quick_to_read(monkeypatch: Any) -> None:
    monkeypatch.setattr(targets, "MOST_PIXELS_AT_ONCE", 100)
    labels = Labels(np.zeros((200, 10, 10), np.uint8))
    assert targets.is_quick_to_read(labels, PlaneIndex((1, None, None)))
    assert not targets.is_quick_to_read(labels, PlaneIndex((None, 1, None)))
    lazy = Labels(zarr_array((200, 10, 10)))
    assert not targets.is_quick_to_read(lazy, PlaneIndex((1, None, None)))


MODES = ("keep existing", "overwrite", "only where empty")


def memmap_array(shape: tuple[int, ...]) -> Any:
    return np.memmap(tempfile.TemporaryFile(), np.uint16, "w+", shape=shape)


def random_objects(rng: np.random.Generator, hw: tuple[int, int]) -> list[tuple[int, MaskCut]]:
    """Return discs that meet each other and what is there; some have ids that exist."""
    objects = []
    for obj_id in rng.permutation(np.arange(3, 15)).tolist():
        radius = int(rng.integers(0, 9))
        rows, columns = np.ogrid[-radius : radius + 1, -radius : radius + 1]
        disc = rows**2 + columns**2 <= radius**2
        origin = tuple(int(rng.integers(0, side - len(disc) + 1)) for side in hw)
        objects.append((obj_id, MaskCut(disc, origin)))
    return [*objects, (40, MaskCut(np.zeros((0, 0), bool)))]


@pytest.mark.parametrize(
    "make_data", [lambda shape: np.zeros(shape, np.uint16), memmap_array, zarr_array]
)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("part_pixels", [2**24, 1])
@pytest.mark.parametrize("transposed", [False, True])
def test_many_objects_are_one_step_of_undo(
    make_data: Any, mode: Any, part_pixels: int, transposed: bool, monkeypatch: Any
) -> None:
    monkeypatch.setattr(plane_windows, "PART_PIXELS", part_pixels)
    rng = np.random.default_rng(0)
    data = make_data((3, 60, 80))
    data[:] = rng.integers(0, 8, (3, 6, 8)).repeat(10, 1).repeat(10, 2) * (rng.random(80) < 0.3)
    labels, before = Labels(data), np.array(data[:])
    plane = PlaneIndex((1, None, None), transposed)
    shown = before[1].T if transposed else before[1]
    objects = random_objects(rng, shown.shape)
    expected = before.copy()
    expected_plane = expected[1].T if transposed else expected[1]
    for obj_id, cut in objects:
        commit_to_plane(expected_plane, cut, obj_id, mode)
    results = targets.commit_masks(labels, plane, objects, mode)
    np.testing.assert_array_equal(labels.data[:], expected)
    assert [each.obj_id for each in results] == [obj_id for obj_id, _ in objects]
    for each in results:
        assert each.n_pixels == (expected[1] == each.obj_id).sum()
    assert sum(each.n_changed for each in results) >= (expected != before).sum() > 0
    labels.undo()
    np.testing.assert_array_equal(labels.data[:], before)
    labels.redo()
    np.testing.assert_array_equal(labels.data[:], expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.uint64, np.int64])
def test_every_integer_type_is_written(dtype: Any) -> None:
    labels = Labels(np.zeros((20, 30), dtype))
    targets.commit_masks(labels, FLAT, [(100, MaskCut(np.ones((3, 4), bool), (2, 5)))])
    assert labels.data.dtype == dtype
    assert (labels.data[2:5, 5:9] == 100).all()
    assert labels.data.sum() == 1200


def test_an_object_that_is_committed_again_leaves_its_old_pixels() -> None:
    labels = Labels(np.zeros((20, 30), np.uint16))
    labels.data[15, 15] = 9
    one, two = MaskCut(np.ones((4, 4), bool), (2, 2)), MaskCut(np.ones((2, 9), bool), (3, 3))
    targets.commit_masks(labels, FLAT, [(5, one)])
    after_one = labels.data.copy()
    where = label_parts.cut_objects(labels.data, [5], FLAT)
    (result,) = targets.commit_masks(labels, FLAT, [(5, two)], replaced=where)
    assert (labels.data == 5).sum() == result.n_pixels == 18
    assert not labels.data[2].any()
    assert labels.data[15, 15] == 9
    labels.undo()
    np.testing.assert_array_equal(labels.data, after_one)


def test_pixels_that_were_painted_meanwhile_are_not_erased() -> None:
    labels = Labels(np.zeros((20, 30), np.uint16))
    stale = {5: MaskCut(np.ones((4, 4), bool), (2, 2))}
    labels.data[2:6, 2:6] = 7
    targets.commit_masks(labels, FLAT, [(5, MaskCut(np.ones((1, 1), bool)))], replaced=stale)
    assert (labels.data == 7).sum() == 16


def test_an_object_that_meets_another_is_not_written_where_only_empty_will_do() -> None:
    labels = Labels(np.zeros((20, 30), np.uint16))
    labels.data[5, 5] = 3
    objects = [
        (8, MaskCut(np.ones((4, 4), bool), (4, 4))),
        (9, MaskCut(np.ones((4, 4), bool), (10, 10))),
    ]
    met, free = targets.commit_masks(labels, FLAT, objects, "only where empty")
    assert (met.n_pixels, met.n_changed) == (0, 0)
    assert (free.n_pixels, free.n_changed) == (16, 16)
    assert (met.is_written, free.is_written) == (False, True)


def test_an_object_that_is_refused_where_only_empty_will_do_keeps_its_pixels() -> None:
    labels = Labels(np.zeros((20, 30), np.uint16))
    one, two = MaskCut(np.ones((4, 4), bool), (2, 2)), MaskCut(np.ones((4, 4), bool), (2, 10))
    targets.commit_masks(labels, FLAT, [(1, one), (2, two)])
    before = labels.data.copy()
    grown = [(1, MaskCut(np.ones((4, 10), bool), (2, 2))), (2, two)]
    refused, same = targets.commit_masks(labels, FLAT, grown, "only where empty")
    np.testing.assert_array_equal(labels.data, before)
    assert (refused.n_pixels, refused.is_written) == (16, False)
    assert (same.n_pixels, same.is_written) == (16, True)


def test_nothing_is_written_if_one_id_does_not_fit() -> None:
    labels = Labels(np.zeros((8, 8), np.uint8))
    square = MaskCut(np.ones((2, 2), bool))
    with pytest.raises(InputError, match="from 1 to 255"):
        targets.commit_masks(labels, FLAT, [(1, square), (256, square)])
    with pytest.raises(InputError, match="but the next is 0"):
        targets.commit_masks(labels, FLAT, [(0, square)])
    assert not labels.data.any()
    with pytest.raises(ValueError, match="not inside a plane of 8 x 8"):
        targets.commit_masks(labels, FLAT, [(1, MaskCut(np.ones((2, 2), bool), (7, 0)))])


def test_far_objects_of_a_large_plane_are_read_one_by_one(monkeypatch: Any) -> None:
    monkeypatch.setattr(plane_windows, "PART_PIXELS", 1000)
    data = zarr_array((1, 300, 300))
    read: list[int] = []
    real = plane_windows.read_labels

    def read_labels(data: Any, index: Any) -> Any:
        part = real(data, index)
        read.append(part.size)
        return part

    monkeypatch.setattr(plane_windows, "read_labels", read_labels)
    objects = [(n + 1, MaskCut(np.ones((5, 5), bool), (n * 60, n * 60))) for n in range(5)]
    plane = PlaneIndex((0, None, None))
    targets.commit_masks(Labels(data), plane, objects, replaced={})
    assert read == [25] * 5
    assert (data[:] > 0).sum() == 125


def test_objects_are_cut_out_of_a_plane_in_parts(monkeypatch: Any) -> None:
    monkeypatch.setattr(label_parts, "PART_PIXELS", 100)
    rng = np.random.default_rng(0)
    for make_data in (lambda shape: np.zeros(shape, np.uint16), zarr_array):
        data = make_data((3, 60, 80))
        data[:] = rng.integers(0, 9, (3, 60, 80)) * (rng.random((3, 60, 80)) < 0.1)
        for transposed in (False, True):
            plane = PlaneIndex((2, None, None), transposed)
            shown = np.asarray(data[2]).T if transposed else np.asarray(data[2])
            cuts = label_parts.cut_objects(data, [7, 3, 500], plane)
            assert cuts[500].mask.shape == (0, 0)
            for obj_id in (3, 7):
                (row, column), (height, width) = cuts[obj_id].origin, cuts[obj_id].mask.shape
                whole = np.zeros(shown.shape, bool)
                whole[row : row + height, column : column + width] = cuts[obj_id].mask
                np.testing.assert_array_equal(whole, shown == obj_id)
                one = label_parts.cut_object(data, obj_id, plane)
                np.testing.assert_array_equal(one.mask, cuts[obj_id].mask)
                assert one.origin == cuts[obj_id].origin
            values, counts = np.unique(shown[shown > 0], return_counts=True)
            areas = label_parts.object_areas(data, plane)
            assert areas == dict(zip(values.tolist(), counts.tolist(), strict=True))
    assert label_parts.cut_objects(data, [], plane) == {}


def test_labels_of_any_size_are_counted() -> None:
    data = np.array([[-3, -3, 2**40], [0, 5, 5]])
    assert label_parts.object_areas(data, FLAT) == {-3: 2, 5: 2, 2**40: 1}


def test_the_search_in_a_plane_ends_when_told_to() -> None:
    data = np.zeros((8, 8), int)
    with pytest.raises(JobCancelledError):
        label_parts.object_areas(data, FLAT, lambda: True)
    with pytest.raises(JobCancelledError):
        label_parts.cut_object(data, 1, FLAT, lambda: True)


def test_the_object_under_the_pointer() -> None:
    labels = Labels(np.zeros((3, 20, 30), np.uint16), scale=(2, 0.5, 0.5))
    labels.data[0, 4:6, 8:10] = 7
    assert targets.object_at(labels, (0, 2.0, 4.0)) == 7
    assert targets.object_at(labels, (11, 0, 2.0, 4.0)) == 7
    assert targets.object_at(labels, (0, 4.0, 2.0)) == 0
    assert targets.object_at(labels, (0, -4.0, 2.0)) == 0
    labels.visible = False
    assert targets.object_at(labels, (0, 2.0, 4.0)) == 0
