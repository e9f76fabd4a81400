"""Planes that are written beside napari's history, and taken back: numpy, zarr, any direction."""

import numpy as np
import pytest
import zarr

from napari_sam2_openvino._layers import plane_windows
from napari_sam2_openvino._layers.left_objects import NO_PIXELS, fingerprint
from napari_sam2_openvino._layers.plane_writing import is_safe_aside, take_back, write_objects
from napari_sam2_openvino.core.marks import MaskCut
from napari_sam2_openvino.core.plane_box import Box
from napari_sam2_openvino.core.types import PlaneIndex

HW = (40, 60)
PLANE = PlaneIndex((2, None, None))
FLAT = PlaneIndex((None, None))
MODE = "keep existing"


def square(row, column, side=10):
    return MaskCut(np.ones((side, side), bool), (row, column))


def filled(cut):
    mask = np.zeros(HW, bool)
    (row, column), (height, width) = cut.origin, cut.mask.shape
    mask[row : row + height, column : column + width] = cut.mask
    return mask


@pytest.fixture(params=["numpy", "zarr"])
def data(request):
    labels = np.zeros((4, *HW), np.uint16)
    labels[2, 5:12, 5:12] = 3
    if request.param == "numpy":
        return labels
    store = zarr.create_array(store={}, shape=labels.shape, chunks=(1, 16, 16), dtype="uint16")
    store[:] = labels
    return store


def test_objects_are_written_by_the_rule_of_commits_and_taken_back(data):
    before = np.array(data)
    written = write_objects(
        data, PLANE, [(7, square(8, 8)), (8, square(14, 14))], "keep existing", ()
    )
    plane = np.array(data[2])
    assert (plane == 3).sum() == 49
    assert written.areas == {7: (plane == 7).sum(), 8: (plane == 8).sum()} == {7: 84, 8: 84}
    assert np.array_equal(np.array(data)[[0, 1, 3]], before[[0, 1, 3]])
    assert take_back(data, written)
    assert np.array_equal(data, before)
    assert not take_back(data, written)


def test_pixels_that_were_changed_since_stay(data):
    written = write_objects(data, PLANE, [(7, square(20, 20))], "keep existing", ())
    data[2, 20:22, 20:30] = 9
    take_back(data, written)
    plane = np.array(data[2])
    assert (plane == 9).sum() == 20
    assert not (plane == 7).any()


def test_an_object_gives_way_to_another_where_it_is_no_more(data):
    write_objects(data, PLANE, [(7, square(20, 20)), (8, square(20, 40))], "keep existing", ())
    before = np.array(data)
    written = write_objects(
        data, PLANE, [(8, square(20, 25)), (7, square(30, 25))], "keep existing", {7, 8}
    )
    assert written.areas == {8: 100, 7: 100}
    take_back(data, written)
    assert np.array_equal(data, before)


def test_an_object_that_is_gone_leaves_only_what_is_its_own(data):
    write_objects(data, PLANE, [(7, square(20, 20))], "keep existing", ())
    gone = MaskCut(np.zeros((0, 0), bool))
    assert write_objects(data, PLANE, [(7, gone)], "keep existing", ()).changes == ()
    assert write_objects(data, PLANE, [(7, gone)], "keep existing", {7}).areas == {7: 0}
    assert not (np.array(data) == 7).any()


def test_only_where_empty_keeps_the_object_that_was_there(data):
    write_objects(data, PLANE, [(7, square(20, 20))], "keep existing", ())
    before = np.array(data)
    write_objects(data, PLANE, [(7, square(8, 8))], "only where empty", {7})
    assert np.array_equal(data, before)


@pytest.mark.parametrize("plane", [PlaneIndex((None, 3, None)), PlaneIndex((None, None, 4), True)])
def test_planes_of_other_directions(plane):
    labels = np.zeros((30, 40, 50), np.uint8)
    cut = MaskCut(np.triu(np.ones((6, 9), bool)), (11, 13))
    written = write_objects(labels, plane, [(5, cut)], "keep existing", ())
    view = labels[tuple(slice(None) if each is None else each for each in plane.index)]
    view = view.T if plane.transposed else view
    assert np.array_equal(view[11:17, 13:22] == 5, cut.mask)
    assert np.count_nonzero(labels) == cut.mask.sum()
    take_back(labels, written)
    assert not labels.any()


def test_what_is_kept_is_small():
    labels = np.zeros((1, 2048, 2048), np.uint16)
    rows, columns = np.mgrid[:60, :60]
    disc = np.hypot(rows - 30, columns - 30) < 28
    objects = [
        (number + 1, MaskCut(disc, (60 * (number // 30), 60 * (number % 30))))
        for number in range(600)
    ]
    written = write_objects(labels, PlaneIndex((0, None, None)), objects, "keep existing", ())
    n_pixels = np.count_nonzero(labels)
    # napari's history would keep 26 bytes of each.
    assert written.nbytes < n_pixels / 2


def test_a_worker_writes_nothing_that_shares_a_chunk_with_what_is_in_view():
    shape = (8, 64, 64)
    memory = np.zeros(shape)
    one = zarr.create_array(store={}, shape=shape, chunks=(1, 32, 32), dtype="uint8")
    several = zarr.create_array(store={}, shape=shape, chunks=(4, 32, 32), dtype="uint8")
    plane, other, across = (
        PlaneIndex(index) for index in ((0, None, None), (1, None, None), (None, 0, None))
    )
    assert is_safe_aside(memory, plane, plane)
    assert is_safe_aside(one, plane, other)
    assert not is_safe_aside(several, plane, other)
    assert not is_safe_aside(one, plane, plane)
    assert not is_safe_aside(one, plane, across)
    assert not is_safe_aside(one, plane, None)


def test_a_pixel_that_changes_while_a_plane_is_written_stays(monkeypatch):
    from napari_sam2_openvino._layers import plane_writing

    labels = np.zeros((4, *HW), np.uint16)
    write_box = plane_writing._write_box

    def slow(data, *arguments):
        data[2, 25, 25] = 9
        write_box(data, *arguments)

    monkeypatch.setattr(plane_writing, "_write_box", slow)
    written = write_objects(labels, PLANE, [(7, square(20, 20))], "keep existing", ())
    assert labels[2, 25, 25] == 9
    assert np.count_nonzero(labels == 7) == 99
    take_back(labels, written)
    assert np.count_nonzero(labels) == 1


def test_objects_whose_boxes_make_one_around_another_are_all_written(data, monkeypatch):
    monkeypatch.setattr(plane_windows, "PART_PIXELS", 1)
    before = np.array(data)
    upright, lying = np.ones((20, 4), bool), np.ones((4, 20), bool)
    objects = [
        (7, square(16, 30, side=5)),
        # They overlap in an L, in whose corner the first is.
        (8, MaskCut(upright, (15, 22))),
        (9, MaskCut(lying, (32, 22))),
    ]
    written = write_objects(data, PLANE, objects, "overwrite", ())
    assert written.areas == {7: 25, 8: 68, 9: 80}
    plane = np.array(data[2])
    assert {label: (plane == label).sum() for label in (7, 8, 9)} == written.areas
    assert take_back(data, written)
    assert np.array_equal(data, before)


def test_windows_of_boxes_in_any_places_do_not_overlap(monkeypatch):
    monkeypatch.setattr(plane_windows, "PART_PIXELS", 1)
    rng = np.random.default_rng(0)
    for _ in range(50):
        corners = rng.integers(0, 80, (12, 2))
        boxes = [Box(*low, *(low + rng.integers(1, 20, 2))) for low in corners.tolist()]
        windows = plane_windows.read_windows(np.zeros((100, 100)), FLAT, boxes)
        times_read = np.zeros((100, 100), int)
        for window in {id(each): each for each in windows}.values():
            (row, column), (height, width) = window.origin, window.before.shape
            times_read[row : row + height, column : column + width] += 1
        assert times_read.max() == 1
        for window, box in zip(windows, boxes, strict=True):
            assert window.part(box).shape == box.hw


def plane_of(data):
    return np.array(data)[2]


def test_an_object_that_was_committed_since_is_not_taken_back(data):
    first = write_objects(data, PLANE, [(7, square(20, 20)), (8, square(20, 40))], MODE, ())
    second = write_objects(data, PLANE, [(7, square(20, 24))], MODE, (), history=[first])
    # What the second has erased would be a part of it again.
    for each in (first, second):
        each.note_commit(7, None)
    assert take_back(data, second) is False
    take_back(data, first)
    assert np.array_equal(plane_of(data) == 7, filled(square(20, 24)))
    assert not (plane_of(data) == 8).any()


def test_a_commit_that_is_undone_is_none(data):
    before = np.array(data)
    written = write_objects(data, PLANE, [(7, square(20, 20))], MODE, ())
    carried = plane_of(data)
    written.note_commit(7, fingerprint(square(20, 20), PLANE))
    data[2] = np.where(filled(square(25, 20)), carried, 0)
    assert not take_back(data, written)
    data[2] = carried
    take_back(data, written)
    assert np.array_equal(data, before)


@pytest.mark.parametrize("value", [7, 0])
def test_an_object_that_was_changed_by_hand_is_not_written(data, value):
    first = write_objects(data, PLANE, [(7, square(20, 20)), (8, square(20, 40))], MODE, ())
    data[2, 22:24, 24:36] = value
    mine = plane_of(data) == 7
    moved = [(7, square(21, 20)), (8, square(21, 40))]
    second = write_objects(data, PLANE, moved, MODE, (), history=[first])
    assert np.array_equal(plane_of(data) == 7, mine)
    assert np.array_equal(plane_of(data) == 8, filled(square(21, 40)))
    assert (second.by_hand, second.kept) == ({7}, frozenset())
    assert second.areas == {7: mine.sum(), 8: 100}
    # The newest that has written it is what counts.
    third = write_objects(data, PLANE, moved, MODE, (), history=[first, second])
    assert third.by_hand == {7}
    replaced = write_objects(data, PLANE, moved, MODE, {7, 8}, history=[first, second, third])
    assert replaced.by_hand == frozenset()
    assert np.array_equal(plane_of(data) == 7, filled(square(21, 20)))


def test_an_object_that_was_confirmed_as_it_is_is_not_written(data):
    first = write_objects(data, PLANE, [(7, square(20, 20))], MODE, ())
    first.note_commit(7, None)
    second = write_objects(data, PLANE, [(7, square(21, 20))], MODE, (), history=[first])
    assert second.by_hand == {7}
    assert np.array_equal(plane_of(data) == 7, filled(square(20, 20)))
    same = write_objects(data, PLANE, [(7, square(20, 20))], MODE, (), history=[first, second])
    assert (same.by_hand, same.left, same.areas) == (frozenset(), {}, {7: 100})


def test_a_mask_that_is_drawn_is_written_until_it_is_changed_by_hand(data):
    def draw(row, history):
        cut = [(7, square(row, 20))]
        return write_objects(data, PLANE, cut, MODE, (), given={7}, history=history)

    data[2, 30:32, 30:32] = 7
    first = draw(20, [])
    assert np.array_equal(plane_of(data) == 7, filled(square(20, 20)))
    second = draw(21, [first])
    assert np.array_equal(plane_of(data) == 7, filled(square(21, 20)))
    data[2, 30:32, 30:32] = 7
    assert draw(21, [first, second]).by_hand == {7}
    assert draw(22, [first, second]).by_hand == frozenset()
    assert np.array_equal(plane_of(data) == 7, filled(square(22, 20)))


def test_what_another_object_has_overwritten_is_not_changed_by_hand(data):
    first = write_objects(data, PLANE, [(7, square(20, 20)), (8, square(5, 40))], MODE, ())
    other = [(9, square(22, 24))]
    second = write_objects(data, PLANE, other, "overwrite", (), history=[first])
    assert (plane_of(data) == 7).sum() == 100 - 6 * 8
    moved = [(7, square(18, 20)), (8, square(6, 40))]
    third = write_objects(data, PLANE, moved, MODE, (), history=[first, second])
    assert third.by_hand == frozenset()
    assert np.array_equal(plane_of(data) == 8, filled(square(6, 40)))
    assert np.array_equal(plane_of(data) == 7, filled(square(18, 20)) & ~filled(square(22, 24)))


def test_pixels_from_before_stay_at_every_time(data):
    older = filled(square(20, 20))
    data[2] = np.where(older, 7, plane_of(data))
    history = []
    for column in (24, 26, 28):
        written = write_objects(data, PLANE, [(7, square(20, column))], MODE, (), history=history)
        history.append(written)
        assert np.array_equal(plane_of(data) == 7, older | filled(square(20, column)))
        assert (written.kept, written.by_hand) == ({7}, frozenset())
    for written in reversed(history):
        take_back(data, written)
    assert np.array_equal(plane_of(data) == 7, older)


def test_what_is_known_of_a_plane_counts_when_it_is_seen_the_other_way_round():
    data = np.zeros((30, 40, 4), np.uint16)
    upright, turned = PlaneIndex((None, None, 2)), PlaneIndex((None, None, 2), True)
    data[20:25, 10:13, 2] = 7
    low = MaskCut(np.ones((4, 6), bool), (8, 20))
    first = write_objects(data, turned, [(7, low)], MODE, ())
    second = write_objects(data, upright, [(7, NO_PIXELS)], MODE, (), history=[first])
    assert (second.kept, second.by_hand) == ({7}, frozenset())
    assert np.count_nonzero(data) == np.count_nonzero(data[20:25, 10:13, 2]) == 15
