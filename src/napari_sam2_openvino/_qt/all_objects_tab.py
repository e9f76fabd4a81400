"""The tab for finding every object: search, thresholds, commit."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from qtpy.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_sam2_openvino._qt.actions import Action, tooltip, wrapped
from napari_sam2_openvino._qt.finder import Finder
from napari_sam2_openvino._qt.folding import folded
from napari_sam2_openvino._qt.job_progress import time_left
from napari_sam2_openvino._qt.object_forms import FILTER_NAMES, GENERATOR_NAMES
from napari_sam2_openvino._qt.parameter_form import ParameterForm
from napari_sam2_openvino._qt.tab import Tab
from napari_sam2_openvino.core.object_parameters import (
    AllObjectsParameters,
    CandidateFilter,
    LabelsParameters,
    TilingParameters,
)
from napari_sam2_openvino.core.parameters import GeneratorParameters
from napari_sam2_openvino.core.progress import Progress

_REMEMBER = (
    "Keeps what was found on disk, so that the same plane shows it at once another day. It takes "
    "about a tenth of what the image takes."
)


class AllObjectsTab(Tab):
    """Everything about objects that are found without prompts.

    Parameters
    ----------
    finder : Finder
    table : mapping of str to callable
        What to call, by verb.
    actions : iterable of Action
        As returned by `rebind`.
    """

    def __init__(
        self,
        finder: Finder,
        table: Mapping[str, Callable[[], None]],
        actions: Iterable[Action],
    ) -> None:
        super().__init__()
        self._finder = finder
        self._table = table
        self.run_button = QPushButton()
        self.run_button.setToolTip(tooltip("find_objects", actions))
        self.progress_bar = QProgressBar()
        self.progress_bar.setRange(0, 1000)
        self.progress_label = QLabel()
        self.progress_label.setWordWrap(True)
        self.count_label = QLabel()
        self.count_label.setWordWrap(True)
        self.filter_form = ParameterForm(CandidateFilter, names=FILTER_NAMES, is_live=True)
        self.labels_form = ParameterForm(LabelsParameters, is_live=True)
        self.generator_form = ParameterForm(GeneratorParameters, names=GENERATOR_NAMES)
        self.tiling_form = ParameterForm(TilingParameters)
        self.reset_button = QPushButton("Recommended values")
        self.reset_button.setToolTip(wrapped("Puts all values of this tab as the model advises."))
        self.remember_box = QCheckBox("Remember on disk")
        self.remember_box.setToolTip(wrapped(_REMEMBER))
        self.commit_button = QPushButton()
        self.commit_button.setToolTip(tooltip("commit_found", actions))
        self._defaults = AllObjectsParameters()
        self._lay_out()
        self._connect()
        self._show_running(False)
        self._show_count()

    def _lay_out(self) -> None:
        search = QWidget()
        inner = QVBoxLayout(search)
        inner.setContentsMargins(0, 0, 0, 0)
        for form in (self.generator_form, self.tiling_form):
            inner.addWidget(form)
        inner.addWidget(self.remember_box)
        self.search_section = folded("How it is searched", search)
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.run_button)
        layout.addWidget(self.progress_bar)
        layout.addWidget(self.progress_label)
        layout.addWidget(self.search_section)
        layout.addWidget(folded("Which are shown", self.filter_form, is_open=True))
        layout.addWidget(folded("Where they overlap", self.labels_form))
        layout.addWidget(self.count_label)
        last = QHBoxLayout()
        last.addWidget(self.commit_button, 1)
        last.addWidget(self.reset_button)
        layout.addLayout(last)
        layout.addStretch(1)
        self.setWidget(content)

    def _connect(self) -> None:
        finder = self._finder
        self.run_button.clicked.connect(self._on_run)
        self.commit_button.clicked.connect(self._on_commit)
        self.reset_button.clicked.connect(self._on_reset)
        self.remember_box.toggled.connect(finder.set_stored)
        for form in (
            self.filter_form,
            self.labels_form,
            self.generator_form,
            self.tiling_form,
        ):
            form.changed.connect(self._on_changed)
        finder.changed.connect(self._show_count)
        finder.defaults_changed.connect(self._show_defaults)
        finder.running_changed.connect(self._show_running)
        finder.search.progressed.connect(self._show_progress)

    def _on_changed(self, _value: Any) -> None:
        self._finder.set_parameters(
            AllObjectsParameters(
                self.generator_form.value,
                self.filter_form.value,
                self.labels_form.value,
                self.tiling_form.value,
            )
        )

    def _on_run(self) -> None:
        self._table["find_objects"]()

    def _on_commit(self) -> None:
        self._table["commit_found"]()

    def _on_reset(self) -> None:
        self._show_parameters(self._defaults)
        self._finder.set_parameters(self._defaults)

    def _show_defaults(self, parameters: AllObjectsParameters) -> None:
        self._defaults = parameters
        self._show_parameters(parameters)

    def _show_parameters(self, parameters: AllObjectsParameters) -> None:
        self.generator_form.value = parameters.generator
        self.filter_form.value = parameters.filter
        self.labels_form.value = parameters.labels
        self.tiling_form.value = parameters.tiling

    def _show_running(self, is_running: bool) -> None:
        self.run_button.setText("Stop" if is_running else "Find all objects")
        self.progress_bar.setVisible(is_running)
        self.progress_label.setVisible(is_running)
        if is_running:
            self.progress_bar.setValue(0)
            self.progress_label.setText("Starting …")

    def _show_progress(self, progress: Progress, seconds: float) -> None:
        self.progress_bar.setValue(0 if math.isnan(progress.done) else round(1000 * progress.done))
        left = "" if math.isnan(seconds) else time_left(seconds)
        parts = [progress.stage, progress.detail, left]
        self.progress_label.setText(", ".join(part for part in parts if part))

    def _show_count(self) -> None:
        finder = self._finder
        self.commit_button.setEnabled(finder.n_objects > 0 and finder.is_settled)
        self.commit_button.setText(f"Commit {finder.n_objects} objects")
        self.count_label.setText(self._count())

    def _count(self) -> str:
        found, sifted = self._finder.found, self._finder.sifted
        if found is None:
            return "Nothing was searched on this plane yet."
        if sifted is None:
            return "Preparing what was found …"
        n_hidden = len(sifted.objects) - sifted.shown.n_objects
        text = f"{sifted.shown.n_objects} of {len(found.candidates)} candidates are shown"
        if n_hidden:
            text += f"; {n_hidden} more are hidden by others or by what is labelled already"
        kept, wanted = found.kept, self._finder.parameters.filter
        if (
            wanted.pred_iou_thresh < kept.pred_iou_thresh
            or wanted.stability_score_thresh < kept.stability_score_thresh
        ):
            text += (
                f". None was kept of a predicted IoU below {kept.pred_iou_thresh:.2f} or a "
                f"stability below {kept.stability_score_thresh:.2f}"
            )
        return f"{text}."
