"""What a batch looks for: every object, or those that prompts point at."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Points, Shapes
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QPushButton,
    QWidget,
)

from napari_sam2_openvino._layers.prompt_tables import prompt_table
from napari_sam2_openvino._qt.batch_input import BatchInput
from napari_sam2_openvino.core.prompt_columns import load_table

if TYPE_CHECKING:
    import pandas as pd

_EVERY_OBJECT = "every object"


class BatchPrompts(QWidget):
    """Chooses a layer or a table of prompts that is applied to all planes, or none.

    Parameters
    ----------
    viewer : Viewer
    images : BatchInput
        What the prompts are about.
    """

    def __init__(self, viewer: Any, images: BatchInput) -> None:
        super().__init__()
        self._viewer = viewer
        self._images = images
        self._path: Path | None = None
        self.combo = QComboBox()
        self.combo.setToolTip(
            "Every object; or only those that points or boxes of a layer or a table point at, the "
            "same on every plane and in every file."
        )
        self.combo.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.table_button = QPushButton("Table …")
        self.table_button.setToolTip(
            "A CSV table with columns x and y, or x0, y0, x1 and y1, in pixels; also obj_id, "
            "prompt (positive or negative), file and the plane, such as z."
        )
        self.own_check = QCheckBox("Each prompt on its own plane only")
        row = QHBoxLayout()
        row.addWidget(self.combo, 1)
        row.addWidget(self.table_button)
        rows = QFormLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addRow("Find", row)
        rows.addRow("", self.own_check)
        self.table_button.clicked.connect(self._ask)
        self.combo.currentIndexChanged.connect(self._show)
        self.reset_choices()

    @property
    def has_prompts(self) -> bool:
        """Whether prompts are chosen."""
        return self.combo.currentData() is not None

    def table(self) -> "Callable[[], pd.DataFrame] | None":
        """Return what gives the table of the prompts in a worker; None for every object.

        Raises
        ------
        InputError
            If a layer cannot be used.
        """
        chosen = self.combo.currentData()
        if chosen is None:
            return None
        if isinstance(chosen, Path):
            return partial(load_table, chosen)
        image, layers = self._images.first(), self._images.layers
        table = prompt_table(
            chosen,
            image.axes.letters.removesuffix("S"),
            layers[0] if layers else None,
            own_planes=self.own_check.isChecked(),
        )
        return lambda: table

    def choose_table(self, path: Path) -> None:
        """Choose a table."""
        self._path = path
        self.reset_choices()
        # It is the last; by its name a layer could be found.
        self.combo.setCurrentIndex(self.combo.count() - 1)

    def reset_choices(self) -> None:
        """Read the viewer's layers anew; what is chosen stays."""
        chosen = self.combo.currentData()
        self.combo.blockSignals(True)
        self.combo.clear()
        self.combo.addItem(_EVERY_OBJECT, None)
        for layer in self._viewer.layers:
            if isinstance(layer, Points | Shapes):
                self.combo.addItem(f"what {layer.name} points at", layer)
        if self._path is not None:
            self.combo.addItem(self._path.name, self._path)
        kept = [each for each in range(self.combo.count()) if self.combo.itemData(each) == chosen]
        self.combo.setCurrentIndex(kept[0] if kept else 0)
        self.combo.blockSignals(False)
        self._show()

    def _ask(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(
            self, "A table of prompts", "", "Tables (*.csv *.tsv *.txt)"
        )
        if chosen:
            self.choose_table(Path(chosen))

    def _show(self) -> None:
        self.own_check.setVisible(isinstance(self.combo.currentData(), Points | Shapes))
