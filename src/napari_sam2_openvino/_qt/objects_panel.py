"""A list of the objects of the plane in view: those being drawn and those committed."""

from collections.abc import Iterable, Sequence
from typing import Any

from qtpy.QtCore import QEvent, QItemSelection, QItemSelectionModel, Qt
from qtpy.QtCore import Signal as QtSignal  # type: ignore[attr-defined]
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from napari_sam2_openvino._qt.actions import ACTIONS, Action, tooltip, wrapped
from napari_sam2_openvino._qt.objects_model import NO_CLASS, ObjectRow, ObjectsModel

_NO_CLASS_TEXT = "no class"
_KEYED_CLASSES = 9
_ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)
_COLUMN_WIDTHS = (24, 64, 46, 66)


class ObjectsPanel(QWidget):
    """The objects as a table, buttons for the next and the previous one, and the class.

    Parameters
    ----------
    actions : iterable of Action, optional
        As returned by `rebind`.
    parent : QWidget, optional

    Signals
    -------
    object_chosen : int
        The object that the user made the current one.
    class_chosen : tuple of int, str
        The selected objects and the class they are to have; "" for none.
    class_names_changed : tuple of str
        The names in the list, after the user typed a new one.
    next_clicked, previous_clicked
        The buttons.
    """

    object_chosen = QtSignal(int)
    class_chosen = QtSignal(tuple, str)
    class_names_changed = QtSignal(tuple)
    next_clicked = QtSignal()
    previous_clicked = QtSignal()

    def __init__(self, actions: Iterable[Action] = ACTIONS, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._actions = tuple(actions)
        self._class_names: tuple[str, ...] = ()
        self._is_quiet = False
        self._current: int | None = None
        self._selected: tuple[int, ...] = ()
        self._rows = ObjectsModel(self)
        self._build()
        self._connect()
        self._fill_combo()
        self._show_summary()

    @property
    def rows(self) -> tuple[ObjectRow, ...]:
        """The objects, in the order in which they are listed."""
        return tuple(self._rows.rows)

    @property
    def current(self) -> int | None:
        """The current object."""
        return self._current

    @property
    def selected(self) -> tuple[int, ...]:
        """The selected objects, by number."""
        return self._selected

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes to choose from."""
        return self._class_names

    def set_rows(self, rows: Sequence[ObjectRow]) -> None:
        """List these objects. What is selected stays so; nothing is emitted."""
        self._rows.set_rows(rows)
        self._show_summary()
        # Masks that arrive do not take away a name that is being typed.
        if not (self._class_edit.hasFocus() and self._class_edit.isModified()):
            self._show_class()

    def set_current(self, obj_id: int | None) -> None:
        """Select an object and scroll to it; nothing is emitted."""
        if obj_id == self._current and (obj_id is None or obj_id in self.selected):
            return
        self._current = obj_id
        self._select(() if obj_id is None else (obj_id,))
        self._scroll_to_current()

    def set_class_names(self, names: Iterable[str]) -> None:
        """Offer these classes; nothing is emitted."""
        if tuple(names) != self._class_names:
            self._class_names = tuple(names)
            self._fill_combo()
            self._show_class()

    def choose_class(self, number: int) -> None:
        """Give the selected objects the class of a number from 1, or none by 0, as its key does."""
        if 0 <= number <= len(self._class_names):
            self._emit_class(self._class_names[number - 1] if number else NO_CLASS)

    def eventFilter(self, _edit: Any, event: Any) -> bool:  # noqa: N802
        """Take the name of a class when Enter is pressed."""
        is_enter = event.type() == QEvent.Type.KeyPress and event.key() in _ENTER
        if is_enter:
            self._on_class_typed()
        return is_enter

    def _build(self) -> None:
        self.table = QTableView()
        self.table.setModel(self._rows)
        self._selection: Any = self.table.selectionModel()
        self.table.setSortingEnabled(True)
        self.table.sortByColumn(1, Qt.SortOrder.AscendingOrder)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.table.setShowGrid(False)
        self.table.setWordWrap(False)
        self.table.setMinimumHeight(160)
        self.table.setAccessibleName("Objects of this plane")
        self._size_cells()
        self.summary_label = QLabel()
        self.previous_button = _button("◀ Previous", tooltip("previous_object", self._actions))
        self.next_button = _button("Next ▶", tooltip("next_object", self._actions))
        self.class_combo = QComboBox()
        self.class_combo.setEditable(True)
        self._class_edit: Any = self.class_combo.lineEdit()
        self.class_combo.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.class_combo.setToolTip(
            wrapped(
                "Class of the selected objects. Type a new name and press Enter to add it. "
                "Keys Alt+1 to Alt+9 give the first nine, Alt+0 none."
            )
        )
        label = QLabel("Class")
        label.setBuddy(self.class_combo)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.table, 1)
        row = QHBoxLayout()
        row.addWidget(self.summary_label, 1)
        row.addWidget(self.previous_button)
        row.addWidget(self.next_button)
        layout.addLayout(row)
        row = QHBoxLayout()
        row.addWidget(label)
        row.addWidget(self.class_combo, 1)
        layout.addLayout(row)

    def _size_cells(self) -> None:
        numbers: Any = self.table.verticalHeader()
        numbers.hide()
        numbers.setDefaultSectionSize(22)
        header: Any = self.table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setHighlightSections(False)
        header.setMinimumSectionSize(20)
        for column, width in enumerate(_COLUMN_WIDTHS):
            header.resizeSection(column, width)
        header.setSectionResizeMode(len(_COLUMN_WIDTHS), QHeaderView.ResizeMode.Stretch)

    def _connect(self) -> None:
        self._selection.selectionChanged.connect(self._on_selection_changed)
        self._rows.modelReset.connect(self._on_reset)
        self.previous_button.clicked.connect(self.previous_clicked)
        self.next_button.clicked.connect(self.next_clicked)
        self.class_combo.activated.connect(self._on_class_activated)
        # Not `returnPressed`: Qt's own slot may come after it and choose another class.
        self._class_edit.installEventFilter(self)

    def _select(self, obj_ids: Iterable[int]) -> None:
        """Select objects, those of them that are listed; nothing is emitted."""
        selection, last = QItemSelection(), self._rows.columnCount() - 1
        for obj_id in obj_ids:
            row = self._rows.row_of.get(obj_id)
            if row is not None:
                selection.select(self._rows.index(row, 0), self._rows.index(row, last))
        self._is_quiet = True
        try:
            self._selection.select(selection, QItemSelectionModel.SelectionFlag.ClearAndSelect)
            self._on_selection()
        finally:
            self._is_quiet = False

    def _scroll_to_current(self) -> None:
        row = None if self._current is None else self._rows.row_of.get(self._current)
        if row is not None:
            index = self._rows.index(row, 0)
            # Without it the arrow keys would start somewhere else.
            self._selection.setCurrentIndex(index, QItemSelectionModel.SelectionFlag.NoUpdate)
            self.table.scrollTo(index)

    def _on_reset(self) -> None:
        """Select again what was, wherever it is now: Qt forgets it."""
        self._select(self._selected)
        self._scroll_to_current()

    def _on_selection_changed(self, *_: Any) -> None:
        if not self._is_quiet:
            self._on_selection()

    def _on_selection(self) -> None:
        rows = (index.row() for index in self._selection.selectedRows())
        self._selected = tuple(sorted(self._rows.rows[row].obj_id for row in rows))
        self._show_class()
        self._show_summary()
        is_one = len(self._selected) == 1
        if not self._is_quiet and is_one and self._selected[0] != self._current:
            self._current = self._selected[0]
            self.object_chosen.emit(self._current)

    def _on_class_activated(self, number: int) -> None:
        self.choose_class(number)

    def _on_class_typed(self) -> None:
        # The names are stored as one text, separated by commas.
        name = " ".join(self._class_edit.text().replace(",", " ").split())
        if name == _NO_CLASS_TEXT:
            name = NO_CLASS
        if name and name not in self._class_names:
            self.set_class_names((*self._class_names, name))
            self.class_names_changed.emit(self._class_names)
        self._emit_class(name)

    def _emit_class(self, name: str) -> None:
        if selected := self.selected:
            self.class_chosen.emit(selected, name)
        self._show_class()

    def _fill_combo(self) -> None:
        self.class_combo.clear()
        self.class_combo.addItem(_NO_CLASS_TEXT)
        self.class_combo.addItems(list(self._class_names))
        for number in range(1, min(len(self._class_names), _KEYED_CLASSES) + 1):
            self.class_combo.setItemData(number, f"Alt+{number}", Qt.ItemDataRole.ToolTipRole)

    def _show_class(self) -> None:
        selected = set(self.selected)
        names = {each.class_name for each in self._rows.rows if each.obj_id in selected}
        self.class_combo.setEnabled(bool(selected))
        is_one = len(names) == 1
        self.class_combo.setEditText((names.pop() or _NO_CLASS_TEXT) if is_one else "")
        self._class_edit.setPlaceholderText("several classes" if names else "")

    def _show_summary(self) -> None:
        n_rows, n_selected = len(self._rows.rows), len(self.selected)
        text = f"{n_rows} object{'' if n_rows == 1 else 's'}"
        self.summary_label.setText(f"{text}, {n_selected} selected" if n_selected > 1 else text)


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    # A click leaves the keys to the canvas.
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return button
