"""One plane: read, segmented, written, noted. The same in this process and in any other."""

import contextlib
import threading
import time
import uuid
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino._files.labels_store import MOST_LABELS, LabelsStore
from napari_sam2_openvino.batch.emptiness import Emptiness
from napari_sam2_openvino.batch.image_check import plane_digest
from napari_sam2_openvino.batch.images import StackImage
from napari_sam2_openvino.batch.journal import Journal, PlaneRecord
from napari_sam2_openvino.batch.segmenter import Cancelled, PlaneRecipe, PlaneSegmenter
from napari_sam2_openvino.core.errors import InputError, JobCancelledError, Sam2Error
from napari_sam2_openvino.core.normalize import ChannelView
from napari_sam2_openvino.core.planes import StretchCache, make_plane_source
from napari_sam2_openvino.core.progress import Progress
from napari_sam2_openvino.core.reading import ImageArrays


@dataclass(frozen=True, eq=False)
class StackTask:
    """All that a process needs to segment planes of a stack; can be pickled.

    Parameters
    ----------
    image : StackImage
    view : ChannelView
    recipe : PlaneRecipe
    journal : Journal
    run : str
        The journal's, of the job.
    stores : tuple of Path
        `LabelsStore`s that a plane is written to.
    compared : frozenset of int
        Numbers of the planes by which the image is known again.
    emptiness : Emptiness, optional
        What planes are skipped; none if it is None.
    key : str, optional
        Equal in copies of one task.
    """

    image: StackImage
    view: ChannelView
    recipe: PlaneRecipe
    journal: Journal
    run: str
    stores: tuple[Path, ...]
    compared: frozenset[int]
    emptiness: Emptiness | None = None
    key: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass(frozen=True)
class PlaneOutcome:
    """What became of a plane.

    Parameters
    ----------
    number : int
    record : PlaneRecord or None
        None if it failed.
    problem : str, optional
        Why, in one sentence.
    is_fatal : bool, optional
        Whether the other planes of the stack will fail as well.
    """

    number: int
    record: PlaneRecord | None
    problem: str = ""
    is_fatal: bool = False


class _Opened:
    """A stack that is open in this process: file, stores and segmenter are opened once."""

    def __init__(self, task: StackTask, threads: int | None) -> None:
        self.key = task.key, threads
        self._exit = contextlib.ExitStack()
        self._task = task
        self.arrays: ImageArrays = self._exit.enter_context(task.image.open())
        self.stores = [LabelsStore(path) for path in task.stores]
        self.journal = task.journal
        self.segmenter: PlaneSegmenter = task.recipe.build(threads)
        self.stretches = StretchCache()

    def segment(
        self, position: tuple[int, ...], cancelled: Cancelled
    ) -> Generator[Progress, None, NDArray[Any] | None]:
        """Return the labels of a plane, None if it is empty."""
        plane = self._task.image.axes.plane(position)
        emptiness = self._task.emptiness
        if emptiness is not None and emptiness.is_empty(self.arrays, plane, self._task.view):
            return None
        source = make_plane_source([self.arrays], plane, self._task.view, self.stretches)
        return (yield from self.segmenter(source, position, cancelled))

    def image_digest(self, number: int) -> str:
        """Return a hash of a plane of the image if it is one that is to be noted, else ""."""
        task = self._task
        if number not in task.compared:
            return ""
        return plane_digest(task.image, self.arrays, number, task.view)

    @property
    def is_wanted(self) -> bool:
        """Whether the job is still the one that the journal is of."""
        return self.journal.exists and self.journal.run == self._task.run

    def close(self) -> None:
        self._exit.close()


class PlaneWorker:
    """Segments planes of stacks, one at a time; what it opened last stays open for the next one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opened: _Opened | None = None

    def segment(
        self, task: StackTask, number: int, threads: int | None, cancelled: Cancelled
    ) -> Generator[Progress, None, PlaneOutcome]:
        """Segment one plane of a stack and write it, unless that was done already.

        Parameters
        ----------
        task : StackTask
        number : int
            Of the plane.
        threads : int or None
            Processor threads to use; None for all.
        cancelled : callable
            Asked often; once it returns true, `JobCancelledError` is raised soon.

        Yields
        ------
        Progress
            Of the plane.

        Returns
        -------
        PlaneOutcome
            What is wrong with the user's data, or with the disk, is told there and not raised.
        """
        # Threads of one process that have a plane each would share one model and all processors.
        with self._lock:
            try:
                opened = self._open(task, threads)
                if opened.journal.has_plane(number):
                    return PlaneOutcome(number, opened.journal.record(number))
                started = time.perf_counter()
                image = opened.image_digest(number)
                position = task.image.axes.position(number)
                labels = yield from opened.segment(position, cancelled)
                seconds = time.perf_counter() - started
                record = PlaneRecord(0, seconds, labels is None, image)
                return _keep(opened, number, position, labels, record)
            except JobCancelledError:
                raise
            except Sam2Error as error:
                return PlaneOutcome(number, None, str(error))

    def _open(self, task: StackTask, threads: int | None) -> _Opened:
        if self._opened is None or self._opened.key != (task.key, threads):
            self._close()
            self._opened = _Opened(task, threads)
        return self._opened

    def _close(self) -> None:
        if self._opened is not None:
            self._opened.close()
        self._opened = None

    def close(self) -> None:
        """Close what is open."""
        with self._lock:
            self._close()


def _keep(
    opened: _Opened,
    number: int,
    position: tuple[int, ...],
    labels: NDArray[Any] | None,
    record: PlaneRecord,
) -> PlaneOutcome:
    """Write a plane, and only then note that it is there."""
    # This one may be done late, by a worker whose job was given up and overwritten.
    if not opened.is_wanted:
        raise JobCancelledError("The labels are another job's by now.")
    try:
        if labels is not None:
            record = replace(record, n_objects=int(np.count_nonzero(np.unique(labels))))
            if labels.max() > MOST_LABELS:
                raise InputError(f"Labels go up to {MOST_LABELS}, but one is {labels.max()}.")
            for store in opened.stores:
                store.write(position, labels)
        opened.journal.finish_plane(number, record)
    except OSError as error:
        problem = (
            f"The labels cannot be written to {opened.stores[-1].path} "
            f"({error.strerror or error}): make room or choose another place, and resume."
        )
        return PlaneOutcome(number, None, problem, is_fatal=True)
    return PlaneOutcome(number, record)
