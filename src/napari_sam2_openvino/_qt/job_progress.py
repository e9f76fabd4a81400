"""A long job as the window shows it: a sentence, a bar, and how long it still takes."""

import math
from time import monotonic

from qtpy.QtCore import Signal as QtSignal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QLabel, QProgressBar, QVBoxLayout, QWidget

from napari_sam2_openvino._qt.jobs import CancellableJob, LongJob
from napari_sam2_openvino.core.errors import JobCancelledError, Sam2Error
from napari_sam2_openvino.core.progress import Progress

CANCELLED = "Cancelled: nothing was written."
_STEPS = 1000
# Before, an estimate would be a guess.
_ESTIMATE_AFTER_SECONDS = 3
_ESTIMATE_AFTER_SHARE = 0.05


class JobProgress(QWidget):
    """Runs one job at a time and says how far it is.

    Parameters
    ----------
    parent : QWidget, optional
    with_estimate : bool, optional
        Whether to say how long it still takes; False where the job itself says so.

    Signals
    -------
    started, succeeded : no argument
    progressed : Progress
    failed : Exception
        Also when the job was cancelled. What is no `Sam2Error` is raised afterwards.
    """

    started = QtSignal()
    succeeded = QtSignal()
    failed = QtSignal(object)
    progressed = QtSignal(object)

    def __init__(self, parent: QWidget | None = None, *, with_estimate: bool = True) -> None:
        super().__init__(parent)
        self._with_estimate = with_estimate
        self.was_cancelled = False
        """Whether the job, or the last one, was asked to end, if it did or not."""
        self._job: LongJob | None = None
        self._time_left = TimeLeft()
        self.message_label = QLabel()
        self.message_label.setWordWrap(True)
        self.progress_bar = QProgressBar()
        self.progress_bar.setVisible(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.message_label)
        layout.addWidget(self.progress_bar)

    @property
    def is_running(self) -> bool:
        """Whether there is a job."""
        return self._job is not None

    def say(self, text: str) -> None:
        """Show a sentence."""
        self.message_label.setText(text)

    def start(self, job: CancellableJob) -> None:
        """Begin a job; there must be none."""
        assert self._job is None
        self._job = LongJob(job)
        self.was_cancelled = False
        self._job.progressed.connect(self._on_progress)
        self._job.succeeded.connect(self._on_success)
        self._job.failed.connect(self._on_failure)
        # Closing the viewer destroys the widget without asking it.
        self.destroyed.connect(self._job.cancel)
        self._time_left = TimeLeft()
        self.progress_bar.setVisible(True)
        self._on_progress(Progress("Starting"))
        self.started.emit()
        self._job.start()

    def cancel(self) -> None:
        """Ask the job to end."""
        if self._job is not None:
            self.was_cancelled = True
            self.say("Cancelling …")
            self._job.cancel()

    def _on_progress(self, progress: Progress) -> None:
        known = not math.isnan(progress.done)
        self.progress_bar.setTextVisible(known)
        self.progress_bar.setRange(0, _STEPS if known else 0)
        self.progress_bar.setValue(round(progress.done * _STEPS) if known else 0)
        detail = f" ({progress.detail})" if progress.detail else ""
        estimated = known and self._with_estimate
        left = self._time_left.text(progress.done) if estimated else ""
        self.say(f"{progress.stage}{detail} …{left}")
        self.progressed.emit(progress)

    def _on_success(self) -> None:
        self._end()
        self.succeeded.emit()

    def _on_failure(self, error: Exception) -> None:
        self._end()
        is_cancelled = isinstance(error, JobCancelledError)
        self.say(CANCELLED if is_cancelled else str(error))
        self.failed.emit(error)
        if not isinstance(error, Sam2Error):
            raise error

    def _end(self) -> None:
        self._job = None
        self.progress_bar.setVisible(False)


class TimeLeft:
    """Estimates how long a job still takes, from what it took so far."""

    def __init__(self) -> None:
        self._began = monotonic()
        self._done = 0.0

    def text(self, done: float) -> str:
        """Return " about 3 min left", or nothing while that would be a guess.

        Parameters
        ----------
        done : float
            Share of the job, 0 to 1; a smaller one than before is that of a second job.
        """
        if done < self._done:
            self._began = monotonic()
        self._done = done
        passed = monotonic() - self._began
        if passed < _ESTIMATE_AFTER_SECONDS or not _ESTIMATE_AFTER_SHARE <= done < 1:
            return ""
        return f" {time_left(passed * (1 - done) / done)}"


def time_left(seconds: float) -> str:
    """Return "about 3 min left", or "about 50 s left"."""
    if seconds > 90:
        return f"about {seconds / 60:.0f} min left"
    return f"about {math.ceil(seconds)} s left"
