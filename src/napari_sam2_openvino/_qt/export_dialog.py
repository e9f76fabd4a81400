"""The dialog that writes the objects of a Labels layer for another program."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

from napari.layers import Image, Labels
from qtpy.QtWidgets import (
    QComboBox,
    QDialog,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_sam2_openvino._layers.planes import image_data, image_shape, plane_in_view
from napari_sam2_openvino._qt.job_progress import JobProgress
from napari_sam2_openvino._qt.parameter_form import ParameterForm
from napari_sam2_openvino.core.errors import InputError, Sam2Error
from napari_sam2_openvino.core.labelled_image import LabelledImage
from napari_sam2_openvino.core.parameters import ExportParameters
from napari_sam2_openvino.export import FORMATS, ExportFormat, ExportJob
from napari_sam2_openvino.export.from_layer import labelled_of_layer

_NO_IMAGE = "none"
_WIDTH = 420


class ExportDialog(QDialog):
    """Asks for a format and a file, writes, and says how far it is.

    Parameters
    ----------
    viewer : Viewer
        Whose images are offered, and whose plane in view is what a picture shows.
    labels : Labels
        What is written.
    parent : QWidget, optional
    """

    def __init__(self, viewer: Any, labels: Labels, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(f"Export objects of {labels.name}")
        self._viewer = viewer
        self._labels = labels
        self._path: Path | None = None
        self._build()
        self._lay_out()
        self._show_format()
        self._show_running(False)

    def _build(self) -> None:
        self.format_combo = QComboBox()
        for each in FORMATS:
            self.format_combo.addItem(each.title, each)
        self.format_combo.currentIndexChanged.connect(self._show_format)
        self.tip_label = QLabel()
        self.tip_label.setWordWrap(True)
        self.image_combo = QComboBox()
        self.image_combo.addItem(_NO_IMAGE, None)
        for layer in self._images():
            self.image_combo.addItem(layer.name, layer)
        self.image_combo.setCurrentIndex(self.image_combo.count() - 1)
        self.image_combo.setToolTip("Its intensities are measured; a picture shows it.")
        self.form = ParameterForm(ExportParameters)
        self.file_edit = QLineEdit()
        self.file_edit.setPlaceholderText("where to write")
        self.browse_button = QPushButton("Browse …")
        self.browse_button.clicked.connect(self._browse)
        self.progress = JobProgress()
        self.progress.setMinimumWidth(_WIDTH)
        self.progress.succeeded.connect(self._on_success)
        self.progress.failed.connect(self._on_failure)
        self.export_button = QPushButton("Export")
        self.export_button.clicked.connect(self.start)
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.clicked.connect(self.cancel)

    def _images(self) -> list[Image]:
        """Return the images that may be what was segmented, the topmost last."""
        shape = image_shape(self._labels)
        return [
            layer
            for layer in self._viewer.layers
            if isinstance(layer, Image) and image_shape(layer) == shape
        ]

    def _lay_out(self) -> None:
        file = QHBoxLayout()
        file.addWidget(self.file_edit, 1)
        file.addWidget(self.browse_button)
        self._rows = QFormLayout()
        self._rows.addRow("Format", self.format_combo)
        self._rows.addRow("", self.tip_label)
        self._rows.addRow("Image", self.image_combo)
        self._rows.addRow(self.form)
        self._rows.addRow("File", file)
        buttons = QHBoxLayout()
        buttons.addStretch()
        buttons.addWidget(self.export_button)
        buttons.addWidget(self.cancel_button)
        layout = QVBoxLayout(self)
        layout.addLayout(self._rows)
        layout.addWidget(self.progress)
        layout.addLayout(buttons)

    @property
    def chosen(self) -> ExportFormat:
        """The format that is chosen."""
        chosen: ExportFormat = self.format_combo.currentData()
        return chosen

    def start(self) -> None:
        """Write what was chosen to where it was chosen."""
        if self.progress.is_running:
            return
        if not self.file_edit.text().strip():
            self._browse()
        text = self.file_edit.text().strip()
        if not text:
            self.progress.say("Choose a file first.")
            return
        path = Path(text).expanduser()
        try:
            labelled = self._labelled()
            # The file dialog has asked already; a name that was typed is never written over.
            job = ExportJob(
                lambda: nullcontext(labelled),
                path,
                self.chosen,
                self.form.value,
                overwrite=path == self._path,
            )
        except Sam2Error as error:
            self.progress.say(str(error))
            return
        self._show_running(True)
        self.progress.start(job)

    def _labelled(self) -> LabelledImage:
        image: Image | None = self.image_combo.currentData()
        data, about, _ = self._labels.as_layer_data_tuple()
        pixels = None if image is None or not self.chosen.uses_image else image_data(image)
        return labelled_of_layer(data, about, image=pixels, shown=self._plane())

    def _plane(self) -> tuple[int, ...] | None:
        """Return the plane in view, None if it is none of the layer's own planes."""
        try:
            index = plane_in_view(self._viewer, self._labels).index
        except InputError:
            return None
        lead = tuple(each for each in index[:-2] if each is not None)
        return lead if len(lead) == len(index) - 2 else None

    def cancel(self) -> None:
        """End the export; without one, close the dialog."""
        if self.progress.is_running:
            self.progress.cancel()
        else:
            self.reject()

    def reject(self) -> None:
        """Close, and end the export if there is one."""
        self.progress.cancel()
        super().reject()

    def _browse(self) -> None:
        suffixes = " ".join(f"*{suffix}" for suffix in self.chosen.suffixes)
        chosen, _ = QFileDialog.getSaveFileName(
            self, "Export objects", self._suggestion(), f"{self.chosen.title} ({suffixes})"
        )
        if chosen:
            path = Path(chosen)
            if not path.name.lower().endswith(self.chosen.suffixes):
                # Another name than the one that was asked about.
                self.file_edit.setText(f"{path}{self.chosen.suffixes[0]}")
            else:
                self._path = path
                self.file_edit.setText(str(path))

    def _suggestion(self) -> str:
        typed = self.file_edit.text().strip()
        return typed or f"{self._labels.name}{self.chosen.suffixes[0]}"

    def _show_format(self) -> None:
        chosen = self.chosen
        self.tip_label.setText(chosen.tip)
        self._rows.setRowVisible(self.image_combo, chosen.uses_image)
        for name in self.form.entries:
            self.form.set_row_visible(name, name in chosen.parameters)
        self._rows.setRowVisible(self.form, bool(chosen.parameters))
        self._follow_format()
        self.progress.say("")
        self.adjustSize()

    def _follow_format(self) -> None:
        """Give the file that was chosen before the suffix of the format."""
        text = self.file_edit.text().strip()
        for each in FORMATS:
            for suffix in each.suffixes:
                if text.lower().endswith(suffix):
                    self.file_edit.setText(text[: -len(suffix)] + self.chosen.suffixes[0])
                    return

    def _on_success(self) -> None:
        self._show_running(False)
        self.progress.say(f"Written to {self.file_edit.text()}.")

    def _on_failure(self, _error: Exception) -> None:
        self._show_running(False)

    def _show_running(self, is_running: bool) -> None:
        self.cancel_button.setText("Cancel" if is_running else "Close")
        for widget in (
            self.format_combo,
            self.image_combo,
            self.form,
            self.file_edit,
            self.browse_button,
            self.export_button,
        ):
            widget.setEnabled(not is_running)
