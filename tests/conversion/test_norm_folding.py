"""Norms that are folded into matrices compute the same, and no channel stands out."""

import numpy as np
import openvino
import pytest
from openvino import opset13 as ops

from napari_sam2_openvino.conversion.norm_folding import fold_norms

PRECISE = {"INFERENCE_PRECISION_HINT": "f32"}
TOKENS, WIDTH = 9, 8


def infer(graph, array):
    return list(openvino.Core().compile_model(graph, "CPU", PRECISE)([array]).values())


def norm_and_products(*, half, other_user=False):
    rng = np.random.default_rng(0)
    tokens = ops.parameter([TOKENS, WIDTH], name="tokens")
    scale = np.exp(rng.normal(0, 2, WIDTH)).astype(np.float32)
    shift = rng.normal(0, 3, (1, WIDTH)).astype(np.float32)
    normed = ops.mvn(tokens, ops.constant([1]), True, 1e-6, "inside_sqrt")
    normed = ops.add(ops.multiply(normed, ops.constant(scale)), ops.constant(shift))
    results = []
    for rows in (5, 3):
        weights = rng.normal(0, 1, (rows, WIDTH)).astype(np.float16 if half else np.float32)
        constant = ops.constant(weights)
        matrix = ops.convert(constant, "f32") if half else constant
        product = ops.matmul(normed, matrix, False, True)
        results.append(ops.add(product, ops.constant(rng.normal(0, 1, rows).astype(np.float32))))
    if other_user:
        results.append(ops.relu(normed))
    return openvino.Model([ops.result(each) for each in results], [tokens])


@pytest.mark.parametrize("half", [False, True])
def test_the_function_stays_the_same(half):
    array = np.random.default_rng(1).normal(0, 5, (TOKENS, WIDTH)).astype(np.float32)
    graph = norm_and_products(half=half)
    wanted = infer(graph, array)
    assert fold_norms(graph) == 1
    assert "Multiply" not in {node.get_type_name() for node in graph.get_ops()}
    for value, want in zip(infer(graph, array), wanted, strict=True):
        np.testing.assert_allclose(value, want, rtol=0, atol=1e-5 * np.abs(want).max())


def test_a_norm_that_others_use_too_is_left_alone():
    graph = norm_and_products(half=False, other_user=True)
    assert fold_norms(graph) == 0


def test_all_norms_of_the_encoders_blocks_are_folded(micro_folder):
    graph = openvino.Core().read_model(micro_folder / "image_encoder.xml")
    assert fold_norms(graph) == sum(n.get_type_name() == "MVN" for n in graph.get_ops()) == 10
