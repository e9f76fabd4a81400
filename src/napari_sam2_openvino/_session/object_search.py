"""The search for every object of a plane, in steps so short that prompts are answered between."""

from collections import OrderedDict
from collections.abc import Generator, Hashable
from dataclasses import dataclass, replace
from time import perf_counter

from psygnal import Signal

from napari_sam2_openvino._session.engines import Engine
from napari_sam2_openvino._session.jobs import Runner
from napari_sam2_openvino._session.places import View
from napari_sam2_openvino.core.all_objects import kept_thresholds
from napari_sam2_openvino.core.candidate_store import CandidateStore, candidate_key
from napari_sam2_openvino.core.candidates import Candidates
from napari_sam2_openvino.core.embeddings import EmbeddingCache
from napari_sam2_openvino.core.errors import JobCancelledError, Sam2Error
from napari_sam2_openvino.core.object_parameters import AllObjectsParameters, CandidateFilter
from napari_sam2_openvino.core.planes import PlaneSource
from napari_sam2_openvino.core.progress import Progress

# A click waits no longer than this for its turn, and for the batch of points that runs.
STEP_SECONDS = 0.05
DEFAULT_MAX_BYTES = 256 << 20


@dataclass(frozen=True, eq=False)
class Found:
    """What a search has found.

    Parameters
    ----------
    view : View
        The plane, as one model sees it.
    candidates : Candidates
    kept : CandidateFilter
        What they had to pass: lower thresholds show no more of them.
    """

    view: View
    candidates: Candidates
    kept: CandidateFilter


class FoundMemory:
    """What was found on each plane, the least recently used dropped first.

    Parameters
    ----------
    max_bytes : int, optional
        Budget for the run lengths of all masks together.
    """

    def __init__(self, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[Hashable, tuple[Found, int]] = OrderedDict()

    def get(self, view: View) -> Found | None:
        """Return what was found on a plane, and mark it as used."""
        if view not in self._entries:
            return None
        self._entries.move_to_end(view)
        return self._entries[view][0]

    def put(self, found: Found) -> None:
        """Keep what was found in place of what was found there before."""
        nbytes = sum(mask.counts.nbytes for mask in found.candidates.masks)
        self._entries[found.view] = found, nbytes
        self._entries.move_to_end(found.view)
        while len(self._entries) > 1 and sum(each for _, each in self._entries.values()) > (
            self._max_bytes
        ):
            self._entries.popitem(last=False)

    def __len__(self) -> int:
        return len(self._entries)


@dataclass(frozen=True, eq=False)
class SearchJob:
    """What is looked for: a plane, a model, and how.

    Parameters
    ----------
    view : View
    engine : Engine
    source : PlaneSource
    parameters : AllObjectsParameters
        Its filter does not count: what is kept depends on what is recommended for the model.
    """

    view: View
    engine: Engine
    source: PlaneSource
    parameters: AllObjectsParameters

    def __post_init__(self) -> None:
        parameters = replace(self.parameters, filter=self.engine.all_objects.filter)
        object.__setattr__(self, "parameters", parameters)

    @property
    def kept(self) -> CandidateFilter:
        """What candidates have to pass."""
        return kept_thresholds(self.parameters.filter)


class ObjectSearch:
    """Searches planes, one at a time. Lives in the main thread; its steps are done by a runner.

    Parameters
    ----------
    run : Runner
        Shared with the session, whose steps come in between.
    embeddings : EmbeddingCache
    store : CandidateStore, optional
        Where candidates are looked for and kept while ``is_stored``.
    """

    progressed = Signal(Progress, float)
    """With the seconds that are left; NaN while that is not known."""
    found = Signal(Found)
    ended = Signal()
    """Whether something was found or not."""
    failed = Signal(Sam2Error)

    def __init__(
        self, run: Runner, embeddings: EmbeddingCache, store: CandidateStore | None = None
    ) -> None:
        self._run = run
        self._embeddings = embeddings
        self._store = store
        self.is_stored = False
        self.memory = FoundMemory()
        self._running: _Running | None = None
        self._looked_for: set[View] = set()
        self._is_closed = False

    @property
    def is_running(self) -> bool:
        """Whether a plane is being searched."""
        return self._running is not None

    def start(self, job: SearchJob) -> None:
        """Search a plane; one that is being searched is given up."""
        self.cancel()
        if not self._is_closed:
            store = self._store if self.is_stored else None
            self._running = _Running(job, self._embeddings, store)
            self._advance(self._running)

    def look_up(self, job: SearchJob) -> None:
        """Look for what was found on a plane another day, once."""
        is_new = job.view not in self._looked_for and self.memory.get(job.view) is None
        if self._store is None or not self.is_stored or not is_new or self._is_closed:
            return
        self._looked_for.add(job.view)
        store = self._store

        def read() -> Candidates | None:
            return store.get(candidate_key(job.engine.key, job.source, job.parameters))

        def keep(candidates: Candidates | None) -> None:
            if candidates is not None and not self._is_closed:
                self._keep(Found(job.view, candidates, job.kept))

        self._run(read, keep, self._on_unreadable)

    def cancel(self) -> None:
        """Give up the search; what was found on other planes stays."""
        if self._running is not None:
            self._running.is_cancelled = True
            self._running = None
            self.ended.emit()

    def close(self) -> None:
        """Stop for good; nothing is signalled afterwards."""
        self._is_closed = True
        if self._running is not None:
            self._running.is_cancelled = True
            self._running = None

    def _advance(self, running: "_Running") -> None:
        def on_done(outcome: Progress | Candidates) -> None:
            if running is not self._running:
                return
            if isinstance(outcome, Progress):
                self.progressed.emit(outcome, running.seconds_left(outcome))
                self._advance(running)
                return
            self._running = None
            self._keep(Found(running.job.view, outcome, running.job.kept))
            self.ended.emit()

        def on_error(error: Exception) -> None:
            if running is not self._running:
                if not isinstance(error, Sam2Error):
                    raise error
                return
            self._running = None
            self.ended.emit()
            if not isinstance(error, Sam2Error):
                raise error
            if not isinstance(error, JobCancelledError):
                self.failed.emit(error)

        self._run(running.step, on_done, on_error)

    def _keep(self, found: Found) -> None:
        self.memory.put(found)
        self.found.emit(found)

    def _on_unreadable(self, error: Exception) -> None:
        if not isinstance(error, Sam2Error):
            raise error
        if not self._is_closed:
            self.failed.emit(error)


class _Running:
    """A search on its way in the worker."""

    def __init__(
        self, job: SearchJob, embeddings: EmbeddingCache, store: CandidateStore | None
    ) -> None:
        self.job = job
        self.is_cancelled = False
        self._store = store
        self._started: tuple[float, float] | None = None
        self._generator: Generator[Progress, None, Candidates] = job.engine.find_objects(
            job.source,
            job.parameters,
            cancelled=lambda: self.is_cancelled,
            embeddings=embeddings,
        )

    def step(self) -> Progress | Candidates:
        """Go on for a moment; in the worker."""
        if self.is_cancelled:
            self._generator.close()
            raise JobCancelledError("The search for objects was cancelled.")
        end = perf_counter() + STEP_SECONDS
        try:
            while True:
                progress = next(self._generator)
                if perf_counter() > end:
                    return progress
        except StopIteration as stop:
            candidates: Candidates = stop.value
        if self._store is not None:
            job = self.job
            self._store.put(candidate_key(job.engine.key, job.source, job.parameters), candidates)
        return candidates

    def seconds_left(self, progress: Progress) -> float:
        """Return how long it will take at the pace so far."""
        now = perf_counter()
        if self._started is None:
            self._started = now, progress.done
        started, before = self._started
        done = progress.done - before
        return (now - started) * (1 - progress.done) / done if done > 0 else float("nan")
