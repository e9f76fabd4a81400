"""The video predictor beside PyTorch's, with micro models of both versions of SAM 2."""

import copy
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.core.conftest import MICRO_CONFIG
from tests.video_parity import SCENES, compare_videos, convert_micro

from napari_sam2_openvino import SAM2VideoPredictor, load_model
from napari_sam2_openvino.conversion import architecture, export
from napari_sam2_openvino.core.model_folder import read_model_info, write_model_info
from napari_sam2_openvino.core.volume_parameters import VolumeParameters

SEED = 7
# What the configs of 2.0 say; the graphs are those of 2.1.
VERSION_2_0 = {
    "no_obj_embed_spatial": None,
    "obj_ptr_tpos_proj": torch.nn.Identity(),
    "add_tpos_enc_to_obj_ptrs": False,
    "proj_tpos_enc_in_obj_ptrs": False,
    "use_signed_tpos_enc_to_obj_ptrs": False,
}
# Rules that none of Meta's configs switches on, or not so that eight planes show it.
RARE_RULES = {
    "max_cond_frames_in_attn": 2,
    "memory_temporal_stride_for_eval": 2,
    "max_obj_ptrs_in_encoder": 4,
    "only_obj_ptrs_in_the_past_for_eval": False,
    "use_multimask_token_for_obj_ptr": False,
    "soft_no_obj_ptr": True,
    "fixed_no_obj_ptr": False,
}
CHANGES = {"2.1": {}, "2.0": VERSION_2_0, "rare rules": RARE_RULES}


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """Return the reference of 2.1 and its model folder."""
    return convert_micro(tmp_path_factory.mktemp("video"), MICRO_CONFIG, SEED)


@pytest.fixture(scope="module", params=list(CHANGES))
def models(request, converted, tmp_path_factory):
    """Return the reference in PyTorch, and the engine with the same weights and flags."""
    reference = copy.deepcopy(converted[0])
    for name, value in CHANGES[request.param].items():
        setattr(reference, name, value)
    decoder = reference.sam_mask_decoder
    decoder.use_multimask_token_for_obj_ptr = reference.use_multimask_token_for_obj_ptr
    folder = tmp_path_factory.mktemp("changed") / "model"
    shutil.copytree(converted[1], folder)
    export.export_parameters(reference, folder)
    config = architecture.describe(reference, "micro")
    write_model_info(folder, replace(read_model_info(folder), config=config))
    return reference, load_model(folder, precision="f32")


def compare(models, **options):
    reference, engine = models
    parameters = VolumeParameters(method="memory", fill_hole_area=0)
    predictor = SAM2VideoPredictor(engine, parameters, **options)
    return list(compare_videos(reference, predictor, SEED))


@pytest.mark.parametrize("correct_as_cond", [True, False])
def test_videos_equal_pytorch(correct_as_cond, models):
    results = compare(models, add_all_frames_to_correct_as_cond=correct_as_cond)
    assert {result.scene for result in results} == set(SCENES)
    for result in results:
        assert result.passed, result
    # Objects that are there and objects that are gone, and none that fills every plane.
    shares = np.array([result.foreground for result in results])
    assert np.mean(shares > 0.01) > 0.3
    assert np.mean(shares < 0.9) > 0.5
