"""What is asked for in a training image, and by which prompts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from starter.examples import Example

_STRIDE = 4
"""Pixels of the image along a side of a low-resolution pixel."""

_LEAST_AREA = 12
"""Objects of fewer pixels, slivers at the border, are not asked for."""

_BACKGROUND = 0.15
"""Part of the clicks that are put where no object is."""

_PART = 0.45
"""Chance that a click into an inner part, or a box, asks for the part."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """Objects that are asked for, B in all, as many of each image, and what asks for them.

    Attributes
    ----------
    masks : Tensor of float32, shape (B, 1, S/4, S/4)
        The part of each low-resolution pixel that the object covers.
    coords : Tensor of float32, shape (B, N, 2)
        (x, y) of a pixel inside the object; or the upper left and the lower right corner of its
        box, with some error.
    labels : Tensor of int32, shape (B, N)
        1 for a click, 2 and 3 for the corners of a box.
    present : Tensor of float32, shape (B,)
        0 where a click is on background.
    whole : Tensor of float32, shape (B,)
        0 where an object's inner part is asked for.
    """

    masks: Tensor
    coords: Tensor
    labels: Tensor
    present: Tensor
    whole: Tensor


def click_targets(
    examples: list[Example], per_image: int, rng: np.random.Generator, device: torch.device
) -> Targets:
    """Click on objects, on their inner parts, and here and there on background."""
    drawn = [_click(e, obj_id, rng) for e in examples for obj_id in _choose(e, per_image, rng)]
    return _as_targets(drawn, [1], device)


def box_targets(
    examples: list[Example], per_image: int, rng: np.random.Generator, device: torch.device
) -> Targets:
    """Draw loose boxes around objects and around inner parts."""
    drawn = [_box(e, obj_id, rng) for e in examples for obj_id in _choose(e, per_image, rng)]
    return _as_targets(drawn, [2, 3], device)


@dataclass(frozen=True, slots=True, eq=False)
class _Drawn:
    mask: NDArray[np.float32]
    coords: NDArray[np.float32]
    present: bool = True
    whole: bool = True


def _as_targets(drawn: list[_Drawn], labels: list[int], device: torch.device) -> Targets:
    def tensor(values: list[NDArray[np.float32]] | list[bool]) -> Tensor:
        return torch.from_numpy(np.asarray(values, np.float32)).to(device)

    return Targets(
        tensor([one.mask for one in drawn])[:, None],
        tensor([one.coords for one in drawn]),
        torch.tensor(labels, dtype=torch.int32, device=device).expand(len(drawn), -1),
        tensor([one.present for one in drawn]),
        tensor([one.whole for one in drawn]),
    )


def _choose(example: Example, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Choose objects: half of them anywhere, half of them neighbours of each other."""
    areas = np.bincount(example.labels.ravel())
    areas[0] = 0
    ids = np.flatnonzero(areas >= min(_LEAST_AREA, areas.max()))
    boxes = ndimage.find_objects(example.labels)
    middles = np.array([[s.start + s.stop for s in boxes[obj_id - 1]] for obj_id in ids])
    anchor = middles[rng.integers(len(ids))]
    nearest = np.argsort(((middles - anchor) ** 2).sum(axis=1), kind="stable")[: count // 2]
    anywhere = rng.permutation(len(ids))[: count - len(nearest)]
    chosen = np.concatenate([nearest, anywhere])
    return ids[np.resize(chosen, count)]


def _click(example: Example, obj_id: int, rng: np.random.Generator) -> _Drawn:
    labels = example.labels
    if rng.random() < _BACKGROUND and (click := _on_background(labels, rng)) is not None:
        empty = np.zeros([side // _STRIDE for side in labels.shape], np.float32)
        return _Drawn(empty, click[None], present=False, whole=False)
    y, x = _pixel_inside(labels == obj_id, rng)
    coords = np.array([[x, y]], np.float32)
    if example.parts[y, x] == obj_id and rng.random() < _PART:
        return _Drawn(_coarse(example.parts == obj_id), coords, whole=False)
    return _Drawn(_coarse(labels == obj_id), coords)


def _box(example: Example, obj_id: int, rng: np.random.Generator) -> _Drawn:
    part = example.parts == obj_id
    if part.any() and rng.random() < _PART:
        return _Drawn(_coarse(part), _loose_box(part, rng), whole=False)
    mask = example.labels == obj_id
    return _Drawn(_coarse(mask), _loose_box(mask, rng))


def _coarse(mask: Mask) -> NDArray[np.float32]:
    height, width = (side // _STRIDE for side in mask.shape)
    blocks = mask.reshape(height, _STRIDE, width, _STRIDE)
    return np.asarray(blocks.mean(axis=(1, 3), dtype=np.float32))


def _on_background(
    labels: NDArray[np.int32], rng: np.random.Generator
) -> NDArray[np.float32] | None:
    """(x, y) of a background pixel; None where hardly any is found."""
    tries = rng.integers(0, labels.shape, (20, 2))
    empty = tries[labels[tries[:, 0], tries[:, 1]] == 0]
    return np.asarray(empty[0, ::-1], np.float32) if len(empty) else None


def _pixel_inside(mask: Mask, rng: np.random.Generator) -> tuple[int, int]:
    """(y, x) of a pixel of the mask: any one, or every other time one that is rather central."""
    y, x = np.nonzero(mask)
    candidates = rng.integers(0, len(y), 6)
    chosen = candidates[0]
    if rng.random() < 0.5:
        off_centre = (y[candidates] - y.mean()) ** 2 + (x[candidates] - x.mean()) ** 2
        chosen = candidates[int(off_centre.argmin())]
    return int(y[chosen]), int(x[chosen])


def _loose_box(mask: Mask, rng: np.random.Generator) -> NDArray[np.float32]:
    """Corners (x, y) of the box around a mask, each moved by about a twentieth of its side."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    corners = np.array([[columns[0], rows[0]], [columns[-1], rows[-1]]], np.float32)
    side = corners[1] - corners[0] + 1
    error = np.clip(rng.normal(0, 0.05, (2, 2)), -0.1, 0.1).astype(np.float32)
    limit = np.array(mask.shape[::-1], np.float32) - 1
    return np.clip(corners + error * side, 0, limit)
