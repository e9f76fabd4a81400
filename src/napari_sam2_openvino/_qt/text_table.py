"""A table of texts that is only looked at."""

from collections.abc import Sequence

from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem, QWidget


class TextTable(QTableWidget):
    """Rows of texts, as high as all of them.

    Parameters
    ----------
    name : str
        What a screen reader calls it.
    parent : QWidget, optional
    """

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        rows, columns = self.verticalHeader(), self.horizontalHeader()
        assert rows is not None
        assert columns is not None
        rows.hide()
        columns.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        columns.setStretchLastSection(True)

    def show_rows(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Show a header and rows of as many texts."""
        self.setColumnCount(len(header))
        self.setHorizontalHeaderLabels(list(header))
        self.setRowCount(len(rows))
        for number, row in enumerate(rows):
            for column, text in enumerate(row):
                item = QTableWidgetItem(text)
                item.setToolTip(text)
                self.setItem(number, column, item)
        self.resizeRowsToContents()
        heading = self.horizontalHeader()
        assert heading is not None
        height = heading.sizeHint().height() + 2 * self.frameWidth()
        height += sum(self.rowHeight(number) for number in range(len(rows)))
        bar = self.horizontalScrollBar()
        self.setFixedHeight(height + (0 if bar is None else bar.sizeHint().height()))
