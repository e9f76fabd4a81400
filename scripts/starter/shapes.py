"""Masks and where to click on them; the two answers that need no network."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Masks: TypeAlias = NDArray[np.bool_]


def innermost_point(mask: Masks) -> NDArray[np.float32]:
    """(x, y) of the pixel farthest from the mask's edge; the image's border is an edge."""
    (rows, columns) = bounds(mask)
    depth = ndimage.distance_transform_edt(np.pad(mask[rows, columns], 1))[1:-1, 1:-1]
    y, x = np.unravel_index(depth.argmax(), depth.shape)
    return np.array([x + columns.start, y + rows.start], np.float32)


def bounds(mask: Masks) -> tuple[slice, slice]:
    """Rows and columns that hold a mask; all of them where it is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return slice(0, mask.shape[0]), slice(0, mask.shape[1])
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def corners(mask: Masks) -> NDArray[np.float32]:
    """(x, y) of the first and of the last pixel of the box around a mask."""
    rows, columns = bounds(mask)
    return np.array([[columns.start, rows.start], [columns.stop - 1, rows.stop - 1]], np.float32)


def ellipse_in_box(box: NDArray[np.float32], shape: tuple[int, int]) -> Masks:
    """Draw the ellipse that touches the sides of a box, given by its corner pixels (x, y)."""
    middle = box.mean(axis=0)
    half = (box[1] - box[0] + 1) / 2
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.asarray(((x - middle[0]) / half[0]) ** 2 + ((y - middle[1]) / half[1]) ** 2 <= 1)


def disc_at(click: NDArray[np.float32], radius: float, shape: tuple[int, int]) -> Masks:
    """Draw a disc around a click (x, y)."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.asarray((x - click[0]) ** 2 + (y - click[1]) ** 2 <= radius**2)


def iou(masks: Masks, true: Masks) -> NDArray[np.float64]:
    """Intersection over union of each mask with its object, both of shape (B, H, W)."""
    union = (masks | true).sum(axis=(-2, -1))
    return np.asarray((masks & true).sum(axis=(-2, -1)) / np.maximum(union, 1))


def neighbours(labels: NDArray[np.int32]) -> set[tuple[int, int]]:
    """Return the pairs of objects that touch, the smaller number first."""
    pairs: set[tuple[int, int]] = set()
    for one, other in ((labels[:-1], labels[1:]), (labels[:, :-1], labels[:, 1:])):
        meet = (one != other) & (one > 0) & (other > 0)
        touching = np.unique(np.sort(np.stack([one[meet], other[meet]], axis=1), axis=1), axis=0)
        pairs.update((int(a), int(b)) for a, b in touching)
    return pairs


def solidity(mask: Masks) -> float:
    """Part of its convex hull that a mask fills."""
    from skimage.morphology import convex_hull_image

    crop = mask[bounds(mask)]
    return float(crop.sum() / max(1, convex_hull_image(crop).sum())) if min(crop.shape) > 2 else 1.0
