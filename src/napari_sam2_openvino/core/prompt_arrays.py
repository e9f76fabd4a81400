"""The prompts of SAM 2's predictors as arrays of one form; each function raises InputError."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.memory import PointInputs
from napari_sam2_openvino.core.transforms import (
    BOX_BOTTOM_RIGHT,
    BOX_TOP_LEFT,
    NOT_A_POINT,
    to_model_space,
)
from napari_sam2_openvino.core.types import BACKGROUND, FOREGROUND, coordinates, finite_array

Float = NDArray[np.float32]

# SAM 2 takes padding and the corners of a box among the points, too.
_LABELS = (NOT_A_POINT, BACKGROUND, FOREGROUND, BOX_TOP_LEFT, BOX_BOTTOM_RIGHT)


def read_points(
    point_coords: ArrayLike | None, point_labels: ArrayLike | None
) -> tuple[Float, NDArray[np.int32]] | None:
    """Return float32 (B, n, 2) and int32 (B, n) from (n, 2) or (B, n, 2) and their labels."""
    if point_coords is None:
        return None
    if point_labels is None:
        raise InputError("point_labels must be given with point_coords: a 1 or a 0 for each point.")
    coords = coordinates(point_coords, "point_coords")
    labels = _labels(point_labels)
    if coords.ndim == 2:
        coords, labels = coords[None], labels[None]
    if coords.ndim != 3 or coords.shape[2] != 2 or labels.shape != coords.shape[:2]:
        raise InputError(
            "point_coords must have shape (n, 2) or (B, n, 2) and point_labels one entry for each "
            f"point, but they have shapes {np.shape(point_coords)} and {np.shape(point_labels)}."
        )
    return coords, labels


def read_boxes(box: ArrayLike | None) -> Float | None:
    """Return float32 (B, 2, 2), two corners each, from xyxy of shape (4,) or (B, 4)."""
    if box is None:
        return None
    boxes = coordinates(box, "box")
    if boxes.ndim not in (1, 2) or boxes.shape[-1] != 4:
        raise InputError(f"box must have shape (4,) or (B, 4), but has shape {boxes.shape}.")
    return boxes.reshape(-1, 2, 2)


def read_mask_input(mask_input: ArrayLike | None) -> Float | None:
    """Return float32 (B, 1, h, w) from (1, h, w) or (B, 1, h, w)."""
    if mask_input is None:
        return None
    mask = finite_array(mask_input, "mask_input")
    if mask.ndim == 3:
        mask = mask[None]
    if mask.ndim != 4:
        raise InputError(
            f"mask_input must have shape (1, h, w) or (B, 1, h, w), but has shape {mask.shape}."
        )
    return mask


def read_point_inputs(
    points: ArrayLike | None,
    labels: ArrayLike | None,
    box: ArrayLike | None,
    image_hw: tuple[int, int] | None,
    image_size: int,
) -> PointInputs:
    """Return the tokens of one object from points (n, 2), their labels and a box (4,).

    Coordinates are in pixels of the image, or in [0, 1] where ``image_hw`` is None.
    """
    given, corners = read_points(points, labels), read_boxes(box)
    coords = [] if corners is None else [corners]
    kinds = [] if corners is None else [np.array([[BOX_TOP_LEFT, BOX_BOTTOM_RIGHT]], np.int32)]
    if given is not None:
        coords.append(given[0])
        kinds.append(given[1])
    if any(len(each) != 1 for each in coords):
        raise InputError("Give the prompts of one object: points (n, 2) and box (4,).")
    placed = to_model_space(np.concatenate(coords, axis=1), image_hw, image_size)
    return PointInputs(placed, np.concatenate(kinds, axis=1))


def _labels(point_labels: ArrayLike) -> NDArray[np.int32]:
    labels = finite_array(point_labels, "point_labels")
    if not np.isin(labels, _LABELS).all():
        raise InputError(
            "point_labels must be 1 (foreground) or 0 (background), but contains "
            f"{np.unique(labels).tolist()}."
        )
    return labels.astype(np.int32)
