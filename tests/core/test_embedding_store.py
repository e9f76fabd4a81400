"""Embeddings on a real disk: what comes back, what is dropped, and all that can go wrong."""

import logging
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from napari_sam2_openvino.core.embedding_store import EmbeddingStore
from napari_sam2_openvino.core.embeddings import EmbeddingCache
from napari_sam2_openvino.core.types import ImageEmbedding

RNG = np.random.default_rng(0)


def embedding(dtype=np.float16, side=32, seed=0):
    rng = np.random.default_rng(seed)
    shapes = (1, 8, side // 16, side // 16), (1, 1, side // 4, side // 4), (1, 2, side // 8, 4)
    embed, feats_0, feats_1 = (rng.normal(0, 3, shape).astype(dtype) for shape in shapes)
    return ImageEmbedding(embed, (feats_0, feats_1), (side, 2 * side))


def assert_same(found, expected):
    assert found is not None
    pairs = zip(
        (found.image_embed, *found.high_res_feats),
        (expected.image_embed, *expected.high_res_feats),
        strict=True,
    )
    for one, other in pairs:
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        assert one.tobytes() == other.tobytes()
    assert found.image_hw == expected.image_hw


def files_in(folder):
    return sorted(folder.iterdir()) if folder.exists() else []


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_what_is_kept_comes_back_to_the_bit(dtype, tmp_path):
    folder = tmp_path / "a folder, ümläut"
    kept = embedding(dtype)
    odd = kept.image_embed.ravel()
    odd[:5] = [np.nan, np.inf, -np.inf, -0.0, np.finfo(dtype).smallest_subnormal]
    EmbeddingStore(folder).put("model:key", kept)
    store = EmbeddingStore(folder)
    assert store.has("model:key")
    assert_same(store.get("model:key"), kept)
    assert store.get("other") is None
    assert not store.has("other")
    assert store.nbytes == sum(file.stat().st_size for file in files_in(folder))


def test_arrays_that_are_not_contiguous_come_back_too(tmp_path):
    plain = embedding(side=64)
    turned = ImageEmbedding(
        np.asfortranarray(plain.image_embed),
        (plain.high_res_feats[0][:, :, ::-1], plain.high_res_feats[1]),
        plain.image_hw,
    )
    store = EmbeddingStore(tmp_path)
    store.put("key", turned)
    assert_same(store.get("key"), turned)


def test_a_real_embedding_shrinks_and_gives_the_same_masks(starter_model, tmp_path):
    rgb = RNG.integers(0, 256, (64, 80, 3), dtype=np.uint8)
    kept = starter_model.encode(rgb)
    store = EmbeddingStore(tmp_path)
    store.put("key", kept)
    assert_same(store.get("key"), kept)
    assert store.nbytes < 0.95 * kept.nbytes


def test_the_least_recently_used_is_dropped(tmp_path):
    one = embedding(side=64)
    store = EmbeddingStore(tmp_path)
    store.put("size", one)
    size = store.nbytes
    store.clear()
    store.max_bytes = int(4.5 * size)
    for number in range(4):
        store.put(str(number), embedding(side=64, seed=number))
        _age(store, str(number), 100 - number)
    assert_same(store.get("0"), embedding(side=64))
    store.put("4", embedding(side=64, seed=4))
    assert [store.has(str(number)) for number in range(5)] == [True, False, True, True, True]
    assert store.nbytes <= store.max_bytes
    store.max_bytes = 2 * size
    store.put("5", embedding(side=64, seed=5))
    assert store.has("5")
    assert sum(store.has(str(number)) for number in range(5)) <= 1


def test_a_clock_that_was_set_back_drops_others_than_the_one_just_kept(tmp_path):
    store = EmbeddingStore(tmp_path)
    for number in range(3):
        store.put(str(number), embedding(side=64, seed=number))
        _age(store, str(number), number - 1e6)
    store.max_bytes = store.nbytes
    store.put("3", embedding(side=64, seed=3))
    assert store.has("3")
    assert store.has("0")
    assert not store.has("2")


def _age(store, key, seconds):
    (file,) = [each for each in files_in(store.folder) if each == store._path(key)]
    os.utime(file, (time.time() - seconds,) * 2)


def test_one_that_is_larger_than_the_budget_is_not_kept(tmp_path):
    store = EmbeddingStore(tmp_path, max_bytes=100)
    store.put("key", embedding(side=64))
    assert not store.has("key")
    assert files_in(tmp_path) == []
    assert store.problem is None


def test_a_damaged_file_is_a_miss_and_is_written_anew(tmp_path, caplog):
    store = EmbeddingStore(tmp_path)
    kept = embedding()
    store.put("key", kept)
    (file,) = files_in(tmp_path)
    content = file.read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    for damaged in (b"", content[:10], content[:-1], bytes(flipped), content + b"x", b"x" * 999):
        file.write_bytes(damaged)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert store.get("key") is None
        assert len(caplog.records) == 1
        assert not store.has("key")
        store.put("key", kept)
        assert_same(store.get("key"), kept)


def test_a_file_of_another_embedding_is_a_miss(tmp_path):
    store = EmbeddingStore(tmp_path)
    store.put("one", embedding())
    (file,) = files_in(tmp_path)
    os.replace(file, store._path("other"))
    assert store.get("other") is None


def test_a_folder_that_cannot_be_written_costs_one_warning(tmp_path, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    store = EmbeddingStore(blocked)
    with caplog.at_level(logging.WARNING):
        for number in range(3):
            store.put(str(number), embedding())
            assert store.get(str(number)) is None
            assert not store.has(str(number))
    assert len(caplog.records) == 1
    assert store.problem is not None
    assert "not kept on disk any more" in store.problem
    assert store.nbytes == 0
    store.clear()
    blocked.unlink()
    store.put("key", embedding())
    assert store.has("key")
    assert store.problem is None


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from napari_sam2_openvino.core.embedding_store import EmbeddingStore
from napari_sam2_openvino.core.types import ImageEmbedding
noise = np.random.default_rng(0).normal(size=(1, 1, 500, 500)).astype(np.float16)
embedding = ImageEmbedding(noise, (noise[..., :0], noise[..., :0]), (1, 1))
store = EmbeddingStore(Path(sys.argv[1]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
store.put("key", embedding)
assert store.get("key") is None
assert store.problem is not None
assert list(Path(sys.argv[1]).iterdir()) == []
print("survived")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no limit of the size of files")
def test_a_write_that_fails_halfway_leaves_nothing_behind(tmp_path):
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "survived", done.stderr


def test_what_a_process_left_unfinished_is_removed_after_a_while(tmp_path):
    fresh, old = tmp_path / "a.tmp", tmp_path / "b.tmp"
    for file in (fresh, old):
        file.write_bytes(b"half of it")
    os.utime(old, (time.time() - 7200,) * 2)
    store = EmbeddingStore(tmp_path)
    store.put("key", embedding())
    assert fresh.exists()
    assert not old.exists()


BUSY = """
import sys
from pathlib import Path
import numpy as np
from napari_sam2_openvino.core.embedding_store import EmbeddingStore
from napari_sam2_openvino.core.types import ImageEmbedding
store = EmbeddingStore(Path(sys.argv[1]), max_bytes=60_000)
rng = np.random.default_rng(int(sys.argv[2]))
for _ in range(300):
    number = int(rng.integers(12))
    found = store.get(str(number))
    if found is not None:
        assert (found.image_embed == number).all() and found.image_hw == (number, 1)
    noise = np.random.default_rng(number).normal(size=(1, 1, 60, 60)).astype(np.float16)
    kept = np.full((1, 1, 4, 4), number, np.float16)
    store.put(str(number), ImageEmbedding(kept, (noise, noise), (number, 1)))
    if rng.random() < 0.02:
        store.clear()
assert store.problem is None, store.problem
print("done")
"""


def test_several_processes_share_a_folder(tmp_path):
    running = [
        subprocess.Popen(
            [sys.executable, "-c", BUSY, str(tmp_path), str(seed)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for seed in range(3)
    ]
    for process in running:
        out, errors = process.communicate(timeout=120)
        assert out.strip() == "done", errors
        assert "damaged" not in errors
    assert {file.suffix for file in files_in(tmp_path)} <= {".embedding"}


def test_a_cache_with_a_store_remembers_beyond_its_memory(tmp_path):
    first, second = embedding(seed=1), embedding(seed=2)
    cache = EmbeddingCache(max_bytes=0, store=EmbeddingStore(tmp_path))
    cache.put("first", first)
    cache.put("second", second)
    assert cache.in_memory("first") is None
    assert cache.in_memory("second") is second
    assert cache.has("first")
    found = cache.get("first")
    assert_same(found, first)
    assert cache.in_memory("first") is found
    cache.clear()
    assert cache.nbytes == 0
    assert cache.has("first")
    again = EmbeddingCache(store=EmbeddingStore(tmp_path))
    assert_same(again.get("second"), second)
    assert again.get("third") is None
    assert not again.has("third")


def test_a_store_goes_to_the_cache_folder(sam2_home):
    assert EmbeddingStore().folder == sam2_home / "cache" / "embeddings"
    assert not EmbeddingStore().folder.exists()
