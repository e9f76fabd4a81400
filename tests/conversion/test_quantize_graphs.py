"""What becomes 8 bits, and what is left alone."""

from functools import partial

import numpy as np
import openvino
import pytest

from napari_sam2_openvino.conversion.quantize_graphs import _Calibration, write_quantized_graphs
from napari_sam2_openvino.conversion.recipes import PRESETS, Recipe, kept_operations
from napari_sam2_openvino.core.transforms import preprocess

IMAGE_SIZE = 128


def read(folder, name):
    return openvino.Core().read_model(folder / f"{name}.xml")


def images(count=2):
    rng = np.random.default_rng(4)
    arrays = rng.integers(0, 255, (count, 40, 60, 3)).astype(np.uint8)
    return [partial(np.copy, array) for array in arrays]


def quantized(recipe, source, folder):
    """Return the progress of quantizing a model's graphs."""
    return list(write_quantized_graphs(source, folder, recipe, images(), IMAGE_SIZE))


def fake_quantized(graph):
    """Return the names of the operations whose inputs go through 8 bits."""
    return {
        user.get_friendly_name()
        for node in graph.get_ops()
        if node.get_type_name() == "FakeQuantize"
        for user in users(node)
    }


def users(node):
    """What takes an operation's output, also through an axis of length 1 that is taken away."""
    for target in node.output(0).get_target_inputs():
        user = target.get_node()
        if user.get_type_name() == "Squeeze":
            yield from users(user)
        else:
            yield user


def eight_bit_constants(graph):
    return sum(
        node.data.size
        for node in graph.get_ops()
        if node.get_type_name() == "Constant" and node.get_element_type() == openvino.Type.i8
    )


@pytest.fixture(scope="module")
def fast(micro_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fast")
    return folder, quantized(PRESETS["fast"], micro_folder, folder)


def test_full_int8_quantizes_activations_and_weights_of_the_encoder(fast, micro_folder):
    folder, reports = fast
    encoder = read(folder, "image_encoder")
    names = fake_quantized(encoder)
    assert any(".mlp.layers.1/" in name for name in names)
    assert any(".attn.query/" in name for name in names)
    assert eight_bit_constants(encoder) > 10_000
    for suffix in (".xml", ".bin"):
        path = (micro_folder / "mask_decoder").with_suffix(suffix)
        assert (folder / path.name).read_bytes() == path.read_bytes()
    stages = [progress.stage for progress in reports]
    assert stages[0] == "Quantizing the image encoder"
    assert reports[-2].detail == "2 of 2 images"
    assert [progress.done for progress in reports] == sorted(each.done for each in reports)


def test_no_key_in_eight_bits_is_transposed_for_many_heads(fast):
    graph = read(fast[0], "image_encoder")
    attentions = [n for n in graph.get_ops() if n.get_type_name() == "ScaledDotProductAttention"]
    assert len(attentions) == 5
    assert {node.input(0).get_partial_shape()[1].get_length() for node in attentions} == {1}


def test_what_a_recipe_keeps_stays_as_it_was(micro_folder, tmp_path):
    recipe = Recipe(kept=("attention", "stage transitions", "neck"))
    quantized(recipe, micro_folder, tmp_path)
    encoder = read(tmp_path, "image_encoder")
    kept = set(kept_operations(read(micro_folder, "image_encoder"), recipe))
    assert any("scaled_dot_product_attention" in name for name in kept)
    assert any(".neck." in name for name in kept)
    assert any(".attn.query/" in name for name in kept)
    assert fake_quantized(encoder)
    assert not fake_quantized(encoder) & kept


def test_weights_alone_compute_nothing_in_eight_bits(micro_folder, tmp_path):
    quantized(PRESETS["safe"], micro_folder, tmp_path)
    for name in ("image_encoder", "mask_decoder"):
        graph = read(tmp_path, name)
        assert not fake_quantized(graph)
        assert eight_bit_constants(graph) > 10_000
        size = (tmp_path / f"{name}.bin").stat().st_size
        assert size < 0.6 * (micro_folder / f"{name}.bin").stat().st_size


def test_positions_are_never_quantized(micro_folder):
    encoder, decoder = (read(micro_folder, name) for name in ("image_encoder", "mask_decoder"))
    (phases,) = kept_operations(decoder, Recipe())
    shapes = {
        node.get_friendly_name(): node.inputs()[1].get_partial_shape()
        for node in decoder.get_ops()
        if node.get_type_name() == "MatMul"
    }
    # (x, y) times a matrix.
    assert 2 in shapes[phases].to_shape()
    # The two products of the position embedding's interpolation.
    assert len(kept_operations(encoder, Recipe())) == 2


def test_calibration_sees_what_the_engine_sees():
    given = images()
    for array, load in zip(_Calibration(given, IMAGE_SIZE), given, strict=True):
        np.testing.assert_array_equal(array, preprocess(load(), IMAGE_SIZE))


def test_an_error_inside_the_thread_is_raised():
    def fail():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(_Calibration(images(), IMAGE_SIZE).watch(fail))


def test_norms_of_the_encoder_round_themselves(fast):
    encoder = read(fast[0], "image_encoder")
    norms = [node for node in encoder.get_ops() if node.get_type_name() == "MVN"]
    assert {len(node.output(0).shape) for node in norms} == {3}
