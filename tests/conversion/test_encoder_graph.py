"""The encoder that is exported, beside SAM 2's own, in PyTorch."""

import pytest
import torch
from tests.reference import build_model, perturbed_model

from napari_sam2_openvino.conversion.encoder_graph import ImageEncoderGraph, position_embedding

FEATURES = (2, 0, 1)


def perturbed(model):
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return model


@torch.no_grad()
def assert_same(model):
    size = model.image_size
    image = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    wanted = model.forward_image(image)["backbone_fpn"]
    found = ImageEncoderGraph(model)(image, position_embedding(model))
    for index, features in zip(FEATURES, found, strict=True):
        assert features.shape == wanted[index].shape
        difference = (features - wanted[index]).abs().max() / wanted[index].std()
        assert difference < 1e-5


def configured(micro_config, tmp_path, **trunk):
    """Return a micro model whose trunk and neck are configured otherwise."""
    from omegaconf import OmegaConf

    config = OmegaConf.load(micro_config)
    for name, value in trunk.items():
        part = "neck" if name.startswith("fpn") or name == "fuse_type" else "trunk"
        OmegaConf.update(config, f"model.image_encoder.{part}.{name}", value, force_add=True)
    OmegaConf.save(config, tmp_path / "config.yaml")
    return perturbed(build_model(tmp_path / "config.yaml"))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"window_spec": [8, 4, 4, 2]},
        {"window_spec": [8, 4, 14, 7]},
        {"window_spec": [8, 4, 2, 1]},
        {"global_att_blocks": [0, 3]},
        {"global_att_blocks": [0], "num_heads": 2},
        {"fpn_top_down_levels": [0, 1, 2, 3]},
        {"fpn_top_down_levels": [1, 3]},
        {"fpn_top_down_levels": [0, 2], "fuse_type": "avg"},
        {"fpn_interp_model": "bilinear"},
    ],
    ids=str,
)
def test_each_configuration_equals_sam2(changes, micro_config, tmp_path):
    assert_same(configured(micro_config, tmp_path, **changes))


def test_large_weights_equal_sam2(micro_config):
    assert_same(perturbed_model(micro_config, seed=7))
