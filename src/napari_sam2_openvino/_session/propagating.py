"""Objects through a stack, in steps so short that prompts are answered between."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from psygnal import Signal

from napari_sam2_openvino._session.engines import Engine
from napari_sam2_openvino._session.jobs import Runner
from napari_sam2_openvino.core.embeddings import EmbeddingCache
from napari_sam2_openvino.core.errors import JobCancelledError, Sam2Error
from napari_sam2_openvino.core.marks import ObjectPrompts
from napari_sam2_openvino.core.object_decoder import ObjectPrediction
from napari_sam2_openvino.core.parameters import MaskOptions
from napari_sam2_openvino.core.planes import PlaneSource
from napari_sam2_openvino.core.prompted_masks import masks_of_prompts
from napari_sam2_openvino.core.propagation import CarriedPlane, KnownMask, Propagation
from napari_sam2_openvino.core.regions import Region

# A click waits no longer than this for its turn, and for the batch of objects that runs.
STEP_SECONDS = 0.05


@dataclass(frozen=True, eq=False)
class PromptedObject:
    """An object that has prompts on a plane, and no mask yet.

    Parameters
    ----------
    obj_id : int
    frame_idx : int
    prompts : ObjectPrompts
    region : Region, optional
        Where it was decoded before.
    """

    obj_id: int
    frame_idx: int
    prompts: ObjectPrompts
    region: Region | None = None


@dataclass(frozen=True, eq=False)
class PropagationJob:
    """What is to be done.

    Parameters
    ----------
    engine : Engine
    planes : sequence of PlaneSource
    known : sequence of KnownMask
    prompted : sequence of PromptedObject
        Decoded first, to be known as well.
    options : MaskOptions
        How their masks are made.
    make : callable
        Says, of all known masks, where they are carried.
    """

    engine: Engine
    planes: Sequence[PlaneSource]
    known: Sequence[KnownMask]
    prompted: Sequence[PromptedObject]
    make: Callable[[Sequence[KnownMask]], Propagation]
    options: MaskOptions = field(default_factory=MaskOptions)


class Propagator:
    """Runs one job at a time. Lives in the main thread; its steps are done by a runner.

    Whoever takes a plane says by `go_on` when the next one is wanted.

    Parameters
    ----------
    run : Runner
        Shared with the session, whose steps come in between.
    embeddings : EmbeddingCache
    """

    carried = Signal(CarriedPlane)
    ended = Signal()
    """All planes are done."""
    failed = Signal(Exception)
    """Also with JobCancelledError. What is no `Sam2Error` is raised afterwards."""

    def __init__(self, run: Runner, embeddings: EmbeddingCache) -> None:
        self._run = run
        self._embeddings = embeddings
        self._running: _Running | None = None

    @property
    def is_running(self) -> bool:
        """Whether there is a job."""
        return self._running is not None

    def start(self, job: PropagationJob) -> None:
        """Begin a job; there must be none."""
        assert self._running is None
        self._running = _Running(job, self._embeddings)
        self.go_on()

    def go_on(self) -> None:
        """Find the next plane."""
        running = self._running
        if running is None:
            return

        def on_done(outcome: CarriedPlane | None) -> None:
            if running is not self._running:
                return
            if outcome is not None:
                self.carried.emit(outcome)
            elif running.is_done:
                self._running = None
                self.ended.emit()
            else:
                self.go_on()

        def on_error(error: Exception) -> None:
            if running is not self._running:
                if not isinstance(error, Sam2Error):
                    raise error
                return
            self._running = None
            self.failed.emit(error)
            if not isinstance(error, Sam2Error):
                raise error

        self._run(running.step, on_done, on_error)

    def cancel(self) -> None:
        """End the job; planes that were taken stay."""
        if self._running is not None:
            self.close()
            self.failed.emit(JobCancelledError("The propagation was cancelled."))

    def close(self) -> None:
        """End the job without a word."""
        if self._running is not None:
            self._running.is_cancelled = True
            self._running = None


class _Running:
    """A job on its way in the worker."""

    def __init__(self, job: PropagationJob, embeddings: EmbeddingCache) -> None:
        self._job = job
        self._embeddings = embeddings
        self.is_cancelled = False
        self.is_done = False
        self._generator = self._planes()

    def step(self) -> CarriedPlane | None:
        """Go on for a moment, until a plane is found at most; in the worker."""
        if self.is_cancelled:
            self._generator.close()
            raise JobCancelledError("The propagation was cancelled.")
        end = perf_counter() + STEP_SECONDS
        for plane in self._generator:
            if plane is not None or perf_counter() > end:
                return plane
        self.is_done = True
        return None

    def _planes(self) -> Generator[CarriedPlane | None, None, None]:
        job = self._job
        known = list(job.known)
        for frame_idx in dict.fromkeys(each.frame_idx for each in job.prompted):
            yield from self._decode(frame_idx, known)
        yield from job.engine.propagate(
            job.make(known), cancelled=lambda: self.is_cancelled, embeddings=self._embeddings
        )

    def _decode(
        self, frame_idx: int, known: list[KnownMask]
    ) -> Generator[CarriedPlane | None, None, None]:
        """Add what is drawn on a plane to what is known."""
        job = self._job
        source = job.planes[frame_idx]
        objects = [each for each in job.prompted if each.frame_idx == frame_idx]

        def predict(region: Region, chosen: Sequence[ObjectPrompts]) -> list[ObjectPrediction]:
            embedding = self._encode(source, region)
            return job.engine.decode(embedding, region, chosen, cancelled=lambda: self.is_cancelled)

        for found in masks_of_prompts(
            source.hw,
            job.engine.image_size,
            [each.prompts for each in objects],
            predict,
            job.options,
            [each.region for each in objects],
        ):
            # An object that the model does not see is not there, but its prompts do not say so.
            if found.cut.mask.any():
                known.append(KnownMask(objects[found.index].obj_id, frame_idx, found.cut))
            yield None

    def _encode(self, source: PlaneSource, region: Region) -> Any:
        rgb = source.load(region)
        key = self._job.engine.embedding_key(rgb)
        embedding = self._embeddings.get(key)
        if embedding is None:
            embedding = self._job.engine.encode(rgb, cancelled=lambda: self.is_cancelled)
            self._embeddings.put(key, embedding)
        return embedding
