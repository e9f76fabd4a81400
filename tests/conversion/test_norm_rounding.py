"""Norms and the rounding behind them become one operation that computes the same."""

import platform

import numpy as np
import openvino
import pytest
from openvino import opset13 as ops

from napari_sam2_openvino.conversion.norm_rounding import fuse_rounding

TOKENS, WIDTH = 48, 32


def norm_and_product(*, rounds=True, other_user=False):
    """A norm over the last axis, rounded to 8 bits and multiplied by weights in 8 bits."""
    rng = np.random.default_rng(0)
    tokens = ops.parameter([TOKENS, WIDTH], name="tokens")
    normed = ops.mvn(tokens, ops.constant([1]), True, 1e-6, "inside_sqrt")
    value = normed
    if rounds:
        low, high = ops.constant(np.float32(-3)), ops.constant(np.float32(3.1))
        value = ops.fake_quantize(normed, low, high, low, high, 256)
    weights = rng.integers(-127, 127, (16, WIDTH)).astype(np.int8)
    scaled = ops.multiply(ops.convert(ops.constant(weights), "f32"), ops.constant(np.float32(0.01)))
    results = [ops.matmul(value, scaled, False, True)]
    if other_user:
        results.append(ops.relu(normed))
    return openvino.Model([ops.result(each) for each in results], [tokens])


def compiled(graph):
    return openvino.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


def operations(graph):
    """What OpenVINO executes on this CPU."""
    nodes = compiled(graph).get_runtime_model().get_ordered_ops()
    return [node.get_rt_info()["layerType"].astype(str) for node in nodes]


def test_the_function_stays_the_same():
    array = np.random.default_rng(1).normal(0, 5, (TOKENS, WIDTH)).astype(np.float32)
    graph = norm_and_product()
    wanted = compiled(graph)([array])[0]
    assert fuse_rounding(graph) == 1
    found = compiled(graph)([array])[0]
    assert found.shape == wanted.shape
    # A number between two steps may fall to the other side.
    np.testing.assert_allclose(found, wanted, atol=0.05)


@pytest.mark.skipif(platform.machine() not in {"x86_64", "AMD64"}, reason="fused on x86 alone")
def test_the_rounding_is_no_operation_of_its_own():
    graph = norm_and_product()
    before = operations(graph)
    fuse_rounding(graph)
    after = operations(graph)
    assert after.count("FakeQuantize") + after.count("Subgraph") < (
        before.count("FakeQuantize") + before.count("Subgraph")
    )


@pytest.mark.parametrize("options", [{"rounds": False}, {"other_user": True}])
def test_a_norm_that_does_not_only_feed_roundings_is_left_alone(options):
    assert fuse_rounding(norm_and_product(**options)) == 0
