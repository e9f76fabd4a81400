"""Attention with as many tokens as heads is what it is in f32, in bf16 too."""

import numpy as np
import openvino
import pytest
from openvino import opset13 as ops

from napari_sam2_openvino.core.attention import separate_heads

WIDTH = 16
INPUTS = ("query", "key", "value")


def attention(batch, heads, queries, keys):
    """Return a graph with attention between projections, as SAM 2 has it."""
    rng = np.random.default_rng(5)

    def linear(source, width):
        weights = rng.standard_normal((width, width)).astype(np.float32) / np.float32(
            np.sqrt(width)
        )
        return ops.matmul(source, ops.constant(weights), False, False)

    swap = ops.constant(np.array([0, 2, 1, 3]))
    parameters = [
        ops.parameter([batch, length, heads, WIDTH], np.float32, name)
        for name, length in zip(INPUTS, (queries, keys, keys), strict=True)
    ]
    projected = (ops.transpose(linear(each, WIDTH), swap) for each in parameters)
    mixed = ops.transpose(ops.scaled_dot_product_attention(*projected, causal=False), swap)
    flat = ops.reshape(mixed, ops.constant(np.array([0, 0, heads * WIDTH])), True)
    return openvino.Model([linear(flat, heads * WIDTH)], parameters)


def run(graph, precision, batch, heads, queries, keys):
    rng = np.random.default_rng(6)
    inputs = [
        rng.standard_normal((batch, length, heads, WIDTH)).astype(np.float32)
        for length in (queries, keys, keys)
    ]
    hint = {"INFERENCE_PRECISION_HINT": precision}
    compiled = openvino.Core().compile_model(graph, "CPU", hint)
    return next(iter(compiled(inputs).values())).astype(np.float64).ravel()


def cosine(one, other):
    return one @ other / (np.linalg.norm(one) * np.linalg.norm(other))


@pytest.mark.parametrize(
    "sizes", [(64, 4, 4, 16), (1, 8, 8, 8), (16, 8, 8, 64), (16, 8, 64, 8)], ids=str
)
def test_as_many_tokens_as_heads_are_no_trap(sizes):
    wanted = run(attention(*sizes), "f32", *sizes)
    graph = attention(*sizes)
    assert separate_heads(graph) == 1
    np.testing.assert_allclose(run(graph, "f32", *sizes), wanted, atol=1e-5)
    assert cosine(run(graph, "bf16", *sizes), wanted) > 0.999


def test_an_open_number_of_tokens_is_right_as_it_is_and_once_it_is_fixed():
    sizes = (3, 8, 8, 8)
    graph = attention(-1, 8, -1, -1)
    wanted = run(attention(*sizes), "f32", *sizes)
    assert separate_heads(graph) == 0
    assert cosine(run(graph, "bf16", *sizes), wanted) > 0.999
    graph.reshape({port: [3, 8, 8, WIDTH] for port in graph.inputs})
    assert separate_heads(graph) == 1
    assert cosine(run(graph, "bf16", *sizes), wanted) > 0.999


def test_any_other_attention_stays_as_it_is():
    graph = attention(2, 4, 16, 64)
    nodes = len(graph.get_ops())
    assert separate_heads(graph) == 0
    assert len(graph.get_ops()) == nodes


@pytest.mark.parametrize(("heads", "changed"), [(4, 1), (1, 0)])
def test_heads_of_any_attention_are_separated_if_that_is_wanted(heads, changed):
    sizes = (2, heads, 16, 64)
    wanted = run(attention(*sizes), "f32", *sizes)
    graph = attention(*sizes)
    assert separate_heads(graph, of_all=True) == changed
    np.testing.assert_allclose(run(graph, "f32", *sizes), wanted, atol=1e-5)
