import numpy as np

from napari_sam2_openvino.core.embeddings import EmbeddingCache, embedding_key
from napari_sam2_openvino.core.types import ImageEmbedding


def embedding(n_bytes=400):
    side = np.zeros(n_bytes // 4, np.float32)
    return ImageEmbedding(side, (side[:0], side[:0]), (1, 1))


def test_the_least_recently_used_is_dropped():
    cache = EmbeddingCache(max_bytes=1000)
    first, second, third = embedding(), embedding(), embedding()
    cache.put("first", first)
    cache.put("second", second)
    assert cache.get("first") is first
    cache.put("third", third)
    assert "second" not in cache
    assert cache.get("first") is first
    assert cache.get("third") is third
    assert cache.nbytes == 800


def test_one_that_is_larger_than_the_budget_is_kept_alone():
    cache = EmbeddingCache(max_bytes=100)
    cache.put("small", embedding(40))
    cache.put("large", embedding(4000))
    assert len(cache) == 1
    assert "large" in cache
    cache.clear()
    assert cache.get("large") is None


def test_the_key_follows_content_shape_and_model():
    rgb = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    key = embedding_key("model", rgb)
    assert key == embedding_key("model", rgb.copy(order="F"))
    changed = rgb.copy()
    changed[0, 0, 0] += 1
    assert (
        len(
            {
                key,
                embedding_key("model", changed),
                embedding_key("model", rgb.reshape(4, 2, 3)),
                embedding_key("other", rgb),
            }
        )
        == 4
    )
