"""The embedding cache: images that were encoded are not encoded again."""

import hashlib
import threading
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.embedding_store import EmbeddingStore
from napari_sam2_openvino.core.types import ImageEmbedding

DEFAULT_MAX_BYTES = 1 << 30


class EmbeddingCache:
    """Image embeddings in memory, the least recently used dropped first, and perhaps on disk.

    Safe to use from several threads. With a store, `get`, `put` and `has` touch the disk: a main
    thread uses `in_memory`.

    Parameters
    ----------
    max_bytes : int, optional
        Budget for the arrays of all embeddings in memory together. One embedding is kept even if
        it is larger.
    store : EmbeddingStore, optional
        Where embeddings are kept beyond that and for the next time.
    """

    def __init__(
        self, max_bytes: int = DEFAULT_MAX_BYTES, store: EmbeddingStore | None = None
    ) -> None:
        self.max_bytes = max_bytes
        self.store = store
        self._entries: OrderedDict[str, ImageEmbedding] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> ImageEmbedding | None:
        """Return the embedding of that key, or None, and mark it as used."""
        embedding = self.in_memory(key)
        if embedding is None and self.store is not None:
            embedding = self.store.get(key)
            if embedding is not None:
                self._keep(key, embedding)
        return embedding

    def in_memory(self, key: str) -> ImageEmbedding | None:
        """Return the embedding of that key if that takes no reading, and mark it as used."""
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
            return self._entries.get(key)

    def put(self, key: str, embedding: ImageEmbedding) -> None:
        """Keep an embedding, in memory and on disk, and drop old ones beyond the budgets."""
        self._keep(key, embedding)
        if self.store is not None:
            self.store.put(key, embedding)

    def has(self, key: str) -> bool:
        """Whether there is an embedding of that key in memory or on disk."""
        with self._lock:
            if key in self._entries:
                return True
        return self.store is not None and self.store.has(key)

    def _keep(self, key: str, embedding: ImageEmbedding) -> None:
        with self._lock:
            self._entries[key] = embedding
            self._entries.move_to_end(key)
            while len(self._entries) > 1 and self._nbytes() > self.max_bytes:
                self._entries.popitem(last=False)

    def clear(self) -> None:
        """Forget every embedding in memory; what is on disk stays."""
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
        return self.has(key)

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
