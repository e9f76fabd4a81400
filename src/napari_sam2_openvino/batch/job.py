"""A batch as a job: images in, labels out, with progress, cancel and resume."""

import contextlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from napari_sam2_openvino.batch.dask_runner import DaskRunner
from napari_sam2_openvino.batch.images import StackImage, stack_image
from napari_sam2_openvino.batch.pace import Pace
from napari_sam2_openvino.batch.plane_work import PlaneOutcome, StackTask
from napari_sam2_openvino.batch.reports import BatchReport, StackReport
from napari_sam2_openvino.batch.runners import PlaneTask, Runner, run_here
from napari_sam2_openvino.batch.segmenter import PlaneRecipe
from napari_sam2_openvino.batch.stack import Stack, StackSettings
from napari_sam2_openvino.core.errors import InputError, JobCancelledError, Sam2Error
from napari_sam2_openvino.core.progress import Progress


class BatchJob:
    """Segments images, each into labels of its own; memory does not grow with their planes.

    Parameters
    ----------
    images : sequence of (object, Path)
        Images, see `stack_image`, each with the labels that are made of it: a .zarr, .tif or .npy.
    settings : StackSettings
    axes : str, optional
        The axes of all images.
    runner : DaskRunner, optional
        The workers that segment planes; without it this process does.
    threads : int, optional
        Processor threads that this process uses; all without it. Workers have their own.

    Examples
    --------
    >>> job = BatchJob([("stack.tif", Path("labels.zarr"))], settings)  # doctest: +SKIP
    >>> for progress in job.run():  # doctest: +SKIP
    ...     print(progress.detail)
    >>> print(job.report)  # doctest: +SKIP
    """

    def __init__(
        self,
        images: Sequence[tuple[object, Path]],
        settings: StackSettings,
        *,
        axes: str | None = None,
        runner: DaskRunner | None = None,
        threads: int | None = None,
    ) -> None:
        if not images:
            raise InputError("There is no image to segment: give one or more.")
        self._images = images
        self._settings = settings
        self._axes = axes
        self._runner = runner
        self._threads = threads
        self._cancelled = False
        self._stacks: dict[int, _Progressing] = {}
        self._pace = Pace()
        self.errors: dict[int, Sam2Error] = {}
        """What kept a whole image from being segmented, by its place among the images."""
        self._reports: dict[int, StackReport] = {}

    def cancel(self) -> None:
        """End the job soon; from any thread. What is done stays, and can be resumed."""
        self._cancelled = True

    @property
    def report(self) -> BatchReport:
        """What became of the images so far."""
        reports = tuple(self._reports[number] for number in sorted(self._reports))
        return BatchReport(reports, self._pace.seconds, self._pace.planes_per_minute)

    def run(self) -> Generator[Progress, None, None]:
        """Do it. Ended early, or killed, it leaves what is finished, to be resumed.

        What is wrong with one image is told in its report, and the others are done all the same.

        Raises
        ------
        JobCancelledError
            If it was cancelled.
        """
        self._pace = Pace()
        yield Progress("Starting", 0.0)
        runner: Runner = self._runner or partial(run_here, threads=self._threads)
        steps = runner(self._tasks(), lambda: self._cancelled)
        with contextlib.closing(steps):
            try:
                for done in steps:
                    if done is not None:
                        self._stacks[done.stack].take(done.outcome)
                        self._pace.advance(self._share())
                    yield from self._finish_some()
                    yield self._progress()
                yield from self._finish_some()
            finally:
                for number, stack in self._stacks.items():
                    self._reports[number] = stack.report()
                    stack.stack.close()
        yield Progress("Done", 1.0, str(self.report))

    def _tasks(self) -> Iterator[PlaneTask]:
        """Open one image after the other and give its planes that are missing."""
        for number, (image, output) in enumerate(self._images):
            try:
                stack, task = self._open(image, output)
            except Sam2Error as error:
                self._fail(number, error)
                continue
            self._stacks[number] = stack
            self._pace.skip(stack.share / len(self._images))
            for plane in tuple(stack.pending):
                if task is None or stack.is_stopped:
                    break
                yield PlaneTask(number, task, plane)

    def _open(self, image: object, output: Path) -> "tuple[_Progressing, StackTask | None]":
        found = image if isinstance(image, StackImage) else stack_image(image, self._axes)
        stack = Stack(found, output, self._settings, settle=self._settle)
        try:
            progressing = _Progressing(stack)
            task = progressing.task(for_other_processes=self._runner is not None)
        except BaseException:
            stack.close()
            raise
        return progressing, task

    def _settle(self, recipe: PlaneRecipe) -> PlaneRecipe:
        """Try a recipe in this process, unless only workers on other computers have its device."""
        if self._runner is None:
            return recipe.settled(self._threads)
        return recipe.settled(None) if self._runner.is_local else recipe

    def _fail(self, number: int, error: Sam2Error) -> None:
        image, output = self._images[number]
        name = str(image) if isinstance(image, str | Path) else getattr(image, "name", "the image")
        self.errors[number] = error
        self._pace.skip(1 / len(self._images))
        self._reports[number] = StackReport(str(name), str(output), problems=(str(error),))

    def _finish_some(self) -> Generator[Progress, None, None]:
        """End the stacks of which no plane is missing any more."""
        for number, stack in tuple(self._stacks.items()):
            if stack.pending:
                continue
            try:
                with contextlib.closing(stack.stack.finish()) as steps:
                    for progress in steps:
                        if self._cancelled:
                            raise JobCancelledError("The batch was cancelled.")
                        yield replace(progress, done=self._share())
            except JobCancelledError:
                raise
            except Sam2Error as error:
                stack.problems.append(str(error))
            self._reports[number] = stack.report()
            stack.stack.close()
            del self._stacks[number]

    def _share(self) -> float:
        """Return which share of all planes of all images is done."""
        current = sum(stack.share for stack in self._stacks.values())
        return min(1.0, (current + len(self._reports)) / len(self._images))

    def _progress(self) -> Progress:
        parts = [self._pace.text()]
        if len(self._images) > 1:
            parts.insert(0, f"{len(self._reports)} of {len(self._images)} images")
        else:
            parts[:0] = [stack.text() for stack in self._stacks.values()]
        return Progress("Segmenting", self._share(), ", ".join(part for part in parts if part))


class _Progressing:
    """A stack whose planes are being segmented."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.pending = dict.fromkeys(stack.pending())
        self.problems: list[str] = []
        self.is_stopped = False

    @property
    def share(self) -> float:
        n_planes = len(self.stack.numbers)
        return 1.0 if self.is_stopped else (n_planes - len(self.pending)) / n_planes

    def task(self, *, for_other_processes: bool) -> StackTask | None:
        """Return what processes need to segment what is missing; None if nothing is."""
        if not self.pending:
            return None
        return self.stack.task(for_other_processes=for_other_processes)

    def take(self, outcome: PlaneOutcome) -> None:
        self.pending.pop(outcome.number, None)
        if not outcome.problem:
            return
        axes = self.stack.image.axes
        if outcome.is_fatal:
            self.is_stopped = True
        place = axes.name(axes.position(outcome.number))
        problem = outcome.problem
        if axes.n_planes > 1 and not outcome.is_fatal:
            problem = f"Plane {place}: {problem}"
        if problem not in self.problems:
            self.problems.append(problem)

    def text(self) -> str:
        n_planes = len(self.stack.numbers)
        return f"{n_planes - len(self.pending)} of {n_planes} planes"

    def report(self) -> StackReport:
        stack = self.stack
        missing = len(stack.pending())
        return StackReport(
            stack.image.name,
            str(stack.output),
            len(stack.numbers),
            len(stack.numbers) - missing,
            stack.n_objects(),
            tuple(self.problems),
        )
