"""Commit: objects into the target Labels layer, each under the next free label."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from napari.layers import Image, Labels
from napari.viewer import Viewer
from psygnal import Signal

from napari_sam2_openvino import _targets
from napari_sam2_openvino._engine import ObjectMask
from napari_sam2_openvino._qt.jobs import ComputeWorker
from napari_sam2_openvino._session import AnnotationSession
from napari_sam2_openvino.core.errors import InputError, Sam2Error
from napari_sam2_openvino.core.types import PlaneIndex


@dataclass(frozen=True)
class _Commit:
    """What is to be written, and the intent that it answers."""

    image: Image
    plane: PlaneIndex
    answer: ObjectMask
    generation: int


class _Scan:
    """A search for the largest label of a layer, on its way in the worker."""

    def __init__(self, labels: Labels, commit: _Commit) -> None:
        self.labels = labels
        self.commit = commit
        self.is_cancelled = False
        self.is_stale = False


class Committer:
    """Holds the target layer and writes to it. Lives in the main thread.

    Parameters
    ----------
    viewer : Viewer
    session : AnnotationSession
    sync : callable
        Tells the session what is chosen and drawn now.
    """

    target_changed = Signal(object)
    status_changed = Signal(str)
    scanning_changed = Signal(bool)
    committed = Signal()
    failed = Signal(Sam2Error)

    def __init__(
        self, viewer: Viewer, session: AnnotationSession, sync: Callable[[], None]
    ) -> None:
        self._viewer = viewer
        self._session = session
        self._sync = sync
        # Of its own: an image is encoded while a large layer is read.
        self._worker = ComputeWorker()
        self._target: Labels | None = None
        # None while it is not known.
        self._largest: int | None = None
        self._position: Any = None
        self._scan: _Scan | None = None

    @property
    def target(self) -> Labels | None:
        """The layer that is written to; None for one that is still to be made."""
        return self._target

    @property
    def is_scanning(self) -> bool:
        """Whether the next free label is being looked for."""
        return self._scan is not None

    def set_target(self, target: Labels | None) -> None:
        """Choose the layer to write to; None for a new one."""
        if target == self._target:
            return
        self._connect(connect=False)
        self._target, self._largest = target, None
        self._connect(connect=True)
        self.target_changed.emit(target)

    def commit(self, image: Image, plane: PlaneIndex, answer: ObjectMask) -> None:
        """Write an answer to the session's newest intent as a new object.

        The first time the whole layer is read in the worker, and the object is written after that
        if it is still the answer.
        """
        if self._scan is not None:
            self._tell_scan(self._scan.labels)
            return
        commit = _Commit(image, plane, answer, self._session.generation)
        try:
            self._write(commit, may_scan=True)
        except Sam2Error as error:
            self.failed.emit(error)

    def cancel(self) -> None:
        """Stop looking for the next free label; the object stays uncommitted."""
        if self._scan is not None:
            self._end_scan()
            self.status_changed.emit("Cancelled: nothing was committed.")

    def close(self) -> None:
        """Let go of the layer and of the worker."""
        if self._scan is not None:
            self._scan.is_cancelled = True
            self._scan = None
        self._worker.close()
        self._connect(connect=False)

    def _connect(self, *, connect: bool) -> None:
        if self._target is None:
            return
        self._position = self._where()
        events = self._target.events
        for emitter, callback in (
            (events.paint, self._on_edited),
            (events.data, self._on_edited),
            (events.set_data, self._on_sliced),
        ):
            (emitter.connect if connect else emitter.disconnect)(callback)

    def _where(self) -> Any:
        dims = self._viewer.dims
        return tuple(dims.point), tuple(dims.order), dims.ndisplay

    def _on_edited(self, _event: Any = None) -> None:
        self._largest = None
        if self._scan is not None:
            self._scan.is_stale = True

    def _on_sliced(self, _event: Any = None) -> None:
        # Of a move to another plane, and of a refresh after an edit in place: it is a refresh if
        # the view has not moved.
        before, self._position = self._position, self._where()
        if before == self._position:
            self._on_edited()

    def _write(self, commit: _Commit, *, may_scan: bool) -> None:
        labels = self._target or self._new_target(commit.image)
        if problem := _targets.fit_problem(labels, commit.image):
            raise InputError(problem)
        largest = self._largest
        if largest is None or _targets.largest_in_memory(labels, commit.plane) > largest:
            if not may_scan:
                raise InputError(f"{labels.name} changed while it was read: commit again.")
            self._start_scan(labels, commit)
            return
        obj_id, answer = largest + 1, commit.answer
        count = _targets.commit_mask(
            labels, answer.mask, obj_id, commit.plane, origin=answer.origin
        )
        if count == 0:
            raise InputError("Nothing was written: all pixels belong to objects already.")
        self._largest = obj_id
        self.committed.emit()
        self.status_changed.emit(f"Object {obj_id}: {count} pixels in {labels.name}.")

    def _new_target(self, image: Image) -> Labels:
        labels = _targets.new_labels_layer(image)
        active = self._viewer.layers.selection.active
        # Below the prompts, and the user goes on clicking where they were.
        self._viewer.layers.insert(self._viewer.layers.index(image) + 1, labels)
        self._viewer.layers.selection.active = active
        self.set_target(labels)
        self._largest = 0
        return labels

    def _start_scan(self, labels: Labels, commit: _Commit) -> None:
        scan = self._scan = _Scan(labels, commit)
        self._tell_scan(labels)
        self.scanning_changed.emit(True)
        job = partial(_targets.largest_label, labels.data, lambda: scan.is_cancelled)
        self._worker(job, partial(self._on_found, scan), partial(self._on_unreadable, scan))

    def _tell_scan(self, labels: Labels) -> None:
        self.status_changed.emit(
            f"Looking for the next free label in {labels.name}; then the object is committed …"
        )

    def _end_scan(self) -> None:
        if self._scan is not None:
            self._scan.is_cancelled = True
            self._scan = None
            self.scanning_changed.emit(False)

    def _on_found(self, scan: _Scan, largest: int) -> None:
        if scan is not self._scan:
            return
        self._end_scan()
        is_same_layer = self._target == scan.labels
        if is_same_layer and not scan.is_stale:
            self._largest = largest
        # Edits that wait to be read count as well.
        self._sync()
        if not is_same_layer or self._session.generation != scan.commit.generation:
            self.status_changed.emit("Something else was chosen meanwhile: commit again.")
            return
        try:
            self._write(scan.commit, may_scan=False)
        except Sam2Error as error:
            self.failed.emit(error)

    def _on_unreadable(self, scan: _Scan, error: Exception) -> None:
        if scan is not self._scan:
            return
        self._end_scan()
        if not isinstance(error, Sam2Error):
            raise error
        self.failed.emit(error)
