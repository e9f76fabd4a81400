"""Which points of a grid need not be decoded: those in objects that other points have found."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.candidates import Candidates
from napari_sam2_openvino.core.crops import Crop

# Of a crop: what is larger is taken for background, in which there may be objects.
_LARGEST_SHARE = 0.25
# Most pixels along a side of what is remembered of a crop: memory does not follow the image.
_FINEST = 1024


class GoodEnough(NamedTuple):
    """What a mask must reach so that other points in it are not decoded.

    Parameters
    ----------
    pred_iou_thresh, stability_score_thresh : float
        See `CandidateFilter`.
    """

    pred_iou_thresh: float
    stability_score_thresh: float


def coarse_to_fine(points: NDArray[np.floating]) -> list[NDArray[np.intp]]:
    """Split a grid into three rounds: every fourth point of each direction, every second, all.

    Parameters
    ----------
    points : ndarray of float, shape (n, 2)

    Returns
    -------
    list of ndarray of int
        Indices of the points of each round; each point is in one.
    """
    rounds = np.zeros(len(points), np.intp)
    for coordinates in points.T:
        ranks = np.unique(coordinates, return_inverse=True)[1].reshape(-1)
        # The second of four is nearer to their middle than the first.
        rounds = np.maximum(rounds, np.where(ranks % 4 == 1, 0, np.where(ranks % 2 == 1, 1, 2)))
    return [np.flatnonzero(rounds == number) for number in range(3)]


class SeenObjects:
    """The pixels of a crop that belong to objects that were found.

    Parameters
    ----------
    crop : Crop
    good_enough : GoodEnough
    """

    def __init__(self, crop: Crop, good_enough: GoodEnough) -> None:
        self._crop = crop
        self._good_enough = good_enough
        self._step = -(-max(crop.hw) // _FINEST)
        self._seen = np.zeros([-(-length // self._step) for length in crop.hw], bool)

    def add(self, found: Candidates) -> None:
        """Take in masks: of each point the smallest that is good enough.

        A larger one of the same point may be a group whose members are still to be found.
        """
        is_object = found.iou_predictions > self._good_enough.pred_iou_thresh
        is_object &= found.stability_scores >= self._good_enough.stability_score_thresh
        is_object &= found.areas <= _LARGEST_SHARE * self._crop.hw[0] * self._crop.hw[1]
        by_area = np.argsort(found.areas, kind="stable")
        by_area = by_area[is_object[by_area]]
        _, smallest = np.unique(found.point_coords[by_area], axis=0, return_index=True)
        for index in by_area[smallest]:
            cut, step = found.cut(index), self._step
            row, column = cut.origin[0] - self._crop.y0, cut.origin[1] - self._crop.x0
            mask = cut.mask[-row % step :: step, -column % step :: step]
            row, column = -(-row // step), -(-column // step)
            self._seen[row : row + mask.shape[0], column : column + mask.shape[1]] |= mask

    def is_new(self, points: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Return which points, (x, y) in pixels of the crop, lie in no object yet."""
        height, width = self._seen.shape
        columns, rows = points.astype(np.intp).T // self._step
        seen = self._seen[rows.clip(0, height - 1), columns.clip(0, width - 1)]
        return np.asarray(~seen)
