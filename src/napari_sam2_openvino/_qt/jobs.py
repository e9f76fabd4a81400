"""Jobs outside the main thread, whose outcome arrives in it.

napari's and superqt's workers are not used: the first keep what they were given for the life of the
window, and those that are generators swallow RuntimeError, which is what OpenVINO raises.
"""

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Thread
from typing import Any, Protocol

from qtpy.QtCore import QCoreApplication, QObject, Qt
from qtpy.QtCore import Signal as QtSignal  # type: ignore[attr-defined]

from napari_sam2_openvino.core.progress import Progress

Outcome = Callable[[Any], None]


class _Relay(QObject):
    """Carries calls from any thread into the main thread."""

    called = QtSignal(object)

    def __init__(self) -> None:
        super().__init__()
        self.called.connect(self._call, Qt.ConnectionType.QueuedConnection)

    def _call(self, function: Callable[[], None]) -> None:
        function()

    def send(self, function: Callable[[], None]) -> None:
        # The application may be gone by the time a job ends; then nobody waits for its outcome.
        with contextlib.suppress(RuntimeError):
            self.called.emit(function)


class ComputeWorker:
    """One thread that runs one job after the other. Made and used in the main thread."""

    def __init__(self) -> None:
        self._relay = _Relay()
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="sam2-compute")
        self._closed = False

    def __call__(self, job: Callable[[], Any], on_done: Outcome, on_error: Outcome) -> None:
        """Run ``job``, then call ``on_done`` with its value or ``on_error`` with its exception."""
        if self._closed:
            return
        try:
            self._threads.submit(self._work, job, on_done, on_error)
        except RuntimeError:
            # Python ends, and no thread begins any more: what is still to be saved is saved here.
            self._work(job, on_done, on_error)

    def _work(self, job: Callable[[], Any], on_done: Outcome, on_error: Outcome) -> None:
        try:
            outcome = partial(on_done, job())
        except Exception as error:
            outcome = partial(on_error, error)
        self._relay.send(partial(self._deliver, outcome))

    def _deliver(self, outcome: Callable[[], None]) -> None:
        if not self._closed:
            outcome()

    def close(self, *, finish: bool = False) -> None:
        """Deliver nothing more; a job that runs is not waited for.

        Parameters
        ----------
        finish : bool, optional
            Whether jobs that have not begun are done all the same.
        """
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=not finish)


class CancellableJob(Protocol):
    """A long job: an iteration that reports progress, and a cancel that any thread may call."""

    def run(self) -> Iterator[Progress]:
        """Do the work."""

    def cancel(self) -> None:
        """End the work, and return when it has ended."""


class LongJob(QObject):
    """Runs a job that takes minutes in a thread of its own.

    Signals
    -------
    progressed : Progress
    succeeded : no argument
    failed : Exception
        Also when the job was cancelled.
    """

    progressed = QtSignal(object)
    succeeded = QtSignal()
    failed = QtSignal(object)

    def __init__(self, job: CancellableJob, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.job = job
        self._relay = _Relay()
        # Neither thread keeps Python alive: a child process ends with its parent.
        self._thread = Thread(target=self._work, name="sam2-job", daemon=True)

    def start(self) -> None:
        """Begin."""
        if app := QCoreApplication.instance():
            app.aboutToQuit.connect(self._on_quit)
        self._thread.start()

    def cancel(self) -> None:
        """Ask the job to end; ``failed`` follows."""
        # Ending a child process takes up to a second, which the window must not wait for.
        Thread(target=self.job.cancel, name="sam2-cancel", daemon=True).start()

    def _on_quit(self) -> None:
        # There is no later in which a thread could do it.
        if self.is_running():
            self.job.cancel()

    def is_running(self) -> bool:
        """Whether the job has neither ended nor failed."""
        return self._thread.is_alive()

    def _work(self) -> None:
        try:
            for progress in self.job.run():
                self._relay.send(partial(self.progressed.emit, progress))
        except Exception as error:
            self._relay.send(partial(self.failed.emit, error))
        else:
            self._relay.send(self.succeeded.emit)
