"""What objects have on the planes of the target after edits: counted in a worker, never stale."""

from collections.abc import Callable, Collection, Iterable, Mapping
from time import perf_counter
from typing import Any

from napari.layers import Labels
from qtpy.QtCore import QTimer

from napari_sam2_openvino._layers.label_parts import MaskPrint, object_prints
from napari_sam2_openvino._layers.painted import painted_planes
from napari_sam2_openvino._qt.jobs import ComputeWorker
from napari_sam2_openvino.core.types import PlaneIndex

Counts = Mapping[PlaneIndex, Mapping[int, MaskPrint]]
"""What is on each plane, by obj_id."""

# napari tells of each move of a brush.
_EDITED_MS = 100
# What is told of at once: each answer costs the main thread some milliseconds.
_BATCH_SECONDS = 0.25


class _Batch:
    """Planes on their way in the worker."""

    def __init__(self, data: Any, planes: Collection[PlaneIndex]) -> None:
        self._data = data
        self._planes = planes
        # Of planes that were edited or written to since, by index.
        self.stale: set[tuple[int | None, ...]] = set()
        self.is_cancelled = False

    def run(self) -> Counts:
        """Count as many planes as are quickly counted, at least one."""
        counts: dict[PlaneIndex, Mapping[int, MaskPrint]] = {}
        start = perf_counter()
        for plane in self._planes:
            counts[plane] = object_prints(self._data, plane, lambda: self.is_cancelled)
            if perf_counter() - start > _BATCH_SECONDS:
                break
        return counts

    def spoil(self, planes: Iterable[PlaneIndex]) -> None:
        """Let what is counted of planes not be told of."""
        self.stale |= {each.index for each in planes}
        # Not worth its while any more.
        self.is_cancelled = self.stale.issuperset(each.index for each in self._planes)


class Recounter:
    """Counts planes of one layer at a time. Lives in the main thread.

    An answer is given only if nothing was written to the plane while it was counted; else the
    plane is counted again.

    Parameters
    ----------
    on_counted : callable
        Takes what is on some planes.
    on_error : callable
        Takes an exception.
    """

    def __init__(
        self, on_counted: Callable[[Counts], None], on_error: Callable[[Exception], None]
    ) -> None:
        self._on_counted = on_counted
        self._on_error = on_error
        # Of its own: an object is decoded while planes are counted.
        self._worker = ComputeWorker()
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._go_on)
        self._labels: Labels | None = None
        # By index: a plane is the same whichever way round it is seen.
        self._waiting: dict[tuple[int | None, ...], PlaneIndex] = {}
        self._batch: _Batch | None = None
        # While napari tells of painting: what was changed.
        self._painted: Any = None

    def set_labels(self, labels: Labels | None) -> None:
        """Choose the layer; what is being counted of another one is dropped."""
        self._connect(connect=False)
        self._labels = labels
        self._connect(connect=True)
        self._waiting.clear()
        if self._batch is not None:
            self._batch.is_cancelled = True
            self._batch = None

    def ask_edited(self, planes: Iterable[PlaneIndex]) -> None:
        """Count what the edit that is told of just now has changed of planes; else all of them."""
        self.ask(planes if self._painted is None else painted_planes(self._painted, planes))

    def ask(self, planes: Iterable[PlaneIndex]) -> None:
        """Count planes that were edited, soon; the first ones first."""
        planes = list(planes)
        self.note_written(planes)
        asked = {each.index: each for each in planes if self._fits(each)}
        self._waiting = asked | {
            index: each for index, each in self._waiting.items() if index not in asked
        }
        if self._waiting:
            self._timer.start(_EDITED_MS)

    def note_written(self, planes: Iterable[PlaneIndex]) -> None:
        """Take what is being counted of planes for stale: they were written to."""
        if self._batch is not None:
            self._batch.spoil(planes)

    def close(self) -> None:
        """Let go of the worker."""
        self._timer.stop()
        self.set_labels(None)
        self._worker.close()

    def _connect(self, *, connect: bool) -> None:
        if self._labels is None:
            return
        paint = self._labels.events.paint
        if connect:
            # Around whoever tells us that something was edited.
            paint.connect(self._on_paint, position="first")
            paint.connect(self._on_painted, position="last")
        else:
            paint.disconnect(self._on_paint)
            paint.disconnect(self._on_painted)

    def _on_paint(self, event: Any) -> None:
        self._painted = event.value

    def _on_painted(self, _event: Any) -> None:
        self._painted = None

    def _fits(self, plane: PlaneIndex) -> bool:
        """Whether a layer has a plane: a table that was saved may be of another one."""
        shape = () if self._labels is None else self._labels.data.shape
        return len(shape) == len(plane.index) and all(
            value is None or value < length
            for value, length in zip(plane.index, shape, strict=True)
        )

    def _go_on(self) -> None:
        # While edits go on it waits for them to end.
        is_free = self._batch is None and not self._timer.isActive()
        if is_free and self._waiting and self._labels is not None:
            batch = self._batch = _Batch(self._labels.data, list(self._waiting.values()))
            self._worker(
                batch.run,
                lambda counts: self._on_done(batch, counts),
                lambda error: self._on_failed(batch, error),
            )

    def _on_done(self, batch: _Batch, counts: Counts) -> None:
        if batch is not self._batch:
            return
        self._batch = None
        fresh = {plane: there for plane, there in counts.items() if plane.index not in batch.stale}
        for plane in fresh:
            self._waiting.pop(plane.index, None)
        if fresh:
            self._on_counted(fresh)
        self._go_on()

    def _on_failed(self, batch: _Batch, error: Exception) -> None:
        if batch is not self._batch:
            return
        self._batch = None
        if batch.is_cancelled:
            self._go_on()
            return
        self._waiting.clear()
        self._on_error(error)
