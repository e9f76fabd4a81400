"""Whether a model that was quantized is kept: the user decides, after the report."""

from functools import partial
from pathlib import Path

from qtpy.QtCore import Signal as QtSignal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QPushButton, QWidget

from napari_sam2_openvino._qt.jobs import ComputeWorker
from napari_sam2_openvino._qt.model_jobs import QuantizeRun, Undecided
from napari_sam2_openvino._settings import save_preferences
from napari_sam2_openvino.core.errors import Sam2Error


class Decision(QWidget):
    """Buttons to accept or discard what a run has made.

    Parameters
    ----------
    worker : ComputeWorker
        Moves folders.

    Signals
    -------
    decided : str, str
        What became of the model, as a sentence, and which model is of interest now.
    refused : str
        It could not be kept, and why; it still waits.
    """

    decided = QtSignal(str, str)
    refused = QtSignal(str)

    def __init__(self, worker: ComputeWorker) -> None:
        super().__init__()
        self._worker = worker
        self.undecided = Undecided()
        self.default_check = QCheckBox("Begin with it from now on")
        self.accept_button = QPushButton("Accept")
        self.accept_button.setToolTip("Keep the new model, with its report beside it.")
        self.discard_button = QPushButton("Discard")
        self.discard_button.setToolTip("Remove the new model.")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self.default_check, self.accept_button, self.discard_button):
            layout.addWidget(widget)
        self.accept_button.clicked.connect(self.accept)
        self.discard_button.clicked.connect(self.discard)

    @property
    def is_open(self) -> bool:
        """Whether a model waits for the user's word."""
        return self.undecided.run is not None

    def ask(self, run: QuantizeRun) -> None:
        """Ask about what a run has made."""
        assert run.report is not None
        self.undecided.run = run
        is_advised = run.report.advice.use_b
        self.default_check.setChecked(False)
        self.default_check.setEnabled(is_advised)
        self.default_check.setToolTip("" if is_advised else "The report advises against it.")

    def accept(self) -> None:
        """Keep it."""
        if (run := self.undecided.run) is not None:
            self.setEnabled(False)
            on_accepted = partial(self._on_accepted, run.proposal.name)
            self._worker(run.accept, on_accepted, self._on_refused)

    def discard(self) -> None:
        """Throw it away."""
        if (run := self.undecided.run) is not None:
            self.undecided.discard()
            self.decided.emit(f"{run.proposal.name} is discarded.", run.model.name)

    def _on_accepted(self, asked: str, folder: Path) -> None:
        self.setEnabled(True)
        self.undecided.run = None
        name = folder.name
        if self.default_check.isChecked():
            save_preferences(default_model=name)
        why = "" if name == asked else f": the name {asked} was taken meanwhile"
        self.decided.emit(f"{name} is in the list of models{why}.", name)

    def _on_refused(self, error: Exception) -> None:
        self.setEnabled(True)
        if not isinstance(error, Sam2Error):
            raise error
        self.refused.emit(str(error))
