"""The tab for carrying objects through a stack: which, where to, and what came out of it."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QLabeledRangeSlider

from napari_sam2_openvino._qt.actions import Action, tooltip, wrapped
from napari_sam2_openvino._qt.carried_runs import all_together
from napari_sam2_openvino._qt.carrier import Carrier
from napari_sam2_openvino._qt.folding import folded
from napari_sam2_openvino._qt.job_progress import TimeLeft
from napari_sam2_openvino._qt.parameter_form import ParameterForm
from napari_sam2_openvino._qt.plane_overview import PlaneOverview
from napari_sam2_openvino._qt.score_strip import ScoreStates, ScoreStrip
from napari_sam2_openvino._qt.soon import Soon
from napari_sam2_openvino._qt.tab import Tab
from napari_sam2_openvino.core.progress import Progress
from napari_sam2_openvino.core.propagation_parameters import ScopeParameters
from napari_sam2_openvino.core.volume_parameters import VolumeParameters

VOLUME_NAMES = ("method", "num_maskmem", "min_overlap", "fill_hole_area")

_ALL = "all objects"
_RANGE = "The first and the last plane that may be written. Planes beyond stay as they are."
_SHOWN = "Whose area and score the strip shows: of all objects together, the sum and the lowest."


class VolumeTab(Tab):
    """Everything about objects that go through the planes of a stack.

    Parameters
    ----------
    carrier : Carrier
    overview : PlaneOverview
    table : mapping of str to callable
        What to call, by verb.
    actions : iterable of Action
        As returned by `rebind`.
    """

    def __init__(
        self,
        carrier: Carrier,
        overview: PlaneOverview,
        table: Mapping[str, Callable[[], None]],
        actions: Iterable[Action],
    ) -> None:
        super().__init__()
        self._carrier = carrier
        self._overview = overview
        self._table = table
        self._time_left = TimeLeft()
        self._stack_key: Any = None
        self.about_label = QLabel()
        self.about_label.setWordWrap(True)
        self.scope_form = ParameterForm(ScopeParameters)
        self.range_slider = QLabeledRangeSlider(Qt.Orientation.Horizontal)
        self.range_slider.setAccessibleName("Planes")
        self.range_slider.setToolTip(wrapped(_RANGE))
        self.run_button = QPushButton()
        self.run_button.setToolTip(tooltip("propagate", actions))
        self.take_back_button = QPushButton("Take back")
        self.take_back_button.setToolTip(tooltip("take_back_propagation", actions))
        self.progress_bar = QProgressBar()
        self.progress_bar.setRange(0, 1000)
        self.progress_label = QLabel()
        self.progress_label.setWordWrap(True)
        self.strip = ScoreStrip()
        self.shown_combo = QComboBox()
        self.shown_combo.setToolTip(wrapped(_SHOWN))
        self.result_label = QLabel()
        self.result_label.setWordWrap(True)
        self.volume_form = ParameterForm(VolumeParameters, names=VOLUME_NAMES)
        self._lay_out()
        self._connect()
        self._show_running(False)
        self._show()

    def _lay_out(self) -> None:
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.about_label)
        layout.addWidget(self.scope_form)
        planes = QFormLayout()
        planes.addRow("Planes", self.range_slider)
        layout.addLayout(planes)
        buttons = QHBoxLayout()
        buttons.addWidget(self.run_button, 1)
        buttons.addWidget(self.take_back_button)
        layout.addLayout(buttons)
        layout.addWidget(self.progress_bar)
        layout.addWidget(self.progress_label)
        shown = QFormLayout()
        shown.addRow("Shown", self.shown_combo)
        layout.addLayout(shown)
        layout.addWidget(self.strip)
        layout.addWidget(self.result_label)
        layout.addWidget(folded("How objects are carried", self.volume_form))
        layout.addStretch(1)
        self.setWidget(content)

    def _connect(self) -> None:
        carrier = self._carrier
        self.run_button.clicked.connect(self._on_run)
        self.take_back_button.clicked.connect(self._on_take_back)
        self.scope_form.changed.connect(self._on_scope)
        self.volume_form.changed.connect(self._on_parameters)
        self.range_slider.valueChanged.connect(self._on_range)
        self.strip.plane_clicked.connect(self._overview.go_to)
        self.shown_combo.currentIndexChanged.connect(self._show_found)
        # Several changes of one plane are shown at once.
        self._soon = Soon(self._show)
        carrier.changed.connect(self._soon.ask)
        carrier.running_changed.connect(self._show_running)
        carrier.progressed.connect(self._show_progress)

    def _on_run(self) -> None:
        self._table["propagate"]()

    def _on_take_back(self) -> None:
        self._table["take_back_propagation"]()

    def _on_scope(self, scope: ScopeParameters) -> None:
        self._carrier.scope = scope

    def _on_parameters(self, parameters: VolumeParameters) -> None:
        self._carrier.parameters = parameters
        self._show()

    def _on_range(self, value: tuple[int, int]) -> None:
        self._carrier.range = (int(value[0]), int(value[1]))

    def _show_running(self, is_running: bool) -> None:
        self.run_button.setText("Stop" if is_running else "Carry through the stack")
        self.progress_bar.setVisible(is_running)
        self.progress_label.setVisible(is_running)
        for each in (self.scope_form, self.range_slider, self.volume_form):
            each.setEnabled(not is_running)
        if is_running:
            self._time_left = TimeLeft()
            self.progress_bar.setValue(0)
            self.progress_label.setText("Starting …")
        self._show()

    def _show_progress(self, progress: Progress) -> None:
        known = not math.isnan(progress.done)
        self.progress_bar.setValue(round(1000 * progress.done) if known else 0)
        detail = f", {progress.detail}" if progress.detail else ""
        left = self._time_left.text(progress.done) if known else ""
        self.progress_label.setText(f"{progress.stage}{detail} …{left}")

    def _show(self) -> None:
        if self._carrier.is_closed:
            return
        stack = self._carrier.stack
        self.about_label.setText(self._about())
        key = None if stack is None else stack.key
        if key != self._stack_key:
            self._stack_key = key
            last = 0 if stack is None else len(stack.planes) - 1
            self.range_slider.setRange(0, max(last, 1))
            self.range_slider.setValue((0, last))
            self.range_slider.setEnabled(last > 0)
            self._carrier.range = None
        self.take_back_button.setEnabled(self._carrier.can_take_back)
        self._show_objects()
        self._show_found()

    def _about(self) -> str:
        stack, uses_memory = self._carrier.stack, self._carrier.uses_memory
        if stack is None:
            return "Objects are carried along an axis of planes: choose a stack or a time series."
        how = "" if uses_memory is None else ", by memory" if uses_memory else ", by projection"
        return f"Along {stack.axis_name}, {len(stack.planes)} planes{how}."

    def _show_objects(self) -> None:
        """Offer the objects that were carried, and keep the one that is shown."""
        stack = self._carrier.stack
        found = {} if stack is None else self._carrier.runs.found(self._carrier.target, stack)
        wanted = [_ALL, *(str(label) for label in sorted(found))]
        combo = self.shown_combo
        if wanted != [combo.itemText(index) for index in range(combo.count())]:
            before = combo.currentText()
            combo.blockSignals(True)
            combo.clear()
            combo.addItems(wanted)
            combo.setCurrentText(before if before in wanted else _ALL)
            combo.blockSignals(False)

    def _show_found(self, _index: int = 0) -> None:
        carrier = self._carrier
        stack = carrier.stack
        if stack is None:
            self.strip.set_states(ScoreStates())
            self.result_label.setText("")
            return
        found = carrier.runs.found(carrier.target, stack)
        name = self.shown_combo.currentText()
        planes = found.get(int(name), {}) if name.isdigit() else all_together(found)
        states = ScoreStates(len(stack.planes), stack.current, planes, stack.axis_name)
        self.strip.set_states(states)
        self.result_label.setText(_result(states, carrier.runs.nbytes(carrier.target)))


def _result(states: ScoreStates, nbytes: int) -> str:
    there = sorted(plane for plane, each in states.found.items() if each.area)
    if not there:
        return "" if states.found else "Nothing was carried through these planes yet."
    odd = [str(plane) for plane in there if states.is_odd(plane)]
    text = f"On {len(there)} planes, {there[0]} to {there[-1]}."
    if odd:
        more = " …" if len(odd) > 5 else ""
        text += f" Look at {', '.join(odd[:5])}{more}."
    return f"{text} {max(1, round(nbytes / 1000))} kB are kept to take it back."
