"""The pure functions against PyTorch, torchvision's kernel and SAM 2's own code."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from tests.reference import declare_torchvision_operators

from napari_sam2_openvino.core import mask_resizing, transforms
from napari_sam2_openvino.core.model_folder import ModelConfig

CONFIG = ModelConfig(architecture="test", image_size=64, hidden_dim=32)
NO_FALLBACK = ModelConfig(
    architecture="test", image_size=64, hidden_dim=32, dynamic_multimask_via_stability=False
)
SIZES = [(64, 64), (37, 91), (300, 200), (16, 16), (1, 1), (5, 400)]


def random_logits(shape, seed=0):
    """Smooth logits with islands, so that most of the image is background."""
    noise = torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32))
    smooth = F.avg_pool2d(noise, 5, stride=1, padding=2)
    return (smooth * 5 - 1).numpy()


@pytest.mark.parametrize("image_hw", SIZES)
@pytest.mark.parametrize("strip_pixels", [100, 1 << 16])
def test_resize_logits_equals_torch(monkeypatch, image_hw, strip_pixels):
    monkeypatch.setattr(mask_resizing, "_STRIP_PIXELS", strip_pixels)
    logits = random_logits((3, 64, 64))
    expected = F.interpolate(
        torch.from_numpy(logits)[None], image_hw, mode="bilinear", align_corners=False
    )[0].numpy()
    np.testing.assert_allclose(mask_resizing.resize_logits(logits, image_hw), expected, atol=2e-5)


@pytest.mark.parametrize("image_hw", SIZES)
@pytest.mark.parametrize("threshold", [0.0, 1.0, 100.0, -100.0])
@pytest.mark.parametrize("strip_pixels", [100, 1 << 16])
def test_masks_from_logits_equal_thresholded_full_resize(
    monkeypatch, image_hw, threshold, strip_pixels
):
    logits = random_logits((3, 48, 32), seed=1)
    expected = mask_resizing.resize_logits(logits, image_hw) > threshold
    monkeypatch.setattr(mask_resizing, "_STRIP_PIXELS", strip_pixels)
    np.testing.assert_array_equal(
        mask_resizing.masks_from_logits(logits, image_hw, threshold), expected
    )


def test_the_intermediate_is_stored_by_rows():
    """Stored by columns, as an index gives it, a large image takes ten times as long."""
    logits = random_logits((1, 48, 32))[0]
    wide = mask_resizing._between_columns(logits, mask_resizing._taps(32, 300))
    assert wide.flags.c_contiguous


def test_masks_from_logits_of_one_bright_corner_pixel():
    logits = np.full((1, 8, 8), -1.0, np.float32)
    logits[0, 7, 0] = 5
    mask = mask_resizing.masks_from_logits(logits, (64, 64))[0]
    assert mask[-1, 0]
    np.testing.assert_array_equal(mask, mask_resizing.resize_logits(logits, (64, 64))[0] > 0)


@pytest.mark.parametrize("hw", [(64, 64), (200, 90), (33, 127), (700, 513)])
def test_preprocess_equals_sam2_transforms(hw):
    declare_torchvision_operators()
    from sam2.utils.transforms import SAM2Transforms

    rgb = np.random.default_rng(2).integers(0, 256, (*hw, 3), dtype=np.uint8)
    expected = SAM2Transforms(resolution=128, mask_threshold=0.0)(rgb).numpy()[None]
    np.testing.assert_allclose(transforms.preprocess(rgb, 128), expected, atol=2e-5)


def decoder_with_fallback(enabled):
    from sam2.modeling.sam.mask_decoder import MaskDecoder

    decoder = MaskDecoder.__new__(MaskDecoder)
    torch.nn.Module.__init__(decoder)
    decoder.dynamic_multimask_via_stability = enabled
    decoder.dynamic_multimask_stability_delta = 0.05
    decoder.dynamic_multimask_stability_thresh = 0.98
    return decoder


def test_select_masks_falls_back_as_sam2_does():
    logits = random_logits((8, 4, 32, 32), seed=3)
    # Four stable sets: far from 0 everywhere.
    logits[:4, 0] = np.where(logits[:4, 0] > 0, 3.0, -3.0)
    scores = np.random.default_rng(4).uniform(0.1, 0.9, (8, 4)).astype(np.float32)
    expected_masks, expected_scores = decoder_with_fallback(True)._dynamic_multimask_via_stability(
        torch.from_numpy(logits), torch.from_numpy(scores)
    )
    masks, chosen = transforms.select_masks(logits, scores, multimask_output=False, config=CONFIG)
    np.testing.assert_array_equal(masks, expected_masks.numpy())
    np.testing.assert_array_equal(chosen, expected_scores.numpy())
    assert (chosen[:4, 0] == scores[:4, 0]).all()
    assert (chosen[4:, 0] != scores[4:, 0]).any()


def test_select_masks_without_the_flag_takes_the_first():
    logits = random_logits((2, 4, 16, 16), seed=5)
    scores = np.ones((2, 4), np.float32)
    masks, _ = transforms.select_masks(logits, scores, multimask_output=False, config=NO_FALLBACK)
    np.testing.assert_array_equal(masks, logits[:, :1])
    masks, _ = transforms.select_masks(logits, scores, multimask_output=True, config=CONFIG)
    np.testing.assert_array_equal(masks, logits[:, 1:])
