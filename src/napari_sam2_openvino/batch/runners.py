"""Planes in this process, one after the other."""

import contextlib
from collections.abc import Generator, Iterator
from typing import NamedTuple, Protocol

from napari_sam2_openvino.batch.plane_work import PlaneOutcome, PlaneWorker, StackTask
from napari_sam2_openvino.batch.segmenter import Cancelled


class PlaneTask(NamedTuple):
    """One plane that is to be segmented: number ``number`` of stack ``stack`` of the job."""

    stack: int
    task: StackTask
    number: int


class PlaneDone(NamedTuple):
    """One plane that was."""

    stack: int
    outcome: PlaneOutcome


class Runner(Protocol):
    """Where planes are segmented."""

    def __call__(
        self, tasks: Iterator[PlaneTask], cancelled: Cancelled
    ) -> Generator[PlaneDone | None, None, None]:
        """Segment planes.

        Parameters
        ----------
        tasks : iterator of PlaneTask
            Asked for the next one when there is room for it, which is all that is in memory.
        cancelled : callable

        Yields
        ------
        PlaneDone or None
            None where nothing is done yet, several times a second.
        """


def run_here(
    tasks: Iterator[PlaneTask], cancelled: Cancelled, *, threads: int | None = None
) -> Generator[PlaneDone | None, None, None]:
    """Segment planes in this process, see `Runner`, by so many processor threads; None for all."""
    with contextlib.closing(PlaneWorker()) as worker:
        for stack, task, number in tasks:
            with contextlib.closing(worker.segment(task, number, threads, cancelled)) as steps:
                while True:
                    try:
                        next(steps)
                    except StopIteration as end:
                        outcome: PlaneOutcome = end.value
                        break
                    yield None
            yield PlaneDone(stack, outcome)
