"""Writes planes of a Labels layer beside napari's history, and shows what has changed."""

from collections.abc import Callable
from functools import partial
from typing import Any

from napari.layers import Labels
from qtpy.QtCore import QTimer

from napari_sam2_openvino._layers import plane_writing
from napari_sam2_openvino._layers.written_planes import WrittenPlane
from napari_sam2_openvino._qt.annotator import Annotator
from napari_sam2_openvino._qt.jobs import ComputeWorker
from napari_sam2_openvino._qt.soon import Soon
from napari_sam2_openvino.core.errors import Sam2Error
from napari_sam2_openvino.core.types import PlaneIndex

# A view that cuts through all planes is drawn anew no more often.
_SLOW_MS = 500


class PlaneWriter:
    """A worker of its own for what is written. Lives in the main thread.

    Parameters
    ----------
    annotator : Annotator
        Knows what is in view.
    """

    def __init__(self, annotator: Annotator) -> None:
        self._annotator = annotator
        self._worker = ComputeWorker()
        self._n_writing = 0
        self._is_closed = False
        self._refresh_soon = Soon(self._refresh_all, _SLOW_MS)

    @property
    def is_writing(self) -> bool:
        """Whether a plane is on its way."""
        return self._n_writing > 0

    def read(
        self,
        read: Callable[[], Any],
        on_done: Callable[[Any], None],
        on_error: Callable[[Exception], None],
    ) -> None:
        """Read something before it is written to."""
        self._worker(read, on_done, on_error)

    def write(
        self,
        data: Any,
        plane: PlaneIndex,
        write: Callable[[], Any],
        on_done: Callable[[Any], None],
        on_error: Callable[[Exception], None],
    ) -> None:
        """Write in the worker, but what the user may be changing at the same time.

        Parameters
        ----------
        data : array_like
            That is written to.
        plane : PlaneIndex
        write : callable
        on_done, on_error : callable
            Called in the main thread; by then the plane is no longer on its way.
        """
        self._n_writing += 1
        done, failed = partial(self._after, on_done), partial(self._after, on_error)
        if plane_writing.is_safe_aside(data, plane, self._annotator.plane):
            self._worker(write, done, failed)
            return
        try:
            then = partial(done, write())
        except Sam2Error as error:
            then = partial(failed, error)
        # Later, so that the window gets its turn where many planes are written here.
        QTimer.singleShot(0, then)

    def refresh(self, labels: Labels, written: WrittenPlane) -> None:
        """Draw the layer anew if the plane is in view."""
        annotator = self._annotator
        here = annotator.plane
        if labels != annotator.target:
            return
        if here == written.plane:
            with annotator.committer.writing():
                labels.refresh()
        elif here is None or here.displayed != written.plane.displayed:
            self._refresh_soon.ask()

    def close(self) -> None:
        """Let go; a plane that is being written is finished."""
        self._is_closed = True
        self._worker.close()

    def _after(self, then: Callable[[Any], None], outcome: Any) -> None:
        self._n_writing -= 1
        then(outcome)

    def _refresh_all(self) -> None:
        labels = self._annotator.target
        if labels is not None and not self._is_closed:
            with self._annotator.committer.writing():
                labels.refresh()
