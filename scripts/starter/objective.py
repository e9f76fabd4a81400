"""One step's questions to the network, and the loss of its answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from starter.examples import Targets
from starter.losses import correction_clicks, full_loss, single_mask_loss, true_iou
from starter.network import Features, Prediction, decode

_MASK_ONLY = 0.12
"""Chance that the second question is the first answer's mask, without any points."""

_CLICK_COUNTS = (1, 1, 1, 2, 3, 5)
"""Numbers of corrections, each as likely as the others."""


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """B objects, all asked for in the same way.

    Attributes
    ----------
    features : Features
        Of B images.
    masks : Tensor, shape (B, 1, S/4, S/4)
        The right answers.
    point_coords : Tensor, shape (B, N, 2)
    point_labels : Tensor of int32, shape (B, N)
    mask_input : Tensor, shape (B, 1, S/4, S/4), or None
    """

    features: Features
    masks: Tensor
    point_coords: Tensor
    point_labels: Tensor
    mask_input: Tensor | None = None

    def ask(self, network: Any) -> Prediction:
        """Decode the prompts."""
        return decode(network, self.features, self.point_coords, self.point_labels, self.mask_input)

    def corrected(self, previous: Tensor) -> Question:
        """Add a click on what is wrong with the previous masks, and the masks themselves."""
        coords, labels = correction_clicks(previous, self.masks)
        return replace(
            self,
            point_coords=torch.cat([self.point_coords, coords], dim=1),
            point_labels=torch.cat([self.point_labels, labels], dim=1),
            mask_input=previous,
        )


def first_questions(features: Features, targets: Targets) -> tuple[Question, Question]:
    """Ask for every other target by a point, and for the rest by a box.

    Parameters
    ----------
    features : Features
        Of the step's images.
    targets : Targets
        An even number of each image.

    Returns
    -------
    by_point, by_box : Question
    """
    each = len(targets.masks) // len(features.image_embed) // 2
    repeated = features.repeat(each)
    device = targets.masks.device

    def question(start: int, coords: Tensor, labels: list[int]) -> Question:
        chosen = coords[start::2]
        repeated_labels = torch.tensor(labels, dtype=torch.int32, device=device)
        return Question(
            repeated, targets.masks[start::2], chosen, repeated_labels.expand(len(chosen), -1)
        )

    return question(0, targets.points, [1]), question(1, targets.boxes, [2, 3])


def mask_objective(network: Any, features: Features, targets: Targets) -> tuple[Tensor, float]:
    """Loss of the single masks alone, and their mean IoU."""
    losses, ious = [], []
    for question in first_questions(features, targets):
        prediction = question.ask(network)
        losses.append(single_mask_loss(prediction, question.masks))
        ious.append(_single_iou(prediction, question.masks))
    return torch.stack(losses).sum() / 2, float(torch.stack(ious).mean())


def full_objective(
    network: Any, features: Features, targets: Targets, rng: np.random.Generator
) -> tuple[Tensor, float]:
    """Loss of all heads, before and after corrections, and the mean IoU before them."""
    losses, ious = [], []
    by_point, by_box = first_questions(features, targets)
    for question, ambiguous in ((by_point, True), (by_box, False)):
        prediction = question.ask(network)
        losses.append(full_loss(prediction, question.masks, ambiguous=ambiguous))
        ious.append(_single_iou(prediction, question.masks))
        losses.append(_second_loss(network, question, prediction, rng))
    return torch.stack(losses).sum() / 2, float(torch.stack(ious).mean())


def _second_loss(
    network: Any, question: Question, answer: Prediction, rng: np.random.Generator
) -> Tensor:
    """Loss after a mask prompt alone, or after up to five clicks on what was wrong."""
    if rng.random() < _MASK_ONLY:
        prediction = decode(network, question.features, None, None, _fed_back(answer))
        return full_loss(prediction, question.masks, ambiguous=False)
    clicks = int(rng.choice(_CLICK_COUNTS))
    for click in range(clicks):
        question = question.corrected(_fed_back(answer))
        with torch.set_grad_enabled(click == clicks - 1):
            answer = question.ask(network)
    return full_loss(answer, question.masks, ambiguous=False)


def _fed_back(prediction: Prediction) -> Tensor:
    """Return the single masks as the next question takes them in, clamped as SAM 2 does."""
    return prediction.low_res_masks[:, :1].detach().clamp(-32, 32)


def _single_iou(prediction: Prediction, masks: Tensor) -> Tensor:
    return true_iou(prediction.low_res_masks[:, :1].detach(), masks).mean()
