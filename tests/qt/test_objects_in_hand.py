"""Objects that are brought back into hand, and which label each of them has in which target."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_sam2_openvino._qt.commits import FoundCommit
from napari_sam2_openvino._session.objects import Mode
from napari_sam2_openvino._session.sifting import FoundObject
from napari_sam2_openvino.core.marks import MaskCut

STACK = np.zeros((6, 60, 80), np.uint8)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    sentences: list[str] = []
    monkeypatch.setattr("napari_sam2_openvino._qt.feedback.show_error", sentences.append)
    return sentences


@pytest.fixture
def stack(open_window: Any) -> Any:
    """Return a window with a stack and a target that holds object 5 on plane 1."""
    window = open_window(STACK)
    window.show_plane(1)
    labels = np.zeros(STACK.shape, np.uint16)
    labels[1, 10:30, 20:50] = 5
    window.annotator.set_target(window.viewer.add_labels(labels, name="mine"))
    window.settle()
    return window


def commit_one(open_window: Any) -> Any:
    """Return a window with object 1 on plane 1 of a stack."""
    window = open_window(STACK)
    window.show_plane(1)
    window.click(1, 30, 40)
    window.settle()
    window.do("commit")
    window.settle()
    return window


def edit(window: Any, obj_id: int) -> None:
    before = window.annotator.drafting.objects
    window.widget.objects.edit(window.annotator.target, obj_id)
    window.wait(lambda: window.annotator.drafting.objects is not before)
    window.settle()


def drawn(window: Any) -> list[int]:
    return list(window.annotator.drawn)


def area(window: Any, label: int) -> int:
    return int(np.count_nonzero(window.labels.data == label))


def commit_found(window: Any, *origins: tuple[int, int]) -> None:
    annotator = window.annotator
    found = tuple(
        FoundObject(number, MaskCut(np.ones((4, 4), bool), origin), 0.9, {})
        for number, origin in enumerate(origins, start=1)
    )
    in_use = annotator.drafting.largest_in_use
    annotator.committer.commit(
        FoundCommit(annotator.image, annotator.plane, found, largest_in_hand=in_use)
    )
    window.settle()


def test_an_object_that_is_refined_keeps_its_mask_on_the_plane_seen_the_other_way_round(
    stack: Any,
) -> None:
    edit(stack, 5)
    before = stack.answer.area
    stack.viewer.dims.order = (0, 2, 1)
    stack.settle()
    assert drawn(stack) == [5]
    mask = stack.annotator.drawn[5].mask
    assert (mask.mask.shape, mask.origin) == ((30, 20), (20, 10))
    assert stack.answer.area == before
    stack.do("next_mask")
    stack.settle()
    stack.viewer.dims.order = (0, 1, 2)
    stack.settle()
    again = stack.annotator.drawn[5]
    assert (again.mask.mask.shape, again.mask.origin) == ((20, 30), (10, 20))
    assert again.choices
    stack.do("clear")
    stack.viewer.dims.order = (0, 2, 1)
    stack.settle()
    assert drawn(stack) == []


def test_an_object_is_corrected_from_another_direction_than_it_was_drawn_from(
    open_window: Any,
) -> None:
    window = commit_one(open_window)
    window.labels.data[1:4, 25:36, 35:46] = 1
    window.labels.refresh()
    window.viewer.dims.order = (1, 0, 2)
    window.show_plane(30, axis=1)
    window.settle()
    edit(window, 1)
    assert drawn(window) == [1]
    window.do("toggle_polarity")
    window.click(2, 30, 44)
    window.settle()
    assert drawn(window) == [1]
    assert len(window.annotator.drawn[1].marks) == 1
    # Undone, what was drawn from the first direction is in hand there.
    for _ in range(3):
        window.do("undo")
        window.settle()
    window.viewer.dims.order = (0, 1, 2)
    window.show_plane(1)
    window.settle()
    (mark,) = window.annotator.drawn[1].marks
    assert mark.vertices == ((40, 30),)


def test_an_object_in_hand_from_one_direction_is_taken_from_another_beside_it(
    open_window: Any,
) -> None:
    window = commit_one(open_window)
    edit(window, 1)
    window.viewer.dims.order = (1, 0, 2)
    window.show_plane(30, axis=1)
    window.settle()
    edit(window, 1)
    (taken,) = drawn(window)
    assert taken != 1
    edit(window, 1)
    assert drawn(window) == [taken]
    assert window.annotator.drafting.labels.of(taken) == 1
    window.click(2, 30, 40)
    window.settle()
    window.do("commit")
    assert np.unique(window.labels.data).tolist() == [0, 1]
    assert window.labels.data[2, 30, 40] == 1


def test_a_session_of_masks_alone_is_in_hand_again_and_saved_again(
    stack: Any, tmp_path: Path
) -> None:
    edit(stack, 5)
    before = stack.widget.files.session()
    assert [each.obj_id for each in before.objects] == [5]
    path = tmp_path / "masks.json"
    stack.widget.files.save(path)
    stack.wait(lambda: stack.status.startswith("The session is saved"))
    stack.do("clear")
    stack.settle()
    stack.widget.files.open(path)
    stack.wait(lambda: stack.status == "The session is open.")
    stack.settle()
    assert len(stack.widget.files.session().objects) == 1


def test_a_target_that_is_chosen_again_knows_its_objects(stack: Any) -> None:
    stack.click(1, 45, 60)
    stack.settle()
    stack.do("commit")
    stack.settle()
    (new,) = stack.table()
    edit(stack, new)
    stack.click(1, 45, 66)
    stack.settle()
    labels = stack.annotator.target
    stack.annotator.set_target(stack.viewer.add_labels(np.zeros_like(labels.data), name="other"))
    stack.settle()
    stack.annotator.set_target(labels)
    stack.settle()
    stack.do("commit")
    # After it was read for free labels.
    stack.wait(lambda: labels.data[1, 45, 66])
    assert np.unique(labels.data).tolist() == [0, 5, new]
    assert labels.data[1, 45, 66] == labels.data[1, 45, 60] == new


def test_what_was_found_gets_no_number_of_an_object_in_hand(open_window: Any) -> None:
    window = commit_one(open_window)
    window.labels.undo()
    window.do("undo")
    window.settle()
    assert drawn(window) == [1]
    commit_found(window, (2, 2), (50, 70))
    window.do("commit")
    window.settle()
    assert np.unique(window.labels.data).tolist() == [0, 1, 2, 3]
    assert window.labels.data[1, 30, 40] == 1


def test_what_is_drawn_next_gets_no_number_of_what_was_found(open_window: Any) -> None:
    window = open_window(STACK)
    window.show_plane(1)
    window.settle()
    window.annotator.committer.need_target(window.annotator.image)
    commit_found(window, (2, 2), (50, 70))
    window.click(1, 30, 40)
    window.settle()
    (new,) = drawn(window)
    assert new not in {1, 2}
    window.widget.objects.set_class([new], "nucleus")
    window.do("commit")
    window.settle()
    rows = window.table()
    assert {key: row.class_name for key, row in rows.items()} == {1: "", 2: "", new: "nucleus"}


def test_a_draft_and_an_object_of_its_number_are_two(stack: Any) -> None:
    stack.click(1, 45, 60)
    stack.settle()
    (draft,) = drawn(stack)
    labels = np.zeros_like(stack.labels.data)
    other = stack.viewer.add_labels(labels, name="other")
    stack.annotator.set_target(other)
    other.data[1, :4, :4] = draft
    commit_found(stack, (0, 10))
    stack.settle()
    numbers = sorted(each.obj_id for each in stack.widget.files.session().objects)
    assert len(set(numbers)) == len(numbers)
    states = {each.obj_id: each.state for each in stack.widget.objects.rows()}
    assert states[draft] == "draft"


def test_classes_of_one_image_are_not_those_of_another(open_window: Any) -> None:
    window = open_window(STACK)
    window.show_plane(0)
    window.click(0, 30, 40)
    window.settle()
    window.widget.objects.set_class([1], "here")
    second = window.viewer.add_image(STACK + 1, name="second")
    window.widget.choices.image_combo.value = second
    window.settle()
    window.click(0, 30, 40)
    window.settle()
    (row,) = window.widget.objects.rows()
    assert row.class_name == ""


def test_an_object_of_another_layer_is_not_thrown_away_for_one_of_its_number(stack: Any) -> None:
    labels = np.zeros(STACK.shape, np.uint16)
    labels[1, 40:50, 60:70] = 5
    other = stack.viewer.add_labels(labels, name="other")
    before = stack.annotator.drafting.objects
    stack.widget.objects.edit(other, 5)
    stack.wait(lambda: stack.annotator.drafting.objects is not before)
    stack.settle()
    (foreign,) = drawn(stack)
    labels[1, 40:50, 60:70] = foreign
    stack.labels.data[1][stack.labels.data[1] == 5] = foreign
    edit(stack, foreign)
    assert len(drawn(stack)) == 2
    origins = {each.mask.origin for each in stack.annotator.drawn.values()}
    assert origins == {(40, 60), (10, 20)}


def test_the_first_of_many_prompts_is_no_correction_of_the_object_in_hand(stack: Any) -> None:
    edit(stack, 5)
    stack.annotator.drafting.set_mode(Mode.EACH_PROMPT)
    stack.click(1, 45, 60)
    stack.settle()
    assert len(drawn(stack)) == 2
    assert not stack.annotator.drawn[5].marks


def test_an_object_of_which_nothing_would_be_left_keeps_its_pixels(
    open_window: Any, shown: list[str]
) -> None:
    window = open_window(STACK)
    window.show_plane(0)
    for place in ((0, 30, 20), (0, 30, 60)):
        window.click(*place)
        window.settle()
        window.do("commit")
        window.settle()
    edit(window, 1)
    window.layers.points.data = [[0, 30, 60]]
    window.settle()
    before = window.labels.data.copy()
    window.do("commit")
    assert "Nothing was written" in shown[-1]
    np.testing.assert_array_equal(window.labels.data, before)
    assert area(window, 1) == window.table()[1].area
