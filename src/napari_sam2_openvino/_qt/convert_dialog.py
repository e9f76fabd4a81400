"""The dialog that turns a checkpoint into a model."""

from collections.abc import Callable, Iterator
from pathlib import PureWindowsPath

from qtpy.QtCore import Signal as QtSignal  # type: ignore[attr-defined]
from qtpy.QtWidgets import (
    QComboBox,
    QDialog,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_sam2_openvino._qt.job_progress import JobProgress
from napari_sam2_openvino._qt.jobs import CancellableJob
from napari_sam2_openvino.core.catalogue import CatalogueEntry, downloads, find_entry
from napari_sam2_openvino.core.errors import JobCancelledError, Sam2Error
from napari_sam2_openvino.core.progress import Progress

MakeJob = Callable[[str, str, str | None, int | None], CancellableJob]


class ConvertDialog(QDialog):
    """Asks for a checkpoint and a name, converts, and says how far it is.

    Parameters
    ----------
    parent : QWidget, optional
    make_job : callable, optional
        Makes a job from checkpoint, name, config and image size.

    Signals
    -------
    converted : str
        The name of the new model.
    """

    converted = QtSignal(str)

    def __init__(self, parent: QWidget | None = None, make_job: MakeJob | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Convert a SAM 2 checkpoint")
        self._make_job = make_job or _DownloadAndConvert
        self._name_is_typed = False
        self._converted_name = ""
        self._build()
        self._lay_out()
        self._show_running(False)

    def _build(self) -> None:
        self.checkpoint_combo = QComboBox()
        self.checkpoint_combo.setEditable(True)
        self.checkpoint_combo.addItems([entry.name for entry in downloads()])
        self.checkpoint_combo.setCurrentText("")
        self.checkpoint_combo.currentTextChanged.connect(self._suggest_name)
        self.browse_button = QPushButton("Browse …")
        self.browse_button.clicked.connect(self._browse)
        self.name_edit = QLineEdit()
        self.name_edit.textEdited.connect(self._on_name_typed)
        self.size_spin = QSpinBox()
        self.size_spin.setRange(0, 4096)
        self.size_spin.setSingleStep(64)
        self.size_spin.setSpecialValueText("as in the catalogue")
        self.config_edit = QLineEdit()
        self.config_edit.setPlaceholderText("only for architectures that Meta does not publish")
        self.progress = JobProgress()
        self.progress.say("A model from the catalogue is downloaded first.")
        self.progress.setMinimumWidth(420)
        self.progress.succeeded.connect(self._on_success)
        self.progress.failed.connect(self._on_failure)
        self.convert_button = QPushButton("Convert")
        self.convert_button.clicked.connect(self.start)
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.clicked.connect(self.cancel)
        self.checkpoint_combo.setToolTip("A .pt file, or the name of one of Meta's models.")
        self.name_edit.setToolTip("How the model will be called in the list.")
        self.size_spin.setToolTip(
            "Side in pixels of the square that the model was trained with. No checkpoint tells it: "
            "1024 for Meta's models, 512 for MedSAM2."
        )

    def _lay_out(self) -> None:
        checkpoint = QHBoxLayout()
        checkpoint.addWidget(self.checkpoint_combo, 1)
        checkpoint.addWidget(self.browse_button)
        form = QFormLayout()
        form.addRow("Checkpoint", checkpoint)
        form.addRow("Name", self.name_edit)
        form.addRow("Image size", self.size_spin)
        form.addRow("Config", self.config_edit)
        buttons = QHBoxLayout()
        buttons.addStretch()
        buttons.addWidget(self.convert_button)
        buttons.addWidget(self.cancel_button)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.progress)
        layout.addLayout(buttons)

    def suggest(self, entry: CatalogueEntry) -> None:
        """Fill in what is known of a model of the catalogue."""
        from_file = not entry.can_be_downloaded
        self.checkpoint_combo.setCurrentText("" if from_file else entry.name)
        self.size_spin.setValue(entry.image_size if from_file else 0)
        self.name_edit.setText(entry.name)
        self._name_is_typed = from_file
        self.progress.say(
            f"Get the file from {entry.page}, read its licence there, and choose it with Browse."
            if from_file
            else "A model from the catalogue is downloaded first."
        )

    @property
    def is_running(self) -> bool:
        """Whether a checkpoint is being converted."""
        return self.progress.is_running

    def start(self) -> None:
        """Convert what was chosen."""
        checkpoint = self.checkpoint_combo.currentText().strip()
        name = self.name_edit.text().strip()
        if self.is_running or not checkpoint or not name:
            self.progress.say("Choose a checkpoint and a name first.")
            return
        config, size = self.config_edit.text().strip() or None, self.size_spin.value() or None
        try:
            job = self._make_job(checkpoint, name, config, size)
        except Sam2Error as error:
            self.progress.say(str(error))
            return
        self._converted_name = name
        self._show_running(True)
        self.progress.start(job)

    def cancel(self) -> None:
        """End the conversion; without one, close the dialog."""
        if self.is_running:
            self.progress.cancel()
        else:
            self.reject()

    def reject(self) -> None:
        """Close, and end the conversion if there is one."""
        self.progress.cancel()
        super().reject()

    def _on_name_typed(self, name: str) -> None:
        self._name_is_typed = bool(name)

    def _suggest_name(self, checkpoint: str) -> None:
        if not self._name_is_typed:
            is_path = "/" in checkpoint or "\\" in checkpoint
            # Windows' paths have both kinds of slashes.
            self.name_edit.setText(PureWindowsPath(checkpoint).stem if is_path else checkpoint)

    def _browse(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self, "Checkpoint", "", "Checkpoints (*.pt *.pth);;All files (*)"
        )
        if path:
            self.checkpoint_combo.setCurrentText(path)

    def _on_success(self) -> None:
        self._show_running(False)
        self.progress.say(f"{self._converted_name} is ready and in the list of models.")
        self.converted.emit(self._converted_name)

    def _on_failure(self, error: Exception) -> None:
        self._show_running(False)
        entry = find_entry(self.checkpoint_combo.currentText().strip())
        if isinstance(error, JobCancelledError) and entry and entry.checkpoint.is_file():
            self.progress.say(
                f"Cancelled: no model was written. The checkpoint of {entry.name} is kept."
            )

    def _show_running(self, is_running: bool) -> None:
        self.cancel_button.setText("Cancel" if is_running else "Close")
        inputs = (self.checkpoint_combo, self.name_edit, self.size_spin, self.config_edit)
        for widget in (*inputs, self.browse_button, self.convert_button):
            widget.setEnabled(not is_running)


class _DownloadAndConvert:
    """Converts a file, or a model of the catalogue that is downloaded if it is not there yet."""

    def __init__(self, checkpoint: str, name: str, config: str | None, size: int | None) -> None:
        from napari_sam2_openvino.conversion import ConvertJob
        from napari_sam2_openvino.conversion.download import DownloadJob

        self._conversion = ConvertJob(checkpoint, name, config, size)
        self._jobs: list[CancellableJob] = [self._conversion]
        if find_entry(checkpoint) is not None:
            self._jobs.insert(0, DownloadJob(checkpoint))
        self._is_cancelled = False

    def run(self) -> Iterator[Progress]:
        """Do one after the other."""
        # Before hundreds of megabytes are downloaded for nothing.
        self._conversion.checked_destination()
        for job in self._jobs:
            if self._is_cancelled:
                raise JobCancelledError("The conversion was cancelled.")
            yield from job.run()

    def cancel(self) -> None:
        """End what runs, and do not begin what follows."""
        self._is_cancelled = True
        for job in self._jobs:
            job.cancel()
