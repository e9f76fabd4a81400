"""What SAM 2's automatic mask generator finds, beside what ours finds."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

MAX_COUNT_DIFFERENCE = 0.02
MIN_IOU = 0.98
MAX_SCORE_DIFFERENCE = 1e-2


@dataclass(frozen=True)
class RecordsComparison:
    """How the masks of one image came out on both sides.

    Parameters
    ----------
    expected, found : int
        Numbers of masks.
    matched : int
        Pairs of masks, one to one, of an IoU of at least `MIN_IOU`.
    min_iou : float
        Of the matched pairs.
    score_difference : float
        Largest difference of predicted IoU and of stability among the matched pairs.
    """

    expected: int
    found: int
    matched: int
    min_iou: float
    score_difference: float

    @property
    def passed(self) -> bool:
        """Whether numbers, masks and scores agree."""
        allowed = MAX_COUNT_DIFFERENCE * self.expected
        return (
            abs(self.expected - self.found) <= allowed
            and max(self.expected, self.found) - self.matched <= allowed
            and self.score_difference <= MAX_SCORE_DIFFERENCE
        )


def compare_records(
    expected: list[dict[str, Any]], found: list[dict[str, Any]]
) -> RecordsComparison:
    """Match the records of both sides, of any output mode, one to one.

    Only masks of the same point in the same crop match: of duplicates the same one must remain.
    """
    iou = np.zeros((len(expected), len(found)))
    for row, column in np.argwhere(_places(expected)[:, None] == _places(found)):
        one, other = _mask(expected[row]), _mask(found[column])
        iou[row, column] = (one & other).sum() / max(1, (one | other).sum())
    rows, columns = linear_sum_assignment(-iou)
    matched = iou[rows, columns] >= MIN_IOU
    differences = [
        abs(expected[row][score] - found[column][score])
        for row, column in zip(rows[matched], columns[matched], strict=True)
        for score in ("predicted_iou", "stability_score")
    ]
    return RecordsComparison(
        expected=len(expected),
        found=len(found),
        matched=int(matched.sum()),
        min_iou=float(iou[rows, columns][matched].min(initial=1)),
        score_difference=max(differences, default=0.0),
    )


def _mask(record: dict[str, Any]) -> NDArray[np.bool_]:
    """Return a segmentation as a mask, decoded by the libraries that SAM 2 uses."""
    segmentation = record["segmentation"]
    if isinstance(segmentation, np.ndarray):
        return segmentation
    if isinstance(segmentation["counts"], str):
        from pycocotools import mask as coco

        return np.asarray(coco.decode(segmentation), bool)
    from sam2.utils.amg import rle_to_mask

    return np.asarray(rle_to_mask(segmentation))


def _places(records: list[dict[str, Any]]) -> NDArray[np.str_]:
    """Return the point and the crop of each record, as one word."""
    return np.array([f"{record['point_coords']} {record['crop_box']}" for record in records], str)
