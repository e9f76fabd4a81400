"""What the network sees: channels, intensities, and a look at the result."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from magicgui.widgets import ComboBox
from psygnal import Signal
from qtpy.QtCore import Signal as QtSignal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QCheckBox, QFormLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_sam2_openvino._qt.actions import tooltip, wrapped
from napari_sam2_openvino._qt.parameter_form import ParameterForm, WheelGuard, fit_to_dock
from napari_sam2_openvino.core.parameters import Normalization

ChannelKind = Literal["one layer", "layers", "axis"]
Choices = Callable[[Any], list[tuple[str, Any]]]

_KINDS: tuple[tuple[str, ChannelKind], ...] = (
    ("of the image", "one layer"),
    ("from layers", "layers"),
    ("along an axis", "axis"),
)
_COLORS = ("Red", "Green", "Blue")
_NOTHING = ("—", None)


@dataclass(frozen=True)
class AxisChoice:
    """An axis of the image whose entries are channels.

    Parameters
    ----------
    axis : int
    name : str
    length : int
    """

    axis: int
    name: str
    length: int


@dataclass(frozen=True)
class ChannelChoice:
    """Which channels become red, green and blue.

    Parameters
    ----------
    kind : {"one layer", "layers", "axis"}
        The chosen image alone, several layers, or several entries along an axis of the image.
    layers : tuple of layer or None, optional
        For "layers": the layers of red, green and blue.
    axis : int, optional
        For "axis": which.
    indices : tuple of int or None, optional
        For "axis": the entries of red, green and blue.
    as_grey : bool, optional
        Whether the network sees the brightest of several channels in grey instead of colours.
    """

    kind: ChannelKind = "one layer"
    layers: tuple[Any, Any, Any] = (None, None, None)
    axis: int | None = None
    indices: tuple[int | None, int | None, int | None] = (None, None, None)
    as_grey: bool = False


class ImagePanel(QWidget):
    """Channels, intensities, and buttons that concern the image the network sees.

    Parameters
    ----------
    layer_choices : callable
        Returns (name, layer) of the layers that may be channels; called with a combo.
    axis_choices : callable, optional
        Returns the axes of the image that may hold channels.
    parent : QWidget, optional

    Signals
    -------
    channels_changed : ChannelChoice
    normalization_changed : Normalization
    show_input_clicked, use_contrast_clicked
        The buttons.
    """

    channels_changed = Signal(object)
    normalization_changed = Signal(object)
    show_input_clicked = QtSignal()
    use_contrast_clicked = QtSignal()

    def __init__(
        self,
        layer_choices: Choices,
        axis_choices: Callable[[], list[AxisChoice]] = list,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._layer_choices = layer_choices
        self._axis_choices = axis_choices
        self._is_stack = False
        self._is_quiet = False
        self._build()
        self._lay_out()
        self._connect()
        self._emitted = self.channels
        self._show_rows()

    @property
    def channels(self) -> ChannelChoice:
        """The channels that are chosen."""
        kind, as_grey = self.kind_combo.value, self.grey_box.isChecked()
        if kind == "layers":
            red, green, blue = (combo.value for combo in self.layer_combos)
            return ChannelChoice(kind, layers=(red, green, blue), as_grey=as_grey)
        if kind == "axis":
            red, green, blue = (combo.value for combo in self.index_combos)
            axis = self.axis_combo.value
            return ChannelChoice(kind, axis=axis, indices=(red, green, blue), as_grey=as_grey)
        return ChannelChoice()

    @channels.setter
    def channels(self, choice: ChannelChoice) -> None:
        with self._quietly():
            self.kind_combo.value = choice.kind
            self.grey_box.setChecked(choice.as_grey)
            if choice.kind == "layers":
                _set_each(self.layer_combos, choice.layers)
            elif choice.kind == "axis":
                self.axis_combo.value = choice.axis
                self._reset_indices()
                _set_each(self.index_combos, choice.indices)
        self._emitted = self.channels
        self._show_rows()

    @property
    def normalization(self) -> Normalization:
        """How intensities are chosen to be treated."""
        return self.normalization_form.value

    @normalization.setter
    def normalization(self, value: Normalization) -> None:
        self.normalization_form.value = value
        self._show_rows()

    def reset_choices(self, _event: Any = None) -> None:
        """Read layers and axes anew; a layer that is gone is taken out of the channels."""
        with self._quietly():
            for combo in (*self.layer_combos, self.axis_combo):
                _reset(combo)
            self._reset_indices()
            if self.kind_combo.value == "axis" and not self._axes():
                self.kind_combo.value = "one layer"
        self._on_channels()

    def set_is_stack(self, is_stack: bool) -> None:
        """Say whether there are several planes, so that intensities may be those of all."""
        self._is_stack = is_stack
        self._show_rows()

    def offer_contrast(self, is_offered: bool) -> None:
        """Show or hide the button that takes over the contrast limits as they are now."""
        self.contrast_button.setVisible(is_offered)

    def show_region(self, text: str) -> None:
        """Say which part of the image is in use; "" says nothing."""
        self.region_label.setText(text)
        self.region_label.setVisible(bool(text))

    def _build(self) -> None:
        self.kind_combo = fit_to_dock(ComboBox(label="Channels", choices=list(_KINDS)))
        self.kind_combo.native.setToolTip(
            wrapped(
                "What becomes red, green and blue. Of the image: a grey one is used for all "
                "three. From layers, along an axis: up to three."
            )
        )
        self.layer_combos = [
            fit_to_dock(ComboBox(label=color, choices=self._optional_layers)) for color in _COLORS
        ]
        self.axis_combo = fit_to_dock(ComboBox(label="Axis", choices=self._axes_by_name))
        self.index_combos = [
            fit_to_dock(ComboBox(label=color, choices=self._optional_indices)) for color in _COLORS
        ]
        self.grey_box = QCheckBox("in grey, the brightest channel")
        self.grey_box.setToolTip(
            wrapped(
                "Show the network the brightest of the channels instead of colours. Better for "
                "models that know no false colours, such as the starter."
            )
        )
        self.normalization_form = ParameterForm(Normalization)
        self.contrast_button = QPushButton("Contrast changed: use it")
        self.contrast_button.setToolTip(
            wrapped(
                "The contrast limits or gamma of the layer are not those that were encoded. Press "
                "to encode the plane anew with those on screen."
            )
        )
        self.contrast_button.hide()
        self.show_input_button = QPushButton("Show what the network sees")
        self.show_input_button.setToolTip(tooltip("show_input"))
        self.region_label = QLabel()
        self.region_label.setWordWrap(True)
        self.region_label.hide()

    def _lay_out(self) -> None:
        self._form = QFormLayout()
        self._form.setContentsMargins(0, 0, 0, 0)
        self._form.setVerticalSpacing(4)
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for combo in (self.kind_combo, *self.layer_combos, self.axis_combo, *self.index_combos):
            label = QLabel(combo.label)
            label.setBuddy(combo.native)
            WheelGuard(combo.native)
            self._form.addRow(label, combo.native)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self._form)
        layout.addWidget(self.grey_box)
        layout.addWidget(self.normalization_form)
        layout.addWidget(self.contrast_button)
        layout.addWidget(self.region_label)
        layout.addWidget(self.show_input_button)

    def _connect(self) -> None:
        for combo in (self.kind_combo, *self.layer_combos, *self.index_combos):
            combo.changed.connect(self._on_channels)
        self.axis_combo.changed.connect(self._on_axis)
        self.grey_box.toggled.connect(self._on_channels)
        self.normalization_form.entries["mode"].changed.connect(self._show_rows)
        self.normalization_form.changed.connect(self.normalization_changed)
        self.contrast_button.clicked.connect(self.use_contrast_clicked)
        self.show_input_button.clicked.connect(self.show_input_clicked)

    def _optional_layers(self, combo: Any) -> list[tuple[str, Any]]:
        return [_NOTHING, *self._layer_choices(combo)]

    def _axes(self) -> list[AxisChoice]:
        return self._axis_choices()

    def _axes_by_name(self, _combo: Any) -> list[tuple[str, Any]]:
        return [(f"{each.name} ({each.length})", each.axis) for each in self._axes()]

    def _optional_indices(self, _combo: Any) -> list[tuple[str, Any]]:
        lengths = {each.axis: each.length for each in self._axes()}
        length = lengths.get(self.axis_combo.value, 0)
        return [_NOTHING, *((str(index), index) for index in range(length))]

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        """Tell of no change that is made within."""
        before, self._is_quiet = self._is_quiet, True
        try:
            yield
        finally:
            self._is_quiet = before

    def _reset_indices(self) -> None:
        for combo in self.index_combos:
            combo.reset_choices()

    def _on_axis(self, _axis: Any) -> None:
        with self._quietly():
            self._reset_indices()
        self._on_channels()

    def _on_channels(self, _value: Any = None) -> None:
        if self._is_quiet:
            return
        self._show_rows()
        channels = self.channels
        if channels != self._emitted:
            self._emitted = channels
            self.channels_changed.emit(channels)

    def _show_rows(self, _value: Any = None) -> None:
        """Show what the present choices give a meaning to."""
        kind = self.kind_combo.value
        for combo in self.layer_combos:
            self._form.setRowVisible(combo.native, kind == "layers")
        for combo in (self.axis_combo, *self.index_combos):
            self._form.setRowVisible(combo.native, kind == "axis")
        self.grey_box.setVisible(kind != "one layer")
        form = self.normalization_form
        mode = form.entries["mode"].value
        for name in ("low_percentile", "high_percentile"):
            form.set_row_visible(name, mode == "percentiles")
        is_measured = mode in ("percentiles", "minimum to maximum")
        form.set_row_visible("whole_stack", is_measured and self._is_stack)


def _reset(combo: ComboBox) -> None:
    """Read what there is to choose anew; what is chosen stays, also under another name."""
    value = combo.value
    combo.reset_choices()
    if value in combo.choices:
        combo.value = value


def _set_each(combos: list[ComboBox], values: tuple[Any, ...]) -> None:
    for combo, value in zip(combos, values, strict=True):
        combo.value = value
