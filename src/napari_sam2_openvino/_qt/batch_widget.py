"""The dock widget "SAM 2 Batch"."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

from napari.layers import Image
from napari.viewer import Viewer
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
)

from napari_sam2_openvino._files.images import LABELS_SUFFIXES
from napari_sam2_openvino._qt.batch_forms import BatchForms
from napari_sam2_openvino._qt.batch_input import BatchInput
from napari_sam2_openvino._qt.batch_jobs import BatchRun, TrialRun, name_labels, place_in_view
from napari_sam2_openvino._qt.batch_prompts import BatchPrompts
from napari_sam2_openvino._qt.batch_results import BatchResults
from napari_sam2_openvino._qt.dock import DockWidget
from napari_sam2_openvino._qt.job_progress import JobProgress
from napari_sam2_openvino._qt.jobs import ComputeWorker
from napari_sam2_openvino._qt.model_listings import ModelListings, labelled, say_gone
from napari_sam2_openvino._qt.tab import Tab
from napari_sam2_openvino._settings import read_preferences
from napari_sam2_openvino.batch.objects import EveryObject, recommended_parameters
from napari_sam2_openvino.batch.prompted import PromptedObjects
from napari_sam2_openvino.batch.segmenter import ModelRecipe, PlaneRecipe
from napari_sam2_openvino.batch.stack import StackSettings
from napari_sam2_openvino.core.errors import InputError, JobCancelledError, Sam2Error
from napari_sam2_openvino.core.models import STARTER, ModelListing, choose_default
from napari_sam2_openvino.core.object_parameters import AllObjectsParameters

MakeRecipe = Callable[[str, AllObjectsParameters], PlaneRecipe]
"""Makes, in a worker, what finds the objects of a plane, from the name of a model."""

_FORMATS = {"OME-Zarr (opens while it grows)": ".zarr", "TIFF": ".tif"}
# The viewer draws anew at most so often.
_REFRESH_SECONDS = 0.5


class BatchWidget(DockWidget):
    """Segments stacks, files and folders, plane by plane, in the background.

    Parameters
    ----------
    napari_viewer : Viewer
    make_recipe : callable, optional
        What finds the objects.
    """

    def __init__(self, napari_viewer: Viewer, *, make_recipe: MakeRecipe | None = None) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._make_recipe = make_recipe or _every_object
        self._is_told = False
        self._refreshed = 0.0
        self._layers: tuple[Image, ...] = ()
        self._run: BatchRun | None = None
        self._trial: TrialRun | None = None
        self._worker = ComputeWorker()
        self._has_models = False
        self._suggested = ""
        self.listings = ModelListings(self._worker)
        self._build()
        self._lay_out()
        self._connect()
        self._suggest_output()
        self._show_running(False)
        self.listings.refresh()

    def _build(self) -> None:
        self.input = BatchInput(self._viewer, self._worker)
        self.prompts = BatchPrompts(self._viewer, self.input)
        self.results = BatchResults(self._viewer, self._worker)
        self.forms = BatchForms()
        self.model_combo = QComboBox()
        self.model_combo.addItem(STARTER, STARTER)
        self.format_combo = QComboBox()
        self.format_combo.addItems(list(_FORMATS))
        self.output_edit = QLineEdit()
        self.output_edit.setAccessibleName("Labels in")
        self.output_edit.setPlaceholderText("a file; a folder for several images")
        self.browse_button = QPushButton("Browse …")
        self.replace_check = QCheckBox("Replace labels that are there")
        self.try_button = QPushButton("Try on this plane first")
        self.try_button.setToolTip(
            "Shows the objects of the plane in view (of files: of the middle plane of the first "
            "one), and how long all planes would take. Nothing is written."
        )
        self.run_button = QPushButton("Run")
        self.resume_button = QPushButton("Resume")
        self.resume_button.setToolTip(
            "Goes on with what was begun with the same settings: planes that are finished are not "
            "done again."
        )
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip("Planes that are finished stay, and can be resumed.")
        self.progress = JobProgress(with_estimate=False)
        self.report_label = QLabel()
        self.report_label.setWordWrap(True)

    def _lay_out(self) -> None:
        output = QHBoxLayout()
        output.addWidget(self.output_edit, 1)
        output.addWidget(self.browse_button)
        rows = QFormLayout()
        rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        rows.addRow("Model", self.model_combo)
        rows.addRow("Labels as", self.format_combo)
        rows.addRow("Labels in", output)
        rows.addRow(self.replace_check)
        scrolled = Tab()
        scrolled.setWidget(self.forms)
        buttons = QHBoxLayout()
        for button in (self.run_button, self.resume_button, self.cancel_button):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.addWidget(self.input)
        layout.addWidget(self.prompts)
        layout.addLayout(rows)
        layout.addWidget(scrolled, 1)
        layout.addWidget(self.try_button)
        layout.addLayout(buttons)
        layout.addWidget(self.progress)
        layout.addWidget(self.report_label)

    def _connect(self) -> None:
        self.listings.changed.connect(self._show_models)
        self.input.changed.connect(self._suggest_output)
        self.format_combo.currentIndexChanged.connect(self._on_format)
        self.model_combo.currentIndexChanged.connect(self._read_recommendation)
        self.browse_button.clicked.connect(self._browse)
        self.try_button.clicked.connect(self.try_plane)
        self.run_button.clicked.connect(partial(self.run, resume=False))
        self.resume_button.clicked.connect(partial(self.run, resume=True))
        self.cancel_button.clicked.connect(self.progress.cancel)
        self.progress.progressed.connect(self._on_progress)
        self.progress.succeeded.connect(self._on_success)
        self.progress.failed.connect(self._on_failure)
        # Not a slot of this widget: that would be gone before the widget is.
        self.destroyed.connect(self.listings.close)
        self.destroyed.connect(self._worker.close)

    def run(self, *, resume: bool) -> None:
        """Segment all planes that were chosen, or those that are missing."""
        if self.progress.is_running:
            return
        try:
            output = Path(self._output).expanduser()
            if not self._output:
                raise InputError("Say where the labels go.")
            images, paths = self.input.images(), self.input.paths
            if not images and not paths:
                raise InputError("Choose an image layer, files or a folder first.")
            job = BatchRun(images, paths, output, self._suffix, self._settings(resume))
        except Sam2Error as error:
            self.progress.say(str(error))
            return
        job.axes = self.input.axes
        self._begin(run=job)
        self.results.forget_trial()
        self.progress.start(job)

    def try_plane(self) -> None:
        """Segment the plane in view alone, and show what is found."""
        if self.progress.is_running:
            return
        try:
            image, layers = self.input.first(), self.input.layers
            place = (
                place_in_view(self._viewer, layers[0], image)
                if layers
                else tuple(length // 2 for length in image.axes.labels_shape[:-2])
            )
            job = TrialRun(image, place, self._settings(resume=False))
        except Sam2Error as error:
            self.progress.say(str(error))
            return
        self._begin(trial=job)
        self.progress.start(job)

    def _settings(self, resume: bool) -> Callable[[], StackSettings]:
        """Read the forms, and return what makes the settings of it in a worker."""
        parameters, planes = self.forms.parameters, self.forms.planes
        overwrite = self.replace_check.isChecked() and not resume
        assert parameters.objects is not None
        model, table = self._model, self.prompts.table()
        recipe: Callable[[], PlaneRecipe]
        if table is None:
            recipe = partial(self._make_recipe, model, parameters.objects)
        else:
            recipe = partial(_prompted, model, table)
        return lambda: StackSettings(
            recipe(), parameters, planes, resume=resume, overwrite=overwrite
        )

    def _begin(self, *, run: BatchRun | None = None, trial: TrialRun | None = None) -> None:
        self._run, self._trial, self._is_told = run, trial, False
        # Others may be selected by the time that something is to be shown.
        self._layers = self.input.layers
        self.report_label.setText("")
        self._show_running(True)

    @property
    def _output(self) -> str:
        return self.output_edit.text().strip()

    @property
    def _suffix(self) -> str:
        return _FORMATS[self.format_combo.currentText()]

    def _on_progress(self, _progress: Any) -> None:
        if self._run is None or self._closed:
            return
        if self._run.outputs is not None and not self._is_told:
            self._is_told = True
            self.results.begin(self._run.outputs, self._layers, anew=self.replace_check.isChecked())
        if self._is_told and monotonic() - self._refreshed > _REFRESH_SECONDS:
            self._refreshed = monotonic()
            self.results.follow()

    def _on_success(self) -> None:
        self._show_running(False)
        if self._closed:
            return
        if self._trial is not None:
            self._show_trial(self._trial)
        elif self._run is not None:
            self._show_report(self._run)

    def _show_trial(self, trial: TrialRun) -> None:
        self.progress.say(str(trial.result))
        layer = self._layers[0] if self._layers else None
        if trial.labels is not None:
            self.results.show_trial(trial.image, layer, trial.place, trial.labels)

    def _show_report(self, run: BatchRun) -> None:
        report = run.report
        self.progress.say(f"{report}." if report is not None else "Done.")
        stacks = () if report is None else report.stacks
        self.report_label.setText("\n".join(str(each) for each in stacks if not each.is_whole))
        self.results.finish()

    def _on_failure(self, error: Exception) -> None:
        self._show_running(False)
        if self._closed:
            return
        if isinstance(error, JobCancelledError) and self._run is not None:
            self.results.follow()
            report = self._run.report
            done = f": {report}" if report is not None and report.stacks else ""
            self.progress.say(f"Cancelled{done}. Resume goes on.")

    def _show_running(self, is_running: bool) -> None:
        self.cancel_button.setEnabled(is_running)
        inputs = (self.input, self.prompts, self.model_combo, self.format_combo)
        buttons = (self.browse_button, self.try_button, self.run_button, self.resume_button)
        for widget in (*inputs, self.output_edit, self.forms, *buttons, self.replace_check):
            widget.setEnabled(not is_running)

    def _suggest_output(self) -> None:
        """Name labels after the image, unless the user has named them."""
        if self._output in ("", self._suggested):
            folder = Path(self._output).parent if self._output else Path.cwd()
            names = [layer.name for layer in self.input.layers]
            name = name_labels(names, self.input.paths, folder, self._suffix)
            if name is not None:
                self._suggested = str(name)
                self.output_edit.setText(self._suggested)

    def _on_format(self) -> None:
        """Let the end of the name say the format, also of one that the user has given."""
        path = Path(self._output)
        if self._output != self._suggested and path.suffix.lower() in LABELS_SUFFIXES:
            self.output_edit.setText(str(path.with_suffix(self._suffix)))
        self._suggest_output()

    def _browse(self) -> None:
        is_one = len(self.input.layers) == 1
        if is_one or (len(self.input.paths) == 1 and self.input.paths[0].suffix):
            chosen, _ = QFileDialog.getSaveFileName(
                self, "Labels", self.output_edit.text(), f"Labels (*{self._suffix})"
            )
        else:
            chosen = QFileDialog.getExistingDirectory(self, "A folder for labels")
        if chosen:
            self.output_edit.setText(chosen)

    def _show_models(self, listings: Sequence[ModelListing]) -> None:
        """Offer the models that are there; what is chosen stays, unless it is gone."""
        chosen = self._model if self._has_models else read_preferences().default_model
        names = [name for _, name in labelled(listings)]
        wanted = (
            chosen if chosen in names and self._has_models else choose_default(listings, chosen)
        )
        self.model_combo.blockSignals(True)
        self.model_combo.clear()
        for text, name in labelled(listings):
            self.model_combo.addItem(text, name)
        self.model_combo.setCurrentIndex(names.index(wanted))
        self.model_combo.blockSignals(False)
        if wanted != chosen and self._has_models and not self.progress.is_running:
            self.progress.say(say_gone(chosen, wanted))
        if wanted != chosen or not self._has_models:
            self._read_recommendation()
        self._has_models = True

    @property
    def _model(self) -> str:
        return str(self.model_combo.currentData())

    def _read_recommendation(self) -> None:
        job = partial(_recommendation, self._model)
        self._worker(job, self.forms.show_objects, self._on_problem)

    def _on_problem(self, error: Exception) -> None:
        if not isinstance(error, Sam2Error):
            raise error
        self.progress.say(str(error))

    def _read_layers(self) -> None:
        if not self.progress.is_running:
            self.input.reset_choices()
            self.prompts.reset_choices()

    def _let_go(self) -> None:
        self.progress.cancel()
        self.listings.close()
        self._worker.close()


def _every_object(model: str, parameters: AllObjectsParameters) -> PlaneRecipe:
    return EveryObject(ModelRecipe.of(model), parameters)


def _prompted(model: str, table: Callable[[], Any]) -> PlaneRecipe:
    return PromptedObjects(ModelRecipe.of(model), table())


def _recommendation(model: str) -> AllObjectsParameters:
    return recommended_parameters(ModelRecipe.of(model))


def _raise(error: Exception) -> None:
    raise error
