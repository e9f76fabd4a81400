"""The forms of a batch: what is an object, which planes, how planes are linked."""

from qtpy.QtWidgets import QFormLayout, QLineEdit, QVBoxLayout, QWidget

from napari_sam2_openvino._qt.folding import folded
from napari_sam2_openvino._qt.object_forms import FILTER_NAMES, GENERATOR_NAMES
from napari_sam2_openvino._qt.parameter_form import ParameterForm
from napari_sam2_openvino.batch.parameters import BatchParameters, LinkParameters, PlaneParameters
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.object_parameters import (
    AllObjectsParameters,
    CandidateFilter,
    LabelsParameters,
    TilingParameters,
)
from napari_sam2_openvino.core.parameters import GeneratorParameters, Normalization

# Thresholds of the grid of points do not count: those of the filter do.


class BatchForms(QWidget):
    """All parameters of a batch, in sections that fold."""

    def __init__(self) -> None:
        super().__init__()
        self.generator_form = ParameterForm(GeneratorParameters, names=GENERATOR_NAMES)
        self.filter_form = ParameterForm(CandidateFilter, names=FILTER_NAMES)
        self.labels_form = ParameterForm(LabelsParameters)
        self.tiling_form = ParameterForm(TilingParameters)
        self.planes_form = ParameterForm(PlaneParameters)
        self.linking_form = ParameterForm(LinkParameters)
        self.intensities_form = ParameterForm(Normalization)
        self.planes_edit = QLineEdit()
        self.planes_edit.setPlaceholderText("all, or such as z=10:20 or t=0, z=::5")
        self.planes_edit.setToolTip(
            "Planes to segment, counted from 0; the end of a range is left out."
        )
        self.channels_edit = QLineEdit()
        self.channels_edit.setPlaceholderText("all, or such as 0, 2")
        self.channels_edit.setToolTip(
            "Up to three channels, counted from 0, which the model sees as red, green and blue."
        )
        texts = QWidget()
        rows = QFormLayout(texts)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addRow("Planes", self.planes_edit)
        rows.addRow("Channels", self.channels_edit)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(folded("Objects", self.filter_form, is_open=True))
        layout.addWidget(folded("Links between planes", self.linking_form, is_open=True))
        layout.addWidget(folded("Planes and channels", _stacked(texts, self.planes_form)))
        layout.addWidget(folded("Intensities", self.intensities_form))
        search = _stacked(self.generator_form, self.labels_form, self.tiling_form)
        layout.addWidget(folded("How they are searched", search))

    @property
    def planes(self) -> str:
        """Which planes, as the batch reads it."""
        return self.planes_edit.text().strip()

    @property
    def parameters(self) -> BatchParameters:
        """All of it.

        Raises
        ------
        InputError
            If the channels cannot be read.
        """
        return BatchParameters(
            AllObjectsParameters(
                self.generator_form.value,
                self.filter_form.value,
                self.labels_form.value,
                self.tiling_form.value,
            ),
            self.planes_form.value,
            self._channels(),
            self.intensities_form.value,
            self.linking_form.value,
        )

    def show_objects(self, objects: AllObjectsParameters) -> None:
        """Show how objects are best found, such as a model recommends."""
        self.generator_form.value = objects.generator
        self.filter_form.value = objects.filter
        self.labels_form.value = objects.labels
        self.tiling_form.value = objects.tiling

    def _channels(self) -> tuple[int, ...]:
        text = self.channels_edit.text().strip()
        try:
            return tuple(int(part) for part in text.split(",")) if text else ()
        except ValueError as error:
            raise InputError(
                f"Channels are numbers with commas between them, such as 0, 2, but are {text!r}."
            ) from error


def _stacked(*widgets: QWidget) -> QWidget:
    whole = QWidget()
    layout = QVBoxLayout(whole)
    layout.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        layout.addWidget(widget)
    return whole
