"""Objects through a stack as a job: prompts in, labels out, with progress, cancel and resume."""

import hashlib
import time
from collections.abc import Generator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from napari_sam2_openvino._files.labels_store import LabelsStore
from napari_sam2_openvino.batch.frame_files import FrameFiles
from napari_sam2_openvino.batch.image_check import compared_planes, plane_digest
from napari_sam2_openvino.batch.images import StackImage, choose_channels, stack_image
from napari_sam2_openvino.batch.journal import JobIdentity, Journal, PlaneRecord
from napari_sam2_openvino.batch.output_lock import OutputLock
from napari_sam2_openvino.batch.outputs import (
    check_output,
    check_what_is_there,
    journal_folder,
    read_noted,
    remove_output,
    write_record,
)
from napari_sam2_openvino.batch.own_files import (
    GROWING_SUFFIX,
    check_own,
    is_growing,
    make_own_store,
)
from napari_sam2_openvino.batch.segmenter import ModelRecipe
from napari_sam2_openvino.batch.volume_prompts import VolumePrompts
from napari_sam2_openvino.core.embeddings import EmbeddingCache
from napari_sam2_openvino.core.errors import InputError, JobCancelledError
from napari_sam2_openvino.core.parameters import Normalization
from napari_sam2_openvino.core.planes import PlaneSource, StretchCache, make_plane_source
from napari_sam2_openvino.core.progress import Progress
from napari_sam2_openvino.core.propagation import put_known
from napari_sam2_openvino.core.reading import ImageArrays
from napari_sam2_openvino.core.video_predictor import SAM2VideoPredictor
from napari_sam2_openvino.core.video_state import FramePrediction, VideoState
from napari_sam2_openvino.core.volume_parameters import VolumeParameters

# Of embeddings: enough that the second pass need not encode a short stack again.
_CACHE_BYTES = 1 << 29


@dataclass(frozen=True)
class PropagationSettings:
    """How a job propagates.

    Parameters
    ----------
    recipe : ModelRecipe
    parameters : VolumeParameters, optional
        ``keep_all_planes`` does not count: what is needed again is kept on disk.
    normalization : Normalization, optional
    channels : tuple of int, optional
        Up to three; all by default.
    resume, overwrite : bool, optional
        Go on with what was begun, with the same image, prompts and parameters; or begin anew.

    Raises
    ------
    InputError
        If both are asked for.
    """

    recipe: ModelRecipe
    parameters: VolumeParameters = field(default_factory=VolumeParameters)
    normalization: Normalization = field(default_factory=Normalization)
    channels: tuple[int, ...] = ()
    resume: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        check_what_is_there(resume=self.resume, overwrite=self.overwrite)


@dataclass(frozen=True)
class _Step:
    """One plane of one pass."""

    number: int
    frame_idx: int
    reverse: bool


class PropagationJob:
    """Carries objects through all planes of an image, in both directions, and writes labels.

    The labels can be read while they grow. Beside them, until it is done, lies a folder of the same
    name and ".partial": what a job that was killed goes on from, with the same result.

    Parameters
    ----------
    image : object
        With one axis of planes; see `stack_image`.
    prompts : VolumePrompts
    output : Path
        A .zarr.
    settings : PropagationSettings
    axes : str, optional
        One letter for each axis of the image.

    Examples
    --------
    >>> job = PropagationJob("stack.tif", prompts, Path("out.zarr"), settings)  # doctest: +SKIP
    >>> for progress in job.run():  # doctest: +SKIP
    ...     print(progress.detail)
    """

    def __init__(
        self,
        image: object,
        prompts: VolumePrompts,
        output: Path,
        settings: PropagationSettings,
        *,
        axes: str | None = None,
    ) -> None:
        self._image = image if isinstance(image, StackImage) else stack_image(image, axes)
        self._prompts = prompts
        self._output = output
        self._settings = settings
        self._recipe = settings.recipe
        self._parameters = replace(settings.parameters, keep_all_planes=False)
        self._view = choose_channels(
            self._image, settings.channels, settings.normalization, as_grey=False
        )
        self._folder = journal_folder(output)
        self._journal = Journal(self._folder)
        self._is_final = False
        self._cancelled = False
        if sum(length > 1 for length in self._image.axes.labels_shape[:-2]) > 1:
            raise InputError(
                f"Objects are propagated along one axis, but {self._image.name} has "
                f"{self._image.axes}: cut it, or name its axes if they are others."
            )
        prompts.check(self._image.axes.n_planes, self._image.axes.plane_hw)
        self._check_place()

    def cancel(self) -> None:
        """End the job soon; from any thread. What is done stays, and can be resumed."""
        self._cancelled = True

    def run(self) -> Generator[Progress, None, None]:
        """Do it.

        Raises
        ------
        InputError
            If something cannot be read or written, or another job writes to the labels; what is
            done stays.
        JobCancelledError
            If it was cancelled.
        """
        yield Progress("Starting", 0.0)
        lock = OutputLock(self._output)
        try:
            try:
                lock.acquire()
            except OSError as error:
                raise self._cannot_write(error) from error
            self._prepare()
            if not self._is_final:
                yield from self._carry()
        finally:
            lock.release()
        prompts = self._prompts.prompts
        n_objects = len({prompt.obj_id for prompt in prompts})
        yield Progress("Done", 1.0, f"{n_objects} objects, {self._image.axes.n_planes} planes")

    def _prepare(self) -> None:
        """See whether what is there is this job's; nothing is changed."""
        noted = None if self._settings.overwrite else read_noted(self._output)
        if noted is None:
            self._recipe = self._recipe.settled()
        else:
            self._recipe = self._recipe.as_begun(noted.identity.segmenter)
        self._made_from = self._identity()
        if noted is not None:
            noted.check(self._made_from, self._image, self._view)
            self._is_final = noted.is_final

    def _carry(self) -> Generator[Progress, None, None]:
        predictor = SAM2VideoPredictor(
            self._recipe.load(),
            self._parameters,
            embeddings=EmbeddingCache(_CACHE_BYTES),
        )
        with self._image.open() as arrays:
            state = VideoState(self._sources(arrays))
            yield from self._give_prompts(predictor, state)
            # Only now, when model, image and prompts are known to be good, is anything replaced.
            try:
                self._begin()
            except OSError as error:
                raise self._cannot_write(error) from error
            yield from self._propagate(predictor, state, arrays)
        self._finish()

    def _check_place(self) -> None:
        output, settings = self._output, self._settings
        if not is_growing(output):
            raise InputError(
                f"A propagation writes {GROWING_SUFFIX}, but the name is {output.name!r}."
            )
        self._image.check_output(output)
        check_output(output, resume=settings.resume, overwrite=settings.overwrite)

    def _begin(self) -> None:
        """Go on with what is there, or make what planes are written to."""
        if self._settings.overwrite:
            remove_output(self._output)
        if not self._journal.exists:
            self._journal.begin(self._made_from)
        self._files = FrameFiles(self._folder / "frames")
        if not self._output.exists():
            if any(self._journal.has_plane(step.number) for step in self._steps()):
                raise InputError(
                    f"{self._output} is gone, but planes of it were finished: overwrite what was "
                    "begun."
                )
            make_own_store(self._output, self._image, self._journal)

    def _identity(self) -> JobIdentity:
        prompts = hashlib.blake2b(self._prompts.model_dump_json().encode(), digest_size=16)
        decides = {
            **self._recipe.identity(),
            **{name: str(value) for name, value in asdict(self._parameters).items()},
            "channels": str(self._settings.channels),
            **{name: str(value) for name, value in asdict(self._settings.normalization).items()},
            "prompts": prompts.hexdigest(),
        }
        return JobIdentity(str(self._image.dtype), self._image.layout, "", decides)

    def _steps(self) -> list[_Step]:
        """Return all planes in their order: from the first prompts on, then back from the last."""
        n_planes = self._image.axes.n_planes
        prompted = [prompt.plane for prompt in self._prompts.prompts]
        forwards = [_Step(at, at, reverse=False) for at in range(min(prompted), n_planes)]
        # Its own plane is done by then.
        backwards = [
            _Step(n_planes + at, at, reverse=True) for at in range(max(prompted) - 1, -1, -1)
        ]
        return [*forwards, *backwards]

    def _sources(self, arrays: ImageArrays) -> tuple[PlaneSource, ...]:
        axes, measured = self._image.axes, StretchCache()
        return tuple(
            make_plane_source((arrays,), axes.plane(axes.position(number)), self._view, measured)
            for number in range(axes.n_planes)
        )

    def _give_prompts(
        self, predictor: SAM2VideoPredictor, state: VideoState
    ) -> Generator[Progress, None, None]:
        prompts = sorted(self._prompts.prompts, key=lambda each: each.plane)
        for number, prompt in enumerate(prompts):
            yield Progress("Reading the prompts", 0.0, f"{number} of {len(prompts)}")
            prompt.give(predictor, state, cancelled=lambda: self._cancelled)
        predictor.propagate_in_video_preflight(state)

    def _propagate(
        self, predictor: SAM2VideoPredictor, state: VideoState, arrays: ImageArrays
    ) -> Generator[Progress, None, None]:
        steps, labels = self._steps(), LabelsStore(self._output)
        begun = time.perf_counter()
        n_known = 0
        for done, step in enumerate(steps, start=1):
            if self._cancelled:
                raise JobCancelledError("The propagation was cancelled.")
            if self._journal.has_plane(step.number):
                self._files.load(step.number, state, step.frame_idx)
                predictor.pass_frame(state, step.frame_idx, reverse=step.reverse)
                n_known += 1
                continue
            self._recall_first_pass(state, step)
            started = time.perf_counter()
            image = self._digest(arrays, step.frame_idx)
            prediction = predictor.propagate_to_frame(
                state,
                step.frame_idx,
                reverse=step.reverse,
                cancelled=lambda: self._cancelled,
            )
            seconds = time.perf_counter() - started
            self._keep(step, state, prediction, labels, PlaneRecord(0, seconds, image=image))
            left = (time.perf_counter() - begun) / (done - n_known) * (len(steps) - done)
            text = f"plane {done} of {len(steps)}, about {left:.0f} s left"
            yield Progress("Propagating", done / len(steps), text)

    def _digest(self, arrays: ImageArrays, frame_idx: int) -> str:
        if frame_idx not in compared_planes(range(self._image.axes.n_planes)):
            return ""
        return plane_digest(self._image, arrays, frame_idx, self._view)

    def _recall_first_pass(self, state: VideoState, step: _Step) -> None:
        """Put back what the first pass found on a plane: not all of it is found again."""
        if step.reverse and self._journal.has_plane(step.frame_idx):
            self._files.load(step.frame_idx, state, step.frame_idx)

    def _keep(
        self,
        step: _Step,
        state: VideoState,
        prediction: FramePrediction,
        labels: LabelsStore,
        record: PlaneRecord,
    ) -> None:
        """Write a plane, and only then note that it is there."""
        plane = prediction.labels
        put_known(plane, self._prompts.masks_on(step.frame_idx))
        try:
            self._files.save(step.number, state, step.frame_idx)
            labels.write(self._image.axes.position(step.frame_idx), plane)
            n_objects = int(np.count_nonzero(np.unique(plane)))
            self._journal.finish_plane(step.number, replace(record, n_objects=n_objects))
        except OSError as error:
            raise self._cannot_write(error) from error

    def _finish(self) -> None:
        """Note how the labels were made, and forget what only an unfinished job needs."""
        try:
            check_own(self._output, self._journal.run, self._journal.files, is_final=False)
            write_record(self._output, self._journal)
            self._journal.remove()
        except OSError as error:
            raise self._cannot_write(error) from error

    def _cannot_write(self, error: OSError) -> InputError:
        return InputError(
            f"The labels cannot be written to {self._output} ({error.strerror or error}): make "
            "room or choose another place, and resume."
        )
