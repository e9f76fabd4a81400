"""The steps of a session, each complete in itself; what they do is done in the worker."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino._session.answers import ObjectAnswer
from napari_sam2_openvino._session.engines import Engine
from napari_sam2_openvino._session.jobs import State
from napari_sam2_openvino._session.pace import CHUNK_SECONDS, Pace
from napari_sam2_openvino._session.places import Place, View
from napari_sam2_openvino.core.embeddings import EmbeddingCache
from napari_sam2_openvino.core.errors import InputError, JobCancelledError
from napari_sam2_openvino.core.marks import ObjectPrompts
from napari_sam2_openvino.core.parameters import MaskOptions
from napari_sam2_openvino.core.planes import PlaneSource
from napari_sam2_openvino.core.regions import Region
from napari_sam2_openvino.core.types import ImageEmbedding

Cancelled = Callable[[], bool]


@dataclass(frozen=True, eq=False)
class LoadModel:
    """Load a model."""

    name: str
    load_engine: Callable[[str], Engine]
    state: State = State.LOADING

    def run(self, _cancelled: Cancelled) -> Engine:
        """Return its engine."""
        return self.load_engine(self.name)


@dataclass(frozen=True, eq=False)
class Encoded:
    """What encoding gave.

    Parameters
    ----------
    key : str
        Of the embedding.
    embedding : ImageEmbedding or None
        None if it was encoded ahead.
    seconds : float or None
        How long the encode took; None if the embedding was there.
    """

    key: str
    embedding: ImageEmbedding | None
    seconds: float | None


@dataclass(frozen=True, eq=False)
class EncodeRegion:
    """Encode a region of a plane, unless an embedding of equal pixels is there.

    What somebody waits for is handed over first and kept later, by `StoreEmbedding`.
    """

    place: Place
    source: PlaneSource
    engine: Engine
    embeddings: EmbeddingCache
    state: State = State.ENCODING

    @property
    def is_ahead(self) -> bool:
        """Whether nobody waits for it."""
        return self.state is State.ENCODING_AHEAD

    def run(self, cancelled: Cancelled) -> Encoded:
        """Read the pixels, then look for their embedding or make it."""
        rgb = self.source.load(self.place.region)
        if cancelled():
            raise JobCancelledError("The encode was cancelled.")
        key = self.engine.embedding_key(rgb)
        if self.is_ahead and self.embeddings.has(key):
            return Encoded(key, None, None)
        embedding = self.embeddings.get(key)
        if embedding is not None:
            return Encoded(key, embedding, None)
        start = perf_counter()
        embedding = self.engine.encode(rgb, cancelled=cancelled)
        seconds = perf_counter() - start
        if self.is_ahead:
            self.embeddings.put(key, embedding)
            return Encoded(key, None, seconds)
        return Encoded(key, embedding, seconds)


@dataclass(frozen=True, eq=False)
class StoreEmbedding:
    """Keep an embedding, also on disk: a step of its own, so that no answer waits for it."""

    key: str
    embedding: ImageEmbedding
    embeddings: EmbeddingCache
    state: State | None = None

    def run(self, _cancelled: Cancelled) -> None:
        """Keep it."""
        self.embeddings.put(self.key, self.embedding)


@dataclass(frozen=True, eq=False)
class FetchEmbedding:
    """Bring an embedding that is kept, perhaps on disk, into memory."""

    place: Place
    key: str
    embeddings: EmbeddingCache
    state: State | None = None

    def run(self, _cancelled: Cancelled) -> ImageEmbedding | None:
        """Return it, or None if it is gone."""
        return self.embeddings.get(self.key)


@dataclass(frozen=True, eq=False)
class Decoded:
    """What decoding gave.

    Parameters
    ----------
    embedding : ImageEmbedding or None
        None if it was gone; then there is no answer.
    answers : list of ObjectAnswer
        To the first objects that were asked about, as many as the time allowed.
    refused : list of (int, ObjectPrompts, InputError)
        By obj_id: prompts that cannot be decoded, and why.
    """

    embedding: ImageEmbedding | None
    answers: list[ObjectAnswer] = field(default_factory=list)
    refused: list[tuple[int, ObjectPrompts, InputError]] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class DecodeObjects:
    """Decode some objects in one region, for as long as an edit may wait."""

    place: Place
    plane_hw: tuple[int, int]
    engine: Engine
    embeddings: EmbeddingCache
    embedding: ImageEmbedding | None
    key: str | None
    objects: Sequence[tuple[int, ObjectPrompts]]
    options: MaskOptions
    pace: Pace
    state: State = State.DECODING

    def run(self, cancelled: Cancelled) -> Decoded:
        """Return the answers to the first objects, to at least one batch."""
        embedding = self.embedding
        if embedding is None and self.key is not None:
            embedding = self.embeddings.get(self.key)
        decoded = Decoded(embedding)
        if embedding is None:
            return decoded
        waiting = list(self.objects)
        start = perf_counter()
        passed = 0.0
        while waiting and passed < CHUNK_SECONDS:
            size = self.pace.batch_size
            batch, waiting = waiting[:size], waiting[size:]
            self._decode(embedding, batch, decoded, cancelled)
            before, passed = passed, perf_counter() - start
            self.pace.learn(len(batch), passed - before)
        return decoded

    def _decode(
        self,
        embedding: ImageEmbedding,
        batch: Sequence[tuple[int, ObjectPrompts]],
        decoded: Decoded,
        cancelled: Cancelled,
    ) -> None:
        region = self.place.region
        try:
            predictions = self.engine.decode(
                embedding, region, [prompts for _, prompts in batch], cancelled=cancelled
            )
        except InputError as error:
            if len(batch) == 1:
                decoded.refused.append((*batch[0], error))
                return
            # One that cannot be decoded shall not keep the others waiting.
            for each in batch:
                self._decode(embedding, [each], decoded, cancelled)
            return
        for (obj_id, prompts), prediction in zip(batch, predictions, strict=True):
            decoded.answers.append(
                ObjectAnswer.make(obj_id, prompts, region, prediction, self.plane_hw, self.options)
            )


@dataclass(frozen=True, eq=False)
class RemakeMasks:
    """Make masks of logits with other options, for as long as an edit may wait."""

    view: View
    plane_hw: tuple[int, int]
    answers: Sequence[ObjectAnswer]
    options: MaskOptions
    state: State = State.MASKING

    def run(self, cancelled: Cancelled) -> list[ObjectAnswer]:
        """Return the first answers with their masks made anew, at least one."""
        remade: list[ObjectAnswer] = []
        start = perf_counter()
        for answer in self.answers:
            remade.append(answer.remade(self.plane_hw, self.options))
            if cancelled() or perf_counter() - start > CHUNK_SECONDS:
                break
        return remade


@dataclass(frozen=True, eq=False)
class NetworkInput:
    """What the network sees.

    Parameters
    ----------
    plane_key : hashable
    region : Region
    rgb : ndarray of uint8, shape (h, w, 3)
        About ``region.height / region.step`` by ``region.width / region.step``.
    """

    plane_key: Hashable
    region: Region
    rgb: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class ReadInput:
    """Read what the network sees."""

    source: PlaneSource
    region: Region
    state: State | None = None

    def run(self, _cancelled: Cancelled) -> NetworkInput:
        """Return the pixels."""
        return NetworkInput(self.source.key, self.region, self.source.load(self.region))


@dataclass(frozen=True, eq=False)
class ClearEmbeddings:
    """Forget all embeddings."""

    embeddings: EmbeddingCache
    state: State | None = None

    def run(self, _cancelled: Cancelled) -> None:
        """Clear memory and disk."""
        self.embeddings.clear()
        if self.embeddings.store is not None:
            self.embeddings.store.clear()


@dataclass(frozen=True, eq=False)
class FindReady:
    """Find out of which planes an embedding is there."""

    keys: Sequence[tuple[Hashable, str]]
    embeddings: EmbeddingCache
    state: State | None = None

    def run(self, cancelled: Cancelled) -> frozenset[Hashable]:
        """Return the keys of those planes."""
        ready = set()
        for plane_key, key in self.keys:
            if cancelled():
                raise JobCancelledError("Something more urgent came.")
            if self.embeddings.has(key):
                ready.add(plane_key)
        return frozenset(ready)
