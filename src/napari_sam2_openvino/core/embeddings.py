"""The embedding cache: images that were encoded are not encoded again."""

import hashlib
import threading
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.types import ImageEmbedding

DEFAULT_MAX_BYTES = 1 << 30


class EmbeddingCache:
    """Image embeddings in memory, the least recently used dropped first.

    Safe to use from several threads.

    Parameters
    ----------
    max_bytes : int, optional
        Budget for the arrays of all embeddings together. One embedding is kept even if it is
        larger.
    """

    def __init__(self, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self.max_bytes = max_bytes
        self._entries: OrderedDict[str, ImageEmbedding] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> ImageEmbedding | None:
        """Return the embedding of that key, or None, and mark it as used."""
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
            return self._entries.get(key)

    def put(self, key: str, embedding: ImageEmbedding) -> None:
        """Keep an embedding and drop old ones beyond the budget."""
        with self._lock:
            self._entries[key] = embedding
            self._entries.move_to_end(key)
            while len(self._entries) > 1 and self._nbytes() > self.max_bytes:
                self._entries.popitem(last=False)

    def clear(self) -> None:
        """Forget every embedding."""
        with self._lock:
            self._entries.clear()

    @property
    def nbytes(self) -> int:
        """Memory held by the embeddings, in bytes."""
        with self._lock:
            return self._nbytes()

    def _nbytes(self) -> int:
        return sum(embedding.nbytes for embedding in self._entries.values())

    def __contains__(self, key: str) -> bool:
        with self._lock:
            return key in self._entries

    def __len__(self) -> int:
        with self._lock:
            return len(self._entries)


def embedding_key(model_key: str, rgb: NDArray[np.uint8]) -> str:
    """Return the key of an image's embedding: what the network sees, and which network.

    Parameters
    ----------
    model_key : str
        ``Sam2Model.key``: weights, device and precision.
    rgb : ndarray of uint8, shape (H, W, 3)
        As returned by `to_rgb`.
    """
    content = hashlib.blake2b(np.ascontiguousarray(rgb).data, digest_size=16)
    content.update(repr(rgb.shape).encode())
    return f"{model_key}:{content.hexdigest()}"
