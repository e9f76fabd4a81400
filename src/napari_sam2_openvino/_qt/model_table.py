"""The models as a table, and one of them in words."""

from qtpy.QtCore import Qt
from qtpy.QtCore import Signal as QtSignal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from napari_sam2_openvino.core.models import ModelListing

_COLUMNS = ("Model", "State", "Size", "Precision", "Runs on", "Licence", "Good for")
_MEGABYTE = 1e6


class ModelTable(QTableWidget):
    """One row for each model; one of them is chosen.

    Signals
    -------
    chosen_changed : no argument
    """

    chosen_changed = QtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, len(_COLUMNS), parent)
        self._listings: tuple[ModelListing, ...] = ()
        self._awaited = ""
        self.setAccessibleName("Models")
        self.setHorizontalHeaderLabels(_COLUMNS)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setWordWrap(False)
        rows, columns = self.verticalHeader(), self.horizontalHeader()
        assert rows is not None
        assert columns is not None
        rows.hide()
        columns.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.itemSelectionChanged.connect(self.chosen_changed)

    @property
    def chosen(self) -> ModelListing | None:
        """The model whose row is selected."""
        row = self.currentRow()
        return self._listings[row] if self.selectedItems() and row < len(self._listings) else None

    def choose(self, name: str) -> None:
        """Select the row of a model, now or when there is one; rather that of one on the disk."""
        rows = self._rows_of(name)
        if rows:
            self.selectRow(rows[0])
        self._awaited = "" if rows and self._listings[rows[0]].folder is not None else name

    def _rows_of(self, name: str) -> list[int]:
        """Return the rows of a name; those of models on the disk come first."""
        rows = [row for row, each in enumerate(self._listings) if each.name == name]
        return sorted(rows, key=lambda row: self._listings[row].folder is None)

    def show_models(self, listings: tuple[ModelListing, ...]) -> None:
        """Show these models; the one that is chosen stays, or the first one is."""
        chosen = self.chosen
        self.blockSignals(True)
        self._listings = listings
        self.clearSelection()
        self.setRowCount(len(listings))
        for row, listing in enumerate(listings):
            for column, text in enumerate(_texts(listing)):
                item = QTableWidgetItem(text)
                item.setToolTip(text)
                if column == _COLUMNS.index("Size"):
                    item.setTextAlignment(
                        Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                    )
                self.setItem(row, column, item)
        self.blockSignals(False)
        kept = [row for row in self._rows_of(self._awaited) if listings[row].folder is not None]
        if kept:
            self._awaited = ""
        elif chosen is not None:
            # A model of the user's own may be named like one of the catalogue.
            kept = self._rows_of(chosen.name)
            kept.sort(key=lambda row: listings[row].folder != chosen.folder)
        self.selectRow(kept[0] if kept else 0)


def describe_model(listing: ModelListing) -> str:
    """Say all that is known of a model, in lines."""
    size = f"{listing.image_size} x {listing.image_size} pixels" if listing.image_size else ""
    lines = [
        listing.description,
        f"Image size {size}" if size else "",
        f"Licence: {_licence(listing)}" if listing.state != "damaged" else "",
        f"From {listing.source}" if listing.source else "",
        f"Right masks on {listing.runs_on}" if listing.runs_on else "",
        listing.warning,
        listing.problem,
    ]
    return "\n".join(line for line in lines if line)


def _texts(listing: ModelListing) -> tuple[str, ...]:
    size = "" if listing.n_bytes is None else f"{listing.n_bytes / _MEGABYTE:.0f} MB"
    state = "not advised" if listing.warning else listing.state
    licence = "" if listing.state == "damaged" else _licence(listing)
    about = listing.problem or listing.description
    return (listing.name, state, size, listing.weights, listing.runs_on, licence, about)


def _licence(listing: ModelListing) -> str:
    return listing.licence or ("see its page" if listing.folder is None else "not known")
