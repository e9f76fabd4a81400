"""What the starter is trained on: masks, best of three, predicted IoU, object score."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, binary_cross_entropy_with_logits

from starter.network import Prediction
from starter.targets import Targets

_SMALL = 16
"""Objects of fewer low-resolution pixels weigh no more than one of as many."""


def mask_losses(logits: Tensor, masks: Tensor) -> Tensor:
    """Cross entropy + dice: logits (B, C, h, w) and masks (B, 1, h, w) -> (B, C).

    The mean of the cross entropy over all pixels would leave small objects unheard: it is weighted
    by the root of the part of the image that the object covers.
    """
    area = masks.sum((-2, -1))
    weight = 3 * (masks.shape[-1] * masks.shape[-2] / (area + _SMALL)).sqrt()
    masks = masks.expand_as(logits)
    entropy = binary_cross_entropy_with_logits(logits, masks, reduction="none").mean((-2, -1))
    seen = logits.sigmoid()
    overlap = (seen * masks).sum((-2, -1))
    dice = 1 - (2 * overlap + 1) / (seen.sum((-2, -1)) + area + 1)
    return weight * entropy + dice


def true_iou(logits: Tensor, masks: Tensor) -> Tensor:
    """IoU on the low-resolution grid: logits (B, C, h, w) and masks (B, 1, h, w) -> (B, C)."""
    seen, true = logits > 0, masks > 0.5
    union = (seen | true).sum((-2, -1))
    return (seen & true).sum((-2, -1)) / union.clamp(min=1)


def single_mask_loss(prediction: Prediction, targets: Targets) -> Tensor:
    """Loss of the single mask alone, where there is an object."""
    each = mask_losses(prediction.low_res_masks[:, :1], targets.masks)[:, 0]
    return _mean(each, targets.present)


def full_loss(prediction: Prediction, targets: Targets, *, ambiguous: bool) -> Tensor:
    """Loss of all heads.

    An ambiguous prompt, one click, may mean an object or its inner part: the best of the three
    masks counts, and the single mask is the whole object. The IoU is predicted for all four masks;
    where no object is, there is no mask to learn, the IoU is 0 and so is the object score.
    """
    each = mask_losses(prediction.low_res_masks, targets.masks)
    single = targets.whole if ambiguous else targets.present
    loss = _mean(each[:, 0], single)
    if ambiguous:
        loss = loss + _mean(each[:, 1:].min(dim=1).values, targets.present)
    iou = true_iou(prediction.low_res_masks.detach(), targets.masks)
    loss = loss + (prediction.iou_predictions - iou).square().sum(dim=1).mean()
    scores = prediction.object_score_logits[:, 0]
    return loss + 0.1 * binary_cross_entropy_with_logits(scores, targets.present)


def correction_clicks(logits: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    """Draw a click from the pixels that are wrong, or from the object where none is.

    Any wrong pixel may be clicked; every other time it is one in the thick of the largest error.

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
    wrong = (seen != true).float()
    thick = (wrong * sum(avg_pool2d(wrong, side, 1, side // 2) for side in (3, 7, 15))) ** 6
    chance = torch.where(torch.rand(len(masks), 1, 1, 1, device=masks.device) < 0.5, thick, wrong)
    chance = chance.flatten(1)
    chance = torch.where(chance.any(dim=1, keepdim=True), chance, masks.flatten(1) + 1e-6)
    chosen = torch.multinomial(chance, 1)
    width = masks.shape[-1]
    cell = torch.cat([chosen % width, chosen // width], dim=1).float()
    coords = (cell + torch.rand_like(cell)) * 4 - 0.5
    return coords[:, None], true.flatten(1).gather(1, chosen).int()


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    return (values * weights).sum() / weights.sum().clamp(min=1)
