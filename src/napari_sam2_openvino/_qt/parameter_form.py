"""A form for a parameter set, made from what its fields say about themselves."""

from collections.abc import Callable, Iterable
from typing import Any, Generic, Literal, TypeVar, get_args, get_origin, get_type_hints

from magicgui.widgets import CheckBox, ComboBox, FloatSlider, Slider, SpinBox
from psygnal import Signal
from qtpy.QtCore import QEvent, QLocale, QObject, Qt, QTimer
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QLabel,
    QVBoxLayout,
    QWidget,
)

from napari_sam2_openvino._qt.actions import wrapped
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.parameters import Parameter, describe

Values = TypeVar("Values")

# Longer than the time between two steps of a slider that is dragged.
SETTLE_MS = 60
# As often as a picture is drawn.
LIVE_MS = 15
# An integer of at most so many values gets a slider, others an entry with arrows.
_MOST_STEPS = 200
_NUMBER_WIDTH = 44


class ParameterForm(QWidget, Generic[Values]):
    """One row for each parameter of a set: a title, an entry, a tooltip.

    Parameters
    ----------
    parameter_set : type
        A dataclass whose fields are annotated with `Parameter`.
    names : iterable of str, optional
        Parameters to show, in this order; the others keep their defaults.
    is_live : bool, optional
        Whether values are told while a slider is dragged, not only when it rests.
    parent : QWidget, optional

    Signals
    -------
    changed : object
        The new value, when the user has stopped changing it. Not emitted for a value that is
        refused, nor by setting ``value``.
    """

    changed = Signal(object)

    def __init__(
        self,
        parameter_set: Callable[..., Values],
        *,
        names: Iterable[str] | None = None,
        is_live: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._make = parameter_set
        self._hidden: dict[str, Any] = {}
        parameters = describe(parameter_set)  # type: ignore[arg-type]
        types = get_type_hints(parameter_set)
        defaults = parameter_set()
        shown = tuple(parameters) if names is None else tuple(names)
        self._hidden = {name: getattr(defaults, name) for name in parameters if name not in shown}
        self.entries = {
            name: _entry(name, types[name], parameters[name], getattr(defaults, name))
            for name in shown
        }
        for entry in self.entries.values():
            WheelGuard(entry.native)
            DecimalKeys(entry.native)
        self._emitted = self._accepted = defaults
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(LIVE_MS if is_live else SETTLE_MS)
        self._is_live = is_live
        self._timer.timeout.connect(self._on_settled)
        self._lay_out()
        for entry in self.entries.values():
            entry.changed.connect(self._on_edit)

    @property
    def value(self) -> Values:
        """What the form says now; what it said before where that is refused."""
        try:
            self._accepted = self._make(**self._read())
        except InputError as error:
            self._show_problem(str(error))
        else:
            self._show_problem("")
        return self._accepted

    @value.setter
    def value(self, value: Values) -> None:
        for name in self._hidden:
            self._hidden[name] = getattr(value, name)
        for name, entry in self.entries.items():
            entry.value = getattr(value, name)
        # So that nothing of this is told.
        self._timer.stop()
        self._emitted = self._accepted = value
        self._show_problem("")

    def set_row_visible(self, name: str, is_visible: bool) -> None:
        """Show or hide the row of a parameter, which keeps its value."""
        self._form.setRowVisible(self.entries[name].native, is_visible)

    def is_row_visible(self, name: str) -> bool:
        """Whether the row of a parameter is shown."""
        return self._form.isRowVisible(self.entries[name].native)

    def reset(self) -> None:
        """Go back to the defaults, as if the user had entered them."""
        before = self._emitted
        self.value = self._make()
        self._emitted = before
        self._on_settled()

    def _read(self) -> dict[str, Any]:
        return {**self._hidden, **{name: each.value for name, each in self.entries.items()}}

    def _on_edit(self, _value: Any) -> None:
        if not (self._is_live and self._timer.isActive()):
            self._timer.start()

    def _on_settled(self) -> None:
        value = self.value
        if value != self._emitted:
            self._emitted = value
            self.changed.emit(value)

    def _show_problem(self, text: str) -> None:
        self.problem_label.setText(text)
        self.problem_label.setVisible(bool(text))

    def _lay_out(self) -> None:
        self._form = QFormLayout()
        self._form.setContentsMargins(0, 0, 0, 0)
        self._form.setVerticalSpacing(4)
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for entry in self.entries.values():
            tip = wrapped(entry.tooltip or "")
            # magicgui gives the tip of a slider to a part of it only.
            for part in (entry.native, *entry.native.findChildren(QWidget)):
                part.setToolTip(tip)
            if isinstance(entry, CheckBox):
                self._form.addRow(entry.native)
                continue
            label = QLabel(entry.label)
            label.setToolTip(tip)
            label.setBuddy(entry.native)
            self._form.addRow(label, entry.native)
        self.problem_label = QLabel()
        self.problem_label.setWordWrap(True)
        self.problem_label.setVisible(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self._form)
        layout.addWidget(self.problem_label)


def _entry(name: str, kind: Any, parameter: Parameter, default: Any) -> Any:
    """Return the magicgui widget for one parameter."""
    about: dict[str, Any] = {
        "name": name,
        "label": parameter.title,
        "tooltip": parameter.tip,
        "value": default,
    }
    if get_origin(kind) is Literal:
        return fit_to_dock(ComboBox(choices=get_args(kind), **about))
    if kind is bool:
        return CheckBox(**about)
    if parameter.limits is None:
        raise TypeError(f"parameter {name!r} of {kind} needs limits")
    low, high = parameter.limits
    if kind is float:
        step = parameter.step or (high - low) / 100
        return _narrow(FloatSlider(min=low, max=high, step=step, **about))
    about |= {"min": int(low), "max": int(high), "step": int(parameter.step or 1)}
    return _narrow(Slider(**about)) if high - low <= _MOST_STEPS else SpinBox(**about)


def _narrow(slider: Any) -> Any:
    """Take the room that napari's style gives to the arrows of a number, which has none here."""
    for number in slider.native.findChildren(QAbstractSpinBox):
        number.setStyleSheet("background: transparent; border: 0; padding: 0; min-width: 0;")
        number.setFixedWidth(_NUMBER_WIDTH)
    return slider


def fit_to_dock(combo: ComboBox) -> ComboBox:
    """Let a combo be narrower than its longest choice, and return it."""
    native: QComboBox = combo.native
    native.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    native.setMinimumContentsLength(6)
    return combo


class WheelGuard(QObject):
    """Lets the wheel scroll the dock, not change a value that happens to pass under it."""

    def __init__(self, native: QWidget) -> None:
        super().__init__(native)
        for widget in (native, *native.findChildren(QWidget)):
            widget.installEventFilter(self)
            if widget.focusPolicy() == Qt.FocusPolicy.WheelFocus:
                widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def eventFilter(self, widget: Any, event: Any) -> bool:  # noqa: N802
        """Keep the wheel from a widget that has no focus."""
        if event.type() == QEvent.Type.Wheel and not widget.hasFocus():
            event.ignore()
            return True
        return False


class DecimalKeys(QObject):
    """Takes the point and the comma for the decimal sign of a number, whatever the language.

    Where a comma is one, Qt takes a point for the sign between thousands: 0.5 would become 5.
    """

    def __init__(self, native: QWidget) -> None:
        super().__init__(native)
        for number in native.findChildren(QDoubleSpinBox):
            language = number.locale()
            # What is pasted with the other sign is refused, not taken for another number.
            language.setNumberOptions(QLocale.NumberOption.RejectGroupSeparator)
            number.setLocale(language)
            number.installEventFilter(self)

    def eventFilter(self, number: Any, event: Any) -> bool:  # noqa: N802
        """Replace a key that is the other sign."""
        if event.type() == QEvent.Type.KeyPress and event.text() in (".", ","):
            sign = number.locale().decimalPoint()
            if event.text() != sign:
                wanted = QKeyEvent(event.type(), event.key(), event.modifiers(), sign)
                QApplication.sendEvent(number, wanted)
                return True
        return False
