"""What a widget wants predicted, and what it got: the one mutable object behind it.

Intent (model, plane, objects, options) is set from the main thread. The session compares it with
what it has and gives the next missing step to a worker, one at a time: load the model, encode a
region of the plane, decode some objects, make masks anew. Each step starts from the intent of that
moment and is short, so that an edit never waits for answers nobody wants any more; an answer to an
older intent is dropped. When nothing is missing other planes are encoded ahead. No napari, no Qt.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from types import MappingProxyType

from psygnal import Signal

from napari_sam2_openvino._session.answers import ObjectAnswer
from napari_sam2_openvino._session.engines import Engine, Sam2Engine
from napari_sam2_openvino._session.job_loop import JobLoop
from napari_sam2_openvino._session.jobs import BUSY, Runner, State, Step
from napari_sam2_openvino._session.planning import Planner
from napari_sam2_openvino._session.steps import (
    ClearEmbeddings,
    NetworkInput,
    ReadInput,
)
from napari_sam2_openvino._session.wanted import VisibleBox
from napari_sam2_openvino.core.embeddings import EmbeddingCache
from napari_sam2_openvino.core.errors import Sam2Error
from napari_sam2_openvino.core.marks import ObjectPrompts
from napari_sam2_openvino.core.parameters import MaskOptions
from napari_sam2_openvino.core.planes import PlaneSource
from napari_sam2_openvino.core.records import ModelRecord
from napari_sam2_openvino.core.regions import Region

_NO_REGIONS: Mapping[int, Region] = MappingProxyType({})


class AnnotationSession:
    """Keeps the masks of the objects of one plane in step with what is wanted.

    Parameters
    ----------
    run : Runner
        Executes jobs; synchronous in tests.
    load_engine : callable, optional
        Makes an engine from a model's name; called in the worker.
    embeddings : EmbeddingCache, optional
        Where embeddings are kept. One that is given belongs to the caller: `close` leaves it as it
        is.
    """

    state_changed = Signal(State)
    answers_changed = Signal(frozenset)
    """The obj_ids whose answer is another one, or is gone."""
    region_changed = Signal(object)
    ready_changed = Signal(frozenset)
    """The keys of the planes that need no encode."""
    failed = Signal(Sam2Error)

    def __init__(
        self,
        run: Runner,
        load_engine: Callable[[str], Engine] = Sam2Engine,
        embeddings: EmbeddingCache | None = None,
    ) -> None:
        self._owns_embeddings = embeddings is None
        self._embeddings = EmbeddingCache() if embeddings is None else embeddings
        self._planner = Planner(load_engine, self._embeddings)
        self._objects = self._planner.objects
        self._region: Region | None = None
        self._ready = self._planner.ahead.ready
        self._loop = JobLoop(run, self._planner, self._tell)
        self._loop.state_changed.connect(self.state_changed.emit)
        self._loop.failed.connect(self.failed.emit)

    @property
    def state(self) -> State:
        """What the session is doing."""
        return self._loop.state

    @property
    def model_name(self) -> str | None:
        """The model that is wanted."""
        return self._objects.model_name

    @property
    def engine(self) -> Engine | None:
        """The model that is wanted, once it is loaded."""
        return self._planner.engine

    @property
    def model_record(self) -> ModelRecord:
        """Which model masks are made with, for what is kept of them."""
        if self.engine is None:
            return ModelRecord(name=self.model_name or "")
        return ModelRecord.of(self.engine)

    @property
    def source(self) -> PlaneSource | None:
        """The plane that is wanted."""
        return self._objects.source

    @property
    def options(self) -> MaskOptions:
        """How masks are made of logits."""
        return self._objects.options

    @property
    def generation(self) -> int:
        """Grows with each change of intent."""
        return self._loop.generation

    @property
    def answers(self) -> Mapping[int, ObjectAnswer]:
        """What there is of the objects of the plane, by obj_id; may answer older prompts."""
        return MappingProxyType(self._objects.answers)

    def answer(self, obj_id: int) -> ObjectAnswer | None:
        """Return the answer to the newest prompts of an object; None while it is on its way."""
        return self._objects.answer(obj_id)

    def region_of(self, source: PlaneSource, prompts: ObjectPrompts) -> Region | None:
        """Return where the model that is wanted decoded prompts last, on any plane.

        None if it did not; what was decoded otherwise, as by another model, does not count.
        """
        return self._objects.region_of(source, prompts)

    @property
    def progress(self) -> tuple[int, int]:
        """How many objects are answered, and how many there are; without the preview."""
        return self._objects.n_answered, self._objects.n_wanted

    @property
    def is_settled(self) -> bool:
        """Whether each object is answered; the preview under the pointer does not count."""
        return self._objects.n_answered == self._objects.n_wanted

    @property
    def is_busy(self) -> bool:
        """Whether an answer to the newest intent is on its way."""
        return self.state in BUSY

    @property
    def is_loading(self) -> bool:
        """Whether a model is being loaded, be it one that was cancelled."""
        job = self._loop.job
        return job is not None and job.step.state is State.LOADING

    @property
    def region(self) -> Region | None:
        """The region in use: of the object in focus, else the visible one; None if not known."""
        return self._objects.region

    @property
    def encode_seconds(self) -> Mapping[str, float]:
        """How long the last encode took, in seconds, by the model's name."""
        return self._planner.encode_seconds

    @property
    def ready(self) -> frozenset[Hashable]:
        """The keys of the planes that need no encode."""
        return self._planner.ahead.ready

    def set_model(self, name: str | None) -> None:
        """Choose a model by its name; None for none."""
        if name != self.model_name and not self._loop.is_closed:
            self._objects.set_model(name)
            self._planner.ahead.restart()
            self._loop.intent_changed()

    def reload_model(self) -> None:
        """Load the model anew: another one has taken its name."""
        if self.model_name is None or self._loop.is_closed:
            return
        if (job := self._loop.job) is not None and job.step.state is State.LOADING:
            # It may be that of before.
            job.is_cancelled = True
        self._planner.forget_engine()
        self._objects.set_model(self.model_name)
        self._planner.ahead.restart()
        self._loop.intent_changed()

    def set_options(self, options: MaskOptions) -> None:
        """Choose how masks are made of logits; nothing is decoded again for it.

        But for an object that then reaches the border of its region: that is looked at in a larger
        one.
        """
        if options != self.options and not self._loop.is_closed:
            self._objects.options = options
            self._loop.intent_changed()

    def request(
        self,
        source: PlaneSource | None,
        objects: Mapping[int, ObjectPrompts],
        *,
        focus: int | None = None,
        view: VisibleBox | None = None,
        regions: Mapping[int, Region] = _NO_REGIONS,
    ) -> None:
        """Say which plane is wanted, and which objects on it.

        Parameters
        ----------
        source : PlaneSource or None
            None for no plane.
        objects : mapping of int to ObjectPrompts
            By obj_id; -1 is a preview under the pointer, decoded last. Without any, the visible
            part of the plane is encoded and that is all.
        focus : int, optional
            obj_id of the object that is answered first.
        view : tuple of float, optional
            (y0, x0, y1, x1): the part of the plane that is on the screen, in pixels of the plane.
            A plane that is much larger than what the network sees is encoded in regions that fit.
        regions : mapping of int to Region, optional
            Where objects were decoded at another time, as in ``ObjectAnswer.region``: used for
            objects that the session has not seen on this plane.
        """
        if not self._loop.is_closed:
            if self._objects.request(source, objects, focus, view, regions):
                self._loop.intent_changed()
            else:
                self._loop.advance()

    def set_ahead(self, planes: Sequence[PlaneSource], max_per_idle: int | None = None) -> None:
        """Say which planes to encode when nothing else is wanted.

        Parameters
        ----------
        planes : sequence of PlaneSource
            The most urgent first. Where the embeddings have no room for more, or a plane is more
            than one region, only the first two are encoded.
        max_per_idle : int, optional
            How many to encode until something else is wanted.
        """
        if not self._loop.is_closed:
            self._planner.ahead.set_planes(planes, max_per_idle)
            self._loop.advance()

    def show_input(self, on_done: Callable[[NetworkInput], None]) -> None:
        """Read what the network sees of the region in use, and hand it over in the main thread.

        It is that of the plane that is wanted now, whichever is by the time that it is read.
        """
        asked = self.source

        def step() -> Step | None:
            source, region = self.source, self.region
            if source is None or region is None:
                return None
            if asked is not None and asked.key != source.key:
                return ReadInput(asked, self._objects.visible_region(asked))
            return ReadInput(source, region)

        self._loop.add_aside(step, on_done)

    def clear_embeddings(self, on_done: Callable[[], None] = lambda: None) -> None:
        """Forget all embeddings, in memory and on disk, but the one in use."""

        def cleared(_: None) -> None:
            self._planner.known.forget()
            self._planner.ahead.restart()
            on_done()

        self._loop.add_aside(lambda: ClearEmbeddings(self._embeddings), cleared)

    def cancel(self) -> None:
        """Stop the job that runs; the next change of intent goes on.

        An encode ends at once. To load a model cannot be interrupted; its result is dropped.
        """
        self._loop.cancel()

    def close(self) -> None:
        """Stop everything for good; nothing is signalled afterwards."""
        self._loop.close()
        self._planner.clear()
        if self._owns_embeddings:
            self._embeddings.clear()

    def _tell(self) -> None:
        if changes := self._objects.take_changes():
            self.answers_changed.emit(changes)
        for error in self._objects.take_errors():
            self.failed.emit(error)
        if self.region != self._region and not self._loop.is_closed:
            self._region = self.region
            self.region_changed.emit(self._region)
        if self.ready is not self._ready and not self._loop.is_closed:
            self._ready = self.ready
            self.ready_changed.emit(self._ready)
