"""Many objects at once: modes, ids, candidates, undo, and what a commit makes of them."""

from types import SimpleNamespace
from typing import Any

import dask.array
import numpy as np
import pytest

from napari_sam2_openvino._session.objects import Mode


def grid(n_rows: int, n_columns: int, pitch: float = 14) -> Any:
    rows, columns = np.mgrid[:n_rows, :n_columns] * pitch + 7
    return np.column_stack([rows.ravel(), columns.ravel()])


def state(window: Any) -> tuple[Any, ...]:
    """Return everything that undo is to bring back, as it is."""
    drafting = window.annotator.drafting
    layers = drafting.layers
    return (
        layers.snapshot(),
        dict(drafting.objects.drafts),
        [] if layers.points is None else layers.points.data.tolist(),
        [] if layers.shapes is None else [each.tolist() for each in layers.shapes.data],
    )


def test_500_points_at_once_are_objects_and_one_commit(open_window: Any) -> None:
    window = open_window(np.zeros((320, 440), np.uint8), radius=3)
    window.do("toggle_many")
    window.do("draw_points")
    window.settle()
    n_before = len(window.engine.decoded)
    places = grid(20, 25)
    window.layers.points.add(places)
    window.settle()
    assert sorted(window.annotator.drawn) == list(range(1, 501))
    assert len(window.engine.decoded) - n_before == 500
    assert len(window.engine.batches) < 200
    assert len(window.widget.objects.rows()) == 500
    window.do("commit_all")
    assert window.status == "500 of 500 objects are in cells objects."
    data = window.labels.data
    assert np.unique(data).size == 501
    assert [int(data[int(y), int(x)]) for y, x in places] == list(range(1, 501))
    window.settle()
    assert len(window.layers.points.data) == 0
    assert len(window.labels.features) == 500
    window.labels.undo()
    assert not data.any()
    window.wait(lambda: len(window.labels.features) == 0)
    window.labels.redo()
    assert np.unique(data).size == 501
    window.wait(lambda: len(window.labels.features) == 500)
    window.do("undo")
    window.settle()
    assert len(window.layers.points.data) == 500


def test_a_box_that_was_drawn_for_all_can_be_undone_and_redone(window: Any) -> None:
    window.click(40, 50)
    window.settle()
    window.do("toggle_for_all")
    window.do("toggle_polarity")
    window.draw_box(30, 30, 60, 70)
    # Before the box is read, as a verb that follows at once does.
    drafting = window.annotator.drafting
    drafting.record()
    window.settle()
    drawn = state(window)
    assert drafting.layers.shapes.features["obj_id"].tolist() == [1]
    assert drafting.undo()
    window.settle()
    assert len(drafting.layers.shapes.data) == 0
    assert drafting.redo()
    window.settle()
    assert state(window) == drawn


def test_negative_points_for_all_are_cut_out_of_each_object(window: Any) -> None:
    window.do("toggle_many")
    window.click(40, 50)
    window.click(40, 56)
    window.settle()
    window.do("toggle_polarity")
    window.click(40, 53)
    # A box cannot be negative: it is an object.
    window.draw_box(80, 80, 100, 110)
    window.settle()
    assert sorted(window.annotator.drawn) == [1, 2, 3]
    window.do("commit_all")
    data = window.labels.data
    assert data[40, 53] == 0
    assert (data[40, 46], data[40, 60], data[90, 90]) == (1, 2, 3)
    window.settle()
    # It counts for what comes next as well, until it is removed.
    assert len(window.layers.points.data) == 1


def test_next_and_previous_object(window: Any) -> None:
    for x in (20, 60, 100):
        window.click(40, x)
        window.do("next_object")
    window.settle()
    drafting = window.annotator.drafting
    assert (drafting.objects.current, sorted(window.annotator.drawn)) == (4, [1, 2, 3])
    window.do("next_object")
    assert drafting.objects.current == 4
    for obj_id in (3, 2, 1, 1):
        window.do("previous_object")
        assert drafting.objects.current == window.annotator.focus == obj_id
    window.click(44, 20)
    window.settle()
    assert [len(each.marks) for each in window.annotator.drawn.values()] == [2, 1, 1]
    window.do("next_object")
    assert drafting.objects.current == 2
    window.do("commit")
    assert np.unique(window.labels.data).tolist() == [0, 2]
    window.settle()
    assert sorted(window.annotator.drawn) == [1, 3]


def test_the_mask_that_was_chosen_stays_chosen(window: Any) -> None:
    window.click(40, 50)
    window.settle()
    areas = [int(window.answer.mask.mask.sum())]
    n_decodes = len(window.engine.decoded)
    for _ in range(3):
        window.do("next_mask")
        window.settle()
        areas.append(int(window.answer.mask.mask.sum()))
    # Three candidates of an ambiguous click, and the one of the first token.
    assert areas[0] == 81
    assert max(areas) > 250
    chosen = window.answer.prediction.choice.token
    window.wait(lambda: f"mask {window.answer.prediction.chosen + 1} of 4" in window.status)
    window.click(42, 52)
    window.settle()
    _, prompts = window.engine.decoded[-1]
    assert prompts.choices == ((1, chosen),)
    assert len(prompts.marks) == 2
    window.do("undo")
    window.settle()
    assert window.answer.prediction.choice.token == chosen
    for _ in range(3):
        window.do("undo")
    window.settle()
    assert (int(window.answer.mask.mask.sum()), window.answer.prompts.choices) == (81, ())
    assert len(window.engine.decoded) - n_decodes <= 4


def test_options_change_masks_without_a_decode(window: Any) -> None:
    window.click(40, 50)
    window.settle()
    n_decodes = len(window.engine.decoded)
    window.do("shrink_mask")
    window.settle()
    assert window.session.options.mask_threshold > 0
    assert window.widget.prompts_tab.options_form.value == window.session.options
    assert window.answer.options == window.session.options
    window.do("grow_mask")
    window.settle()
    assert window.session.options.mask_threshold == 0
    assert len(window.engine.decoded) == n_decodes


def test_without_live_preview_masks_wait_until_they_are_asked_for(window: Any) -> None:
    window.do("toggle_live")
    window.click(40, 50)
    window.settle()
    assert not window.engine.decoded
    assert window.status == "Not live: W makes the mask and commits it."
    assert not window.widget.prompts_tab.prompts_panel.live_box.isChecked()
    window.do("commit")
    window.wait(lambda: window.labels is not None)
    assert window.labels.data.sum() == 81
    window.click(80, 50)
    window.settle()
    n_decodes = len(window.engine.decoded)
    window.do("toggle_live")
    window.settle()
    assert len(window.engine.decoded) == n_decodes + 1


def test_the_preview_under_the_pointer_is_never_committed(window: Any) -> None:
    def move(*position: float) -> None:
        for call in window.viewer.mouse_move_callbacks:
            call(window.viewer, SimpleNamespace(position=position))

    window.do("draw_points")
    window.do("toggle_hover")
    assert window.widget.prompts_tab.prompts_panel.hover_box.isChecked()
    move(40, 50)
    window.wait(lambda: window.preview.data.any() > 0)
    assert not window.annotator.drawn
    window.do("commit")
    assert window.status == "Nothing to commit: click on an object first."
    move(400, 500)
    window.wait(lambda: not window.preview.data.any())
    window.click(60, 70)
    move(20, 30)
    window.settle()
    window.wait(lambda: -1 in window.session.answers)
    window.do("commit_all")
    assert np.unique(window.labels.data).tolist() == [0, 1]
    assert window.labels.data[20, 30] == 0
    # The pointer leaves the canvas, and comes back.
    window.viewer.mouse_over_canvas = True
    window.viewer.mouse_over_canvas = False
    window.wait(lambda: not window.preview.data.any())
    assert -1 not in window.session.answers
    window.viewer.mouse_over_canvas = True
    move(20, 30)
    window.wait(lambda: window.preview.data.any() > 0)
    window.do("toggle_hover")
    window.wait(lambda: not window.preview.data.any())
    assert window.annotator.drafting.layers.points.data.tolist() == []


def test_undo_of_everything_returns_to_the_start_bit_for_bit(window: Any) -> None:
    window.do("draw_points")
    window.settle()
    states = [state(window)]

    def note() -> None:
        window.settle()
        states.append(state(window))

    window.click(40, 50)
    note()
    window.do("next_mask")
    note()
    window.do("toggle_polarity")
    window.click(42, 52)
    note()
    window.layers.points.data = window.layers.points.data + np.array([1.5, 0.25])
    note()
    window.do("next_object")
    window.draw_box(70, 80, 90, 100)
    note()
    window.do("draw_scribble")
    window.layers.shapes.add(np.array([[75.0, 85], [80, 95]]), shape_type="path")
    note()
    window.do("clear")
    note()
    for before in states[-2::-1]:
        window.do("undo")
        window.settle()
        assert state(window) == before
    window.do("undo")
    assert window.status == "No change of the prompts is left to undo."
    for after in states[1:]:
        window.do("redo")
        window.settle()
        assert state(window) == after
    window.do("redo")
    assert window.status == "Nothing is left to redo."


def test_commit_modes(window: Any) -> None:
    mine = window.viewer.add_labels(np.zeros((120, 160), np.uint16), name="mine")
    mine.data[40, 44:50] = 7
    window.widget.choices.target_combo.value = mine
    combo = window.widget.prompts_tab.prompts_panel.overlap_combo
    for mode, kept in (("only where empty", 6), ("keep existing", 6), ("overwrite", 1)):
        combo.setCurrentText(mode)
        window.click(40, 50)
        window.settle()
        window.do("commit")
        if mode == "only where empty":
            window.wait(lambda: "belong to other objects" in window.status)
            window.do("clear")
        else:
            window.wait(lambda: not window.annotator.drawn)
        window.settle()
        assert (mine.data == 7).sum() == kept
    assert (mine.data[40, 45:56] != 7).all()


def test_no_object_in_hand_loses_its_id_or_choice_to_one_that_is_committed(window: Any) -> None:
    mine = window.viewer.add_labels(np.zeros((120, 160), np.uint16), name="mine")
    mine.data[0, 0] = 2
    window.widget.choices.target_combo.value = mine
    for x in (20, 60, 100):
        window.click(40, x)
        window.do("next_object")
    window.do("previous_object")
    window.settle()
    window.do("next_mask")
    window.settle()
    draft = window.annotator.drafting.objects.draft(3, window.annotator.plane)
    window.do("previous_object")
    window.do("previous_object")
    window.settle()
    window.do("commit")
    window.wait(lambda: mine.data[40, 20])
    window.settle()
    # 3 is free in the layer, but not in hand.
    assert mine.data[40, 20] not in (0, 1, 2, 3)
    assert sorted(window.annotator.drawn) == [2, 3]
    assert window.annotator.drafting.objects.draft(3, window.annotator.plane) is draft
    window.do("commit_all")
    window.settle()
    assert len({mine.data[40, x] for x in (20, 60, 100)} | {2}) == 4


def test_an_object_that_was_taken_back_is_committed_in_its_place(window: Any) -> None:
    window.click(40, 50)
    window.settle()
    window.do("commit")
    window.settle()
    window.do("undo")
    window.click(40, 58)
    window.settle()
    assert [each.state for each in window.widget.objects.rows()] == ["edited"]
    window.do("commit")
    assert np.unique(window.labels.data).tolist() == [0, 1]
    assert (window.labels.data[40, 50], window.labels.data[40, 60]) == (1, 1)


def test_a_committed_object_is_edited_with_the_prompts_it_was_made_from(window: Any) -> None:
    window.click(40, 50)
    window.click(40, 60)
    window.settle()
    window.do("commit")
    window.widget.objects.set_class([1], "cell")
    window.click(90, 90)
    window.settle()
    window.viewer.cursor.position = (40, 51)
    window.do("edit_object")
    window.settle()
    assert window.annotator.focus == 1
    assert sorted(window.annotator.drawn) == [1, 2]
    assert window.answer.mask.mask.sum() == (window.labels.data == 1).sum()
    window.layers.points.selected_data = {2}
    window.layers.points.remove_selected()
    window.settle()
    window.do("commit")
    assert window.labels.data[40, 50] != window.labels.data[40, 60]
    assert np.unique(window.labels.data).tolist() == [0, 1]
    assert window.table()[1].class_name == "cell"
    assert (window.labels.data == 1).sum() == 81
    window.labels.undo()
    window.wait(lambda: window.table()[1].area > 81)
    window.settle()
    window.viewer.cursor.position = (119, 159)
    window.do("edit_object")
    assert "no object of a Labels layer under the pointer" in window.status


def test_an_object_of_another_layer_is_refined_from_its_mask(window: Any) -> None:
    other = np.zeros((120, 160), np.uint8)
    other[20:40, 30:60] = 9
    layer = window.viewer.add_labels(other, name="theirs")
    window.do("draw_points")
    window.viewer.cursor.position = (25, 35)
    window.do("edit_object")
    window.wait(lambda: window.annotator.drawn)
    window.settle()
    assert window.answer.mask.mask.sum() == 600
    window.do("toggle_polarity")
    window.click(30, 40)
    window.settle()
    window.do("commit")
    assert (layer.data == other).all()
    assert window.labels != layer
    assert (window.labels.data > 0).sum() == 600 - 81


def test_labels_that_cannot_be_written_to_are_refined_all_the_same(window: Any) -> None:
    other = np.zeros((120, 160), np.uint8)
    other[20:40, 30:60] = 9
    window.viewer.add_labels(dask.array.from_array(other), name="theirs")
    window.do("draw_points")
    window.viewer.cursor.position = (25, 35)
    window.do("edit_object")
    window.wait(lambda: window.annotator.drawn)
    window.settle()
    assert window.answer.area == 600


def test_modes_show_in_the_window(window: Any) -> None:
    panel = window.widget.prompts_tab.prompts_panel
    assert panel.mode_combo.currentText() == "one object at a time"
    window.do("toggle_many")
    assert window.annotator.drafting.mode is Mode.EACH_PROMPT
    assert panel.mode_combo.currentText() == "each prompt is an object"
    assert panel.for_all_box.isChecked()
    window.do("toggle_many")
    assert not panel.for_all_box.isChecked()
    window.do("toggle_for_all")
    assert panel.for_all_box.isChecked()


@pytest.mark.parametrize("kind", ["uint8", "int32", "memmap", "zarr", "dask", "read-only"])
def test_targets_of_every_kind(open_window: Any, kind: str, tmp_path: Any) -> None:
    window = open_window(np.zeros((60, 80), np.uint8))
    shape, empty = (60, 80), np.zeros((60, 80), np.int32)
    if kind == "memmap":
        data: Any = np.memmap(tmp_path / "labels.bin", np.uint16, "w+", shape=shape)
    elif kind == "zarr":
        data = pytest.importorskip("zarr").zeros(shape, chunks=(32, 32), dtype=np.uint16)
    elif kind == "dask":
        data = pytest.importorskip("dask.array").zeros(shape, dtype=np.uint16)
    else:
        data = empty if kind == "read-only" else np.zeros(shape, kind)
        data.flags.writeable = kind != "read-only"
    mine = window.viewer.add_labels(data, name="mine")
    window.widget.choices.target_combo.value = mine
    window.click(30, 40)
    window.settle()
    window.do("commit")
    if kind in ("dask", "read-only"):
        assert "choose another layer or a new one" in window.status
        assert len(window.layers.points.data) == 1
    else:
        window.wait(lambda: np.asarray(mine.data[30, 40]) == 1)
        assert np.asarray(mine.data[:]).sum() == 81
