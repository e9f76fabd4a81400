"""What to segment, with which model, and where it is written to: shared by all tabs."""

from collections.abc import Callable
from typing import Any

from magicgui.widgets import ComboBox
from napari.layers import Image, Labels
from qtpy.QtWidgets import QFormLayout, QWidget

from napari_sam2_openvino._layers import preview
from napari_sam2_openvino._qt.annotator import Annotator
from napari_sam2_openvino._qt.model_listings import ModelListings, labelled, say_gone
from napari_sam2_openvino._qt.parameter_form import fit_to_dock
from napari_sam2_openvino.core.models import STARTER, ModelListing, choose_default

_NEW_LAYER = "new layer"


class Choices(QWidget):
    """The combos for image, model and target.

    Parameters
    ----------
    annotator : Annotator
    default_model : str, optional
        The model to begin with, if it can be used.
    """

    def __init__(self, annotator: Annotator, default_model: str = STARTER) -> None:
        super().__init__()
        self._annotator = annotator
        self._default = default_model
        self._has_begun = False
        self._models: list[tuple[str, str]] = [(STARTER, STARTER)]
        self._contents: dict[str, str] = {}
        self.listings = ModelListings(annotator.worker)
        self.listings.changed.connect(self._show_models)
        self.image_combo = _combo("Image", self._find_images)
        self.model_combo = _combo("Model", lambda _: self._models)
        self.target_combo = _combo("Write to", self._find_targets)
        tips = {
            self.image_combo: "The image to segment; of a stack, the plane in view.",
            self.model_combo: "The SAM 2 model. Larger ones see more and take longer.",
            self.target_combo: "The Labels layer that objects are written to.",
        }
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for combo, tip in tips.items():
            combo.native.setToolTip(tip)
            form.addRow(combo.label, combo.native)
        self.image_combo.changed.connect(annotator.set_image)
        self.target_combo.changed.connect(annotator.set_target)
        self.model_combo.changed.connect(annotator.session.set_model)
        annotator.target_changed.connect(self._show_target)
        annotator.image_changed.connect(self._show_image)

    def choose_first_image(self) -> None:
        """Choose the active image, else any there is."""
        self.reset_choices()
        active = self._annotator.viewer.layers.selection.active
        if isinstance(active, Image):
            self.image_combo.value = active
        self._annotator.set_image(self.image_combo.value)

    def reset_choices(self) -> None:
        """Read the viewer's layers anew."""
        self.image_combo.reset_choices()
        self.target_combo.reset_choices()

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models that can be loaded."""
        return tuple(name for _, name in self._models)

    def begin(self) -> None:
        """Load the model to begin with, and keep up with what models there are."""
        if self._default == STARTER:
            self._annotator.session.set_model(STARTER)
        self.listings.refresh()

    def _show_models(self, listings: tuple[ModelListing, ...]) -> None:
        self._models = labelled(listings)
        chosen: str = self.model_combo.value
        fallback = choose_default(listings, self._default)
        wanted = chosen if chosen in self.models and self._has_begun else fallback
        before = self._contents
        self._contents = {each.name: each.content for each in listings if each.is_ready}
        is_replaced = wanted in before and before[wanted] != self._contents.get(wanted)
        with self.model_combo.changed.blocked():
            self.model_combo.reset_choices()
            self.model_combo.value = wanted
        if is_replaced and wanted == self._annotator.session.model_name:
            self._annotator.session.reload_model()
            self._annotator.feedback.announce(f"Model {wanted} was replaced: it is loaded anew.")
        self._annotator.session.set_model(wanted)
        if self._has_begun and wanted != chosen:
            self._annotator.feedback.announce(say_gone(chosen, wanted))
        elif not self._has_begun and wanted != self._default:
            self._annotator.feedback.announce(
                f"Model {self._default} cannot be begun with: {wanted} is used instead."
            )
        self._has_begun = True

    def _find_images(self, _combo: Any) -> list[tuple[str, Any]]:
        layers = self._annotator.viewer.layers
        return [(each.name, each) for each in layers if isinstance(each, Image)]

    def _find_targets(self, _combo: Any) -> list[tuple[str, Any]]:
        layers = [each for each in self._annotator.viewer.layers if isinstance(each, Labels)]
        wanted = [(each.name, each) for each in layers if not preview.is_preview(each)]
        return [(_NEW_LAYER, None), *wanted]

    def _show_target(self, target: Labels | None) -> None:
        self.target_combo.reset_choices()
        self.target_combo.value = target

    def _show_image(self, image: Image | None) -> None:
        self.reset_choices()
        if image is not None:
            self.image_combo.value = image


def _combo(label: str, choices: Callable[[Any], Any]) -> ComboBox:
    return fit_to_dock(ComboBox(label=label, choices=choices))
