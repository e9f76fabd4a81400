"""Commit: objects into the target Labels layer, new ones under free labels."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from napari.layers import Image, Labels
from napari.viewer import Viewer
from psygnal import Signal

from napari_sam2_openvino._layers import targets
from napari_sam2_openvino._layers.label_parts import (
    cut_objects,
    largest_label,
    largest_on_plane,
)
from napari_sam2_openvino._layers.left_objects import NO_PIXELS
from napari_sam2_openvino._qt.commits import Commit, Committed, FoundCommit, free_ids
from napari_sam2_openvino._qt.jobs import ComputeWorker
from napari_sam2_openvino.core.errors import InputError, Sam2Error
from napari_sam2_openvino.core.marks import MaskCut


class _Scan:
    """What must be read of a layer before a commit, on its way in the worker."""

    def __init__(self, labels: Labels, commit: Commit, largest: int | None) -> None:
        self.labels = labels
        self.commit = commit
        self.largest = largest
        self.replaced: dict[int, MaskCut] = {}
        self.is_cancelled = False
        self.is_stale = False

    def run(self) -> None:
        """Find the largest label, of the plane alone if it was known, and what is replaced."""
        data, commit = self.labels.data, self.commit
        if self.largest is None:
            self.largest = largest_label(data, lambda: self.is_cancelled)
        elif isinstance(data, np.ndarray):
            # It may have been changed in place since.
            here = largest_on_plane(data, commit.plane, lambda: self.is_cancelled)
            self.largest = max(self.largest, here)
        self.replaced = cut_objects(data, commit.replaced, commit.plane, lambda: self.is_cancelled)


class Committer:
    """Holds the target layer and writes to it. Lives in the main thread.

    Parameters
    ----------
    viewer : Viewer
    is_current : callable
        Takes a `Commit` and tells, after a while, whether its answers are still the newest.
    """

    target_changed = Signal(object)
    target_edited = Signal()
    status_changed = Signal(str)
    scanning_changed = Signal(bool)
    committed = Signal(Committed)
    failed = Signal(Sam2Error)

    def __init__(self, viewer: Viewer, is_current: Callable[[Commit], bool]) -> None:
        self._viewer = viewer
        self._is_current = is_current
        # Of its own: an image is encoded while a large layer is read.
        self._worker = ComputeWorker()
        self._target: Labels | None = None
        # None while it is not known.
        self._largest: int | None = None
        self._reserved = 0
        self._position: Any = None
        self._scan: _Scan | None = None
        self._is_writing = False

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
        self._target, self._largest, self._reserved = target, None, 0
        self._connect(connect=True)
        self.target_changed.emit(target)

    def commit(self, commit: Commit) -> None:
        """Write objects into the target, as one step of napari's undo.

        The first time the whole layer is read in the worker, and the objects are written after
        that if they are still the answers.
        """
        if self._scan is not None:
            self._tell_wait(self._scan, commit)
            return
        try:
            self._write(commit)
        except Sam2Error as error:
            self.failed.emit(error)

    def need_target(self, image: Image) -> Labels:
        """Return the layer to write to, made if there is none.

        Raises
        ------
        InputError
            If it does not lie on the image.
        """
        labels = self._target or self._new_target(image)
        if problem := targets.place_problem(labels, image) or targets.data_problem(labels):
            raise InputError(problem)
        return labels

    def reserve(self, largest: int) -> None:
        """Give labels up to this one to no other object."""
        self._reserved = max(self._reserved, largest)
        if self._largest is not None:
            self._largest = max(self._largest, largest)

    @property
    def reserved(self) -> int:
        """The largest label that is given to an object which is still being written."""
        return self._reserved

    @property
    def largest(self) -> int | None:
        """The largest label of the target; None while it is not known."""
        return self._largest

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Take changes of the target for our own."""
        self._is_writing = True
        try:
            yield
        finally:
            self._is_writing = False

    def cancel(self) -> None:
        """Stop looking for the next free label; the objects stay uncommitted."""
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
        if self._is_writing:
            return
        self._largest = None
        if self._scan is not None:
            self._scan.is_stale = True
        self.target_edited.emit()

    def _on_sliced(self, _event: Any = None) -> None:
        # Of a move to another plane, and of a refresh after an edit in place: it is a refresh if
        # the view has not moved.
        before, self._position = self._position, self._where()
        if before == self._position:
            self._on_edited()

    def _write(self, commit: Commit, scan: _Scan | None = None) -> None:
        labels = self._target or self._new_target(commit.image)
        if problem := targets.fit_problem(labels, commit.image):
            raise InputError(problem)
        largest, plane = self._largest, commit.plane
        is_quick = targets.is_quick_to_read(labels, plane)
        if is_quick and largest is not None and largest_on_plane(labels.data, plane) > largest:
            largest = None
        # What lies in memory may have been changed in place, of which nothing tells.
        must_read = not is_quick and (commit.replaced or isinstance(labels.data, np.ndarray))
        if scan is None and (largest is None or must_read):
            self._start_scan(_Scan(labels, commit, largest))
            return
        if largest is None:
            raise InputError(f"{labels.name} changed while it was read: commit again.")
        replaced = (
            scan.replaced if scan else cut_objects(labels.data, commit.replaced, commit.plane)
        )
        obj_ids = [answer.obj_id for answer in commit.answers]
        # Labels of objects that are still being written, plane by plane, are taken as well.
        taken = max(largest, self._reserved)
        if isinstance(commit, FoundCommit):
            # What was found is of no number yet: it gets none of an object that is in hand.
            taken = max(taken, commit.largest_in_hand)
        ids = free_ids(obj_ids, commit.labels, taken, commit.largest_in_hand)
        cuts = [(ids[answer.obj_id], answer.mask) for answer in commit.answers]
        with self.writing():
            results = targets.commit_masks(
                labels, commit.plane, cuts, commit.mode, replaced=replaced
            )
        areas = {each.obj_id: each.n_pixels for each in results if each.is_written}
        if not areas:
            raise InputError("Nothing was written: the pixels belong to other objects already.")
        self._largest = max(largest, *areas)
        new_ids = {old: new for old, new in ids.items() if new in areas}
        before = {
            each.obj_id: replaced.get(each.obj_id, NO_PIXELS) if each.n_changed else None
            for each in results
            if each.is_written
        }
        self.committed.emit(Committed(commit, labels, new_ids, areas, before))
        self._tell(labels, areas, len(ids))

    def _tell(self, labels: Labels, areas: Mapping[int, int], n_objects: int) -> None:
        if n_objects == 1:
            ((obj_id, count),) = areas.items()
            text = f"Object {obj_id}: {count} pixels in {labels.name}."
        else:
            text = f"{len(areas)} of {n_objects} objects are in {labels.name}."
        self.status_changed.emit(text)

    def _new_target(self, image: Image) -> Labels:
        labels = targets.new_labels_layer(image)
        active = self._viewer.layers.selection.active
        # Below the prompts, and the user goes on clicking where they were.
        self._viewer.layers.insert(self._viewer.layers.index(image) + 1, labels)
        self._viewer.layers.selection.active = active
        self.set_target(labels)
        self._largest = 0
        return labels

    def _start_scan(self, scan: _Scan) -> None:
        self._scan = scan
        self._tell_scan(scan.labels)
        self.scanning_changed.emit(True)
        self._worker(scan.run, partial(self._on_found, scan), partial(self._on_unreadable, scan))

    def _tell_scan(self, labels: Labels) -> None:
        self.status_changed.emit(
            f"Reading {labels.name} for free labels; then the object is committed …"
        )

    def _tell_wait(self, scan: _Scan, commit: Commit) -> None:
        waiting = {each.obj_id for each in scan.commit.answers}
        if waiting.issuperset(each.obj_id for each in commit.answers):
            self._tell_scan(scan.labels)
        else:
            self.status_changed.emit(
                f"Another object waits for {scan.labels.name} to be read: commit this one after it."
            )

    def _end_scan(self) -> None:
        if self._scan is not None:
            self._scan.is_cancelled = True
            self._scan = None
            self.scanning_changed.emit(False)

    def _on_found(self, scan: _Scan, _: None) -> None:
        if scan is not self._scan:
            return
        self._end_scan()
        is_same_layer = self._target == scan.labels
        if is_same_layer and not scan.is_stale:
            self._largest = scan.largest
        if not is_same_layer or not self._is_current(scan.commit):
            self.status_changed.emit("Something else was chosen meanwhile: commit again.")
            return
        try:
            self._write(scan.commit, scan)
        except Sam2Error as error:
            self.failed.emit(error)

    def _on_unreadable(self, scan: _Scan, error: Exception) -> None:
        if scan is not self._scan:
            return
        self._end_scan()
        if not isinstance(error, Sam2Error):
            raise error
        self.failed.emit(error)
