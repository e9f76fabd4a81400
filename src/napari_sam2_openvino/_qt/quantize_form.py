"""What is asked before a model is quantized, and what that needs."""

from functools import partial
from typing import Any

from qtpy.QtWidgets import QFormLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from napari_sam2_openvino._qt.jobs import ComputeWorker
from napari_sam2_openvino._qt.model_jobs import QuantizeRun
from napari_sam2_openvino._qt.parameter_form import ParameterForm
from napari_sam2_openvino._qt.sample_choice import SampleChoice
from napari_sam2_openvino.conversion.needs import Need, estimate_need
from napari_sam2_openvino.conversion.proposal import Proposal
from napari_sam2_openvino.conversion.recipes import PRESETS
from napari_sam2_openvino.core.errors import Sam2Error
from napari_sam2_openvino.core.models import ModelListing
from napari_sam2_openvino.core.quantize_parameters import QuantizeParameters

_MINUTE = 60


class QuantizeForm(QWidget):
    """Asks for a name, a preset and images.

    Parameters
    ----------
    viewer : Viewer
    worker : ComputeWorker
        Finds out what is needed.
    """

    def __init__(self, viewer: Any, worker: ComputeWorker) -> None:
        super().__init__()
        self._worker = worker
        self._asked = 0
        self.model: ModelListing | None = None
        """The model that is quantized."""
        self.title_label = QLabel()
        self.name_edit = QLineEdit()
        self.name_edit.setToolTip("What the new model will be called. The original stays.")
        self.form = ParameterForm(QuantizeParameters)
        self.images = SampleChoice(viewer)
        self.need_label = QLabel()
        self.need_label.setWordWrap(True)
        self.start_button = QPushButton("Quantize")
        rows = QFormLayout()
        rows.addRow("Name", self.name_edit)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.title_label)
        layout.addLayout(rows)
        layout.addWidget(self.form)
        layout.addWidget(self.images)
        layout.addWidget(self.need_label)
        layout.addWidget(self.start_button)
        self.form.changed.connect(self._on_parameters)

    def ask(self, model: ModelListing, taken: frozenset[str]) -> None:
        """Ask about a model.

        Parameters
        ----------
        model : ModelListing
        taken : frozenset of str
            Names that the new one cannot have.
        """
        self.model = model
        self.title_label.setText(f"Quantize {model.name}")
        self.name_edit.setText(_free_name(f"{model.name}-int8", taken))
        self.find_need()

    def make_run(self) -> QuantizeRun:
        """Return the job that quantizes as the form says.

        Raises
        ------
        Sam2Error
            If that cannot be done.
        """
        assert self.model is not None
        samples = self.images.samples()
        proposal = Proposal(self.name_edit.text().strip())
        labelled = self.images.has_labels
        return QuantizeRun(self.model, proposal, self.form.value, samples, has_labels=labelled)

    def find_need(self) -> None:
        """Find out, in the worker, what it needs; until then it cannot be begun."""
        if self.model is None or self.model.folder is None:
            return
        self._asked += 1
        self.start_button.setEnabled(False)
        self.need_label.setText("Looking what it needs …")
        value: QuantizeParameters = self.form.value
        job = partial(estimate_need, self.model.folder, PRESETS[value.preset], value.planes)
        asked = self._asked
        self._worker(job, partial(self._show_need, asked), partial(self._on_error, asked))

    def _on_parameters(self, _value: QuantizeParameters) -> None:
        self.find_need()

    def _show_need(self, asked: int, need: Need) -> None:
        if asked == self._asked:
            self.need_label.setText(say_need(need))
            self.start_button.setEnabled(need.is_met)

    def _on_error(self, asked: int, error: Exception) -> None:
        if asked == self._asked:
            self.need_label.setText(str(error))
        if not isinstance(error, Sam2Error):
            raise error


def say_need(need: Need) -> str:
    """Say what is needed, or why it cannot begin."""
    if not need.is_met:
        return need.refusal
    if need.seconds < _MINUTE:
        time = "less than a minute"
    else:
        time = f"about {need.seconds / _MINUTE:.0f} min"
    return (
        f"Needs about {need.memory / 1e9:.1f} GB of memory, of which {need.free_memory / 1e9:.1f} "
        f"GB are free, and {time}."
    )


def _free_name(name: str, taken: frozenset[str]) -> str:
    """Return a name, with a number if it is taken."""
    names = [name, *(f"{name}-{number}" for number in range(2, len(taken) + 3))]
    return next(each for each in names if each not in taken)
