"""Decodes that are cancelled leave nothing behind in those that follow."""

import shutil

import numpy as np
import pytest

from napari_sam2_openvino import load_model
from napari_sam2_openvino.core import free_shapes
from napari_sam2_openvino.core.errors import DeviceError, JobCancelledError, ModelFormatError
from napari_sam2_openvino.core.model_folder import INFO_FILE
from napari_sam2_openvino.core.paths import starter_dir

# Prompt sets and tokens of each: a call to compare, and one that takes long enough to be cut off.
SHAPES = [(1, 2), (1, 5), (4, 3), (7, 2)]
LONG = (16, 9)


def prompts(model, shape):
    rng = np.random.default_rng(shape)
    coords = rng.uniform(0, model.image_size, (*shape, 2)).astype(np.float32)
    return coords, np.ones(shape, np.int32)


@pytest.fixture(scope="module")
def model():
    return load_model("starter")


@pytest.fixture(scope="module")
def embedding(model):
    rng = np.random.default_rng(0)
    return model.encode(rng.integers(0, 255, (60, 80, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def expected(model, embedding):
    return {shape: model.decode(embedding, *prompts(model, shape)) for shape in SHAPES}


def cancel_a_decode(model, embedding, after=0):
    """Cancel a decode when it was asked so many times whether it is cancelled."""
    asked = iter([False] * after)
    with pytest.raises(JobCancelledError, match="The attempt to decode the prompts was cancelled"):
        model.decode(embedding, *prompts(model, LONG), cancelled=lambda: next(asked, True))


def assert_equal(found, expected):
    for name, array in expected._asdict().items():
        np.testing.assert_array_equal(getattr(found, name), array, err_msg=name)


def test_a_cancelled_decode_changes_none_of_the_following(model, embedding, expected, monkeypatch):
    monkeypatch.setattr(free_shapes, "PATIENCE_S", 60.0)
    request = model._mask_decoder._request
    for number in range(24):
        cancel_a_decode(model, embedding, after=number % 2)
        shape = SHAPES[number % len(SHAPES)]
        assert_equal(model.decode(embedding, *prompts(model, shape)), expected[shape])
    # It was waited for, which costs less than a graph.
    assert model._mask_decoder._request is request


def test_a_decode_that_is_cut_off_changes_none_either(model, embedding, expected, monkeypatch):
    monkeypatch.setattr(free_shapes, "PATIENCE_S", 0.0)
    for number in range(6):
        request = model._mask_decoder._request
        cancel_a_decode(model, embedding)
        shape = SHAPES[number % len(SHAPES)]
        assert_equal(model.decode(embedding, *prompts(model, shape)), expected[shape])
        assert model._mask_decoder._request is not request


def test_a_graph_is_not_compiled_anew_from_another_model(tmp_path, monkeypatch):
    monkeypatch.setattr(free_shapes, "PATIENCE_S", 0.0)
    folder = shutil.copytree(starter_dir(), tmp_path / "model")
    model = load_model(folder, precision="f32")
    embedding = model.encode(np.zeros((60, 80, 3), np.uint8))
    cancel_a_decode(model, embedding)
    (folder / INFO_FILE).write_bytes((folder / INFO_FILE).read_bytes() + b" ")
    for _ in range(2):
        with pytest.raises(ModelFormatError, match="Model starter was replaced: load it again"):
            model.decode(embedding, *prompts(model, SHAPES[0]))


def test_a_decode_that_failed_changes_none_either(model, embedding, expected):
    request = model._mask_decoder._request
    shape = SHAPES[1]
    coords, labels = prompts(model, shape)
    with pytest.raises(DeviceError, match="OpenVINO could not decode the prompts"):
        # One label too many.
        model.decode(embedding, coords, np.ones((1, 6), np.int32))
    assert_equal(model.decode(embedding, coords, labels), expected[shape])
    assert model._mask_decoder._request is not request
