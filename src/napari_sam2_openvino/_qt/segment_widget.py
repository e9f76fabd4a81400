"""The dock widget "SAM 2 Segment"."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from magicgui.widgets import ComboBox
from napari.layers import Image, Labels
from napari.viewer import Viewer
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from napari_sam2_openvino import _layers
from napari_sam2_openvino._engine import Engine, Sam2Engine
from napari_sam2_openvino._qt.annotator import Annotator
from napari_sam2_openvino._qt.convert_dialog import ConvertDialog
from napari_sam2_openvino._qt.keys import KEY_CLEAR, KEY_COMMIT, KEY_POLARITY
from napari_sam2_openvino.core.models import STARTER

_NEW_LAYER = "new layer"


class SegmentWidget(QWidget):
    """Click on objects of an image, see their masks, commit them to a Labels layer.

    Parameters
    ----------
    napari_viewer : Viewer
    load_engine : callable, optional
        Makes an engine from a model's name.
    """

    def __init__(
        self, napari_viewer: Viewer, *, load_engine: Callable[[str], Engine] = Sam2Engine
    ) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._models: list[str] = [STARTER]
        self._was_docked = self._closed = False
        self.convert_dialog: ConvertDialog | None = None
        self.annotator = Annotator(napari_viewer, load_engine)
        self._build()
        self._connect()
        # Not a slot of this widget: that would be gone before the widget is.
        self.destroyed.connect(partial(Annotator.close, self.annotator))
        self._choose_first_image()
        self.annotator.session.set_model(STARTER)
        self.refresh_models()

    def _build(self) -> None:
        self.image_combo = _combo("Image", self._image_choices)
        self.model_combo = _combo("Model", self._model_choices)
        self.target_combo = _combo("Write to", self._target_choices)
        self.points_button = QPushButton("Points")
        self.box_button = QPushButton("Box")
        self.positive_radio = QRadioButton("● positive")
        self.negative_radio = QRadioButton("✕ negative")
        self.commit_button = QPushButton(f"Commit ({KEY_COMMIT})")
        self.clear_button = QPushButton(f"Clear ({KEY_CLEAR})")
        self.convert_button = QPushButton("Convert a checkpoint …")
        self.cancel_button = QPushButton("Cancel")
        self.progress_bar = QProgressBar()
        self.progress_bar.setRange(0, 0)
        self.status_label = QLabel()
        self.status_label.setWordWrap(True)
        self._polarity_group = QButtonGroup(self)
        self._polarity_group.addButton(self.positive_radio)
        self._polarity_group.addButton(self.negative_radio)
        self.positive_radio.setChecked(True)
        self._add_tooltips()
        self._lay_out()
        self._show_busy(False)

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for combo in (self.image_combo, self.model_combo, self.target_combo):
            form.addRow(combo.label, combo.native)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addLayout(_row(self.points_button, self.box_button))
        layout.addLayout(
            _row(QLabel(f"Next point ({KEY_POLARITY}):"), self.positive_radio, self.negative_radio)
        )
        layout.addLayout(_row(self.commit_button, self.clear_button))
        layout.addWidget(self.status_label)
        layout.addLayout(_row(self.progress_bar, self.cancel_button))
        layout.addWidget(self.convert_button)

    def _add_tooltips(self) -> None:
        tips = {
            self.image_combo.native: "The image to segment; of a stack, the plane in view.",
            self.model_combo.native: "The SAM 2 model. Larger ones see more and take longer.",
            self.target_combo.native: "The Labels layer that Commit writes to. Its objects stay.",
            self.points_button: "Click on the object to segment, or beside it with a negative "
            "point. The mask follows each click.",
            self.box_button: "Draw a rectangle around the object to segment.",
            self.positive_radio: f"The next point is on the object. Key {KEY_POLARITY} switches.",
            self.negative_radio: "The next point is on what does not belong to the object. "
            f"Key {KEY_POLARITY} switches.",
            self.commit_button: f"Write the mask as a new object. Key {KEY_COMMIT}.",
            self.clear_button: f"Remove the prompts of the current object. Key {KEY_CLEAR}.",
            self.convert_button: "Turn a SAM 2 checkpoint into a model for this list.",
            self.cancel_button: "Stop encoding at once. A model that loads cannot be "
            "interrupted: it is dropped when it is there.",
        }
        for widget, tip in tips.items():
            widget.setToolTip(tip)

    def _connect(self) -> None:
        annotator = self.annotator
        self.image_combo.changed.connect(annotator.set_image)
        self.target_combo.changed.connect(annotator.set_target)
        self.model_combo.changed.connect(annotator.session.set_model)
        self.points_button.clicked.connect(annotator.draw_points)
        self.box_button.clicked.connect(annotator.draw_box)
        self.positive_radio.clicked.connect(self._on_positive)
        self.negative_radio.clicked.connect(self._on_negative)
        self.commit_button.clicked.connect(annotator.commit)
        self.clear_button.clicked.connect(annotator.clear)
        self.cancel_button.clicked.connect(annotator.cancel)
        self.convert_button.clicked.connect(self._on_convert)
        annotator.status_changed.connect(self._show_status)
        annotator.busy_changed.connect(self._show_busy)
        annotator.polarity_changed.connect(self._show_polarity)
        annotator.target_changed.connect(self._show_target)
        annotator.image_changed.connect(self._show_image)

    def reset_choices(self, _event: Any = None) -> None:
        """Read the viewer's layers anew; napari calls this when they change."""
        if not self._closed:
            self.image_combo.reset_choices()
            self.target_combo.reset_choices()

    def refresh_models(self, chosen: str | None = None) -> None:
        """Read the folder of models anew, in the worker, and choose one of them."""
        from napari_sam2_openvino.core.models import list_models

        def on_done(listings: Any) -> None:
            self._models = [each.name for each in listings if each.is_ready] or [STARTER]
            self.model_combo.reset_choices()
            if chosen in self._models:
                self.model_combo.value = chosen

        self.annotator.worker(list_models, on_done, _raise)

    def event(self, event: Any) -> bool:
        """Let go of everything when the dock is closed: napari then takes the widget out of it."""
        if event.type() == QEvent.Type.ParentChange:
            if self.parent() is not None:
                self._was_docked = True
            elif self._was_docked:
                self._close_down()
        return bool(super().event(event))

    def closeEvent(self, event: Any) -> None:  # noqa: N802
        """Let go of everything when the widget is a window of its own."""
        self._close_down()
        super().closeEvent(event)

    def _close_down(self) -> None:
        self._closed = True
        self.annotator.close()
        if self.convert_dialog is not None:
            # The viewer may have destroyed it already, which ends what it does as well.
            with suppress(RuntimeError):
                self.convert_dialog.reject()

    def _choose_first_image(self) -> None:
        self.reset_choices()
        active = self._viewer.layers.selection.active
        if isinstance(active, Image):
            self.image_combo.value = active
        self.annotator.set_image(self.image_combo.value)

    def _image_choices(self, _combo: Any) -> list[tuple[str, Any]]:
        return [(each.name, each) for each in self._viewer.layers if isinstance(each, Image)]

    def _target_choices(self, _combo: Any) -> list[tuple[str, Any]]:
        layers = [each for each in self._viewer.layers if isinstance(each, Labels)]
        wanted = [(each.name, each) for each in layers if not _layers.is_preview(each)]
        return [(_NEW_LAYER, None), *wanted]

    def _model_choices(self, _combo: Any) -> list[str]:
        return self._models

    def _show_status(self, text: str) -> None:
        self.status_label.setText(text)

    def _show_busy(self, is_busy: bool) -> None:
        self.progress_bar.setVisible(is_busy)
        self.cancel_button.setVisible(is_busy)

    def _show_polarity(self, polarity: str) -> None:
        is_positive = polarity == _layers.POSITIVE
        (self.positive_radio if is_positive else self.negative_radio).setChecked(True)

    def _show_target(self, target: Labels | None) -> None:
        self.target_combo.reset_choices()
        self.target_combo.value = target

    def _show_image(self, image: Image | None) -> None:
        self.image_combo.reset_choices()
        if image is not None:
            self.image_combo.value = image

    def _on_positive(self) -> None:
        self.annotator.set_polarity(_layers.POSITIVE)

    def _on_negative(self) -> None:
        self.annotator.set_polarity(_layers.NEGATIVE)

    def _on_convert(self) -> None:
        if self.convert_dialog is None:
            self.convert_dialog = ConvertDialog(self)
            self.convert_dialog.converted.connect(self.refresh_models)
        self.convert_dialog.show()
        self.convert_dialog.raise_()


def _combo(label: str, choices: Callable[[Any], Any]) -> ComboBox:
    combo = ComboBox(label=label, choices=choices)
    combo.native.setSizeAdjustPolicy(
        QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
    )
    return combo


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    for widget in widgets:
        row.addWidget(widget)
    return row


def _raise(error: Exception) -> None:
    raise error
