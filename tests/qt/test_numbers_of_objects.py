"""No two objects have one number: what undo brings back takes nobody's place in a target."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from tests.qt.test_drafts_and_undo import STACK, do, draw, label_at, stack

__all__ = ["stack"]

A, B = (20, 20), (45, 60)


def commit(window: Any) -> None:
    window.do("commit")
    window.settle()
    window.wait(lambda: not window.annotator.committer.is_scanning)


def edit(window: Any, labels: Any, label: int) -> None:
    window.widget.objects.edit(labels, label)
    window.wait(lambda: window.annotator.drawn)
    window.settle()


def add_target(window: Any, data: NDArray[Any], **options: Any) -> Any:
    labels = window.viewer.add_labels(data, name="target", **options)
    window.annotator.set_target(labels)
    window.settle()
    return labels


def painted(label: int, plane: int = 1) -> NDArray[np.uint8]:
    data = np.zeros(STACK.shape, np.uint8)
    data[plane, 50:53, :9] = label
    return data


def draw_one_after_the_other(window: Any) -> None:
    draw(window, 1, *A)
    do(window, "clear")
    draw(window, 1, *B)


def assert_both_are_there(window: Any, others: Sequence[int] = ()) -> None:
    labels = [label_at(window, 1, *A), label_at(window, 1, *B)]
    assert len({0, *labels, *others}) == 1 + len(labels) + len(others)
    assert {*np.unique(window.labels.data)} == {0, *labels, *others}


def test_in_a_target_in_which_its_number_was_taken(stack: Any) -> None:
    before = painted(1)
    labels = add_target(stack, before.copy())
    draw_one_after_the_other(stack)
    commit(stack)
    do(stack, "undo", "undo", "undo")
    commit(stack)
    assert_both_are_there(stack, [1])
    np.testing.assert_array_equal(labels.data == 1, before == 1)


def test_in_a_target_whose_table_has_its_number(stack: Any) -> None:
    draw_one_after_the_other(stack)
    add_target(stack, painted(1, plane=0), features=pd.DataFrame({"index": [0, 1]}))
    commit(stack)
    do(stack, "undo", "undo", "undo")
    commit(stack)
    assert_both_are_there(stack, [1])


def test_where_another_image_has_committed_one_of_its_number(stack: Any) -> None:
    draw_one_after_the_other(stack)
    choose = stack.widget.choices.image_combo
    first = stack.annotator.image
    choose.value = stack.viewer.add_image(STACK + 1, name="second")
    stack.settle()
    draw(stack, 1, 5, 5)
    commit(stack)
    target = stack.annotator.target
    choose.value = first
    stack.annotator.set_target(target)
    stack.settle()
    commit(stack)
    do(stack, "undo", "undo", "undo")
    commit(stack)
    assert_both_are_there(stack, [label_at(stack, 1, 5, 5)])


@pytest.mark.parametrize("way", ["clear", "undo"])
def test_where_the_one_is_in_another_target(stack: Any, way: str) -> None:
    draw(stack, 1, *A)
    commit(stack)
    first = stack.labels
    do(stack, "undo")
    second = add_target(stack, np.zeros(STACK.shape, np.uint8))
    do(stack, way)
    draw(stack, 1, *B)
    commit(stack)
    do(stack, *["undo"] * (3 if way == "clear" else 1))
    if way == "undo":
        stack.annotator.set_target(first)
        stack.settle()
    commit(stack)
    written = second if way == "clear" else first
    labels = [int(written.data[(1, *place)]) for place in (A, B)]
    assert len({0, *labels}) == 3


@pytest.mark.parametrize("before", ["clear", "commit"])
def test_where_an_object_of_its_number_was_edited_and_committed(stack: Any, before: str) -> None:
    labels = add_target(stack, painted(1))
    draw(stack, 1, *A)
    do(stack, before)
    stack.wait(lambda: not stack.annotator.committer.is_scanning)
    edit(stack, labels, 1)
    commit(stack)
    do(stack, "undo", "undo", "undo")
    assert [len(each.marks) for each in stack.annotator.drawn.values()] == [1]
    commit(stack)
    np.testing.assert_array_equal(labels.data == 1, painted(1) == 1)
    assert label_at(stack, 1, *A) > 1


def test_where_it_is_drawn_on_another_plane(stack: Any) -> None:
    labels = add_target(stack, painted(1))
    stack.show_plane(3)
    draw(stack, 3, *A)
    stack.show_plane(1)
    stack.settle()
    edit(stack, labels, 1)
    commit(stack)
    stack.show_plane(3)
    stack.settle()
    commit(stack)
    assert label_at(stack, 3, *A) > 1
    np.testing.assert_array_equal(labels.data == 1, painted(1) == 1)


def test_where_the_one_was_carried_and_the_other_is_brought_back_by_redo(stack: Any) -> None:
    draw_one_after_the_other(stack)
    do(stack, "undo", "undo")
    stack.annotator.drafting.carried({1: 1})
    do(stack, "redo", "redo")
    (brought_back,) = stack.annotator.drafting.layers.obj_ids
    assert stack.annotator.drafting.labels.of(brought_back) is None


def test_where_a_session_with_that_number_was_opened(open_window: Any, tmp_path: Any) -> None:
    path = tmp_path / "two.json"
    first = open_window(STACK)
    first.show_plane(1)
    draw(first, 1, *A)
    do(first, "next_object")
    draw(first, 1, *B)
    first.widget.files.save(path)
    first.wait(path.exists)
    window = open_window(STACK)
    window.show_plane(1)
    draw(window, 1, 30, 30)
    # The draft gets another number than 1.
    data = painted(1, plane=0)
    add_target(window, data, features=pd.DataFrame({"index": [0, 1]}))
    window.widget.files.open(path)
    window.wait(lambda: window.status.startswith("The session is open."))
    do(window, "next_object")
    draw(window, 1, 10, 70)
    do(window, "undo")
    assert len(window.annotator.drafting.layers.obj_ids) == 2


def test_the_class_stays_with_the_object_that_has_it(stack: Any) -> None:
    draw(stack, 1, *A)
    stack.widget.objects.set_class([1], "nucleus")
    stack.layers.points.selected_data = {0}
    stack.layers.points.remove_selected()
    stack.settle()
    draw(stack, 1, *B)
    commit(stack)
    do(stack, "undo", "undo", "undo")
    rows = {each.obj_id: each.class_name for each in stack.widget.objects.rows()}
    assert rows == {1: "nucleus", 2: ""}
