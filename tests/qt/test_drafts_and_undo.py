"""Undo, other planes, sessions and other windows: no object in hand takes another's place."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_sam2_openvino._session.engines import Sam2Engine
from napari_sam2_openvino.core.session_file import read_session

STACK = np.zeros((6, 60, 80), np.uint8)


@pytest.fixture
def stack(open_window: Any) -> Any:
    """Return a window with plane 1 of a stack in view."""
    window = open_window(STACK)
    window.show_plane(1)
    window.settle()
    return window


def draw(window: Any, *place: float) -> None:
    window.click(*place)
    window.settle()


def do(window: Any, *verbs: str) -> None:
    for verb in verbs:
        window.do(verb)
        window.settle()


def edit(window: Any, label: int) -> None:
    window.widget.objects.edit(window.annotator.target, label)
    window.wait(lambda: label in window.annotator.drawn)
    window.settle()


def current(window: Any) -> int:
    return int(window.annotator.drafting.objects.current)


def label_at(window: Any, *place: int) -> int:
    return int(window.labels.data[place])


@pytest.mark.parametrize("is_each", [False, True])
def test_what_is_drawn_after_undo_does_not_replace_what_was_committed(
    stack: Any, is_each: bool
) -> None:
    if is_each:
        do(stack, "toggle_many")
    draw(stack, 1, 20, 20)
    do(stack, "commit", "undo", "undo")
    assert not stack.annotator.drawn
    draw(stack, 1, 45, 60)
    do(stack, "commit")
    assert label_at(stack, 1, 20, 20) == 1
    assert label_at(stack, 1, 45, 60) > 1


def test_undo_to_the_object_itself_still_corrects_it(stack: Any) -> None:
    draw(stack, 1, 20, 20)
    do(stack, "commit", "undo")
    assert list(stack.annotator.drawn) == [current(stack)] == [1]
    do(stack, "undo", "redo")
    assert list(stack.annotator.drawn) == [current(stack)] == [1]
    draw(stack, 1, 20, 26)
    do(stack, "commit")
    assert np.unique(stack.labels.data).tolist() == [0, 1]


def test_what_is_drawn_after_the_prompts_were_deleted_is_a_new_object(stack: Any) -> None:
    draw(stack, 1, 20, 20)
    do(stack, "commit")
    edit(stack, 1)
    stack.layers.points.selected_data = {0}
    stack.layers.points.remove_selected()
    stack.settle()
    draw(stack, 1, 45, 60)
    do(stack, "commit")
    assert label_at(stack, 1, 20, 20) == 1
    assert label_at(stack, 1, 45, 60) > 1


@pytest.mark.parametrize("before", ["commit", "clear"])
def test_undo_past_an_edit_brings_back_nothing_in_place_of_what_was_edited(
    stack: Any, before: str
) -> None:
    labels = stack.viewer.add_labels(np.zeros(STACK.shape, np.uint8), name="mine")
    stack.annotator.set_target(labels)
    labels.data_setitem((np.full(9, 1), np.full(9, 50), np.arange(9)), 1)
    painted = labels.data == 1
    # Object 1, which gets label 2 where it is committed: 1 is taken.
    draw(stack, 1, 20, 20)
    do(stack, before)
    stack.wait(lambda: not stack.annotator.committer.is_scanning)
    stack.widget.objects.edit(labels, 1)
    stack.wait(lambda: stack.annotator.drawn)
    stack.settle()
    do(stack, "undo", "undo")
    draw(stack, 1, 20, 40)
    assert [len(each.marks) for each in stack.annotator.drawn.values()] == [2]
    do(stack, "commit")
    stack.wait(lambda: not stack.annotator.committer.is_scanning)
    assert labels.data[1, 20, 40] > 1
    np.testing.assert_array_equal(labels.data == 1, painted)


@pytest.mark.parametrize("way", ["clear", "delete"])
def test_undo_past_what_was_removed_brings_it_back_beside_what_was_committed_since(
    stack: Any, way: str
) -> None:
    draw(stack, 1, 20, 20)
    if way == "clear":
        do(stack, "clear")
    else:
        stack.layers.points.selected_data = {0}
        stack.layers.points.remove_selected()
        stack.settle()
    draw(stack, 1, 45, 60)
    do(stack, "commit")
    label = label_at(stack, 1, 45, 60)
    committed = stack.labels.data == label
    # The commit, the second click, the removal of the first.
    do(stack, "undo", "undo", "undo")
    assert [len(each.marks) for each in stack.annotator.drawn.values()] == [1]
    do(stack, "commit")
    np.testing.assert_array_equal(stack.labels.data == label, committed)
    assert label_at(stack, 1, 20, 20) not in (0, label)


def test_the_next_object_begins_also_where_the_current_one_is_not_drawn(stack: Any) -> None:
    draw(stack, 1, 20, 20)
    stack.show_plane(4)
    stack.settle()
    do(stack, "next_object")
    draw(stack, 4, 45, 60)
    assert list(stack.annotator.drawn) == [2]
    do(stack, "next_object")
    number = current(stack)
    do(stack, "next_object")
    assert current(stack) == number == 3


@pytest.mark.parametrize(("n_bad", "words"), [(1, "a prompt"), (2, "2 prompts")])
def test_a_prompt_that_cannot_be_used_is_all_that_a_session_lacks(
    stack: Any, tmp_path: Path, n_bad: int, words: str
) -> None:
    for x in (10, 30, 50, 70):
        draw(stack, 1, 30, x)
        do(stack, "next_object")
    data = stack.layers.points.data.copy()
    data[:n_bad, 1] = 65
    stack.layers.points.data = data
    stack.settle()
    path = tmp_path / "mine.json"
    stack.widget.files.save(path)
    stack.wait(lambda: "is saved" in stack.status)
    assert stack.status.endswith(f", without {words} that cannot be used.")
    saved = [each.obj_id for each in read_session(path).objects]
    assert saved == list(range(n_bad + 1, 5))


def open_session(window: Any, path: Path) -> None:
    window.widget.files.open(path)
    window.wait(lambda: window.status.startswith("The session is open."), timeout=60_000)
    window.settle()


@pytest.mark.parametrize("n_undone", [1, 2])
def test_what_undo_brings_back_after_a_session_was_opened_replaces_no_object_of_it(
    open_window: Any, tmp_path: Path, n_undone: int
) -> None:
    path = tmp_path / "mine.json"
    image = np.full((60, 80), 20, np.uint8)
    image[10:30, 10:30] = image[35:55, 50:70] = 200
    window = open_window(image, load_engine=Sam2Engine)
    window.settle()
    draw(window, 20, 20)
    do(window, "commit")
    window.widget.files.save(path)
    window.wait(lambda: window.status.startswith("The session is saved"))
    second = open_window(image, load_engine=Sam2Engine)
    second.settle()
    draw(second, 45, 60)
    draw(second, 46, 61)
    open_session(second, path)
    before = second.labels.data.copy()
    assert before[20, 20] == 1
    edit(second, 1)
    do(second, *["undo"] * (n_undone + 1))
    (own,) = second.annotator.drawn
    assert own != 1
    do(second, "commit")
    np.testing.assert_array_equal(second.labels.data[before == 1], 1)
    assert second.labels.data[45, 60] == own


def test_a_correction_is_one_still_where_undo_brings_it_back_after_drafts_were_opened(
    stack: Any, tmp_path: Path
) -> None:
    path = tmp_path / "mine.json"
    draw(stack, 1, 20, 20)
    stack.widget.files.save(path)
    stack.wait(lambda: stack.status.startswith("The session is saved"))
    do(stack, "commit", "undo")
    open_session(stack, path)
    do(stack, "undo")
    draw(stack, 1, 20, 26)
    do(stack, "commit")
    assert np.unique(stack.labels.data).tolist() == [0, 1]


@pytest.mark.parametrize("is_each", [False, True])
def test_a_prompt_that_was_selected_says_nothing_of_the_next_one(
    window: Any, is_each: bool
) -> None:
    draw(window, 30, 30)
    do(window, "toggle_polarity")
    draw(window, 30, 37)
    do(window, "toggle_polarity", "next_object")
    if is_each:
        do(window, "toggle_many")
    points = window.layers.points
    for row in (0, 1):
        points.mode = "select"
        points.selected_data = {row}
        points.mode = "add"
        points.add([100, 130 + 10 * row])
        window.settle()
    assert points.features["prompt"].tolist()[2:] == ["positive", "positive"]
    assert not {1, 0} & set(points.features["obj_id"].tolist()[2:])
    assert points.features["obj_id"].tolist()[:2] == [1, 1]


def test_a_mask_that_was_chosen_is_not_chosen_for_what_is_drawn_next(window: Any) -> None:
    draw(window, 30, 30)
    first = window.answer.area
    while window.answer.area == first:
        do(window, "next_mask")
    chosen = window.answer.area
    window.layers.points.selected_data = {0}
    window.layers.points.remove_selected()
    window.settle()
    draw(window, 80, 100)
    assert window.answer.area == first
    # Undo brings the choice back with its point.
    do(window, "undo", "undo")
    assert window.answer.area == chosen
    do(window, "redo", "redo")
    assert window.answer.area == first


def reopen(window: Any, open_widget: Any) -> Any:
    window.viewer.window.remove_dock_widget(window.widget)
    window.qtbot.wait(50)
    again = open_widget(window)
    again.settle()
    return again


def test_a_window_that_is_opened_again_saves_what_it_has_not_shown_yet(
    stack: Any, open_widget: Any
) -> None:
    draw(stack, 1, 20, 20)
    do(stack, "next_object")
    stack.viewer.dims.order = (1, 0, 2)
    stack.show_plane(45, axis=1)
    stack.settle()
    draw(stack, 3, 45, 60)
    stack.viewer.dims.order = (0, 1, 2)
    stack.show_plane(0)
    stack.settle()
    before = stack.widget.files.session().objects
    again = reopen(stack, open_widget)
    assert not again.annotator.drawn
    assert again.widget.files.session().objects == before
    assert len(before) == 2


def test_a_correction_is_one_still_in_a_window_that_is_opened_again(
    stack: Any, open_widget: Any
) -> None:
    draw(stack, 1, 20, 20)
    do(stack, "commit")
    draw(stack, 1, 45, 60)
    do(stack, "commit")
    labels = stack.labels
    labels.data[1, 2:8, 2:8] = 9
    edit(stack, 1)
    draw(stack, 1, 20, 26)
    edit(stack, 9)
    again = reopen(stack, open_widget)
    assert again.preview is not None
    assert list(again.annotator.drawn) == [1, 9]
    again.annotator.set_target(labels)
    again.settle()
    states = {each.obj_id: each.state for each in again.widget.objects.rows()}
    assert states[1] == "edited"
    do(again, "commit_all")
    assert np.unique(labels.data).tolist() == [0, 1, 2, 9]
    draw(again, 1, 50, 10)
    assert not {1, 2, 9} & again.annotator.drawn.keys()


def test_what_is_refined_without_any_prompts_is_there_in_a_window_that_is_opened_again(
    stack: Any, open_widget: Any
) -> None:
    cells = np.zeros_like(stack.annotator.image.data, np.uint8)
    cells[1, 2:20, 2:20] = 9
    stack.annotator.set_target(stack.viewer.add_labels(cells))
    edit(stack, 9)
    assert (stack.layers.points, stack.layers.shapes) == (None, None)
    image = stack.annotator.image
    stack.viewer.window.remove_dock_widget(stack.widget)
    stack.qtbot.wait(50)
    # Of a copy of the image nothing is known.
    copy = stack.viewer.add_layer(type(image).create(*image.as_layer_data_tuple()))
    again = open_widget(stack)
    again.annotator.set_image(copy)
    again.settle()
    assert not again.annotator.drawn
    again.annotator.set_image(image)
    again.settle()
    assert list(again.annotator.drawn) == [9]
    assert again.answer.area == 18 * 18
    # It was taken over, and is not left on the image.
    assert not image.metadata


def test_no_object_is_shown_as_the_current_one_that_gets_no_prompts(stack: Any) -> None:
    draw(stack, 1, 20, 20)
    stack.show_plane(4)
    do(stack, "next_object")
    draw(stack, 4, 45, 60)
    stack.show_plane(1)
    stack.settle()
    assert (list(stack.annotator.drawn), current(stack)) == ([1], 2)
    assert stack.annotator.focus is None
    before = stack.annotator.drafting.objects
    for verb in ("commit", "clear", "next_mask"):
        stack.do(verb)
        assert "on this plane" in stack.status
    assert stack.labels is None
    assert stack.annotator.drafting.objects is before
    # One of the list can be chosen, and what comes next is its own.
    do(stack, "previous_object")
    assert stack.annotator.focus == 1
    draw(stack, 1, 20, 26)
    assert list(stack.annotator.drawn) == [1]
    do(stack, "commit")
    assert stack.annotator.focus is None
    stack.show_plane(4)
    stack.settle()
    # A new object has no prompts anywhere: verbs are about the last one that has.
    assert stack.annotator.focus == 2


def test_prompts_outside_of_the_image_can_be_cleared(stack: Any) -> None:
    draw(stack, 1, 20, 20)
    stack.layers.points.data = [[1, 70, 20]]
    stack.settle()
    do(stack, "clear")
    assert len(stack.layers.points.data) == 0
