"""The list of objects: what is told when, and what stays selected."""

from typing import Any

import pytest
from qtpy.QtCore import Qt

from napari_sam2_openvino._qt.objects_model import ObjectRow
from napari_sam2_openvino._qt.objects_panel import ObjectsPanel

ROWS = [
    ObjectRow(4, "draft", 0.9, 1200, ""),
    ObjectRow(2, "committed", 0.7, 30, "nucleus"),
    ObjectRow(11, "waiting"),
]


@pytest.fixture
def panel(qtbot: Any) -> ObjectsPanel:
    panel = ObjectsPanel()
    qtbot.addWidget(panel)
    panel.resize(280, 320)
    panel.show()
    panel.set_class_names(["nucleus", "debris"])
    panel.set_rows(ROWS)
    return panel


def heard(signal: Any) -> list[Any]:
    values: list[Any] = []
    signal.connect(lambda *args: values.append(args if len(args) > 1 else args[0]))
    return values


def shown(panel: ObjectsPanel, column: int = 1) -> list[str]:
    model = panel.table.model()
    return [str(model.index(row, column).data()) for row in range(model.rowCount())]


def click(panel: ObjectsPanel, qtbot: Any, row: int, modifier: Any = None) -> None:
    place = panel.table.visualRect(panel.table.model().index(row, 1)).center()
    modifier = modifier or Qt.KeyboardModifier.NoModifier
    qtbot.mouseClick(panel.table.viewport(), Qt.MouseButton.LeftButton, modifier, place)


def test_objects_are_sorted_by_number_at_first(panel: ObjectsPanel) -> None:
    assert shown(panel) == ["2", "4", "11"]
    assert shown(panel, 2) == ["0.70", "0.90", ""]
    assert shown(panel, 3) == ["30", "1,200", ""]
    assert len(set(shown(panel, 0))) == 3
    assert panel.summary_label.text() == "3 objects"


@pytest.mark.parametrize(
    ("column", "order"), [(2, ["11", "2", "4"]), (3, ["11", "2", "4"]), (4, ["4", "11", "2"])]
)
def test_each_column_sorts_by_value(panel: ObjectsPanel, column: int, order: list[str]) -> None:
    panel.table.sortByColumn(column, Qt.SortOrder.AscendingOrder)
    assert shown(panel) == order


def test_a_click_makes_an_object_the_current_one(panel: ObjectsPanel, qtbot: Any) -> None:
    chosen = heard(panel.object_chosen)
    click(panel, qtbot, 1)
    click(panel, qtbot, 1)
    assert chosen == [4]
    assert panel.current == 4


def test_what_is_set_from_outside_is_shown_and_not_told(panel: ObjectsPanel) -> None:
    chosen = heard(panel.object_chosen)
    panel.set_current(11)
    assert panel.selected == (11,)
    panel.set_rows([*ROWS, ObjectRow(12)])
    assert panel.selected == (11,)
    panel.set_rows(ROWS[:2])
    assert panel.selected == ()
    panel.set_current(None)
    assert chosen == []


def test_new_values_of_the_same_objects_leave_selection_and_place(
    panel: ObjectsPanel,
) -> None:
    rows = [ObjectRow(number, "draft", 0.5, 10) for number in range(1, 501)]
    panel.set_rows(rows)
    panel.set_current(400)
    place = panel.table.verticalScrollBar().value()
    assert place > 300
    chosen = heard(panel.object_chosen)
    rows[399] = ObjectRow(400, "committed", 0.99, 77, "debris")
    panel.set_rows(rows)
    assert panel.table.verticalScrollBar().value() == place
    assert panel.selected == (400,)
    assert shown(panel, 3)[399] == "77"
    assert panel.class_combo.currentText() == "debris"
    assert chosen == []


def test_the_class_of_several_objects_is_set_at_once(panel: ObjectsPanel, qtbot: Any) -> None:
    told = heard(panel.class_chosen)
    click(panel, qtbot, 0)
    click(panel, qtbot, 1, Qt.KeyboardModifier.ControlModifier)
    assert panel.summary_label.text() == "3 objects, 2 selected"
    assert panel.class_combo.currentText() == ""
    panel.choose_class(2)
    panel.choose_class(0)
    panel.choose_class(3)
    assert told == [((2, 4), "debris"), ((2, 4), "")]


def type_class(panel: ObjectsPanel, qtbot: Any, text: str) -> None:
    edit = panel.class_combo.lineEdit()
    edit.selectAll()
    qtbot.keyClicks(edit, text)
    qtbot.keyClick(edit, Qt.Key.Key_Return)


def test_a_new_name_is_added_to_the_list_and_given(panel: ObjectsPanel, qtbot: Any) -> None:
    told, names = heard(panel.class_chosen), heard(panel.class_names_changed)
    panel.set_current(2)
    type_class(panel, qtbot, " dead,  cell ")
    assert names == [("nucleus", "debris", "dead cell")]
    assert told == [((2,), "dead cell")]
    assert panel.class_names == ("nucleus", "debris", "dead cell")


def test_of_two_selected_objects_one_goes_and_the_other_is_not_told(
    panel: ObjectsPanel, qtbot: Any
) -> None:
    click(panel, qtbot, 0)
    click(panel, qtbot, 1, Qt.KeyboardModifier.ControlModifier)
    chosen = heard(panel.object_chosen)
    panel.set_rows([each for each in ROWS if each.obj_id != 2])
    assert panel.selected == (4,)
    assert chosen == []


def test_a_name_that_is_being_typed_stays_while_masks_arrive(
    panel: ObjectsPanel, qtbot: Any
) -> None:
    panel.set_current(4)
    panel.activateWindow()
    edit = panel.class_combo.lineEdit()
    edit.setFocus()
    qtbot.waitUntil(edit.hasFocus)
    edit.selectAll()
    qtbot.keyClicks(edit, "mito")
    panel.set_rows([ObjectRow(4, "draft", 0.8, 1100), *ROWS[1:]])
    assert edit.text() == "mito"
    panel.set_current(2)
    assert edit.text() == "nucleus"


def test_sorting_keeps_the_selection(panel: ObjectsPanel) -> None:
    panel.set_current(4)
    chosen = heard(panel.object_chosen)
    panel.table.sortByColumn(3, Qt.SortOrder.DescendingOrder)
    assert shown(panel) == ["4", "2", "11"]
    assert panel.selected == (4,)
    assert panel.table.selectionModel().selectedRows()[0].row() == 0
    assert chosen == []


def test_a_name_that_is_listed_is_told_once(panel: ObjectsPanel, qtbot: Any) -> None:
    told, names = heard(panel.class_chosen), heard(panel.class_names_changed)
    panel.set_current(4)
    type_class(panel, qtbot, "debris")
    assert told == [((4,), "debris")]
    panel.set_current(2)
    type_class(panel, qtbot, "no class")
    assert told[1:] == [((2,), "")]
    assert names == []


def test_without_a_selection_there_is_no_class(panel: ObjectsPanel) -> None:
    told = heard(panel.class_chosen)
    assert not panel.class_combo.isEnabled()
    panel.choose_class(1)
    assert told == []


def test_the_buttons_tell(panel: ObjectsPanel, qtbot: Any) -> None:
    with qtbot.waitSignal(panel.next_clicked):
        qtbot.mouseClick(panel.next_button, Qt.MouseButton.LeftButton)
    with qtbot.waitSignal(panel.previous_clicked):
        qtbot.mouseClick(panel.previous_button, Qt.MouseButton.LeftButton)
    # The keys stay with the canvas.
    assert not panel.next_button.hasFocus()


def test_it_fits_into_a_narrow_dock(panel: ObjectsPanel) -> None:
    assert panel.minimumSizeHint().width() <= 300
    header = panel.table.horizontalHeader()
    assert header.length() <= panel.table.viewport().width()
