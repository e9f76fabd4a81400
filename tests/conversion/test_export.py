"""The saved graphs, run by OpenVINO in f32, beside SAM 2's own modules."""

import copy

import numpy as np
import openvino
import pytest
import torch

from napari_sam2_openvino.conversion import export
from napari_sam2_openvino.core.model_folder import (
    IMAGE_ENCODER_FILE,
    MASK_DECODER_FILE,
    PARAMETERS_FILE,
    read_model_info,
)

PRECISE = {"INFERENCE_PRECISION_HINT": "f32"}
EMBEDDINGS = ("image_embed", "high_res_feats_0", "high_res_feats_1")


@pytest.fixture(scope="module")
def encoder(micro_folder):
    return openvino.Core().compile_model(micro_folder / IMAGE_ENCODER_FILE, "CPU", PRECISE)


@pytest.fixture(scope="module")
def decoder(micro_folder):
    return openvino.Core().compile_model(micro_folder / MASK_DECODER_FILE, "CPU", PRECISE)


@pytest.fixture(scope="module")
def image(micro_model):
    size = micro_model.image_size
    return torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def embeddings(micro_model, image):
    with torch.no_grad():
        feats = micro_model.forward_image(image)["backbone_fpn"]
    return feats[2], feats[0], feats[1]


def prompts(micro_model, labels, batch, *, mask, seed=0):
    """Return random tokens of these labels, and random mask inputs or none."""
    generator = torch.Generator().manual_seed(seed)
    size = micro_model.image_size
    coords = size * torch.rand(batch, len(labels), 2, generator=generator)
    point_labels = torch.tensor([labels] * batch, dtype=torch.int32).reshape(batch, -1)
    mask_input = 5 * torch.randn(batch, 1, size // 4, size // 4, generator=generator)
    return coords, point_labels, mask_input if mask else None


@torch.no_grad()
def reference_decode(model, embeddings, coords, labels, mask_input):
    """Decode with SAM 2's prompt encoder and mask decoder; all tokens are given."""
    encoder = model.sam_prompt_encoder
    batch = len(coords)
    sparse, dense = encoder._embed_points(coords, labels, pad=False), None
    if mask_input is not None:
        dense = encoder._embed_masks(mask_input)
    else:
        _, dense = encoder((coords, labels), None, None)
    image_embed, feats_0, feats_1 = embeddings
    masks, scores, tokens, object_scores = model.sam_mask_decoder.predict_masks(
        image_embeddings=image_embed,
        image_pe=encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        repeat_image=len(image_embed) != batch,
        high_res_features=[feats_0, feats_1],
    )
    return {
        "low_res_masks": masks,
        "iou_predictions": scores,
        "object_score_logits": object_scores,
        "obj_ptr": model.obj_ptr_proj(tokens),
    }


def decode(decoder, embeddings, coords, labels, mask_input, *, junk=0.0):
    batch, size = len(coords), embeddings[1].shape[-1]
    off = torch.full((batch, 1, size, size), junk)
    inputs = {
        **dict(zip(EMBEDDINGS, embeddings, strict=True)),
        "point_coords": coords,
        "point_labels": labels,
        "mask_input": off if mask_input is None else mask_input,
        "has_mask_input": torch.full((batch,), float(mask_input is not None)),
    }
    outputs = decoder({name: tensor.numpy() for name, tensor in inputs.items()})
    return {port.get_any_name(): value.copy() for port, value in outputs.items()}


def assert_equal(found, wanted):
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        scale = max(float(tensor.abs().max()), 1.0)
        np.testing.assert_allclose(found[name], tensor.numpy(), atol=2e-5 * scale, rtol=0)


def test_encoder_equals_pytorch(encoder, image, embeddings):
    outputs = encoder({"image": image.numpy()})
    for name, wanted in zip(EMBEDDINGS, embeddings, strict=True):
        np.testing.assert_allclose(outputs[name], wanted.numpy(), atol=5e-5, rtol=0)


def test_contract_of_names_and_shapes(encoder, decoder):
    def ports(ports):
        return {port.get_any_name(): str(port.get_partial_shape()) for port in ports}

    assert ports(encoder.inputs) == {"image": "[1,3,128,128]"}
    assert ports(encoder.outputs) == {
        "image_embed": "[1,32,8,8]",
        "high_res_feats_0": "[1,4,32,32]",
        "high_res_feats_1": "[1,8,16,16]",
    }
    assert ports(decoder.inputs) == {
        "image_embed": "[?,32,8,8]",
        "high_res_feats_0": "[?,4,32,32]",
        "high_res_feats_1": "[?,8,16,16]",
        "point_coords": "[?,?,2]",
        "point_labels": "[?,?]",
        "mask_input": "[?,1,32,32]",
        "has_mask_input": "[?]",
    }
    assert ports(decoder.outputs) == {
        "low_res_masks": "[?,4,32,32]",
        "iou_predictions": "[?,4]",
        "object_score_logits": "[?,1]",
        "obj_ptr": "[?,4,32]",
    }
    assert decoder.input("point_labels").get_element_type() == openvino.Type.i32


@pytest.mark.parametrize("mask", [False, True], ids=["no mask", "mask"])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    "labels", [[], [1, -1], [0, 1, 1, -1], [2, 3, -1], [2, 3, 0, 1, -1], [-1, -1]], ids=str
)
def test_decoder_equals_pytorch(labels, batch, mask, decoder, micro_model, embeddings):
    prompt = prompts(micro_model, labels, batch, mask=mask)
    wanted = reference_decode(micro_model, embeddings, *prompt)
    assert_equal(decode(decoder, embeddings, *prompt), wanted)


def test_each_prompt_may_have_its_own_embeddings(decoder, micro_model, embeddings):
    several = tuple(torch.cat([feats, 0.5 * feats, -feats]) for feats in embeddings)
    prompt = prompts(micro_model, [1, 0, -1], 3, mask=True)
    wanted = reference_decode(micro_model, several, *prompt)
    assert_equal(decode(decoder, several, *prompt), wanted)
    one = {name: tensor[:1] for name, tensor in wanted.items()}
    first = tuple(tensor[:1] for tensor in prompt)
    assert_equal(decode(decoder, embeddings, *first), one)


def test_masks_are_not_clamped(decoder, micro_model, embeddings):
    prompt = prompts(micro_model, [1, -1], 3, mask=False)
    assert np.abs(decode(decoder, embeddings, *prompt)["low_res_masks"]).max() > 32


@pytest.mark.parametrize("junk", [1e30, np.nan], ids=str)
def test_a_mask_input_that_is_off_has_no_effect(junk, decoder, micro_model, embeddings):
    prompt = prompts(micro_model, [1, -1], 2, mask=False)
    clean = decode(decoder, embeddings, *prompt)
    for name, value in decode(decoder, embeddings, *prompt, junk=junk).items():
        np.testing.assert_array_equal(value, clean[name])


def test_mask_input_is_switched_for_each_prompt(decoder, micro_model, embeddings):
    coords, labels, mask_input = prompts(micro_model, [1, -1], 2, mask=True)
    inputs = dict(zip(EMBEDDINGS, embeddings, strict=True))
    inputs |= {"point_coords": coords, "point_labels": labels, "mask_input": mask_input}
    inputs["has_mask_input"] = torch.tensor([1.0, 0.0])
    mixed = decoder({name: tensor.numpy() for name, tensor in inputs.items()})["low_res_masks"]
    for index, mask in enumerate((mask_input, None)):
        alone = reference_decode(micro_model, embeddings, coords, labels, mask)["low_res_masks"]
        np.testing.assert_allclose(mixed[index], alone[index].numpy(), atol=2e-3)


def test_parameters_are_those_of_the_checkpoint(micro_folder, micro_model):
    state = micro_model.state_dict()
    with np.load(micro_folder / PARAMETERS_FILE, allow_pickle=False) as arrays:
        assert set(arrays) == set(export.PARAMETERS)
        for name in arrays:
            assert arrays[name].dtype == np.float32
            np.testing.assert_array_equal(arrays[name], state[name].numpy())


def constants(micro_folder, file_name):
    graph = openvino.Core().read_model(micro_folder / file_name)
    for node in graph.get_ops():
        if node.get_type_name() == "Constant":
            yield node.get_element_type(), node.data


@pytest.mark.parametrize("file_name", [IMAGE_ENCODER_FILE, MASK_DECODER_FILE])
def test_weights_are_stored_exactly_and_in_half_precision_where_that_is_exact(
    file_name, micro_folder, micro_model, tmp_path
):
    def half_share(folder):
        sizes = {openvino.Type.f16: 0, openvino.Type.f32: 0}
        for element_type, data in constants(folder, file_name):
            if element_type in sizes:
                sizes[element_type] += data.size
        return sizes[openvino.Type.f16] / sum(sizes.values())

    assert half_share(micro_folder) < 0.1
    assert export.stored_weights(micro_model) == "f32"
    half_model = copy.deepcopy(micro_model)
    with torch.no_grad():
        for parameter in half_model.parameters():
            parameter.copy_(parameter.half())
    export.export_image_encoder(half_model, tmp_path)
    export.export_mask_decoder(half_model, tmp_path)
    assert half_share(tmp_path) > 0.9
    assert export.stored_weights(half_model) == "f16"


def test_position_encoding_is_not_rounded(micro_folder, micro_model):
    with torch.no_grad():
        encoding = np.sort(micro_model.sam_prompt_encoder.get_dense_pe().numpy().ravel())
    stored = [
        np.sort(data.ravel())
        for element_type, data in constants(micro_folder, MASK_DECODER_FILE)
        if element_type == openvino.Type.f32
    ]
    assert any(np.array_equal(values, encoding) for values in stored)


def test_info_describes_the_model(micro_folder, micro_checkpoint):
    info = read_model_info(micro_folder)
    assert (info.name, info.weights) == ("micro", "f32")
    assert (info.config.architecture, info.config.image_size) == ("micro", 128)
    assert info.source.checkpoint == micro_checkpoint.name
    assert info.self_check.prompt_sets >= 9
    assert info.self_check.differences.mask_pixels > 0.999
    assert not info.self_check.random_weights
    assert info.versions.keys() == {"napari-sam2-openvino", "openvino", "torch", "sam2"}
