"""Candidates are there another day, if image, model and search are the same."""

import os
import time
from dataclasses import replace

import numpy as np
from tests.drawn_candidates import random_discs

from napari_sam2_openvino.core.candidate_store import CandidateStore, candidate_key
from napari_sam2_openvino.core.object_parameters import AllObjectsParameters, CandidateFilter
from napari_sam2_openvino.core.parameters import GeneratorParameters
from napari_sam2_openvino.core.planes import make_plane_source
from napari_sam2_openvino.core.reading import ImageArrays
from napari_sam2_openvino.core.types import PlaneIndex


def key_of(image, model="model", parameters=None, name="image"):
    source = make_plane_source([ImageArrays((image,), name)], PlaneIndex((None, None)))
    return candidate_key(model, source, parameters or AllObjectsParameters())


def test_the_key_tells_pixels_model_and_search_but_not_the_layer():
    image = np.random.default_rng(0).integers(0, 255, (40, 50)).astype(np.uint8)
    key = key_of(image)
    assert key == key_of(image.copy(), name="another layer")
    changed = image.copy()
    changed[3, 4] ^= 8
    plain = AllObjectsParameters()
    others = [
        key_of(changed),
        key_of(image, model="other"),
        key_of(image, parameters=replace(plain, generator=GeneratorParameters(16))),
        key_of(image, parameters=replace(plain, filter=CandidateFilter(0.5))),
    ]
    assert len({key, *others}) == 5
    assert key == key_of(image, parameters=replace(plain, filter=CandidateFilter(max_overlap=0.3)))


def test_what_was_kept_comes_back_and_what_is_damaged_does_not(tmp_path):
    store = CandidateStore(tmp_path / "new")
    assert store.get("key") is None
    found = random_discs(0)
    store.put("key", found)
    again = CandidateStore(tmp_path / "new").get("key")
    assert np.array_equal(again.areas, found.areas)
    (file,) = (tmp_path / "new").iterdir()
    file.write_bytes(file.read_bytes()[:-40])
    assert store.get("key") is None
    assert not file.exists()


def test_the_least_recently_used_go_first(tmp_path):
    store, found = CandidateStore(tmp_path), random_discs(0)
    store.put("one", found)
    size = next(tmp_path.iterdir()).stat().st_size
    store.max_bytes = int(2.5 * size)
    os.utime(tmp_path / "one.npz", (1, 1))
    store.put("two", found)
    os.utime(tmp_path / "two.npz", (2, 2))
    store.get("one")
    store.put("three", found)
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["one", "three"]


def test_a_disk_that_cannot_be_written_is_no_error(tmp_path):
    file = tmp_path / "file"
    file.write_text("no folder")
    store = CandidateStore(file / "below")
    store.put("key", random_discs(0))
    assert store.get("key") is None


def test_a_clock_that_was_set_back_does_not_drop_what_was_just_kept(tmp_path):
    store, found = CandidateStore(tmp_path), random_discs(0)
    store.put("one", found)
    store.max_bytes = int(1.5 * next(tmp_path.iterdir()).stat().st_size)
    in_a_while = time.time() + 1e6
    os.utime(tmp_path / "one.npz", (in_a_while, in_a_while))
    store.put("two", found)
    assert [file.name for file in tmp_path.iterdir()] == ["two.npz"]


def test_what_a_process_left_unfinished_is_removed_after_a_while(tmp_path):
    fresh, old = tmp_path / "a.tmp", tmp_path / "b.tmp"
    for file in (fresh, old):
        file.write_bytes(b"half of it")
    os.utime(old, (time.time() - 7200,) * 2)
    CandidateStore(tmp_path).put("key", random_discs(0))
    assert fresh.exists()
    assert not old.exists()
