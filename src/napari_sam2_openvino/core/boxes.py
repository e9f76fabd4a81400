"""Boxes around masks: which of them are duplicates."""

import numpy as np
from numpy.typing import NDArray


def suppress_boxes(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], iou_thresh: float
) -> NDArray[np.intp]:
    """Greedy non-maximum suppression, equal to ``torchvision.ops.nms`` to the last bit.

    Parameters
    ----------
    boxes : ndarray of float32, shape (n, 4)
        xyxy in pixels.
    scores : ndarray of float32, shape (n,)
        Of equal scores the first comes first.
    iou_thresh : float
        A box goes if its IoU with a better one that stays is above it. Boxes without area have no
        IoU and always stay, as in torchvision.

    Returns
    -------
    ndarray of int, shape (m,)
        Indices of the boxes that stay, best first.
    """
    order = np.argsort(-scores, kind="stable")
    x0, y0, x1, y1 = boxes.astype(np.float32)[order].T
    areas = (x1 - x0) * (y1 - y0)
    stays = np.ones(len(order), bool)
    for best in range(len(order)):
        if not stays[best]:
            continue
        rest = best + 1 + np.flatnonzero(stays[best + 1 :])
        width = np.minimum(x1[best], x1[rest]) - np.maximum(x0[best], x0[rest])
        height = np.minimum(y1[best], y1[rest]) - np.maximum(y0[best], y0[rest])
        shared = np.maximum(width, np.float32(0)) * np.maximum(height, np.float32(0))
        with np.errstate(invalid="ignore"):
            iou = shared / (areas[best] + areas[rest] - shared)
        # torchvision does not round the threshold to float32.
        stays[rest[iou.astype(np.float64) > iou_thresh]] = False
    kept: NDArray[np.intp] = order[stays]
    return kept
