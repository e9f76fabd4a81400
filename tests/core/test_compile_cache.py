"""Compiled graphs are kept between loads, and never taken for those of other weights."""

import os
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from napari_sam2_openvino import load_model
from napari_sam2_openvino.core.model_folder import read_model_info, write_model_info
from napari_sam2_openvino.core.paths import cache_dir, starter_dir
from napari_sam2_openvino.core.runtime import Runtime


def encode(folder):
    model = load_model(folder, precision="f32")
    return model.encode(np.full((64, 64, 3), 90, np.uint8)).image_embed


def halve_largest_constant(graph):
    """Change weights in the ``.bin`` and leave the ``.xml`` as it is."""
    constants = re.findall(
        r'type="f16" shape="[^"]*" offset="(\d+)" size="(\d+)"', graph.read_text()
    )
    offset, size = max(
        ((int(start), int(length)) for start, length in constants), key=lambda c: c[1]
    )
    weights = np.memmap(graph.with_suffix(".bin"), np.float16, "r+", offset, (size // 2,))
    weights[:] *= 0.5
    weights.flush()


def test_new_weights_under_the_same_path_time_and_size_are_compiled_anew(sam2_home, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(starter_dir(), folder)
    before = encode(folder)
    times = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    halve_largest_constant(folder / "image_encoder.xml")
    info = read_model_info(folder)
    write_model_info(folder, replace(info, source=replace(info.source, sha256="0" * 64)))
    for path, time in times.items():
        os.utime(path, ns=(time, time))
    assert not np.allclose(encode(folder), before)
    assert cache_dir().is_relative_to(sam2_home)


def decode(precision):
    """Return what the image encoder and the mask decoder give, from a model loaded anew."""
    model = load_model(starter_dir(), precision=precision)
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    embedding = model.encode(image)
    coords = np.array([[[100, 90], [140, 150], [0, 0]]], np.float32)
    output = model.decode(embedding, coords, np.array([[1, 0, -1]], np.int32))
    return embedding.image_embed, output.low_res_masks, output.iou_predictions


@pytest.mark.parametrize("precision", ["auto", "f32"])
@pytest.mark.usefixtures("sam2_home")
def test_the_first_load_computes_what_later_ones_do(precision, monkeypatch):
    first, second = decode(precision), decode(precision)
    monkeypatch.setattr(Runtime, "_use_cache", lambda *_: None)
    without = decode(precision)
    for one, two, three in zip(first, second, without, strict=True):
        np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(one, three)


@pytest.mark.usefixtures("sam2_home")
def test_a_second_load_compiles_nothing():
    encode(starter_dir())
    blobs = {path: path.stat().st_mtime_ns for path in cache_dir().rglob("*.blob")}
    assert len(blobs) == 2
    encode(starter_dir())
    assert {path: path.stat().st_mtime_ns for path in cache_dir().rglob("*.blob")} == blobs


def damage(blob, kind):
    content = bytearray(blob.read_bytes())
    third = len(content) // 3
    if kind == "cut off":
        content = content[:third]
    elif kind == "weights":
        content[third : third + 200_000] = bytes(200_000)
    else:
        content = bytearray(b"no blob")
    blob.write_bytes(content)


@pytest.mark.parametrize("kind", ["cut off", "weights", "something else"])
@pytest.mark.usefixtures("sam2_home")
def test_a_damaged_cache_is_made_again(kind):
    before = encode(starter_dir())
    blobs = list(cache_dir().rglob("*.blob"))
    for blob in blobs:
        damage(blob, kind)
    np.testing.assert_array_equal(encode(starter_dir()), before)
    assert {blob.stat().st_size > 100_000 for blob in blobs} == {True}


@pytest.mark.usefixtures("sam2_home")
def test_damaged_checksums_cost_a_compile_and_no_more():
    before = encode(starter_dir())
    for noted in cache_dir().rglob("*.crc"):
        noted.write_bytes(b"\xff\xfe")
    np.testing.assert_array_equal(encode(starter_dir()), before)
