"""One step's questions to the network, and the loss of its answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from starter.losses import correction_clicks, full_loss, single_mask_loss, true_iou
from starter.network import Features, Prediction, decode
from starter.targets import Targets

_MASK_ONLY = 0.08
"""Chance that the second question is the first answer's mask, without any points."""

_CLICKS_ONLY = 0.15
"""Chance that corrections come without the previous mask."""

_CLICK_COUNTS = (1, 1, 2, 2, 3, 5)
"""Numbers of corrections, each as likely as the others."""


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """B objects, all asked for in the same way.

    Attributes
    ----------
    features : Features
        Of B images.
    targets : Targets
        What is asked for, and the first prompts.
    point_coords : Tensor, shape (B, N, 2)
    point_labels : Tensor of int32, shape (B, N)
    mask_input : Tensor, shape (B, 1, S/4, S/4), or None
    """

    features: Features
    targets: Targets
    point_coords: Tensor
    point_labels: Tensor
    mask_input: Tensor | None = None

    @classmethod
    def first(cls, features: Features, targets: Targets) -> Question:
        """Ask with the targets' own prompts, on the features of the step's images."""
        each = len(targets.masks) // len(features.image_embed)
        return cls(features.repeat(each), targets, targets.coords, targets.labels)

    def ask(self, network: Any) -> Prediction:
        """Decode the prompts."""
        return decode(network, self.features, self.point_coords, self.point_labels, self.mask_input)

    def of_present(self, previous: Tensor) -> tuple[Question, Tensor]:
        """Leave out clicks on background, which nothing corrects."""
        kept = self.targets.present > 0
        targets = Targets(*(getattr(self.targets, name)[kept] for name in Targets.__slots__))
        features = self.features.at(kept.nonzero()[:, 0])
        question = Question(features, targets, self.point_coords[kept], self.point_labels[kept])
        return question, previous[kept]

    def corrected(self, previous: Tensor, *, feed_back: bool) -> Question:
        """Add a click on what is wrong with the previous masks, and the masks themselves."""
        coords, labels = correction_clicks(previous, self.targets.masks)
        return replace(
            self,
            point_coords=torch.cat([self.point_coords, coords], dim=1),
            point_labels=torch.cat([self.point_labels, labels], dim=1),
            mask_input=previous if feed_back else None,
        )


def mask_objective(
    network: Any, features: Features, clicks: Targets, boxes: Targets
) -> tuple[Tensor, float]:
    """Loss of the single masks alone, and their mean IoU."""
    losses, ious = [], []
    for targets in (clicks, boxes):
        prediction = Question.first(features, targets).ask(network)
        losses.append(single_mask_loss(prediction, targets))
        ious.append(_single_iou(prediction, targets))
    return torch.stack(losses).sum() / 2, float(torch.stack(ious).mean())


def full_objective(
    network: Any,
    features: Features,
    clicks: Targets,
    boxes: Targets,
    rng: np.random.Generator,
) -> tuple[Tensor, float]:
    """Loss of all heads, before and after corrections, and the mean IoU before them."""
    losses, ious = [], []
    corrected = int(rng.integers(2))
    for index, targets in enumerate((clicks, boxes)):
        question = Question.first(features, targets)
        prediction = question.ask(network)
        losses.append(full_loss(prediction, targets, ambiguous=targets is clicks))
        ious.append(_single_iou(prediction, targets))
        if index == corrected:
            losses.append(_second_loss(network, question, prediction, rng))
    return torch.stack(losses).sum() / 2, float(torch.stack(ious).mean())


def _second_loss(
    network: Any, question: Question, answer: Prediction, rng: np.random.Generator
) -> Tensor:
    """Loss after a mask prompt alone, or after up to five clicks on what was wrong."""
    ambiguous = question.point_labels.shape[1] == 1 and rng.random() < 0.5
    previous = _fed_back(answer, best_of_three=ambiguous)
    question, previous = question.of_present(previous)
    if not len(previous):
        return torch.zeros((), device=previous.device)
    if rng.random() < _MASK_ONLY:
        prediction = decode(network, question.features, None, None, previous)
        return full_loss(prediction, question.targets, ambiguous=False)
    clicks = int(rng.choice(_CLICK_COUNTS))
    feed_back = bool(rng.random() >= _CLICKS_ONLY)
    for click in range(clicks):
        question = question.corrected(previous, feed_back=feed_back)
        with torch.set_grad_enabled(click == clicks - 1):
            answer = question.ask(network)
        previous = _fed_back(answer, best_of_three=False)
    return full_loss(answer, question.targets, ambiguous=False)


def _fed_back(prediction: Prediction, *, best_of_three: bool) -> Tensor:
    """Return the single masks as the next question takes them in, clamped as SAM 2 does.

    Of three masks, SAM 2 feeds back the one with the highest predicted IoU.
    """
    masks = prediction.low_res_masks.detach()
    if best_of_three:
        best = 1 + prediction.iou_predictions[:, 1:].argmax(dim=1)
        chosen = masks[torch.arange(len(masks), device=masks.device), best][:, None]
    else:
        chosen = masks[:, :1]
    return chosen.clamp(-32, 32)


def _single_iou(prediction: Prediction, targets: Targets) -> Tensor:
    iou = true_iou(prediction.low_res_masks[:, :1].detach(), targets.masks)[:, 0]
    return (iou * targets.present).sum() / targets.present.sum().clamp(min=1)
