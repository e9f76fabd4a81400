"""What is asked before two models are compared."""

from collections.abc import Sequence
from typing import Any

from qtpy.QtWidgets import QComboBox, QFormLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_sam2_openvino._qt.model_jobs import CompareRun
from napari_sam2_openvino._qt.sample_choice import SampleChoice
from napari_sam2_openvino.core.models import ModelListing


class CompareForm(QWidget):
    """Asks for the original and for images.

    Parameters
    ----------
    viewer : Viewer
    """

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self.model: ModelListing | None = None
        """The model that may replace the original."""
        self.title_label = QLabel()
        self.original_combo = QComboBox()
        self.original_combo.setToolTip("The model that its masks are compared with, in f32.")
        self.images = SampleChoice(viewer)
        self.start_button = QPushButton("Compare")
        rows = QFormLayout()
        rows.addRow("Compared with", self.original_combo)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.title_label)
        layout.addLayout(rows)
        layout.addWidget(self.images)
        layout.addWidget(self.start_button)

    @property
    def original(self) -> ModelListing | None:
        """What it is compared with."""
        chosen: ModelListing | None = self.original_combo.currentData()
        return chosen

    def ask(self, model: ModelListing, others: Sequence[ModelListing]) -> None:
        """Ask about a model.

        Parameters
        ----------
        model : ModelListing
        others : sequence of ModelListing
            What it can be compared with; what it was made from is suggested.
        """
        self.model = model
        self.title_label.setText(f"Compare {model.name}")
        self.original_combo.clear()
        for each in others:
            self.original_combo.addItem(each.name, each)
        names = [each.name for each in others]
        self.original_combo.setCurrentIndex(
            names.index(model.original) if model.original in names else 0
        )

    def make_run(self) -> CompareRun:
        """Return the job that compares as the form says.

        Raises
        ------
        Sam2Error
            If that cannot be done.
        """
        assert self.model is not None
        assert self.original is not None
        samples, labelled = self.images.samples(), self.images.has_labels
        return CompareRun(self.original, self.model, samples, has_labels=labelled)
