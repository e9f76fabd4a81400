"""A graph that is wrong does not pass, and the figures mean what they say."""

import copy
import dataclasses
import shutil

import numpy as np
import pytest
import torch
from tests.reference import build_model

from napari_sam2_openvino.conversion import export, pipeline
from napari_sam2_openvino.conversion.self_check import (
    Outputs,
    SelfCheckRun,
    differences,
    is_untrained,
    judge,
)
from napari_sam2_openvino.core.errors import ConversionError
from napari_sam2_openvino.core.model_folder import Differences, SelfCheck

GOOD = Differences(embedding=1e-5, mask_logits=1e-5, iou_predictions=1e-5, mask_pixels=1.0)


@pytest.mark.parametrize(
    "change",
    [
        {"embedding": 2e-3},
        {"mask_logits": 1e-2},
        {"iou_predictions": 2e-3},
        {"mask_pixels": 0.99},
        {"mask_logits": float("nan")},
    ],
    ids=str,
)
def test_each_figure_decides(change):
    judge(SelfCheck(9, GOOD))
    bad = dataclasses.replace(GOOD, **change)
    with pytest.raises(ConversionError, match="does not compute what the checkpoint"):
        judge(SelfCheck(9, bad))


def test_figures_of_a_known_difference():
    reference = Outputs([np.array([0.0, 2.0])], [np.array([[[[-2.0, 2.0]]]])], [np.array([[0.5]])])
    outputs = Outputs([np.array([0.0, 2.5])], [np.array([[[[1.0, 2.0]]]])], [np.array([[0.4]])])
    found = differences(outputs, reference)
    assert found.embedding == pytest.approx(0.5)  # of a standard deviation of 1
    assert found.mask_logits == pytest.approx(1.5)  # 3 of a standard deviation of 2
    assert found.iou_predictions == pytest.approx(0.1)
    assert found.mask_pixels == pytest.approx(0.5)


@pytest.mark.parametrize(
    "parameter",
    [
        "image_encoder.trunk.pos_embed_window",
        "image_encoder.trunk.blocks.4.attn.qkv.weight",
        "sam_prompt_encoder.not_a_point_embed.weight",
        "sam_prompt_encoder.point_embeddings.3.weight",
        "sam_prompt_encoder.no_mask_embed.weight",
        "sam_prompt_encoder.mask_downscaling.0.weight",
        "sam_mask_decoder.iou_prediction_head.layers.2.bias",
        "sam_mask_decoder.conv_s0.weight",
    ],
)
def test_one_wrong_tensor_fails_the_check(parameter, micro_model, micro_folder):
    run = SelfCheckRun(micro_model.image_size)
    wrong = copy.deepcopy(micro_model)
    with torch.no_grad():
        tensor = wrong.get_parameter(parameter)
        noise = torch.randn(tensor.shape, generator=torch.Generator().manual_seed(0))
        tensor.add_((0.3 * tensor.std(correction=0) + 0.02) * noise)
    reference = run.reference(wrong)
    found = differences(run.saved_graphs(micro_folder, wrong, reference), reference)
    with pytest.raises(ConversionError):
        judge(SelfCheck(len(run.prompt_sets), found))


def test_a_failed_check_fails_the_conversion(micro_checkpoint, micro_config, tmp_path, monkeypatch):
    export_encoder = export.export_image_encoder

    def wrong_export(model, folder):
        other = copy.deepcopy(model)
        with torch.no_grad():
            other.image_encoder.neck.convs[1].conv.bias.add_(1.0)
        export_encoder(other, folder)

    monkeypatch.setattr(export, "export_image_encoder", wrong_export)
    request = pipeline.Request(str(micro_checkpoint), "micro", str(micro_config), 64)
    with pytest.raises(ConversionError, match="does not compute"):
        for _ in pipeline.fill_folder(request, tmp_path):
            pass
    assert not (tmp_path / "model.json").exists()
    shutil.rmtree(tmp_path)


def test_random_weights_are_recognised(micro_config, micro_model):
    assert is_untrained(build_model(micro_config))
    assert not is_untrained(micro_model)


def test_prompt_sets_cover_every_kind():
    kinds = {
        (prompts.point_labels.shape, prompts.mask_input is not None)
        for prompts in SelfCheckRun(64).prompt_sets
    }
    assert ((1, 0), True) in kinds
    assert {batch for (batch, _), _ in kinds} == {1, 3}
    labels = {
        int(v) for prompts in SelfCheckRun(64).prompt_sets for v in np.unique(prompts.point_labels)
    }
    assert labels == {-1, 0, 1, 2, 3}
