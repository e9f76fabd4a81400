"""The list and the table after edits of the target, however they meet with what counts them."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from napari_sam2_openvino._layers.label_parts import object_prints
from napari_sam2_openvino._qt import recounting
from napari_sam2_openvino.core.session_file import read_session

STACK = np.zeros((6, 60, 80), np.uint8)


class Counting:
    """Stands between the worker and the labels: notes planes, and can be held up."""

    def __init__(self) -> None:
        self.planes: list[int | None] = []
        self.n_begun = 0
        self._may_go = threading.Event()
        self._may_go.set()

    def hold(self) -> None:
        self._may_go.clear()
        self.n_begun = 0

    def go_on(self) -> None:
        self._may_go.set()

    def __call__(self, data: Any, plane: Any, _cancelled: Any) -> Any:
        # What was there when it began.
        counts = object_prints(np.array(data), plane)
        self.planes.append(plane.index[0])
        self.n_begun += 1
        assert self._may_go.wait(20)
        return counts


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counting]:
    counting = Counting()
    monkeypatch.setattr(recounting, "object_prints", counting)
    yield counting
    counting.go_on()


def commit_at(window: Any, *place: float) -> None:
    window.click(*place)
    window.settle()
    window.do("commit")
    window.wait(lambda: not window.annotator.committer.is_scanning)
    window.settle()


def listed(window: Any) -> list[int]:
    return sorted(each.obj_id for each in window.widget.objects.rows() if each.state != "draft")


def saved(window: Any, path: Path) -> Any:
    """Return what of the target is in a session that is saved now."""
    window.widget.files.save(path)
    window.wait(path.exists)
    return [each for each in read_session(path).objects if each.committed]


def test_an_object_that_is_committed_while_its_plane_is_counted_stays(
    open_window: Any, counting: Counting
) -> None:
    window = open_window(STACK[0])
    commit_at(window, 30, 20)
    window.click(30, 60)
    window.settle()
    counting.hold()
    window.labels.paint((5, 40), 7)
    window.wait(lambda: counting.n_begun)
    window.do("commit")
    # It is looked for a free label first.
    window.wait(lambda: window.labels.data[30, 60])
    label = int(window.labels.data[30, 60])
    counting.go_on()
    # Once more, since the first one is stale.
    window.wait(lambda: counting.n_begun == 2)
    window.qtbot.wait(200)
    assert sorted(window.table()) == listed(window) == [1, label]


def test_what_is_edited_while_it_is_counted_is_counted_again(
    open_window: Any, counting: Counting
) -> None:
    window = open_window(STACK[0])
    commit_at(window, 30, 20)
    counting.hold()
    window.labels.undo()
    window.wait(lambda: counting.n_begun)
    window.labels.redo()
    counting.go_on()
    window.wait(lambda: counting.n_begun == 2)
    window.qtbot.wait(200)
    assert listed(window) == [1]


def test_a_stroke_counts_its_plane_and_undo_all_of_them_at_once(
    open_window: Any, counting: Counting
) -> None:
    window = open_window(STACK)
    for number in (0, 2, 4):
        window.show_plane(number)
        window.settle()
        commit_at(window, number, 30, 20)
    window.show_plane(2)
    window.settle()
    window.qtbot.wait(200)
    told: list[Any] = []
    window.labels.events.features.connect(told.append)
    counting.planes.clear()
    window.labels.brush_size = 3
    # A canvas that is not shown has nothing yet to paint on, and lets all be read anew.
    with window.labels.events.labels_update.blocker():
        window.labels.paint((2, 30, 20), 0)
    window.wait(lambda: told)
    assert counting.planes == [2]
    told.clear()
    window.labels.undo()
    window.wait(lambda: len(counting.planes) == 4)
    window.wait(lambda: told)
    window.qtbot.wait(200)
    # The one in view is first.
    assert counting.planes[1] == 2
    assert sorted(counting.planes[1:]) == [0, 2, 4]
    assert len(told) == 1
    assert {row.area for row in window.table().values()} == {81}


def test_a_plane_that_the_layer_does_not_have_is_not_counted(open_window: Any) -> None:
    window = open_window(STACK[0])
    table = {"index": [1, 2, 3], "plane": ["9, :, :", "4, :, :, :", ":, :"], "prompts": None}
    labels = window.viewer.add_labels(np.ones(STACK[0].shape, np.uint8), features=table)
    window.annotator.set_target(labels)
    window.wait(lambda: sorted(window.table()) == [1, 2])


def test_undo_while_another_layer_is_the_target_is_seen(open_window: Any, tmp_path: Path) -> None:
    window = open_window(STACK[0])
    commit_at(window, 30, 20)
    commit_at(window, 30, 60)
    first = window.labels
    window.annotator.set_target(None)
    window.settle()
    commit_at(window, 10, 10)
    first.undo()
    window.annotator.set_target(first)
    window.wait(lambda: listed(window) == [1])
    assert sorted(window.table()) == [1]
    assert [each.obj_id for each in saved(window, tmp_path / "s.json")] == [1]


def test_labels_that_change_while_no_window_is_open_are_counted(
    open_window: Any, open_widget: Any
) -> None:
    window = open_window(STACK[0])
    commit_at(window, 30, 20)
    commit_at(window, 30, 60)
    labels = window.labels
    window.widget.close()
    window.annotator.close()
    labels.data[labels.data == 2] = 0
    labels.refresh()
    again = open_widget(window)
    again.settle()
    again.annotator.set_target(labels)
    again.wait(lambda: listed(again) == [1])


def test_undo_between_masks_of_the_same_area_brings_their_prompts_back(
    open_window: Any, tmp_path: Path
) -> None:
    window = open_window(STACK[0])
    commit_at(window, 30, 20)
    window.widget.objects.edit(window.labels, 1)
    window.settle()
    window.layers.points.data = np.array([[30.0, 27.0]])
    window.settle()
    window.do("commit")
    window.settle()
    assert window.table()[1].area == 81
    committed = window.table()[1].prompts
    window.labels.undo()
    window.wait(lambda: window.table()[1].prompts != committed)
    (record,) = saved(window, tmp_path / "s.json")
    assert record.prompts.marks[0].vertices == ((20.0, 30.0),)
    window.widget.objects.edit(window.labels, 1)
    window.settle()
    assert window.layers.points.data.tolist() == [[30.0, 20.0]]


def test_another_programs_table_leaves_our_objects_where_they_are(
    open_window: Any, tmp_path: Path
) -> None:
    window = open_window(STACK[0])
    for x in (20, 40, 60):
        commit_at(window, 30, x)
    window.widget.objects.set_class([2], "nucleus")
    rows = window.table()
    window.labels.features = pd.DataFrame({"label": [1, 2], "area": [81, 81], "mean": [0.5, 1.5]})
    window.wait(lambda: "prompts" in window.labels.features)
    assert window.table() == rows
    assert window.labels.features["mean"].tolist()[:2] == [0.5, 1.5]
    assert listed(window) == [1, 2, 3]
    commit_at(window, 50, 50)
    assert sorted(window.table()) == [1, 2, 3, 4]
    records = saved(window, tmp_path / "s.json")
    assert [(each.obj_id, each.class_name) for each in records] == [
        (1, ""),
        (2, "nucleus"),
        (3, ""),
        (4, ""),
    ]


def test_rows_that_the_user_removes_are_back_while_their_objects_are_there(
    open_window: Any,
) -> None:
    window = open_window(STACK[0])
    commit_at(window, 30, 20)
    commit_at(window, 30, 60)
    rows = window.table()
    window.labels.features = window.labels.features.iloc[:1]
    window.wait(lambda: window.table() == rows)


def test_two_windows_agree_on_what_was_taken_back(open_window: Any, open_widget: Any) -> None:
    window = open_window(STACK[0])
    commit_at(window, 30, 20)
    commit_at(window, 30, 60)
    other = open_widget(window)
    other.annotator.set_target(window.labels)
    other.settle()
    window.labels.undo()
    window.wait(lambda: listed(window) == listed(other) == [1])
    window.qtbot.wait(400)
    assert listed(window) == listed(other) == sorted(window.table()) == [1]
    window.labels.redo()
    window.wait(lambda: listed(window) == listed(other) == [1, 2])
