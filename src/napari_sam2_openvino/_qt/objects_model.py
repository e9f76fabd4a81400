"""The objects of a plane as a table that Qt shows: values in, texts and sort keys out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt
from qtpy.QtWidgets import QWidget

ObjectState = Literal["waiting", "draft", "committed", "edited"]

# A sign of its own for each state, so that none is told by colour.
_SIGNS: dict[str, tuple[str, str]] = {
    "waiting": ("…", "Its mask is being made."),
    "draft": ("○", "Not committed yet."),
    "committed": ("●", "In the Labels layer."),
    "edited": ("◐", "In the Labels layer, and changed since: commit it again."),
}
NO_CLASS = ""
_COLUMNS = ("", "Object", "IoU", "Area", "Class")
_TIPS = (
    "○ not committed, ● committed, ◐ changed since, … being made",
    "Number of the object, which is its value in the Labels layer.",
    "IoU that the model predicts for the mask, from 0 to 1.",
    "Area in pixels of the image.",
    "Class that you gave it.",
)


@dataclass(frozen=True)
class ObjectRow:
    """What the list says about one object.

    Parameters
    ----------
    obj_id : int
    state : {"waiting", "draft", "committed", "edited"}
        Whether its mask is still to be made, is there, was committed, or was changed since.
    iou_prediction : float, optional
    area : int, optional
        In pixels of the image.
    class_name : str, optional
    """

    obj_id: int
    state: ObjectState = "draft"
    iou_prediction: float | None = None
    area: int | None = None
    class_name: str = NO_CLASS


class ObjectsModel(QAbstractTableModel):
    """The objects, as Qt's table asks for them.

    Parameters
    ----------
    parent : QWidget
    """

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.rows: list[ObjectRow] = []
        self.row_of: dict[int, int] = {}
        self._column = 1
        self._is_descending = False

    def set_rows(self, rows: Sequence[ObjectRow]) -> None:
        """Take other rows, telling the view no more than it needs to know."""
        # Not by Qt's proxy, which asks for each of n log n comparisons.
        ordered = sorted(rows, key=self._sort_key, reverse=self._is_descending)
        if [each.obj_id for each in ordered] != [each.obj_id for each in self.rows]:
            self.beginResetModel()
            self.rows = ordered
            self.row_of = {each.obj_id: row for row, each in enumerate(ordered)}
            self.endResetModel()
            return
        changed = [row for row, each in enumerate(ordered) if each != self.rows[row]]
        self.rows = ordered
        if changed:
            last = len(_COLUMNS) - 1
            self.dataChanged.emit(self.index(changed[0], 0), self.index(changed[-1], last))

    def sort(self, column: int, order: Any = Qt.SortOrder.AscendingOrder) -> None:
        """Order the rows by a column, as Qt does when its header is clicked."""
        self._column = max(column, 0)
        self._is_descending = order == Qt.SortOrder.DescendingOrder
        self.set_rows(self.rows)

    def _sort_key(self, row: ObjectRow) -> tuple[Any, int]:
        return _sort_keys(row)[self._column], row.obj_id

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: N802, B008
        """Return the number of objects."""
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: N802, B008
        """Return the number of columns."""
        return 0 if parent.isValid() else len(_COLUMNS)

    def headerData(self, section: int, orientation: Any, role: int = 0) -> Any:  # noqa: N802
        """Return a title or its tooltip."""
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return _COLUMNS[section]
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.ToolTipRole:
            return _TIPS[section]
        return None

    def data(self, index: QModelIndex, role: int = 0) -> Any:
        """Return what a cell shows or says."""
        row, column = self.rows[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return _texts(row)[column]
        if role == Qt.ItemDataRole.ToolTipRole:
            return row.class_name if column == 4 else _SIGNS[row.state][1]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            is_number = 1 <= column <= 3
            side = Qt.AlignmentFlag.AlignRight if is_number else Qt.AlignmentFlag.AlignLeft
            return int(side | Qt.AlignmentFlag.AlignVCenter)
        return None


def _texts(row: ObjectRow) -> tuple[str, ...]:
    iou = "" if row.iou_prediction is None else f"{row.iou_prediction:.2f}"
    area = "" if row.area is None else f"{row.area:,}"
    return _SIGNS[row.state][0], str(row.obj_id), iou, area, row.class_name


def _sort_keys(row: ObjectRow) -> tuple[Any, ...]:
    return (
        tuple(_SIGNS).index(row.state),
        row.obj_id,
        -1.0 if row.iou_prediction is None else row.iou_prediction,
        -1 if row.area is None else row.area,
        row.class_name,
    )
