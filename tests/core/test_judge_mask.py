"""Masks and their stability, computed in parts, against SAM 2's on all logits."""

import numpy as np
import pytest
import torch
from tests.reference import declare_torchvision_operators

from napari_sam2_openvino.core import mask_resizing
from napari_sam2_openvino.core.mask_resizing import judge_mask


def logits_of(seed: int, cells: int) -> np.ndarray:
    """Return smooth random logits, shape (64, 64)."""
    coarse = torch.from_numpy(np.random.default_rng(seed).normal(size=(1, 1, cells, cells)) * 6)
    full = torch.nn.functional.interpolate(coarse, size=(64, 64), mode="bicubic")
    return full[0, 0].numpy().astype(np.float32)


@pytest.mark.parametrize("image_hw", [(64, 64), (30, 41), (256, 256), (301, 97), (1, 1)])
@pytest.mark.parametrize(("threshold", "offset"), [(0.0, 1.0), (3.0, 0.5), (-9.0, 2.0), (14.0, 9)])
@pytest.mark.parametrize("cells", [3, 12])
@pytest.mark.parametrize("strip_pixels", [100, 1 << 16])
def test_mask_and_stability_are_those_of_all_logits(
    monkeypatch, image_hw, threshold, offset, cells, strip_pixels
):
    declare_torchvision_operators()
    from sam2.utils.amg import calculate_stability_score

    monkeypatch.setattr(mask_resizing, "_STRIP_PIXELS", strip_pixels)
    logits = logits_of(cells, cells)
    full = torch.nn.functional.interpolate(
        torch.from_numpy(logits)[None, None], size=image_hw, mode="bilinear", align_corners=False
    )[0]
    expected = full[0].numpy() > threshold
    judged = judge_mask(logits, image_hw, threshold, offset)
    (row, column), (height, width) = judged.origin, judged.part.shape
    mask = np.zeros(image_hw, bool)
    mask[row : row + height, column : column + width] = judged.part
    assert np.array_equal(mask, expected)
    stability = calculate_stability_score(full, threshold, offset)[0].item()
    np.testing.assert_equal(judged.stability_score, np.float32(stability))
