"""Commit: which answer is written, into what, under which label."""

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from napari_sam2_openvino._layers import targets
from napari_sam2_openvino._qt import committing
from napari_sam2_openvino.core.errors import InputError, JobCancelledError

STACK = np.random.default_rng(1).integers(0, 4000, (5, 60, 80)).astype(np.uint16)


class Scans:
    """Searches for the largest label, which end when the test says so."""

    def __init__(self) -> None:
        self.n_begun = 0
        self.n_cancelled = 0
        self.go_on = threading.Event()
        self._look = committing.largest_label

    def __call__(self, data: Any, cancelled: Callable[[], bool]) -> int:
        self.n_begun += 1
        largest = self._look(data)
        while not self.go_on.wait(0.005):
            if cancelled():
                self.n_cancelled += 1
                raise JobCancelledError("The search was cancelled.")
        return largest


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scans]:
    scans = Scans()
    monkeypatch.setattr(committing, "largest_label", scans)
    yield scans
    scans.go_on.set()


def add_target(window: Any, shape: tuple[int, ...] = (120, 160), value: int = 41) -> Any:
    """Add a layer that has a label already, and choose it."""
    mine = window.viewer.add_labels(np.zeros(shape, np.int32), name="mine")
    mine.data[(0,) * len(shape)] = value
    window.widget.choices.target_combo.value = mine
    return mine


def test_what_is_committed_before_its_mask_is_there_is_written_once_it_is(
    open_window: Any,
) -> None:
    window = open_window(np.zeros((60, 80), np.uint8), encode_seconds=0.3)
    window.click(30, 40)
    window.press("W")
    assert window.status.startswith("It is committed as soon as")
    assert window.labels is None
    window.wait(lambda: window.labels is not None)
    assert window.labels.data.sum() == 81
    window.settle()
    assert not window.annotator.drawn


def test_what_waits_for_its_mask_is_not_written_if_the_user_draws_on(open_window: Any) -> None:
    window = open_window(np.zeros((60, 80), np.uint8), encode_seconds=0.3)
    window.click(30, 40)
    window.press("W")
    window.click(30, 60)
    window.settle()
    window.qtbot.wait(100)
    assert window.labels is None
    assert len(window.layers.points.data) == 2


@pytest.mark.parametrize("is_live", [True, False])
def test_what_waits_for_its_mask_is_written_wherever_the_pointer_goes(
    open_window: Any, is_live: bool
) -> None:
    window = open_window(np.zeros((60, 80), np.uint8), decode_seconds=0.3)
    window.settle()
    window.annotator.set_live(is_live)
    window.annotator.set_hover(True)
    window.click(30, 40)
    window.press("W")
    assert window.status.startswith("It is committed as soon as")
    for x in (50, 60, 70):
        for call in window.viewer.mouse_move_callbacks:
            call(window.viewer, SimpleNamespace(position=(10, x)))
        window.qtbot.wait(50)
    window.wait(lambda: window.labels is not None)
    assert window.labels.data.sum() == 81


def test_what_waits_for_its_mask_is_given_up_aloud_on_another_plane(open_window: Any) -> None:
    window = open_window(STACK, decode_seconds=0.3)
    window.show_plane(0)
    window.settle()
    window.click(0, 30, 40)
    window.press("W")
    assert window.status.startswith("It is committed as soon as")
    window.show_plane(1)
    window.settle()
    assert window.status.startswith("Not committed: it was changed, or is out of view")
    window.show_plane(0)
    window.settle()
    window.qtbot.wait(100)
    assert window.labels is None


def test_what_waits_for_its_mask_is_not_written_after_cancel(open_window: Any) -> None:
    window = open_window(np.zeros((60, 80), np.uint8), encode_seconds=0.5)
    window.click(30, 40)
    window.press("W")
    window.wait_for_encode()
    window.annotator.cancel()
    window.annotator.set_hover(True)
    for call in window.viewer.mouse_move_callbacks:
        call(window.viewer, SimpleNamespace(position=(10, 50)))
    window.wait(lambda: window.answer is not None)
    window.settle()
    assert window.labels is None


def test_a_click_that_is_not_read_yet_belongs_to_the_object(window: Any) -> None:
    window.click(40, 50)
    window.settle()
    window.click(80, 50)
    window.press("W")
    assert window.status.startswith("It is committed as soon as")
    assert len(window.layers.points.data) == 2
    window.wait(lambda: window.labels is not None)
    data = window.labels.data
    assert (data[40, 50], data[80, 50], data.max()) == (1, 1, 1)


def test_an_object_is_committed_when_the_next_label_is_found(window: Any, scans: Scans) -> None:
    mine = add_target(window)
    window.click(40, 50)
    window.settle()
    window.press("W")
    assert window.status.startswith("Reading mine for free labels")
    assert window.widget.cancel_button.isVisibleTo(window.widget)
    window.press("W")
    scans.go_on.set()
    window.wait(lambda: mine.data[40, 50] == 42)
    assert scans.n_begun == 1
    assert not window.widget.cancel_button.isVisibleTo(window.widget)
    window.settle()
    assert len(window.layers.points.data) == 0


def test_an_object_is_told_to_wait_while_another_one_is_committed(
    window: Any, scans: Scans
) -> None:
    mine = add_target(window)
    window.click(40, 50)
    window.press("N")
    window.click(80, 50)
    window.settle()
    window.press("W")
    assert window.status.startswith("Reading mine for free labels")
    window.do("previous_object")
    window.press("W")
    assert window.status == "Another object waits for mine to be read: commit this one after it."
    scans.go_on.set()
    window.wait(lambda: not window.annotator.committer.is_scanning)
    window.settle()
    window.press("W")
    assert (mine.data[40, 50], mine.data[80, 50]) == (43, 42)


def test_clicks_during_the_search_are_neither_lost_nor_committed(window: Any, scans: Scans) -> None:
    mine = add_target(window)
    window.click(40, 50)
    window.settle()
    said: list[str] = []
    window.annotator.feedback.status_changed.connect(said.append)
    window.press("W")
    window.click(80, 50)
    scans.go_on.set()
    window.wait(lambda: "Something else was chosen meanwhile: commit again." in said)
    assert mine.data.max() == 41
    assert len(window.layers.points.data) == 2
    window.settle()
    window.press("W")
    assert (mine.data[40, 50], mine.data[80, 50]) == (42, 42)
    assert scans.n_begun == 1


def test_a_layer_that_is_left_during_the_search_is_not_written(window: Any, scans: Scans) -> None:
    mine = add_target(window)
    window.click(40, 50)
    window.settle()
    window.press("W")
    window.annotator.set_target(None)
    scans.go_on.set()
    window.wait(lambda: "chosen meanwhile" in window.status)
    assert mine.data.max() == 41
    assert len(window.layers.points.data) == 1


def test_a_layer_that_is_edited_during_the_search_is_read_again(window: Any, scans: Scans) -> None:
    mine = add_target(window)
    window.click(40, 50)
    window.settle()
    window.press("W")
    window.wait(lambda: scans.n_begun == 1)
    mine.data_setitem((np.array([1]), np.array([1])), 60)
    scans.go_on.set()
    window.wait(lambda: "changed while it was read" in window.status)
    assert mine.data[40, 50] == 0
    window.press("W")
    window.wait(lambda: mine.data[40, 50] == 61)


def test_cancel_ends_the_search_and_keeps_the_object(window: Any, scans: Scans) -> None:
    mine = add_target(window)
    window.click(40, 50)
    window.settle()
    window.press("W")
    window.wait(lambda: scans.n_begun == 1)
    window.widget.cancel_button.click()
    window.wait(lambda: scans.n_cancelled == 1)
    assert window.status == "Cancelled: nothing was committed."
    assert not window.widget.cancel_button.isVisibleTo(window.widget)
    assert mine.data.max() == 41
    scans.go_on.set()
    window.press("W")
    window.wait(lambda: mine.data[40, 50] == 42)


def test_close_ends_the_search(window: Any, scans: Scans) -> None:
    mine = add_target(window)
    window.click(40, 50)
    window.settle()
    window.press("W")
    window.wait(lambda: scans.n_begun == 1)
    window.annotator.close()
    window.wait(lambda: scans.n_cancelled == 1)
    assert mine.data.max() == 41


def test_labels_that_cannot_be_read_are_one_sentence(window: Any, monkeypatch: Any) -> None:
    def look(*_args: Any) -> int:
        raise InputError("The labels cannot be read (gone): check that their file is there.")

    shown: list[str] = []
    monkeypatch.setattr("napari_sam2_openvino._qt.feedback.show_error", shown.append)
    monkeypatch.setattr(committing, "largest_label", look)
    add_target(window)
    window.click(40, 50)
    window.settle()
    window.press("W")
    window.wait(lambda: shown)
    assert window.status == shown[0]
    assert len(window.layers.points.data) == 1


@pytest.mark.parametrize("refresh", [False, True])
def test_labels_that_others_write_in_place_are_never_used_again(
    open_window: Any, refresh: bool
) -> None:
    window = open_window(STACK)
    window.settle()
    mine = add_target(window, STACK.shape)
    z = window.annotator.plane.index[0]
    window.click(z, 30, 20)
    window.settle()
    window.press("W")
    window.wait(lambda: mine.data[z, 30, 20] == 42)
    # Where only a refresh tells of it, or in view.
    mine.data[z - 1 if refresh else z, 50, 50] = 99
    if refresh:
        mine.refresh()
    window.settle()
    window.click(z, 30, 60)
    window.settle()
    window.press("W")
    window.wait(lambda: mine.data[z, 30, 60] == 100)


def test_a_move_to_another_plane_does_not_read_the_layer_again(
    open_window: Any, scans: Scans
) -> None:
    scans.go_on.set()
    window = open_window(STACK)
    window.settle()
    mine = add_target(window, STACK.shape)
    for z in (1, 3, 1):
        window.show_plane(z)
        window.settle()
        x = 20 + 10 * scans.n_begun + 5 * z
        window.click(z, 30, x)
        window.settle()
        window.press("W")
        window.wait(lambda z=z, x=x: mine.data[z, 30, x])
        window.settle()
    assert mine.data.max() == 44
    assert scans.n_begun == 1


def test_a_hidden_layer_is_refused_and_written_once_it_is_shown(window: Any) -> None:
    mine = add_target(window)
    mine.visible = False
    window.click(40, 50)
    window.settle()
    window.press("W")
    assert "mine is hidden" in window.status
    assert mine.data.max() == 41
    mine.visible = True
    window.press("W")
    window.wait(lambda: mine.data[40, 50] == 42)


def test_on_a_large_plane_labels_are_looked_through_in_the_worker(
    window: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(targets, "MOST_PIXELS_AT_ONCE", 100)
    threads = []
    look = committing.largest_on_plane

    def note(*arguments: Any) -> int:
        threads.append(threading.current_thread())
        return look(*arguments)

    monkeypatch.setattr(committing, "largest_on_plane", note)
    mine = window.viewer.add_labels(np.zeros((120, 160), np.uint8), name="mine")
    window.widget.choices.target_combo.value = mine
    for y in (40, 80):
        window.click(y, 50)
        window.settle()
        window.do("commit")
        window.wait(lambda y=y: mine.data[y, 50] > 0)
        # Changed in place, of which nothing tells.
        mine.data[0, 0] = 50
    assert mine.data[80, 50] == 51
    assert threads
    assert threading.main_thread() not in threads


def test_a_target_that_is_removed_is_let_go(open_window: Any) -> None:
    window = open_window(np.zeros((60, 80), np.uint8))
    window.click(30, 40)
    window.settle()
    window.do("commit")
    window.wait(lambda: window.labels is not None)
    window.settle()
    removed = weakref.ref(window.labels)
    window.viewer.layers.remove(window.labels)
    window.qtbot.wait(100)
    gc.collect()
    assert removed() is None
