"""Which embeddings a session knows of, without reading pixels; used in the main thread."""

from collections import OrderedDict
from collections.abc import Hashable, Sequence

from napari_sam2_openvino._session.places import Place
from napari_sam2_openvino.core.embeddings import EmbeddingCache
from napari_sam2_openvino.core.regions import Region
from napari_sam2_openvino.core.types import ImageEmbedding

# Some megabytes; more planes than anybody visits in one session.
MAX_KEYS = 50_000


class KnownEmbeddings:
    """The keys of embeddings by what they are of, and the one that is in hand.

    Parameters
    ----------
    embeddings : EmbeddingCache
        Where they are kept.
    """

    def __init__(self, embeddings: EmbeddingCache) -> None:
        self.embeddings = embeddings
        self._keys: OrderedDict[Place, str] = OrderedDict()
        self._in_hand: tuple[Place, ImageEmbedding] | None = None
        self.unstored: tuple[str, ImageEmbedding] | None = None

    def learn(self, place: Place, key: str, embedding: ImageEmbedding | None) -> None:
        """Note the key of an embedding, and take it in hand if it is given."""
        self._keys[place] = key
        self._keys.move_to_end(place)
        while len(self._keys) > MAX_KEYS:
            self._keys.popitem(last=False)
        if embedding is not None:
            self._in_hand = (place, embedding)

    def take(self, place: Place, embedding: ImageEmbedding | None) -> None:
        """Take an embedding in hand; None if it turned out to be gone."""
        if embedding is not None:
            self._in_hand = (place, embedding)
        else:
            self._keys.pop(place, None)

    def in_hand(self, place: Place) -> ImageEmbedding | None:
        """Return an embedding if that takes no reading."""
        if self._in_hand is not None and self._in_hand[0] == place:
            return self._in_hand[1]
        key = self._keys.get(place)
        if key is None:
            return None
        if self.unstored is not None and self.unstored[0] == key:
            return self.unstored[1]
        return self.embeddings.in_memory(key)

    def key(self, place: Place) -> str | None:
        """Return the key of an embedding, if it is known."""
        return self._keys.get(place)

    def is_there(self, place: Place) -> bool:
        """Return whether an embedding is in hand, or was kept; by now it may be gone again."""
        return place in self._keys or self.in_hand(place) is not None

    def has_room(self) -> bool:
        """Return whether one more embedding drives out no other from memory, as far as that goes.

        With a store none is lost by that.
        """
        kept, n_kept = self.embeddings, len(self.embeddings)
        return kept.store is not None or kept.nbytes * (n_kept + 1) <= kept.max_bytes * n_kept

    def of_planes(self, model_name: str, region: Region) -> Sequence[tuple[Hashable, str]]:
        """Return the planes whose embedding of a region is known, each with its key."""
        return [
            (place.view.plane_key, key)
            for place, key in self._keys.items()
            if place.view.model_name == model_name and place.region == region
        ]

    def forget(self) -> None:
        """Drop all keys, but not the embedding in hand."""
        self._keys.clear()
        self.unstored = None

    def clear(self) -> None:
        """Drop everything."""
        self._keys.clear()
        self._in_hand = self.unstored = None
