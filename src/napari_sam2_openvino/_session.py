"""What a widget wants predicted, and what it got: the one mutable object behind it.

Intent (model, plane, prompts) is set from the main thread. The session compares it with what it has
and submits the next missing step to a worker, one at a time: load the model, encode the plane,
decode the prompts. Each step starts from the intent of that moment, so that of several edits only
the newest costs anything, and an answer to an older intent is dropped. No napari, no Qt.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from time import perf_counter
from typing import Any, Protocol

from numpy.typing import NDArray
from psygnal import Signal

from napari_sam2_openvino._engine import Engine, ObjectMask, Sam2Engine
from napari_sam2_openvino.core.embeddings import EmbeddingCache
from napari_sam2_openvino.core.errors import JobCancelledError, Sam2Error
from napari_sam2_openvino.core.normalize import to_rgb
from napari_sam2_openvino.core.types import ImageEmbedding, Prompts

Limits = tuple[float, float]
Outcome = Callable[[Any], None]


class State(Enum):
    """What the session is doing."""

    IDLE = "idle"
    LOADING = "loading the model"
    ENCODING = "encoding the image"
    DECODING = "decoding the prompts"
    READY = "ready"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True)
class PlaneSource:
    """A plane to segment.

    Parameters
    ----------
    key : hashable
        Equal keys promise equal pixels.
    load : callable
        Returns the pixels, shape (H, W) or (H, W, 3 or 4); called in the worker.
    """

    key: Hashable
    load: Callable[[], NDArray[Any]]


class Runner(Protocol):
    """Runs one job at a time, and hands its outcome over in the main thread."""

    def __call__(self, job: Callable[[], Any], on_done: Outcome, on_error: Outcome) -> None:
        """Run ``job``, then call ``on_done`` with its value or ``on_error`` with its exception."""


@dataclass(frozen=True)
class _View:
    """What an embedding depends on."""

    model_name: str
    plane_key: Hashable
    limits: Limits | None


class _Job:
    """The job that runs."""

    def __init__(self, state: State, generation: int) -> None:
        self.state = state
        self.generation = generation
        # Never taken back, also if what it was doing is wanted again.
        self.is_cancelled = False


class AnnotationSession:
    """Keeps predictions in step with model, plane and prompts.

    Parameters
    ----------
    run : Runner
        Executes jobs; synchronous in tests.
    load_engine : callable, optional
        Makes an engine from a model's name; called in the worker.
    cache : EmbeddingCache, optional
    """

    state_changed = Signal(State)
    object_changed = Signal(object)
    failed = Signal(Sam2Error)

    def __init__(
        self,
        run: Runner,
        load_engine: Callable[[str], Engine] = Sam2Engine,
        cache: EmbeddingCache | None = None,
    ) -> None:
        self._run = run
        self._load_engine = load_engine
        self._cache = EmbeddingCache() if cache is None else cache
        self._model_name: str | None = None
        self._source: PlaneSource | None = None
        self._limits: Limits | None = None
        self._prompts = Prompts()
        # Replaced as a whole: the worker reads it.
        self._view: _View | None = None
        self._engine: tuple[str, Engine] | None = None
        self._embedding: tuple[_View, ImageEmbedding] | None = None
        self._embedding_keys: dict[_View, str] = {}
        self._generation = 0
        self._object: ObjectMask | None = None
        self._object_generation = -1
        self._state = State.IDLE
        self._job: _Job | None = None
        self._paused = False
        self._closed = False
        self.encode_seconds: dict[str, float] = {}

    @property
    def state(self) -> State:
        """What the session is doing."""
        return self._state

    @property
    def model_name(self) -> str | None:
        """The model that is wanted."""
        return self._model_name

    @property
    def generation(self) -> int:
        """Grows with each change of intent."""
        return self._generation

    @property
    def source(self) -> PlaneSource | None:
        """The plane that is wanted."""
        return self._source

    @property
    def prompts(self) -> Prompts:
        """The prompts of the current object."""
        return self._prompts

    @property
    def is_busy(self) -> bool:
        """Whether an answer to the newest intent is on its way."""
        return self._state in (State.LOADING, State.ENCODING, State.DECODING)

    @property
    def is_loading(self) -> bool:
        """Whether a model is being loaded, be it one that was cancelled."""
        return self._job is not None and self._job.state is State.LOADING

    @property
    def current_object(self) -> ObjectMask | None:
        """The answer to the newest intent, or None while there is none."""
        return self._object if self._object_generation == self._generation else None

    def set_model(self, name: str | None) -> None:
        """Choose a model by its name; None for none."""
        if name != self._model_name:
            self._model_name = name
            self._changed(forget=True)

    def request(
        self, source: PlaneSource | None, prompts: Prompts, limits: Limits | None = None
    ) -> None:
        """Say which plane is wanted, and what the current object on it is.

        Parameters
        ----------
        source : PlaneSource or None
            None for no plane.
        prompts : Prompts
            If empty, the plane is only encoded.
        limits : tuple of float, optional
            Intensities that become black and white, see `to_rgb`.
        """
        known = self._source.key if self._source else None
        wanted = source.key if source else None
        is_new_plane = (wanted, limits) != (known, self._limits)
        if is_new_plane or prompts.digest() != self._prompts.digest():
            self._source, self._limits, self._prompts = source, limits, prompts
            self._changed(forget=is_new_plane or prompts.is_empty)

    def cancel(self) -> None:
        """Stop the job that runs; the next change of intent goes on.

        An encode ends at once. To load a model cannot be interrupted; its result is dropped.
        """
        if self._job is not None and not self._paused:
            self._job.is_cancelled = self._paused = True
            self._generation += 1
            self._set_state(State.CANCELLED)

    def close(self) -> None:
        """Stop everything for good; nothing is signalled afterwards."""
        self._closed = True
        self._source = self._view = None
        self._engine = self._embedding = self._object = None
        self._cache.clear()

    def _changed(self, *, forget: bool) -> None:
        self._generation += 1
        self._paused = False
        if self._model_name is None or self._source is None:
            self._view = None
        else:
            self._view = _View(self._model_name, self._source.key, self._limits)
        if forget and self._object is not None:
            self._publish(None)
        self._advance()

    def _advance(self) -> None:
        """Submit the first step that is missing between what is wanted and what is there."""
        if self._paused or self._closed:
            return
        if self._job is not None:
            # Also one that was cancelled: what is wanted comes after it.
            self._set_state(self._job.state)
            return
        view = self._view
        if self._model_name is not None and self._engine_for(self._model_name) is None:
            self._load(self._model_name)
        elif view is None or self._source is None:
            self._set_state(State.IDLE)
        elif (embedding := self._find_embedding(view)) is None:
            self._encode(view, self._source)
        elif not self._prompts.is_empty and self._object_generation != self._generation:
            self._decode(view, embedding)
        else:
            self._set_state(State.READY)

    def _engine_for(self, name: str) -> Engine | None:
        return self._engine[1] if self._engine and self._engine[0] == name else None

    def _find_embedding(self, view: _View) -> ImageEmbedding | None:
        if self._embedding is None or self._embedding[0] != view:
            key = self._embedding_keys.get(view)
            embedding = None if key is None else self._cache.get(key)
            self._embedding = None if embedding is None else (view, embedding)
        return self._embedding[1] if self._embedding else None

    def _load(self, name: str) -> None:
        # The old model goes first, so that two never share the memory.
        self._engine = None

        def keep(engine: Engine) -> None:
            self._engine = (name, engine)

        self._submit(State.LOADING, lambda _: self._load_engine(name), keep)

    def _encode(self, view: _View, source: PlaneSource) -> None:
        engine = self._engine_for(view.model_name)
        assert engine is not None

        def encode(job: _Job) -> tuple[str, ImageEmbedding, float | None]:
            rgb = to_rgb(source.load(), limits=view.limits)
            key = engine.embedding_key(rgb)
            embedding = self._cache.get(key)
            if embedding is not None:
                return key, embedding, None
            start = perf_counter()
            embedding = engine.encode(rgb, cancelled=lambda: job.is_cancelled or self._view != view)
            return key, embedding, perf_counter() - start

        def keep(answer: tuple[str, ImageEmbedding, float | None]) -> None:
            key, embedding, seconds = answer
            self._embedding_keys[view] = key
            self._cache.put(key, embedding)
            self._embedding = (view, embedding)
            if seconds is not None:
                self.encode_seconds[view.model_name] = seconds

        self._submit(State.ENCODING, encode, keep)

    def _decode(self, view: _View, embedding: ImageEmbedding) -> None:
        engine = self._engine_for(view.model_name)
        assert engine is not None
        generation, prompts = self._generation, self._prompts

        def keep(answer: ObjectMask) -> None:
            if generation == self._generation:
                self._object_generation = generation
                self._publish(answer)

        self._submit(
            State.DECODING, lambda _: ObjectMask.best_of(engine.predict(embedding, prompts)), keep
        )

    def _submit(self, state: State, work: Callable[[_Job], Any], keep: Outcome) -> None:
        job = self._job = _Job(state, self._generation)
        self._set_state(state)

        def on_done(value: Any) -> None:
            self._job = None
            if self._closed:
                return
            if not job.is_cancelled:
                keep(value)
            self._advance()

        def on_error(error: BaseException) -> None:
            self._job = None
            if self._closed:
                return
            is_stale = isinstance(error, JobCancelledError) or job.generation != self._generation
            if isinstance(error, Sam2Error) and is_stale:
                # Nobody waits for it any more; what is wanted now gets its own chance.
                self._advance()
                return
            self._paused = True
            self._set_state(State.FAILED)
            if not isinstance(error, Sam2Error):
                raise error
            self.failed.emit(error)

        self._run(partial(work, job), on_done, on_error)

    def _publish(self, answer: ObjectMask | None) -> None:
        self._object = answer
        self.object_changed.emit(answer)

    def _set_state(self, state: State) -> None:
        if state is not self._state:
            self._state = state
            self.state_changed.emit(state)
