"""Which step a session does next, and what becomes of its outcome; used in the main thread."""

from collections.abc import Callable
from typing import Any

from napari_sam2_openvino._session.ahead import AheadPlan
from napari_sam2_openvino._session.engines import Engine
from napari_sam2_openvino._session.jobs import State, Step
from napari_sam2_openvino._session.known_embeddings import KnownEmbeddings
from napari_sam2_openvino._session.pace import Pace
from napari_sam2_openvino._session.places import Place, View
from napari_sam2_openvino._session.plane_objects import PlaneObjects
from napari_sam2_openvino._session.steps import (
    DecodeObjects,
    EncodeRegion,
    FetchEmbedding,
    FindReady,
    LoadModel,
    RemakeMasks,
    StoreEmbedding,
)
from napari_sam2_openvino._session.wanted import Wanted
from napari_sam2_openvino.core.embeddings import EmbeddingCache
from napari_sam2_openvino.core.planes import PlaneSource


class Planner:
    """Compares what is wanted with what is there.

    Parameters
    ----------
    load_engine : callable
        Makes an engine from a model's name; called in the worker.
    embeddings : EmbeddingCache
    """

    def __init__(self, load_engine: Callable[[str], Engine], embeddings: EmbeddingCache) -> None:
        self.load_engine = load_engine
        self.objects = PlaneObjects()
        self.ahead = AheadPlan()
        self.known = KnownEmbeddings(embeddings)
        self.encode_seconds: dict[str, float] = {}
        self._engine: tuple[str, Engine] | None = None
        self._engine_keys: dict[str, str] = {}
        self._pace = Pace()

    @property
    def engine(self) -> Engine | None:
        """The model that is wanted, once it is loaded."""
        name = self.objects.model_name
        return self._engine[1] if self._engine and self._engine[0] == name else None

    def forget_engine(self) -> None:
        """Let the model that is wanted be loaded anew."""
        self._engine = None

    def clear(self) -> None:
        """Let go of everything."""
        self._engine = None
        self.objects.clear()
        self.known.clear()
        self.ahead.set_planes((), None)

    def resolve(self) -> None:
        """Find out where each object is decoded, and what is remembered of it."""
        if self.engine is not None:
            self.objects.resolve(self.engine.image_size)

    # The next step

    def foreground(self) -> Step | None:
        """Return the next step on the way to what is wanted."""
        name, view, source = self.objects.model_name, self.objects.view, self.objects.source
        if name is not None and self.engine is None:
            return LoadModel(name, self.load_engine)
        if view is None or source is None:
            return None
        if answers := self.objects.to_remake():
            return RemakeMasks(view, source.hw, answers, self.objects.options)
        if missing := self.objects.to_decode():
            return self._toward(view, source, missing)
        region = self.objects.region
        if self.objects.is_empty and region is not None:
            place = Place(view, region)
            return None if self.known.is_there(place) else self._toward_encode(place, source)
        return None

    def _toward(self, view: View, source: PlaneSource, missing: list[Wanted]) -> Step:
        """Decode what can be decoded now, but the object in focus before all others."""
        first = missing[0]
        if self.objects.is_focus(first):
            place = _place(view, first)
            if self.known.is_there(place):
                return self._decode(place, source, [first])
            return self._toward_encode(place, source)
        there = {
            place: self.known.is_there(place)
            for place in dict.fromkeys(_place(view, each) for each in missing)
        }
        places = [place for place, is_there in there.items() if is_there]
        if not places:
            return self._toward_encode(_place(view, first), source)
        chosen = next((each for each in places if self.known.in_hand(each)), places[0])
        return self._decode(
            chosen, source, [each for each in missing if _place(view, each) == chosen]
        )

    def _toward_encode(self, place: Place, source: PlaneSource) -> Step:
        # One that is not yet kept would be lost.
        return self._store(State.ENCODING) or self._encode(place, source)

    def _store(self, state: State | None = None) -> StoreEmbedding | None:
        unstored = self.known.unstored
        return StoreEmbedding(*unstored, self.known.embeddings, state) if unstored else None

    def _encode(
        self, place: Place, source: PlaneSource, state: State = State.ENCODING
    ) -> EncodeRegion:
        assert self.engine is not None
        return EncodeRegion(place, source, self.engine, self.known.embeddings, state)

    def _decode(self, place: Place, source: PlaneSource, objects: list[Wanted]) -> DecodeObjects:
        assert self.engine is not None
        return DecodeObjects(
            place,
            source.hw,
            self.engine,
            self.known.embeddings,
            self.known.in_hand(place),
            self.known.key(place),
            [(each.obj_id, each.prompts) for each in objects],
            self.objects.options,
            self._pace,
        )

    def background(self) -> Step | None:
        """Return the next step that nobody waits for."""
        view, source, region = self.objects.view, self.objects.source, self.objects.region
        if view is None or source is None or region is None or self.engine is None:
            return None
        if (step := self._store()) is not None:
            return step
        place = Place(view, region)
        key = self.known.key(place)
        if key is not None and self.known.in_hand(place) is None:
            return FetchEmbedding(place, key, self.known.embeddings)
        visible = self.objects.visible_region(source)
        self.ahead.set_region(visible)
        planned = self.ahead.next(self.objects.visible_region, self.known.has_room)
        if self.ahead.must_check(is_last=planned is None):
            keys = self.known.of_planes(view.model_name, visible)
            # Between two planes it goes without saying.
            state = None if planned is None else State.ENCODING_AHEAD
            return FindReady(keys, self.known.embeddings, state)
        if planned is None:
            return None
        place = Place(View(view.model_name, planned.key), self.objects.visible_region(planned))
        return self._encode(place, planned, State.ENCODING_AHEAD)

    def is_wanted(self, step: Step, foreground: Step | None) -> bool:
        """Return whether a step that runs shall go on.

        Parameters
        ----------
        step : Step
        foreground : Step or None
            What would be done now if nothing ran.
        """
        if isinstance(step, LoadModel):
            return step.name == self.objects.model_name
        if isinstance(step, DecodeObjects):
            return self.objects.wants(step.place.view, step.objects)
        if isinstance(step, RemakeMasks):
            return step.view == self.objects.view and step.options == self.objects.options
        if isinstance(step, EncodeRegion) and not step.is_ahead:
            return self._waits_for(step.place)
        if isinstance(step, EncodeRegion) and isinstance(foreground, EncodeRegion):
            # What was encoded ahead is what is wanted now: the rest takes less than all of it.
            return step.place == foreground.place
        return foreground is None or isinstance(step, FetchEmbedding | StoreEmbedding)

    def _waits_for(self, place: Place) -> bool:
        view = self.objects.view
        if view is None or place.view != view:
            return False
        missing = self.objects.to_decode()
        if missing and self.objects.is_focus(missing[0]):
            return _place(view, missing[0]) == place
        if missing:
            return any(_place(view, each) == place for each in missing)
        return self.objects.is_empty and place.region == self.objects.region

    # Its outcome

    def submitted(self, step: Step) -> None:
        """Note that a step begins."""
        if isinstance(step, LoadModel):
            # The old model goes first, so that two never share the memory.
            self._engine = None

    def keep(self, step: Step, value: Any) -> None:
        """Take the outcome of a step."""
        if isinstance(step, LoadModel):
            self._keep_engine(step.name, value)
        elif isinstance(step, EncodeRegion):
            self._keep_encoded(step, value)
        elif isinstance(step, StoreEmbedding):
            self.known.unstored = None
        elif isinstance(step, FetchEmbedding):
            self.known.take(step.place, value)
        elif isinstance(step, DecodeObjects):
            self.known.take(step.place, value.embedding)
            self.objects.keep(step.place.view, value.answers)
            self.objects.refuse(step.place.view, value.refused)
        elif isinstance(step, RemakeMasks):
            self.objects.keep(step.view, value)
        elif isinstance(step, FindReady):
            self.ahead.found(value)

    def _keep_engine(self, name: str, engine: Engine) -> None:
        self._engine = (name, engine)
        self._pace = Pace()
        if self._engine_keys.setdefault(name, engine.key) != engine.key:
            # Another model under the same name: nothing that is remembered is of it.
            self._engine_keys[name] = engine.key
            self.objects.forget_answers()
            self.known.clear()

    def _keep_encoded(self, step: EncodeRegion, value: Any) -> None:
        view, region = step.place.view, step.place.region
        self.known.learn(step.place, value.key, value.embedding)
        if value.seconds is not None:
            if not step.is_ahead:
                self.known.unstored = value.key, value.embedding
            self.encode_seconds[view.model_name] = value.seconds
        if view.model_name == self.objects.model_name:
            self.ahead.encoded(view.plane_key, region, is_ahead=step.is_ahead)

    def passes_over(self, step: Step) -> bool:
        """Return whether a step that failed can be passed over, and do so."""
        if isinstance(step, EncodeRegion) and step.is_ahead:
            self.ahead.failed(step.place.view.plane_key)
            return True
        return False


def _place(view: View, each: Wanted) -> Place:
    assert each.region is not None
    return Place(view, each.region)
