"""The dock widget "SAM 2 Models"."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from napari.viewer import Viewer
from qtpy.QtCore import Qt, QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_sam2_openvino._qt.convert_dialog import ConvertDialog
from napari_sam2_openvino._qt.decision import Decision
from napari_sam2_openvino._qt.dock import DockWidget
from napari_sam2_openvino._qt.job_progress import CANCELLED, JobProgress
from napari_sam2_openvino._qt.jobs import ComputeWorker
from napari_sam2_openvino._qt.model_actions import ModelActions
from napari_sam2_openvino._qt.model_jobs import CompareRun, QuantizeRun
from napari_sam2_openvino._qt.model_listings import ModelListings
from napari_sam2_openvino._qt.model_pages import ModelPages
from napari_sam2_openvino._qt.model_runs import ModelRuns
from napari_sam2_openvino._qt.model_table import ModelTable, describe_model
from napari_sam2_openvino._settings import read_preferences, save_preferences
from napari_sam2_openvino.comparison.saved_report import read_report
from napari_sam2_openvino.conversion.download import DownloadJob
from napari_sam2_openvino.conversion.model_files import files_of, folder_of, remove_files
from napari_sam2_openvino.conversion.tune_job import TuneJob
from napari_sam2_openvino.core.catalogue import find_entry
from napari_sam2_openvino.core.errors import Sam2Error
from napari_sam2_openvino.core.model_folder import REPORT_FOLDER
from napari_sam2_openvino.core.models import STARTER, ModelListing

_TABLE_HEIGHT = 210
_WIDTH = 440


class ModelsWidget(DockWidget):
    """Every model there is, and what can be done with it.

    Parameters
    ----------
    napari_viewer : Viewer
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._worker = ComputeWorker()
        self.listings = ModelListings(self._worker)
        self.convert_dialog: ConvertDialog | None = None
        self._build()
        self._lay_out()
        self._connect()
        self._show_running(False)
        self.listings.refresh()

    def _build(self) -> None:
        self.table = ModelTable()
        self.about_label = QLabel()
        self.about_label.setWordWrap(True)
        # Hashes and web addresses are there to be copied.
        self.about_label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.buttons = ModelActions()
        self.progress = JobProgress()
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip("Ends it at once; nothing is left behind.")
        self.pages = ModelPages(self._viewer, self._worker)
        self.decision = Decision(self._worker)
        self._runs = ModelRuns(self, self.progress, self.decision)

    def _lay_out(self) -> None:
        status = QHBoxLayout()
        status.addWidget(self.progress, 1)
        status.addWidget(self.cancel_button)
        self.table.setMinimumHeight(_TABLE_HEIGHT)
        self.setMinimumWidth(_WIDTH)
        layout = QVBoxLayout(self)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.about_label)
        layout.addWidget(self.buttons)
        layout.addLayout(status)
        layout.addWidget(self.pages, 2)
        layout.addWidget(self.decision)
        self._show_page(None)

    def _connect(self) -> None:
        self.listings.changed.connect(self._show_models)
        self.table.chosen_changed.connect(self._show_chosen)
        calls: dict[str, Callable[[], None]] = {
            "download": self.download,
            "convert": self.convert,
            "quantize": self.ask_to_quantize,
            "compare": self.ask_to_compare,
            "tune": self.tune,
            "report": self.show_report,
            "default": self.use_by_default,
            "folder": self.open_folder,
            "remove": self.remove,
        }
        for name, call in calls.items():
            self.buttons.by_name[name].clicked.connect(partial(_call, call))
        self.pages.quantize_form.start_button.clicked.connect(self.quantize)
        self.pages.compare_form.start_button.clicked.connect(self.compare)
        self.decision.decided.connect(self._on_decided)
        self.decision.refused.connect(self.progress.say)
        self.cancel_button.clicked.connect(self.progress.cancel)
        self._runs.running_changed.connect(self._show_running)
        # What was made is in the list, and what a self-test has found is news.
        self._runs.ended.connect(self.listings.refresh)
        # Not slots of this widget: they would be gone before the widget is.
        self.destroyed.connect(self.decision.undecided.discard)
        self.destroyed.connect(self.listings.close)
        self.destroyed.connect(self._worker.close)

    @property
    def chosen(self) -> ModelListing | None:
        """The model that the buttons are about."""
        return self.table.chosen

    def download(self) -> None:
        """Download the checkpoint of the chosen model."""
        if (chosen := self.chosen) is not None:
            done = f"{chosen.name} is downloaded; Convert makes a model of it."
            self._runs.start(partial(DownloadJob, chosen.name), lambda _: self.progress.say(done))

    def convert(self) -> None:
        """Open the dialog that converts a checkpoint, about the chosen model."""
        if self.convert_dialog is None:
            self.convert_dialog = ConvertDialog(self)
            self.convert_dialog.converted.connect(self._on_converted)
        chosen = self.chosen
        entry = find_entry(chosen.name) if chosen is not None and chosen.is_published else None
        if entry is not None and not self.convert_dialog.is_running:
            self.convert_dialog.suggest(entry)
        self.convert_dialog.show()
        self.convert_dialog.raise_()

    def ask_to_quantize(self) -> None:
        """Ask how the chosen model is to be quantized."""
        if (chosen := self.chosen) is not None:
            taken = frozenset(each.name for each in self.listings.value)
            self.pages.quantize_form.images.reset_choices()
            self.pages.quantize_form.ask(chosen, taken)
            self._show_page(self.pages.quantize_form)

    def quantize(self) -> None:
        """Quantize as the form says; the report is shown before anything is kept."""

        def on_done(run: QuantizeRun) -> None:
            if self.progress.was_cancelled:
                # It had ended, but to cancel it threw away what it had made.
                self.progress.say(CANCELLED)
                return
            assert run.report is not None
            self.pages.report_view.show_report(run.report)
            self.decision.ask(run)
            self.progress.say(f"{run.report.advice.sentence} Look at the masks, then decide.")
            self._show_page(self.pages.report_view)

        self._runs.start(self.pages.quantize_form.make_run, on_done)

    def ask_to_compare(self) -> None:
        """Ask what the chosen model is to be compared with."""
        if (chosen := self.chosen) is not None:
            others = [each for each in self.listings.value if each.is_ready and each != chosen]
            self.pages.compare_form.images.reset_choices()
            self.pages.compare_form.ask(chosen, others)
            self._show_page(self.pages.compare_form)

    def compare(self) -> None:
        """Compare as the form says, and show the report."""
        form = self.pages.compare_form
        if form.model is None or form.original is None:
            self.progress.say("There is no other model to compare it with: convert one first.")
            return

        def on_done(run: CompareRun) -> None:
            assert run.report is not None
            self.pages.report_view.show_report(run.report)
            self.progress.say(f"The report is saved in {run.folder}.")
            self._show_page(self.pages.report_view)

        self._runs.start(form.make_run, on_done)

    def tune(self) -> None:
        """Try out what the chosen model runs best with."""
        if (chosen := self.chosen) is None:
            return

        def on_done(job: TuneJob) -> None:
            assert job.tuning is not None
            self.pages.tuning_view.show_tuning(chosen.name, job.tuning)
            self.progress.say("")
            self._show_page(self.pages.tuning_view)

        self._runs.start(partial(TuneJob, chosen.name), on_done)

    def show_report(self) -> None:
        """Show the report that was made when the chosen model was quantized."""
        if (chosen := self.chosen) is None or chosen.folder is None:
            return

        def on_read(report: Any) -> None:
            # What the user decides on is what is shown.
            if not self.decision.is_open:
                self.pages.report_view.show_report(report)
                self._show_page(self.pages.report_view)

        self._worker(partial(read_report, chosen.folder / REPORT_FOLDER), on_read, self._on_problem)

    def use_by_default(self) -> None:
        """Let windows begin with the chosen model, if it gives the right masks here."""
        if (chosen := self.chosen) is None:
            return

        def on_done(_job: TuneJob) -> None:
            save_preferences(default_model=chosen.name)
            self.progress.say(f"Windows begin with {chosen.name} from now on.")
            self._show_chosen()

        self._runs.start(partial(TuneJob, chosen.name, only_check=True), on_done)

    def open_folder(self) -> None:
        """Show the files of the chosen model."""
        folder = None if self.chosen is None else folder_of(self.chosen)
        if folder is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))

    def remove(self) -> None:
        """Remove the chosen model, if the user is sure."""
        chosen = self.chosen
        if chosen is None:
            return
        place = files_of(chosen)
        answer = QMessageBox.question(
            self, "Remove a model", f"Remove {chosen.name}, {place}? It cannot be brought back."
        )
        if answer == QMessageBox.StandardButton.Yes:
            job = partial(remove_files, place)
            self._worker(job, partial(self._on_removed, chosen), self._on_problem)

    def _on_decided(self, sentence: str, name: str) -> None:
        self.progress.say(sentence)
        self.table.choose(name)
        self._show_page(None)
        self.listings.refresh()

    def _on_removed(self, removed: ModelListing, _nothing: None) -> None:
        self.progress.say(f"{removed.name} is removed.")
        is_model = removed.folder is not None
        if is_model and read_preferences().default_model == removed.name:
            save_preferences(default_model=STARTER)
        self._show_page(None)
        self.listings.refresh()

    def _on_converted(self, name: str) -> None:
        self.progress.say(f"{name} is in the list of models.")
        self.table.choose(name)
        self.listings.refresh()

    def _on_problem(self, error: Exception) -> None:
        if not isinstance(error, Sam2Error):
            raise error
        self.progress.say(str(error))

    def _show_models(self, listings: tuple[ModelListing, ...]) -> None:
        self.table.show_models(listings)
        self._show_chosen()

    def _show_chosen(self) -> None:
        chosen = self.chosen
        self.about_label.setText("" if chosen is None else describe_model(chosen))
        default = read_preferences().default_model
        has_folder = chosen is not None and folder_of(chosen) is not None
        self.buttons.show_for(chosen, default, is_free=self._runs.is_free, has_folder=has_folder)

    def _show_page(self, page: QWidget | None) -> None:
        self.pages.show_page(page)
        self.decision.setVisible(page is self.pages.report_view and self.decision.is_open)
        self._show_chosen()

    def _show_running(self, is_running: bool) -> None:
        self.cancel_button.setVisible(is_running)
        self.pages.set_asking(not is_running)
        if not is_running:
            # Layers may have come or gone meanwhile.
            self.pages.reset_choices()
        self._show_chosen()

    def _read_layers(self) -> None:
        if not self.progress.is_running:
            self.pages.reset_choices()

    def _let_go(self) -> None:
        self._runs.close()
        self.decision.undecided.discard()
        self.listings.close()
        self._worker.close()
        if self.convert_dialog is not None:
            # The viewer may have destroyed it already, which ends what it does as well.
            with suppress(RuntimeError):
                self.convert_dialog.reject()


def _call(call: Callable[[], None], _is_checked: bool = False) -> None:
    call()
