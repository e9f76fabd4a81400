"""From objects that overlap to labels, of which each pixel has one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.candidates import Candidates
from napari_sam2_openvino.core.errors import InputError, times
from napari_sam2_openvino.core.marks import MaskCut
from napari_sam2_openvino.core.object_parameters import LabelsParameters

Label = np.dtype[np.unsignedinteger[Any]]


@dataclass(frozen=True, eq=False)
class LabelledObjects:
    """Labels of a plane, and which candidate each is.

    Parameters
    ----------
    labels : ndarray of uint8, uint16 or uint32, shape (H, W)
        The smallest type that holds them; with the objects that were there already.
    ids : ndarray of int64, shape (n,)
        The label of each candidate; 0 where it was left out, since too little of it is visible.
    areas : ndarray of int64, shape (n,)
        Pixels of each candidate in ``labels``; 0 where it was left out.
    """

    labels: NDArray[np.unsignedinteger[Any]]
    ids: NDArray[np.int64]
    areas: NDArray[np.int64]

    @property
    def n_objects(self) -> int:
        """How many candidates became objects."""
        return int(np.count_nonzero(self.ids))


def labels_from_candidates(
    candidates: Candidates,
    parameters: LabelsParameters | None = None,
    existing: NDArray[Any] | None = None,
    *,
    cut: Callable[[int], MaskCut] | None = None,
    numbers: NDArray[np.integer[Any]] | None = None,
) -> LabelledObjects:
    """Give each pixel to one object.

    Where candidates overlap, ``parameters.overlap`` says whose a pixel is: by default the smaller
    one's, so that a nucleus stays visible in its cell. Equally large ones go by score, then by
    place. Objects of which less than ``parameters.min_visible`` remains are left out, and what they
    covered is given to those below; that is decided once, with all of them there.

    Ids are given out from the top to the bottom of the plane (first row of the box, then first
    column). So the result does not depend on the order of the candidates.

    Parameters
    ----------
    candidates : Candidates
        As they are to be: filtered.
    parameters : LabelsParameters, optional
    existing : ndarray of integers, shape (H, W), optional
        Labels that are there already. All of their pixels stay, and new ids begin above them.
    cut : callable, optional
        Returns the mask of a candidate by its index, for a caller who has decoded them.
    numbers : ndarray of int, shape (n,), optional
        Ids to give out instead, of each candidate, larger than 0.

    Returns
    -------
    LabelledObjects

    Raises
    ------
    InputError
        If ``existing`` is not labels of the plane.
    """
    parameters = LabelsParameters() if parameters is None else parameters
    decode = candidates.cut if cut is None else cut
    cuts = [decode(index) for index in range(len(candidates))]
    first = 1 + (0 if existing is None else _check_existing(existing, candidates.image_hw))
    order = _lowest_first(candidates, parameters)
    # While it is not known who is left out, a candidate's number serves as its label.
    painted = np.zeros(candidates.image_hw, np.min_scalar_type(len(cuts)))
    _paint(painted, cuts, order, np.arange(1, len(cuts) + 1))
    if existing is not None:
        painted[existing != 0] = 0
    areas = np.bincount(painted.ravel(), minlength=len(cuts) + 1)[1:]
    stays = areas >= np.maximum(1, parameters.min_visible * candidates.areas)
    ids = _ids(candidates, stays, first) if numbers is None else np.where(stays, numbers, 0)
    ids = ids.astype(np.int64)
    dtype = np.min_scalar_type(max(int(ids.max(initial=0)), first - 1, 1))
    if stays.all():
        labels = np.concatenate([[0], ids]).astype(dtype)[painted]
    else:
        labels = np.zeros(candidates.image_hw, dtype)
        _paint(labels, cuts, order[stays[order]], ids)
    if existing is not None:
        np.copyto(labels, existing.astype(dtype), where=existing != 0)
    if not stays.all():
        areas = np.bincount(labels.ravel(), minlength=int(ids.max(initial=0)) + 1)[ids]
        areas[~stays] = 0
    return LabelledObjects(labels, ids, areas.astype(np.int64))


def _check_existing(existing: NDArray[Any], hw: tuple[int, int]) -> int:
    """Return the largest label that is there already."""
    if existing.shape != hw or existing.dtype.kind not in "bui":
        raise InputError(
            f"Existing labels must be integers of shape {times(hw)}, but have type "
            f"{existing.dtype} and shape {times(existing.shape)}: choose those of this plane."
        )
    if int(existing.min(initial=0)) < 0:
        raise InputError("Existing labels must not be negative: relabel them first.")
    return int(existing.max(initial=0))


def _lowest_first(candidates: Candidates, parameters: LabelsParameters) -> NDArray[np.intp]:
    """Return the order in which candidates are painted, each over those before."""
    by_place = (*candidates.point_coords.T, *candidates.boxes.T)
    areas, scores = candidates.areas, candidates.iou_predictions
    if parameters.overlap == "small over large":
        return np.lexsort((*by_place, scores, -areas))
    if parameters.overlap == "large over small":
        return np.lexsort((*by_place, scores, areas))
    return np.lexsort((*by_place, -areas, scores))


def _paint(
    labels: NDArray[Any],
    cuts: Sequence[MaskCut],
    order: NDArray[np.intp],
    ids: NDArray[np.integer[Any]],
) -> None:
    values = ids.astype(labels.dtype)
    for index in order.tolist():
        (row, column), (height, width) = cuts[index].origin, cuts[index].mask.shape
        window = labels[row : row + height, column : column + width]
        np.copyto(window, values[index], where=cuts[index].mask)


def _ids(candidates: Candidates, stays: NDArray[np.bool_], first: int) -> NDArray[np.int64]:
    x0, y0 = candidates.boxes[:, 0], candidates.boxes[:, 1]
    keys = (candidates.iou_predictions, *candidates.point_coords.T, candidates.areas, x0, y0)
    order = np.lexsort(keys)
    ids = np.zeros(len(candidates), np.int64)
    order = order[stays[order]]
    ids[order] = np.arange(first, first + len(order))
    return ids
