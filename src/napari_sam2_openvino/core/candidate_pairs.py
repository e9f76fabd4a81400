"""Which candidates overlap, and how much: looked up once, used at every threshold."""

from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.candidates import Candidates
from napari_sam2_openvino.core.marks import MaskCut

# Boxes that are compared with all others at once.
_BLOCK = 512


class CandidatePairs:
    """The pairs of candidates whose boxes overlap.

    Parameters
    ----------
    candidates : Candidates
    cut : callable
        Returns the mask of a candidate by its index.
    """

    def __init__(self, candidates: Candidates, cut: Callable[[int], MaskCut]) -> None:
        self._areas = candidates.areas
        self._cut = cut
        self._first, self._second, self._iou, self._most = _overlapping(candidates.boxes)

    @cached_property
    def _overlaps(self) -> NDArray[np.float32]:
        """Shares of the smaller mask that are known; NaN where it was not looked."""
        return np.full(len(self._first), np.nan, np.float32)

    def suppress_boxes(
        self, indices: NDArray[np.intp], groups: NDArray[np.intp] | None, iou_thresh: float
    ) -> NDArray[np.intp]:
        """Return which candidates remain when those whose boxes overlap a better one's go.

        The rule of `boxes.suppress_boxes`, to the last bit.

        Parameters
        ----------
        indices : ndarray of int, shape (m,)
            The candidates, best first.
        groups : ndarray of int, shape (n,), or None
            Only candidates of the same group are compared.
        iou_thresh : float
        """
        is_near = self._iou.astype(np.float64) > iou_thresh
        if groups is not None:
            is_near &= groups[self._first] == groups[self._second]
        return self._greedy(indices, np.flatnonzero(is_near))

    def suppress_masks(self, indices: NDArray[np.intp], max_overlap: float) -> NDArray[np.intp]:
        """Return which candidates remain when those that overlap a better one too much go.

        Parameters
        ----------
        indices : ndarray of int, shape (m,)
            The candidates, best first.
        max_overlap : float
            Of pixels that two share, as a share of the smaller one.
        """
        smaller = np.minimum(self._areas[self._first], self._areas[self._second])
        is_there = np.zeros(len(self._areas), bool)
        is_there[indices] = True
        # No two share more pixels than their boxes do.
        may = self._most > np.float32(max_overlap) * smaller
        pairs = np.flatnonzero(may & is_there[self._first] & is_there[self._second])
        for pair in pairs[np.isnan(self._overlaps[pairs])]:
            shared = _shared(self._cut(int(self._first[pair])), self._cut(int(self._second[pair])))
            self._overlaps[pair] = shared / max(1, smaller[pair])
        return self._greedy(indices, pairs[self._overlaps[pairs] > np.float32(max_overlap)])

    def copies(self, levels: NDArray[np.intp], wins: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which candidates are no more than copies of one of a lower level.

        Parameters
        ----------
        levels : ndarray of int, shape (n,)
            Of each candidate.
        wins : ndarray of bool, shape (n,)
            Whether others may be copies of it.

        Returns
        -------
        ndarray of bool, shape (n,)
            Of those of which more than half of the pixels lie in a single such candidate.
        """
        is_copy = np.zeros(len(levels), bool)
        for original, other in ((self._first, self._second), (self._second, self._first)):
            may = (levels[original] < levels[other]) & wins[original]
            for pair in np.flatnonzero(may & (self._most > self._areas[other] / 2)):
                one, two = int(original[pair]), int(other[pair])
                if not is_copy[two]:
                    is_copy[two] = _shared(self._cut(one), self._cut(two)) > self._areas[two] / 2
        return is_copy

    def _greedy(self, indices: NDArray[np.intp], pairs: NDArray[np.intp]) -> NDArray[np.intp]:
        """Let the better one of each pair drop the other, the best first."""
        rank = np.full(len(self._areas), -1, np.intp)
        rank[indices] = np.arange(len(indices))
        ranks = np.stack([rank[self._first[pairs]], rank[self._second[pairs]]])
        ranks = ranks[:, (ranks >= 0).all(axis=0)]
        better, worse = ranks.min(axis=0), ranks.max(axis=0)
        # All that could drop a candidate has been looked at before what it drops itself.
        order = np.argsort(better, kind="stable")
        stays = [True] * len(indices)
        for one, other in zip(better[order].tolist(), worse[order].tolist(), strict=True):
            if stays[one]:
                stays[other] = False
        return np.asarray(indices[np.array(stays, bool)])


def _overlapping(
    boxes: NDArray[np.float32],
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32], NDArray[np.float32]]:
    """Return the indices of both boxes of each overlapping pair, IoU, and most shared pixels."""
    order = np.argsort(boxes[:, 1], kind="stable")
    x0, y0, x1, y1 = boxes[order].T
    areas = (x1 - x0) * (y1 - y0)
    found = []
    for start in range(0, len(order), _BLOCK):
        block = slice(start, start + _BLOCK)
        # Sorted by their top, so each later one begins below that of the block.
        stop = int(np.searchsorted(y0, y1[block].max(), side="right"))
        rest = slice(start, max(start, stop))
        width = np.minimum(x1[block, None], x1[rest]) - np.maximum(x0[block, None], x0[rest])
        height = np.minimum(y1[block, None], y1[rest]) - np.maximum(y0[block, None], y0[rest])
        one, other = np.nonzero(np.triu((width >= 0) & (height >= 0), k=1))
        width, height = width[one, other], height[one, other]
        one, other = one + start, other + start
        shared = width * height
        with np.errstate(invalid="ignore"):
            iou = shared / (areas[one] + areas[other] - shared)
        found.append((order[one], order[other], iou, (width + 1) * (height + 1)))
    if not found:
        none = np.zeros(0, np.intp)
        return none, none, np.zeros(0, np.float32), np.zeros(0, np.float32)
    first, second, iou, most = (np.concatenate(each) for each in zip(*found, strict=True))
    return first, second, iou, most


def _shared(one: MaskCut, other: MaskCut) -> int:
    """Return how many pixels two masks share."""
    low = np.maximum(one.origin, other.origin)
    high = np.minimum(np.add(one.origin, one.mask.shape), np.add(other.origin, other.mask.shape))
    if (high <= low).any():
        return 0
    parts = []
    for cut in (one, other):
        (row, column), (end_row, end_column) = low - cut.origin, high - cut.origin
        parts.append(cut.mask[row:end_row, column:end_column])
    return int(np.count_nonzero(parts[0] & parts[1]))
