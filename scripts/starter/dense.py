"""Help for the image encoder while it learns: what every pixel is, asked without any prompt.

A prompt teaches about one object; these targets teach about all objects of an image at once, for
next to nothing. The head that answers them is dropped when training ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import (
    avg_pool2d,
    binary_cross_entropy_with_logits,
    max_pool2d,
    smooth_l1_loss,
)

from starter.examples import Example
from starter.network import Features

_CHANNELS = 5
"""Object, border and inner part as logits; way to the object's centre along y and x."""


class DenseHead(nn.Module):
    """A linear map from the encoder's three levels to the answers, on the grid of stride 4."""

    def __init__(self, hidden_dim: int) -> None:
        super().__init__()
        self.from_fine = nn.Conv2d(hidden_dim // 8, _CHANNELS, 1)
        self.from_middle = nn.Conv2d(hidden_dim // 4, _CHANNELS * 4, 1)
        self.from_coarse = nn.Conv2d(hidden_dim, _CHANNELS * 16, 1)

    def forward(self, features: Features) -> Tensor:
        """Return the answers, shape (B, 5, S/4, S/4)."""
        fine, middle = features.high_res_feats
        shuffle = nn.functional.pixel_shuffle
        answers: Tensor = self.from_fine(fine)
        answers = answers + shuffle(self.from_middle(middle), 2)
        return answers + shuffle(self.from_coarse(features.image_embed), 4)


@dataclass(frozen=True, slots=True, eq=False)
class DenseTargets:
    """The right answers for B images.

    Attributes
    ----------
    covered : Tensor of float32, shape (B, 3, S/4, S/4)
        How much of each cell is object, whether it holds a border, and how much is inner part.
    ways : Tensor of float32, shape (B, 2, S/4, S/4)
        (y, x) from the cell to its object's centre, in radii of a disc of the object's area.
    """

    covered: Tensor
    ways: Tensor


def dense_targets(examples: list[Example], device: torch.device) -> DenseTargets:
    """Work out the right answers from the labels."""
    labels = torch.from_numpy(np.stack([example.labels for example in examples])).to(device)
    parts = torch.from_numpy(np.stack([example.parts for example in examples])).to(device)
    inside = avg_pool2d((labels > 0).float(), 4)
    borders = torch.zeros_like(labels, dtype=torch.float32)
    borders[:, :-1] = (labels[:, :-1] != labels[:, 1:]).float()
    across = (labels[:, :, :-1] != labels[:, :, 1:]).float()
    borders[:, :, :-1] = torch.maximum(borders[:, :, :-1], across)
    inner = avg_pool2d((parts > 0).float(), 4)
    ways = np.stack([_ways_to_centres(example.labels[2::4, 2::4]) for example in examples])
    covered = torch.stack([inside, max_pool2d(borders, 4), inner], dim=1)
    return DenseTargets(covered, torch.from_numpy(ways).to(device))


def dense_loss(answers: Tensor, targets: DenseTargets) -> Tensor:
    """Cross entropy of the logits, and the error of the ways inside objects."""
    entropy = binary_cross_entropy_with_logits(answers[:, :3], targets.covered)
    inside = targets.covered[:, :1]
    error = smooth_l1_loss(answers[:, 3:], targets.ways, reduction="none")
    return entropy + (error * inside).sum() / (2 * inside.sum() + 1)


def _ways_to_centres(labels: NDArray[np.int32]) -> NDArray[np.float32]:
    flat = labels.ravel()
    area = np.maximum(np.bincount(flat), 1)
    radius = np.sqrt(area / np.pi).astype(np.float32)
    grid = np.indices(labels.shape, dtype=np.float32)
    centres = [np.bincount(flat, axis.ravel()) / area for axis in grid]
    ways = [
        (centre[labels] - axis) / radius[labels] for centre, axis in zip(centres, grid, strict=True)
    ]
    return np.asarray(np.stack(ways) * (labels > 0), np.float32)
