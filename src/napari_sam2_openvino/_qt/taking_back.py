"""Takes a propagation back, plane by plane, the one that was written last first."""

from functools import partial

from napari.layers import Labels
from psygnal import Signal

from napari_sam2_openvino._layers import plane_writing
from napari_sam2_openvino._layers.written_planes import WrittenPlane
from napari_sam2_openvino._qt.carried_runs import CarriedRun, CarriedRuns
from napari_sam2_openvino._qt.plane_writer import PlaneWriter
from napari_sam2_openvino.core.errors import Sam2Error
from napari_sam2_openvino.core.progress import Progress


class TakingBack:
    """One propagation at a time. Lives in the main thread.

    Parameters
    ----------
    runs : CarriedRuns
        What there is to take back.
    writer : PlaneWriter
    """

    started = Signal()
    progressed = Signal(Progress)
    ended = Signal(str)
    """With a sentence that says how."""

    def __init__(self, runs: CarriedRuns, writer: PlaneWriter) -> None:
        self._runs = runs
        self._writer = writer
        self._run: CarriedRun | None = None
        self._n_all = 0
        self._n_committed = 0

    @property
    def is_running(self) -> bool:
        """Whether something is being taken back."""
        return self._run is not None

    def start(self, run: CarriedRun) -> None:
        """Begin; there must be none. It waits while planes are on their way."""
        assert self._run is None
        self._run = run
        self.started.emit()
        self.go_on()

    def go_on(self) -> None:
        """Begin with the planes, now that none is on its way any more."""
        if self._run is not None and not self._writer.is_writing:
            self._n_all = len(self._run.written)
            self._n_committed = sum(bool(each.commits) for each in self._run.written)
            self._next()

    def stop(self) -> None:
        """Stop; the planes that are left can be taken back later."""
        self._end("Stopped: the planes that are left can be taken back as well.")

    def close(self) -> None:
        """Stop without a word."""
        self._run = None

    def forget(self, labels: Labels) -> None:
        """Stop if this layer, which is gone, is the one that is written to."""
        if self._run is not None and self._run.labels == labels:
            self._end("The layer is gone.")

    def _next(self) -> None:
        run = self._run
        if run is None:
            return
        if not run.written:
            self._runs.remove(run)
            stays = " What you committed there since stays." if self._n_committed else ""
            self._end(f"The propagation is taken back.{stays}")
            return
        self.progressed.emit(Progress("Taking back", 1 - len(run.written) / self._n_all))
        written = run.written[-1]
        self._writer.write(
            run.data,
            written.plane,
            partial(plane_writing.take_back, run.data, written),
            partial(self._on_taken_back, run, written),
            partial(self._on_failed, run),
        )

    def _on_taken_back(self, run: CarriedRun, written: WrittenPlane, _: bool) -> None:
        run.forget(written)
        self._writer.refresh(run.labels, written)
        if run is self._run:
            self._next()

    def _on_failed(self, run: CarriedRun, error: Exception) -> None:
        if run is self._run:
            self._end(str(error))
        if not isinstance(error, Sam2Error):
            raise error

    def _end(self, sentence: str) -> None:
        self._run = None
        self.ended.emit(sentence)
