"""The jobs of the dock for models, one at a time."""

from collections.abc import Callable
from functools import partial
from typing import Any

from qtpy.QtCore import QObject
from qtpy.QtCore import Signal as QtSignal  # type: ignore[attr-defined]

from napari_sam2_openvino._qt.decision import Decision
from napari_sam2_openvino._qt.job_progress import JobProgress
from napari_sam2_openvino._qt.jobs import CancellableJob
from napari_sam2_openvino.core.errors import Sam2Error


class ModelRuns(QObject):
    """Begins jobs and hands over what they made.

    Parameters
    ----------
    parent : QObject
    progress : JobProgress
        Runs them.
    decision : Decision
        While it is open no job begins.

    Signals
    -------
    running_changed : bool
    ended : no argument
        After what was made is handed over; also when a job failed or was cancelled.
    """

    running_changed = QtSignal(bool)
    ended = QtSignal()

    def __init__(self, parent: QObject, progress: JobProgress, decision: Decision) -> None:
        super().__init__(parent)
        self._progress = progress
        self._decision = decision
        self._is_closed = False
        self._on_done: Callable[[], None] = lambda: None
        progress.succeeded.connect(self._on_success)
        progress.failed.connect(self._on_failure)

    @property
    def is_free(self) -> bool:
        """Whether nothing runs or waits for the user's word."""
        return not self._progress.is_running and not self._decision.is_open

    def start(self, make: Callable[[], Any], on_done: Callable[[Any], None]) -> None:
        """Make a job and run it, unless one runs or waits for the user's word.

        Parameters
        ----------
        make : callable
            Returns a `CancellableJob`, or raises a `Sam2Error`, which is said.
        on_done : callable
            Gets the job when it has succeeded.
        """
        if self._progress.is_running:
            return
        if self._decision.is_open:
            self._progress.say("Accept or discard the model that was made first.")
            return
        try:
            job: CancellableJob = make()
        except Sam2Error as error:
            self._progress.say(str(error))
            return
        self._on_done = partial(on_done, job)
        self.running_changed.emit(True)
        self._progress.start(job)

    def close(self) -> None:
        """End what runs and hand over nothing any more."""
        self._is_closed = True
        self._progress.cancel()

    def _on_success(self) -> None:
        self.running_changed.emit(False)
        if not self._is_closed:
            self._progress.say("")
            self._on_done()
            self.ended.emit()

    def _on_failure(self, _error: Exception) -> None:
        self.running_changed.emit(False)
        if not self._is_closed:
            self.ended.emit()
