"""Buttons for sessions as files, and for prompts from tables and other layers."""

from functools import partial
from pathlib import Path
from typing import Any

from napari.layers import Image, Layer, Points, Shapes
from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QMenu,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_sam2_openvino._layers import import_prompts
from napari_sam2_openvino._qt.actions import tooltip
from napari_sam2_openvino._qt.annotator import Annotator
from napari_sam2_openvino._qt.session_files import SessionFiles
from napari_sam2_openvino.core.errors import InputError, Sam2Error
from napari_sam2_openvino.core.paths import sessions_dir
from napari_sam2_openvino.core.progress import Progress
from napari_sam2_openvino.core.prompt_columns import load_table
from napari_sam2_openvino.core.types import PlaneIndex

_SESSIONS = "Sessions (*.json)"
_TABLES = "Tables (*.csv *.tsv *.txt)"

_Place = tuple[Image | None, PlaneIndex | None]


class FilesPanel(QWidget):
    """Save and open sessions, import prompts.

    Parameters
    ----------
    annotator : Annotator
    files : SessionFiles
    """

    def __init__(self, annotator: Annotator, files: SessionFiles) -> None:
        super().__init__()
        self._annotator = annotator
        self._files = files
        self.save_button = QPushButton("Save session …")
        self.save_button.setToolTip(tooltip("save_session"))
        self.open_button = QPushButton("Open session …")
        self.open_button.setToolTip(tooltip("open_session"))
        self.import_button = QPushButton("Import prompts")
        self.import_button.setToolTip(
            "Points or boxes from a table, or from any Points or Shapes layer: each becomes an "
            "object, unless a column names the objects. The layer stays as it is."
        )
        self.import_menu = QMenu(self)
        self.import_menu.aboutToShow.connect(self._fill_menu)
        self.import_button.setMenu(self.import_menu)
        self.progress_bar = QProgressBar()
        self.cancel_button = QPushButton("Cancel")
        self._lay_out()
        self._show_busy(False)
        self.save_button.clicked.connect(self.ask_and_save)
        self.open_button.clicked.connect(self.ask_and_open)
        self.cancel_button.clicked.connect(files.cancel)
        files.progressed.connect(self._show_progress)
        files.finished.connect(partial(self._show_busy, False))

    def ask_and_save(self) -> None:
        """Ask for a file and save the session in it."""
        image = self._annotator.image
        name = f"{image.name}.json" if image is not None else "session.json"
        chosen, _ = QFileDialog.getSaveFileName(self, "Save the session", name, _SESSIONS)
        if chosen:
            path = Path(chosen)
            if path.suffix != ".json":
                path = path.with_name(f"{path.name}.json")
                if path.exists():
                    # What was asked about is the name without its end.
                    self._annotator.feedback.report(
                        InputError(f"{path} is there already: choose it itself to replace it.")
                    )
                    return
            self._files.save(path)

    def ask_and_open(self) -> None:
        """Ask for a session and open it; those that were saved by themselves are offered."""
        folder = str(sessions_dir()) if sessions_dir().is_dir() else ""
        chosen, _ = QFileDialog.getOpenFileName(self, "Open a session", folder, _SESSIONS)
        if chosen:
            self._files.open(Path(chosen))

    def ask_and_import(self) -> None:
        """Ask for a table and import its prompts."""
        chosen, _ = QFileDialog.getOpenFileName(self, "Import prompts", "", _TABLES)
        if chosen:
            self.import_table(Path(chosen))

    def import_table(self, path: Path) -> None:
        """Make objects of the points or boxes of a table; it is read in the worker."""
        place = self._annotator.image, self._annotator.plane
        self._annotator.worker(
            partial(load_table, path), partial(self._on_table, place), self._on_error
        )

    def import_layer(self, layer: Points | Shapes) -> None:
        """Make objects of the points or shapes of a layer."""
        place = self._annotator.image, self._annotator.plane
        self._add(partial(import_prompts.marks_from_layer, layer), place)

    def _on_table(self, place: _Place, table: Any) -> None:
        self._add(partial(import_prompts.marks_from_table, table), place)

    def _add(self, read: Any, place: _Place) -> None:
        """Add marks to the image, and to the plane, that were in view when they were asked for."""
        annotator = self._annotator
        drafting, (image, plane) = annotator.drafting, place
        try:
            if drafting is None or image is None or plane is None:
                raise InputError("Choose an image and show one of its planes first.")
            if annotator.image != image:
                raise InputError(f"{image.name} was left meanwhile: choose it and import again.")
            placed = read(image, plane, drafting.first_free_id)
        except InputError as error:
            annotator.feedback.report(error)
            return
        drafting.add(placed)

    def _on_error(self, error: Exception) -> None:
        if not isinstance(error, Sam2Error):
            raise error
        self._annotator.feedback.report(error)

    def _fill_menu(self) -> None:
        self.import_menu.clear()
        self.import_menu.addAction("From a table …", self.ask_and_import)
        for layer in self._annotator.viewer.layers:
            if self._is_source(layer):
                self.import_menu.addAction(
                    f"From layer {layer.name}", partial(self.import_layer, layer)
                )

    def _is_source(self, layer: Layer) -> bool:
        drafting = self._annotator.drafting
        ours = () if drafting is None else (drafting.layers.points, drafting.layers.shapes)
        return isinstance(layer, Points | Shapes) and layer not in ours

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widgets in (
            (self.save_button, self.open_button),
            (self.import_button,),
            (self.progress_bar, self.cancel_button),
        ):
            row = QHBoxLayout()
            for widget in widgets:
                row.addWidget(widget)
            layout.addLayout(row)

    def _show_progress(self, progress: Progress) -> None:
        self._show_busy(True)
        self.progress_bar.setRange(0, 100)
        self.progress_bar.setValue(round(100 * progress.done))

    def _show_busy(self, is_busy: bool) -> None:
        self.progress_bar.setVisible(is_busy)
        self.cancel_button.setVisible(is_busy)
