"""Candidates that tests draw: discs and rectangles with scores."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.candidates import Candidates
from napari_sam2_openvino.core.rle import MaskRuns

HW = (120, 160)


def candidates_of(
    masks: Sequence[NDArray[np.bool_]],
    scores: Sequence[float],
    stability: Sequence[float] | None = None,
    crops: Sequence[tuple[int, int, int, int]] | None = None,
) -> Candidates:
    """Return whole-plane masks as candidates, of points inside of them."""
    height, width = masks[0].shape if len(masks) else HW
    count = len(masks)
    runs = [MaskRuns.from_mask(mask) for mask in masks]
    crops = [(0, 0, width, height)] * count if crops is None else crops
    points = [np.argwhere(mask)[np.count_nonzero(mask) // 2][::-1] for mask in masks]
    return Candidates(
        image_hw=(height, width),
        masks=tuple(runs),
        boxes=np.array([each.box for each in runs], np.float32).reshape(-1, 4),
        iou_predictions=np.array(scores, np.float32),
        stability_scores=np.array([1.0] * count if stability is None else stability, np.float32),
        point_coords=np.array(points, np.float32).reshape(-1, 2),
        crop_boxes=np.array(crops, np.float32).reshape(-1, 4),
        areas=np.array([each.area for each in runs], np.int64),
    )


def rectangle(
    row: int, column: int, height: int, width: int, hw: tuple[int, int] = HW
) -> NDArray[np.bool_]:
    """Return the mask of a rectangle."""
    mask = np.zeros(hw, bool)
    mask[row : row + height, column : column + width] = True
    return mask


def disc(y: float, x: float, radius: float, hw: tuple[int, int] = HW) -> NDArray[np.bool_]:
    """Return the mask of a disc."""
    rows, columns = np.ogrid[: hw[0], : hw[1]]
    return np.asarray((rows - y) ** 2 + (columns - x) ** 2 <= radius**2)


def random_discs(seed: int, count: int = 60, hw: tuple[int, int] = HW) -> Candidates:
    """Return discs of many sizes that overlap, some of equal scores, found in three crops."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(0, hw, (count, 2))
    masks = [disc(y, x, rng.uniform(2, 30), hw) for y, x in places]
    masks = [mask for mask in masks if mask.any()]
    scores = rng.integers(50, 100, len(masks)) / 100
    stability = rng.integers(70, 100, len(masks)) / 100
    crops = [(0, 0, hw[1], hw[0]), (0, 0, 90, 70), (70, 0, hw[1], 70)]
    chosen = [crops[number] for number in rng.integers(0, len(crops), len(masks))]
    return candidates_of(masks, scores.tolist(), stability.tolist(), chosen)
