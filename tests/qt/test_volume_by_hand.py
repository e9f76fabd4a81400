"""What the user corrects or commits in a stack stays when it is carried again or taken back."""

from collections.abc import Callable
from threading import Event
from typing import Any

import numpy as np
import pytest
from tests.qt.test_volume import BOX, HW, RADII, Volume, carried_before, discs

from napari_sam2_openvino._layers import plane_writing
from napari_sam2_openvino._qt import carried_runs

STAYED = "On one plane what you changed by hand or committed stayed as it was"


@pytest.fixture
def volume(open_window: Any, starter: Any) -> Volume:
    """A stack with one object, drawn on plane 3 and carried."""
    volume = Volume(open_window(discs(RADII), load_engine=lambda _name: starter))
    volume.box(3, *BOX)
    volume.run()
    return volume


def paint(volume: Volume, plane: int, label: int, rows: slice, columns: slice) -> None:
    """Paint a rectangle with napari's brush."""
    at_rows, at_columns = (each.ravel() for each in np.mgrid[rows, columns])
    volume.window.labels.data_setitem((np.full(at_rows.size, plane), at_rows, at_columns), label)
    volume.window.settle()


def add(volume: Volume) -> None:
    paint(volume, 4, 1, slice(80, 86), slice(20, 30))


def erase(volume: Volume) -> None:
    paint(volume, 4, 0, slice(0, 50), slice(0, HW[1]))


def commit_smaller(volume: Volume) -> None:
    volume.box(4, 44, 52, 56, 72)
    volume.window.do("commit")
    volume.settle()


def take_back(volume: Volume) -> None:
    volume.window.do("take_back_propagation")
    volume.settle()


def test_what_was_committed_since_is_not_taken_back(volume: Volume) -> None:
    commit_smaller(volume)
    mine = volume.labels[4].copy()
    take_back(volume)
    np.testing.assert_array_equal(volume.labels[4], mine)
    assert np.flatnonzero(volume.areas()).tolist() == [4]
    assert "What you committed there since stays" in volume.window.status
    assert volume.window.table()[1].area == np.count_nonzero(mine)


def test_what_was_committed_as_it_was_carried_is_not_taken_back(volume: Volume) -> None:
    volume.window.do("commit")
    volume.settle()
    area = volume.areas()[3]
    assert volume.window.status.startswith(f"Object 1: {area} pixels")
    take_back(volume)
    assert volume.areas() == [area if plane == 3 else 0 for plane in range(len(RADII))]
    assert volume.window.table()[1].area == area


def test_a_commit_that_was_undone_does_not_count(volume: Volume) -> None:
    before = volume.labels.copy()
    commit_smaller(volume)
    volume.window.labels.undo()
    volume.window.settle()
    np.testing.assert_array_equal(volume.labels, before)
    volume.box(3, *BOX)
    volume.run()
    assert "by hand" not in volume.window.status
    take_back(volume)
    take_back(volume)
    assert not volume.labels.any()


@pytest.mark.parametrize("change", [add, erase, commit_smaller])
def test_a_plane_that_was_changed_by_hand_stays_unless_all_is_replaced(
    volume: Volume, change: Callable[[Volume], None]
) -> None:
    carried = volume.labels.copy()
    change(volume)
    mine = volume.labels[4].copy()
    assert not np.array_equal(mine, carried[4])
    volume.window.show_plane(3)
    volume.window.settle()
    volume.run()
    np.testing.assert_array_equal(volume.labels[4], mine)
    assert "One object is on 5 planes" in volume.window.status
    assert STAYED in volume.window.status
    assert volume.tab.strip.states.found[4].area == np.count_nonzero(mine)

    volume.choose(replace=True)
    volume.run()
    np.testing.assert_array_equal(volume.labels, carried)
    assert "by hand" not in volume.window.status
    take_back(volume)
    np.testing.assert_array_equal(volume.labels[4], mine)


def test_undo_brings_back_what_was_there_before_a_plane_was_painted(volume: Volume) -> None:
    carried = volume.labels.copy()
    add(volume)
    volume.run()
    assert STAYED in volume.window.status
    volume.window.labels.undo()
    np.testing.assert_array_equal(volume.labels, carried)
    volume.run()
    assert "by hand" not in volume.window.status
    volume.window.labels.redo()
    assert volume.labels[4, 80:86, 20:30].all()


def test_a_plane_with_prompts_stays_as_it_was_painted_until_they_are_others(
    volume: Volume,
) -> None:
    paint(volume, 3, 1, slice(80, 86), slice(20, 30))
    volume.run()
    assert STAYED in volume.window.status
    assert volume.labels[3, 80:86, 20:30].all()
    volume.window.click(3, 34, 62)
    volume.window.settle()
    volume.run()
    assert "by hand" not in volume.window.status
    assert volume.areas()[3] == volume.window.answer.area
    assert not volume.labels[3, 80:86, 20:30].any()


def test_to_carry_on_from_a_committed_plane_makes_it_no_less_the_users(volume: Volume) -> None:
    commit_smaller(volume)
    mine = volume.labels[4].copy()
    volume.choose(direction="forward")
    volume.run()
    assert "One object is on 2 planes" in volume.window.status
    volume.choose(direction="both")
    volume.window.show_plane(3)
    volume.window.settle()
    volume.run()
    np.testing.assert_array_equal(volume.labels[4], mine)
    for _ in range(3):
        take_back(volume)
    np.testing.assert_array_equal(volume.labels[4], mine)
    assert np.flatnonzero(volume.areas()).tolist() == [4]


def test_pixels_that_are_painted_before_their_plane_is_reached_stay(
    open_window: Any, starter: Any, monkeypatch: Any
) -> None:
    volume = Volume(open_window(discs(RADII), load_engine=lambda _name: starter))
    volume.box(3, *BOX)
    begun, go, real = Event(), Event(), plane_writing.write_objects

    def held(*arguments: Any, **options: Any) -> Any:
        begun.set()
        go.wait(30)
        return real(*arguments, **options)

    monkeypatch.setattr(plane_writing, "write_objects", held)
    volume.carrier.run()
    volume.window.wait(begun.is_set)
    # A ring of it is beyond what is found there, and within the box of that.
    paint(volume, 5, 1, slice(30, 40), slice(44, 80))
    go.set()
    volume.settle()
    assert (volume.labels[5, 30:40, 44:80] == 1).all()
    take_back(volume)
    assert volume.areas() == [360 if plane == 5 else 0 for plane in range(len(RADII))]


def test_what_is_committed_while_its_plane_is_written_is_not_taken_back(
    open_window: Any, starter: Any, monkeypatch: Any
) -> None:
    volume = Volume(open_window(discs(RADII), load_engine=lambda _name: starter))
    volume.box(3, *BOX)
    written, go, real = Event(), Event(), plane_writing.write_objects

    def held(*arguments: Any, **options: Any) -> Any:
        result = real(*arguments, **options)
        written.set()
        go.wait(30)
        return result

    monkeypatch.setattr(plane_writing, "write_objects", held)
    volume.carrier.run()
    volume.window.wait(written.is_set)
    area = np.count_nonzero(volume.labels[3])
    volume.window.do("commit")
    assert volume.window.status.startswith(f"Object 1: {area} pixels")
    go.set()
    volume.settle()
    take_back(volume)
    assert volume.areas() == [area if plane == 3 else 0 for plane in range(len(RADII))]


def test_what_can_be_taken_back_no_more_is_still_known(volume: Volume, monkeypatch: Any) -> None:
    monkeypatch.setattr(carried_runs, "MAX_BYTES", 0)
    add(volume)
    mine = volume.labels[4].copy()
    for _ in range(2):
        volume.box(3, 34, 44, 66, 80)
        volume.run()
        assert volume.areas()[3] == volume.window.answer.area
        np.testing.assert_array_equal(volume.labels[4], mine)
        assert STAYED in volume.window.status
    take_back(volume)
    assert not volume.carrier.can_take_back


def test_older_pixels_stay_however_often_an_object_is_carried(
    open_window: Any, starter: Any
) -> None:
    volume, earlier = carried_before(open_window, starter)
    volume.run()
    volume.run()
    assert (volume.labels == 5)[earlier == 5].all()
    assert "older pixels of theirs stayed" in volume.window.status
    assert "by hand" not in volume.window.status


def test_an_object_that_was_erased_everywhere_is_found_anew(volume: Volume) -> None:
    carried = volume.labels.copy()
    volume.window.labels.data_setitem(np.nonzero(carried), 0)
    volume.window.settle()
    volume.run()
    np.testing.assert_array_equal(volume.labels, carried)
    assert "by hand" not in volume.window.status


def test_an_object_that_was_erased_on_a_plane_is_not_found_there_again(volume: Volume) -> None:
    paint(volume, 5, 0, slice(0, HW[0]), slice(0, HW[1]))
    volume.run()
    assert np.flatnonzero(volume.areas()).tolist() == [1, 2, 3, 4]
    assert STAYED in volume.window.status
