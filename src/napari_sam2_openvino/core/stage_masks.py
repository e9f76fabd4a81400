"""Masks that are fed on from one call of the decoder to the next, so that none is made twice."""

import weakref
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.types import ImageEmbedding

Float = NDArray[np.float32]


class StageMasks:
    """Masks fed on by stages, the least recently used dropped first.

    Parameters
    ----------
    max_bytes : int
        Budget for all masks together; the newest is kept even if it is larger.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.nbytes = 0
        """Memory held by the masks, in bytes."""
        # A weak reference is equal only to that of the same embedding, also when it is gone.
        self._masks: OrderedDict[tuple[weakref.ref[ImageEmbedding], bytes], Float] = OrderedDict()

    def get(self, embedding: ImageEmbedding, key: bytes) -> Float | None:
        """Return the mask of an embedding under a key, or None, and mark it as used."""
        place = weakref.ref(embedding), key
        if place in self._masks:
            self._masks.move_to_end(place)
        return self._masks.get(place)

    def put(self, embedding: ImageEmbedding, key: bytes, mask: Float) -> None:
        """Keep a mask, and drop old ones beyond the budget."""
        place = weakref.ref(embedding), key
        if place not in self._masks:
            self.nbytes += mask.nbytes
        self._masks[place] = mask
        self._masks.move_to_end(place)
        while self.nbytes > self._max_bytes and len(self._masks) > 1:
            _, dropped = self._masks.popitem(last=False)
            self.nbytes -= dropped.nbytes
