"""What the starter is trained on: masks, best of three, predicted IoU, object score."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from starter.network import Prediction


def mask_losses(logits: Tensor, masks: Tensor) -> Tensor:
    """5 x binary cross entropy + dice: logits (B, C, h, w) and masks (B, 1, h, w) -> (B, C)."""
    masks = masks.expand_as(logits)
    entropy = binary_cross_entropy_with_logits(logits, masks, reduction="none").mean((-2, -1))
    seen = logits.sigmoid()
    overlap = (seen * masks).sum((-2, -1))
    dice = 1 - (2 * overlap + 1) / (seen.sum((-2, -1)) + masks.sum((-2, -1)) + 1)
    return 5 * entropy + dice


def true_iou(logits: Tensor, masks: Tensor) -> Tensor:
    """IoU on the low-resolution grid: logits (B, C, h, w) and masks (B, 1, h, w) -> (B, C)."""
    seen, true = logits > 0, masks > 0.5
    union = (seen | true).sum((-2, -1))
    return (seen & true).sum((-2, -1)) / union.clamp(min=1)


def single_mask_loss(prediction: Prediction, masks: Tensor) -> Tensor:
    """Loss of the single mask alone."""
    return mask_losses(prediction.low_res_masks[:, :1], masks).mean()


def full_loss(prediction: Prediction, masks: Tensor, *, ambiguous: bool) -> Tensor:
    """Loss of all heads.

    The best of the three masks counts for an ambiguous prompt (one click); the IoU is predicted for
    all four masks; every object that is asked for is there.
    """
    each = mask_losses(prediction.low_res_masks, masks)
    loss = each[:, 0].mean()
    if ambiguous:
        loss = loss + each[:, 1:].min(dim=1).values.mean()
    iou = true_iou(prediction.low_res_masks.detach(), masks)
    loss = loss + (prediction.iou_predictions - iou).square().sum(dim=1).mean()
    present = torch.ones_like(prediction.object_score_logits)
    return loss + 0.05 * binary_cross_entropy_with_logits(prediction.object_score_logits, present)


def correction_clicks(logits: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Draw a click from the pixels that are wrong, or from the object where none is.

    Parameters
    ----------
    logits, masks : Tensor, shape (B, 1, h, w)

    Returns
    -------
    point_coords : Tensor, shape (B, 1, 2)
        (x, y) in pixels of the network's input.
    point_labels : Tensor of int32, shape (B, 1)
    """
    seen, true = logits > 0, masks > 0.5
    wrong = (seen != true).flatten(1).float()
    chance = torch.where(wrong.any(dim=1, keepdim=True), wrong, masks.flatten(1) + 1e-6)
    chosen = torch.multinomial(chance, 1)
    width = masks.shape[-1]
    cell = torch.cat([chosen % width, chosen // width], dim=1).float()
    coords = (cell + torch.rand_like(cell)) * 4 - 0.5
    return coords[:, None], true.flatten(1).gather(1, chosen).int()
