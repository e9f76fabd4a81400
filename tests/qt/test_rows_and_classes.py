"""What the list and the table say of objects, after everything that can happen to them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

STACK = np.zeros((6, 60, 80), np.uint8)


def commit_at(window: Any, *places: tuple[float, ...]) -> None:
    """Commit an object at each place of the plane in view."""
    for place in places:
        window.click(*place)
        window.settle()
        window.do("commit")
        window.settle()


def edit(window: Any, obj_id: int) -> None:
    """Bring an object back into hand with the prompts it was made from."""
    window.widget.objects.edit(window.annotator.target, obj_id)
    window.settle()


def classes(window: Any) -> dict[int, str]:
    return {each.obj_id: each.class_name for each in window.widget.objects.rows()}


def draw_a_cell(window: Any, *coords: float) -> None:
    """Draw the first object, of class "cell"."""
    window.click(*coords)
    window.settle()
    window.widget.objects.set_class([1], "cell")


def test_a_correction_that_is_refused_stays_in_hand(
    open_window: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr("napari_sam2_openvino._qt.feedback.show_error", shown.append)
    window = open_window(STACK[0])
    commit_at(window, (30, 20), (30, 60))
    pixels, rows = window.labels.data.copy(), window.table()
    edit(window, 1)
    window.annotator.set_commit_mode("only where empty")
    window.click(30, 56)
    window.settle()
    window.do("commit")
    window.settle()
    assert "Nothing was written" in shown[-1]
    np.testing.assert_array_equal(window.labels.data, pixels)
    assert list(window.annotator.drawn) == [1]
    assert window.table() == rows


def test_the_class_of_a_draft_is_in_its_session(open_window: Any, tmp_path: Path) -> None:
    window = open_window(STACK[0])
    for place in ((30, 20), (30, 60)):
        window.click(*place)
        window.settle()
        window.do("next_object")
    window.widget.objects.set_class([1], "nucleus")
    path = tmp_path / "drafts.json"
    window.widget.files.save(path)
    window.wait(lambda: window.status.startswith("The session is saved"))
    window.widget.objects.set_class([1, 2], "debris")
    window.widget.files.open(path)
    window.wait(lambda: window.status == "The session is open.")
    window.settle()
    assert classes(window) == {1: "nucleus", 2: ""}


def test_an_object_that_is_taken_back_from_the_target_keeps_its_class(open_window: Any) -> None:
    window = open_window(STACK[0])
    draw_a_cell(window, 30, 40)
    window.do("commit")
    window.settle()
    window.widget.objects.set_class([1], "nucleus")
    window.labels.undo()
    window.wait(lambda: not window.table())
    window.do("undo")
    window.settle()
    assert classes(window) == {1: "nucleus"}
    window.click(30, 46)
    window.settle()
    window.do("commit")
    window.settle()
    assert window.table()[1].class_name == "nucleus"


def test_a_class_that_was_changed_since_is_not_overwritten_by_a_commit(open_window: Any) -> None:
    window = open_window(STACK)
    window.show_plane(1)
    draw_a_cell(window, 1, 30, 40)
    window.do("commit")
    window.settle()
    edit(window, 1)
    window.widget.objects.set_class([1], "nucleus")
    window.do("commit")
    window.settle()
    assert window.table()[1].class_name == "nucleus"


def test_what_is_drawn_after_an_object_was_cleared_is_not_of_its_class(open_window: Any) -> None:
    window = open_window(STACK[0])
    draw_a_cell(window, 30, 20)
    window.do("clear")
    window.settle()
    window.click(30, 60)
    window.settle()
    assert list(classes(window).values()) == [""]
    window.do("undo")
    window.do("undo")
    window.settle()
    assert classes(window) == {1: "cell"}


def test_an_object_of_another_target_is_not_of_the_class_of_its_number(open_window: Any) -> None:
    window = open_window(STACK[0])
    draw_a_cell(window, 30, 20)
    window.do("commit")
    window.settle()
    labels = np.zeros(STACK[0].shape, np.uint16)
    labels[40:50, 60:70] = 1
    other = window.viewer.add_labels(labels, name="other")
    window.annotator.set_target(other)
    window.widget.objects.edit(other, 1)
    window.wait(lambda: window.annotator.drawn)
    window.settle()
    # Under a number of its own: undo may bring back object 1.
    assert list(classes(window).values()) == [""]


def test_what_an_object_has_overwritten_is_counted_again(open_window: Any) -> None:
    window = open_window(STACK[0])
    commit_at(window, (30, 20), (30, 60))
    window.annotator.set_commit_mode("overwrite")
    window.draw_box(10, 5, 50, 58)
    window.settle()
    window.do("commit")
    window.wait(lambda: 1 not in window.table())
    left = np.count_nonzero(window.labels.data == 2)
    assert 0 < left < 81
    assert window.table()[2].area == left
    window.labels.undo()
    window.wait(lambda: window.table().keys() == {1, 2})
    assert {key: row.area for key, row in window.table().items()} == {1: 81, 2: 81}


@pytest.mark.parametrize("in_view", [2, 4])
def test_a_commit_that_is_taken_back_on_one_of_two_planes_is_nowhere_listed(
    open_window: Any, in_view: int
) -> None:
    window = open_window(STACK)
    for number in (2, 4):
        window.show_plane(number)
        window.click(number, 30, 40)
        window.settle()
    for number in (2, 4):
        window.show_plane(number)
        window.settle()
        window.do("commit")
        window.settle()
    window.show_plane(in_view)
    window.settle()

    def planes() -> list[int | None]:
        return sorted(each.index[0] for each in window.widget.objects.planes())

    def check(*numbers: int) -> None:
        window.wait(lambda: planes() == list(numbers))
        window.qtbot.wait(200)
        assert planes() == list(numbers)
        records = window.widget.files.session().objects
        assert [each.plane.index[0] for each in records if each.committed] == list(numbers)
        assert bool(window.widget.objects.rows()) == (in_view in numbers)

    check(2, 4)
    window.labels.undo()
    check(2)
    window.labels.redo()
    check(2, 4)
    window.labels.undo()
    check(2)
    window.labels.undo()
    check()


def test_a_draft_gives_way_to_an_object_of_its_number_from_another_image(open_window: Any) -> None:
    window = open_window(STACK[0])
    first = window.annotator.image
    window.click(30, 20)
    window.settle()
    window.widget.objects.set_class([1], "draft")
    window.click(30, 24)
    window.settle()
    second = window.viewer.add_image(STACK[0] + 1, name="second")
    window.widget.choices.image_combo.value = second
    window.settle()
    commit_at(window, (30, 60))
    window.widget.choices.image_combo.value = first
    window.settle()
    (draft,) = window.annotator.drawn
    assert draft != 1
    window.widget.objects.set_class([1], "committed")
    assert classes(window) == {draft: "draft", 1: "committed"}
    # The states before are of that number as well.
    window.do("undo")
    window.settle()
    assert len(window.annotator.drawn[draft].marks) == 1
    edit(window, 1)
    window.wait(lambda: len(window.annotator.drawn) == 2)
    for _ in range(2):
        window.do("undo")
        window.settle()
    window.do("redo")
    window.settle()
    assert list(window.annotator.drawn) == [draft]
    window.do("commit")
    window.settle()
    assert (window.labels.data[30, 20], window.labels.data[30, 60]) == (draft, 1)
    assert classes(window) == {draft: "draft", 1: "committed"}


def test_what_is_drawn_on_another_image_begins_after_the_objects_of_the_target(
    open_window: Any,
) -> None:
    window = open_window(STACK[0])
    first = window.annotator.image
    second = window.viewer.add_image(STACK[0] + 1, name="second")
    window.widget.choices.image_combo.value = second
    window.settle()
    commit_at(window, (30, 60))
    window.widget.choices.image_combo.value = first
    window.settle()
    window.click(30, 20)
    window.settle()
    states = [(each.obj_id, each.state) for each in window.widget.objects.rows()]
    assert states == [(2, "draft"), (1, "committed")]


def test_a_correction_that_gives_way_in_one_target_is_one_in_the_other(open_window: Any) -> None:
    window = open_window(STACK[0])
    commit_at(window, (30, 20))
    edit(window, 1)
    labels = window.labels
    other = window.viewer.add_labels(
        np.zeros(STACK[0].shape, np.uint16), features={"index": [1]}, name="other"
    )
    window.annotator.set_target(other)
    window.settle()
    (draft,) = window.annotator.drawn
    assert draft != 1
    window.annotator.set_target(labels)
    window.settle()
    assert [each.state for each in window.widget.objects.rows()] == ["edited"]
    window.click(30, 26)
    window.settle()
    window.do("commit")
    window.wait(lambda: labels.data[30, 28])
    assert np.unique(labels.data).tolist() == [0, 1]
