"""Training examples: synthetic scenes as the network sees them, and prompts drawn on them."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d

from napari_sam2_openvino.core.normalize import to_rgb
from napari_sam2_openvino.synthetic import KINDS, make_scene

FIRST_TRAINING_SEED = 1_000_000
"""Seeds below are kept for evaluation and are never trained on."""


_VARIED = 0.6
"""Part of the examples whose light differs from what the scene's renderer gave."""


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """An image of shape (S, S, 3) and dtype uint8, with its labels of shape (S, S)."""

    image: NDArray[np.uint8]
    labels: NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """Objects that are asked for, B in all, as many of each image, and what asks for them.

    Attributes
    ----------
    masks : Tensor of float32, shape (B, 1, S/4, S/4)
        The part of each low-resolution pixel that the object covers.
    points : Tensor of float32, shape (B, 1, 2)
        (x, y) of a pixel inside the object.
    boxes : Tensor of float32, shape (B, 2, 2)
        (x, y) of the upper left and of the lower right corner, with some error.
    """

    masks: Tensor
    points: Tensor
    boxes: Tensor


def make_example(seed: int, difficulty: float, size: int) -> Example:
    """Make a scene of any kind, up to `difficulty`, that contains an object to ask for."""
    rng = np.random.default_rng([seed, 77])
    kind = KINDS[int(rng.integers(len(KINDS)))]
    harder = float(difficulty * np.sqrt(rng.random()))
    scene = make_scene(kind, seed, shape=(size, size), difficulty=harder)
    image = to_rgb(scene.image)
    return Example(_vary_light(image, rng) if rng.random() < _VARIED else image, scene.labels)


def _vary_light(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Change gamma and illumination, and now and then turn bright to dark."""
    light = image.astype(np.float32) / 255
    if rng.random() < 0.2:
        light = 1 - light
    y, x = (np.linspace(-1, 1, side, dtype=np.float32) for side in image.shape[:2])
    slopes = rng.uniform(-0.25, 0.25, 2)
    shading = 1 + slopes[0] * y[:, None, None] + slopes[1] * x[:, None]
    slopes = rng.uniform(-0.15, 0.15, 2)
    glow = rng.uniform(-0.05, 0.15) + slopes[0] * y[:, None, None] + slopes[1] * x[:, None]
    varied = light ** rng.uniform(0.6, 1.6) * shading + glow
    return np.asarray(np.rint(np.clip(varied, 0, 1) * 255), np.uint8)


def draw_targets(
    examples: list[Example], per_image: int, rng: np.random.Generator, device: torch.device
) -> Targets:
    """Choose objects at random, with replacement, and draw a point and a box for each."""
    masks, points, boxes = [], [], []
    for example in examples:
        for obj_id in rng.integers(1, example.labels.max() + 1, per_image):
            mask = example.labels == obj_id
            masks.append(mask)
            points.append(_point_inside(mask, rng))
            boxes.append(_loose_box(mask, rng))
    fine = torch.from_numpy(np.stack(masks)).to(device).float()[:, None]
    return Targets(
        avg_pool2d(fine, 4),
        torch.from_numpy(np.stack(points)).to(device)[:, None],
        torch.from_numpy(np.stack(boxes)).to(device),
    )


def _point_inside(mask: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.float32]:
    """(x, y) of a pixel of the mask: any one, or every other time one that is rather central."""
    y, x = np.nonzero(mask)
    candidates = rng.integers(0, len(y), 6)
    if rng.random() < 0.5:
        off_centre = (y[candidates] - y.mean()) ** 2 + (x[candidates] - x.mean()) ** 2
        candidates = candidates[[int(off_centre.argmin())]]
    return np.array([x[candidates[0]], y[candidates[0]]], np.float32)


def _loose_box(mask: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.float32]:
    """Corners (x, y) of the box around a mask, each moved by about a twentieth of its side."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    corners = np.array([[columns[0], rows[0]], [columns[-1], rows[-1]]], np.float32)
    side = corners[1] - corners[0] + 1
    error = np.clip(rng.normal(0, 0.05, (2, 2)), -0.1, 0.1).astype(np.float32)
    limit = np.array(mask.shape[::-1], np.float32) - 1
    return np.clip(corners + error * side, 0, limit)


class ExampleSource:
    """Examples by number, made ahead of time in another process.

    Parameters
    ----------
    size : int
        Side of the images, in pixels.
    ahead : int
        How many examples are made before they are asked for.
    """

    def __init__(self, size: int, ahead: int = 24) -> None:
        self._size = size
        self._ahead = ahead
        self._executor = ProcessPoolExecutor(max_workers=1)
        self._waiting: deque[tuple[tuple[int, float], Future[Example]]] = deque()
        self._kept: dict[int, Example] = {}

    def from_pool(self, numbers: list[int]) -> list[Example]:
        """Return easy examples that are asked for again and again; each is made once."""
        chosen = []
        for number in numbers:
            if number not in self._kept:
                self._kept[number] = make_example(FIRST_TRAINING_SEED + number, 0.0, self._size)
            chosen.append(self._kept[number])
        return chosen

    def fresh(self, first: int, count: int, difficulty: float) -> list[Example]:
        """Return `count` examples from number `first` on, and have the next ones made."""
        self._kept.clear()
        if self._waiting and self._waiting[0][0] != (first, difficulty):
            self.forget()
        last = self._waiting[-1][0][0] if self._waiting else first - 1
        for number in range(last + 1, first + count + self._ahead):
            seed = FIRST_TRAINING_SEED + number
            job = self._executor.submit(make_example, seed, difficulty, self._size)
            self._waiting.append(((number, difficulty), job))
        return [self._waiting.popleft()[1].result() for _ in range(count)]

    def forget(self) -> None:
        """Drop what was made ahead."""
        for _, job in self._waiting:
            job.cancel()
        self._waiting.clear()

    def close(self) -> None:
        """End the other process."""
        self.forget()
        self._executor.shutdown(cancel_futures=True)
