"""Which of the stored candidates are objects: thresholds, duplicates, overlaps, background."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.candidate_pairs import CandidatePairs
from napari_sam2_openvino.core.candidates import Candidates
from napari_sam2_openvino.core.marks import MaskCut
from napari_sam2_openvino.core.object_parameters import CandidateFilter

# A mask of more than this share of the image is no object.
MOST_OF_IMAGE = 0.5
# Nor is one that touches so many of the four borders,
MOST_BORDERS = 3
# or has at least so many others in its holes.
MOST_ENCLOSED = 3
# Holes are looked for in masks of at most about this side; small ones hold no three objects.
_HOLE_SIDE = 256


def filter_candidates(
    candidates: Candidates, criteria: CandidateFilter | None = None
) -> Candidates:
    """Return the candidates that are objects by some thresholds.

    Candidates of a run with low thresholds and without suppression, filtered, are those that a run
    at these thresholds gives. To filter twice is to filter once, and the order of the candidates
    does not matter. Whoever filters the same candidates again and again keeps a `CandidateSieve`.

    Parameters
    ----------
    candidates : Candidates
    criteria : CandidateFilter, optional

    Returns
    -------
    Candidates
        Best first, by crop.
    """
    return candidates.take(CandidateSieve(candidates).indices(criteria))


class CandidateSieve:
    """Filters the same candidates at one set of thresholds after the other.

    What does not depend on the thresholds is found out once, most of it when it is made: for a
    worker. Not safe to use from several threads at once.

    Parameters
    ----------
    candidates : Candidates
    """

    def __init__(self, candidates: Candidates) -> None:
        self.candidates = candidates
        self._cuts: dict[int, MaskCut] = {}
        self._enclosures: dict[int, tuple[int, NDArray[np.bool_]]] = {}
        self._pairs = CandidatePairs(candidates, self.cut)
        self._order = _best_first(candidates)
        self._crops = _crop_numbers(candidates)
        self._n_borders = _touched_borders(candidates)

    def cut(self, index: int) -> MaskCut:
        """Return the mask of a candidate, decoded once."""
        if index not in self._cuts:
            self._cuts[index] = self.candidates.cut(index)
        return self._cuts[index]

    def indices(self, criteria: CandidateFilter | None = None) -> NDArray[np.intp]:
        """Return which candidates are objects, best first, by crop.

        Parameters
        ----------
        criteria : CandidateFilter, optional

        Returns
        -------
        ndarray of int, shape (m,)
            For `Candidates.take`.
        """
        criteria = CandidateFilter() if criteria is None else criteria
        kept = self._order[self.passes(criteria)[self._order]]
        kept = self._pairs.suppress_boxes(kept, self._crops, criteria.box_nms_thresh)
        if self._crops.any():
            # As in SAM 2, the smaller crop wins, and of equally large ones the first.
            kept = kept[np.argsort(self._crops[kept], kind="stable")]
            kept = self._pairs.suppress_boxes(kept, None, criteria.crop_nms_thresh)
        if criteria.max_overlap < 1:
            kept = self._pairs.suppress_masks(kept, criteria.max_overlap)
        if criteria.exclude_border:
            kept = kept[self._n_borders[kept] == 0]
        return kept[~self._encloses_others(kept)] if criteria.remove_background else kept

    def passes(self, criteria: CandidateFilter) -> NDArray[np.bool_]:
        """Return which candidates pass what concerns no other one, shape (n,)."""
        candidates = self.candidates
        # Compared as SAM 2 does: "higher than" for the one, "at least" for the other.
        passes = candidates.stability_scores >= np.float32(criteria.stability_score_thresh)
        if criteria.pred_iou_thresh > 0:
            passes &= candidates.iou_predictions > np.float32(criteria.pred_iou_thresh)
        passes &= candidates.areas >= criteria.min_area
        if criteria.max_area:
            passes &= candidates.areas <= criteria.max_area
        if criteria.remove_background:
            height, width = candidates.image_hw
            passes &= candidates.areas <= MOST_OF_IMAGE * height * width
            passes &= self._n_borders < MOST_BORDERS
        return np.asarray(passes)

    def _encloses_others(self, kept: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Return which of some candidates have several others of them in their holes.

        Whether one goes depends on the others that passed all else, so that nothing new goes when
        those that went are left out.
        """
        encloses = np.zeros(len(kept), bool)
        boxes = self.candidates.boxes[kept]
        x0, y0, x1, y1 = boxes.T
        inner = self._inner[kept]
        for number, index in enumerate(kept.tolist()):
            left, top, right, bottom = boxes[number]
            within = np.flatnonzero((x0 > left) & (y0 > top) & (x1 < right) & (y1 < bottom))
            if len(within) >= MOST_ENCLOSED:
                step, holes = self._holes(index)
                rows, columns = ((inner[within] - (int(top), int(left))) // step).T
                encloses[number] = np.count_nonzero(holes[rows, columns]) >= MOST_ENCLOSED
        return encloses

    @cached_property
    def _inner(self) -> NDArray[np.intp]:
        """A pixel of each mask, (row, column) in the plane."""
        places = np.zeros((len(self.candidates), 2), np.intp)
        for place, mask in zip(places, self.candidates.masks, strict=True):
            longest = 1 + 2 * int(np.argmax(mask.counts[1::2]))
            start = int(mask.counts[:longest].sum()) + int(mask.counts[longest]) // 2
            place[:] = start % mask.hw[0] + mask.origin[0], start // mask.hw[0] + mask.origin[1]
        return places

    def _holes(self, index: int) -> tuple[int, NDArray[np.bool_]]:
        """Return every how many pixels the holes of a mask were looked at, and where they are."""
        if index not in self._enclosures:
            from scipy.ndimage import binary_fill_holes

            mask = self.cut(index).mask
            step = -(-max(mask.shape) // _HOLE_SIDE)
            coarse = mask[::step, ::step]
            self._enclosures[index] = step, binary_fill_holes(coarse) & ~coarse
        return self._enclosures[index]


def _best_first(candidates: Candidates) -> NDArray[np.intp]:
    """Return the candidates by falling score, and of equal scores in the order of the grid.

    That is the order in which the generator finds them, whatever order they are given in.
    """
    keys = (*candidates.boxes.T, candidates.areas, *candidates.point_coords.T)
    return np.lexsort((*keys, -candidates.iou_predictions))


def _crop_numbers(candidates: Candidates) -> NDArray[np.intp]:
    """Return a number for the crop of each candidate: the smallest is 0."""
    if not len(candidates):
        return np.zeros(0, np.intp)
    crops, numbers = np.unique(candidates.crop_boxes, axis=0, return_inverse=True)
    x0, y0, x1, y1 = crops.T
    rank = np.empty(len(crops), np.intp)
    # Of equally large ones in the order in which SAM 2 runs them.
    rank[np.lexsort((y0, x0, (x1 - x0) * (y1 - y0)))] = np.arange(len(crops))
    return np.asarray(rank[numbers.reshape(-1)])


def _touched_borders(candidates: Candidates) -> NDArray[np.intp]:
    """Return how many of the four borders of the plane each candidate touches."""
    (height, width), (x0, y0, x1, y1) = candidates.image_hw, candidates.boxes.T
    touched = np.stack([x0 <= 0, y0 <= 0, x1 >= width - 1, y1 >= height - 1])
    return np.asarray(touched.sum(axis=0))
