"""The saved memory graphs, run by OpenVINO in f32, beside SAM 2's own modules."""

import copy
import dataclasses
import re

import numpy as np
import openvino
import pytest
import torch
from tests.reference import build_model

from napari_sam2_openvino.conversion import architecture, memory_check
from napari_sam2_openvino.conversion.memory_check import MemoryCheckRun
from napari_sam2_openvino.conversion.pipeline import Request, fill_folder
from napari_sam2_openvino.conversion.self_check import judge
from napari_sam2_openvino.core.errors import ConversionError, ModelFormatError
from napari_sam2_openvino.core.model_folder import (
    MEMORY_ATTENTION_FILE,
    MEMORY_ENCODER_FILE,
    Differences,
    MemoryDifferences,
    SelfCheck,
    read_model_info,
)

GOOD = Differences(embedding=1e-5, mask_logits=1e-5, iou_predictions=1e-5, mask_pixels=1.0)


def ports(ports):
    return {port.get_any_name(): str(port.get_partial_shape()) for port in ports}


def test_contract_of_names_and_shapes(micro_folder):
    core = openvino.Core()
    attention = core.read_model(micro_folder / MEMORY_ATTENTION_FILE)
    assert ports(attention.inputs) == {
        "image_embed": "[1,32,8,8]",
        "maskmem_features": "[?,?,16,8,8]",
        "maskmem_tpos": "[?,?,16]",
        "obj_ptrs": "[?,?,32]",
        "obj_ptr_tpos": "[?,?,16]",
    }
    assert ports(attention.outputs) == {"conditioned_embed": "[?,32,8,8]"}
    encoder = core.read_model(micro_folder / MEMORY_ENCODER_FILE)
    assert ports(encoder.inputs) == {
        "image_embed": "[1,32,8,8]",
        "low_res_masks": "[?,1,32,32]",
        "binarize": "[?]",
    }
    assert ports(encoder.outputs) == {"maskmem_features": "[?,16,8,8]"}


@pytest.mark.parametrize(
    ("objects", "memories", "pointers"), [(1, 1, 0), (1, 1, 1), (3, 2, 5), (2, 9, 16)]
)
def test_memories_equal_pytorch(
    objects, memories, pointers, micro_folder, micro_model, monkeypatch
):
    monkeypatch.setattr(memory_check, "_RECALLS", ((objects, memories, pointers),))
    monkeypatch.setattr(memory_check, "_REMEMBERED", objects)
    run = MemoryCheckRun(micro_model)
    run._binarize = np.arange(objects, dtype=np.float32) % 2
    found = run.differences(micro_folder)
    assert found.conditioned_embed < 1e-5
    assert found.maskmem_features < 1e-5


@pytest.mark.parametrize(
    "parameter",
    [
        "memory_attention.layers.0.self_attn.q_proj.weight",
        "memory_attention.layers.0.cross_attn_image.k_proj.weight",
        "memory_attention.layers.0.cross_attn_image.v_proj.bias",
        "memory_attention.norm.weight",
        "memory_encoder.mask_downsampler.encoder.0.weight",
        "memory_encoder.fuser.layers.0.gamma",
        "memory_encoder.out_proj.bias",
    ],
)
def test_one_wrong_tensor_fails_the_check(parameter, micro_model, micro_folder):
    wrong = copy.deepcopy(micro_model)
    with torch.no_grad():
        tensor = wrong.get_parameter(parameter)
        noise = torch.randn(tensor.shape, generator=torch.Generator().manual_seed(0))
        tensor.add_((0.3 * tensor.std(correction=0) + 0.02) * noise)
    found = MemoryCheckRun(wrong).differences(micro_folder)
    with pytest.raises(ConversionError, match="memory does not compute"):
        judge(SelfCheck(9, GOOD, memory=found))


@pytest.mark.parametrize(
    "change", [{"conditioned_embed": 2e-3}, {"maskmem_features": float("nan")}], ids=str
)
def test_each_figure_decides(change):
    good = MemoryDifferences(1e-5, 1e-5)
    judge(SelfCheck(9, GOOD, memory=good))
    with pytest.raises(ConversionError, match="memory does not compute"):
        judge(SelfCheck(9, GOOD, memory=dataclasses.replace(good, **change)))


def test_info_tells_whether_there_is_memory(micro_folder, micro_checkpoint, micro_config, tmp_path):
    info = read_model_info(micro_folder)
    assert info.has_memory
    assert info.self_check.memory.conditioned_embed < 1e-4
    assert info.self_check.memory.maskmem_features < 1e-4
    request = Request(str(micro_checkpoint), "micro", str(micro_config), memory=False)
    for _ in fill_folder(request, tmp_path):
        pass
    assert not read_model_info(tmp_path).has_memory
    assert not list(tmp_path.glob("memory*"))


@pytest.mark.parametrize(
    "lost", [MEMORY_ENCODER_FILE, "memory_attention.bin", "image_encoder.bin", "mask_decoder.bin"]
)
def test_a_folder_that_lost_a_part_is_refused(micro_folder, tmp_path, lost):
    for path in micro_folder.iterdir():
        if path.name != lost:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(ModelFormatError, match=f"lacks {re.escape(lost)}: convert"):
        read_model_info(tmp_path)


def test_a_model_that_remembers_otherwise_has_no_memory(micro_config):
    model = build_model(micro_config)
    assert architecture.has_memory(model)
    model.directly_add_no_mem_embed = False
    assert not architecture.has_memory(model)
