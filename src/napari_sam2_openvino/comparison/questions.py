"""What models are asked about an image: points and boxes, from labels or from a grid."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.image_predictor import SAM2ImagePredictor
from napari_sam2_openvino.core.masks import innermost_point
from napari_sam2_openvino.core.types import MaskPrediction, Prompts

OBJECTS_PER_IMAGE = 6
GRID_SIDE = 6
LEAST_AREA = 40
# A mask of fewer logits is a speck to the network: one logit more or less changes it by a half.
LEAST_LOGITS = 4
# Of the median area of the labels' objects; what is smaller is debris, or cut off by the border.
LEAST_SHARE = 0.1
_FOREGROUND = np.array([1], np.int32)


@dataclass(frozen=True, eq=False)
class Question:
    """The prompts of one object.

    Parameters
    ----------
    kind : {"point", "box"}
    prompts : Prompts
        One click, or one box.
    truth : ndarray of bool, shape (H, W), or None
        The mask that is right, where labels tell it.
    """

    kind: Literal["point", "box"]
    prompts: Prompts
    truth: NDArray[np.bool_] | None = None


def answer(predictor: SAM2ImagePredictor, question: Question) -> MaskPrediction:
    """Answer as the window does: the best of three masks for a click, one mask for a box."""
    prediction = predictor.predict_prompts(question.prompts)
    best = slice(prediction.best, prediction.best + 1)
    return MaskPrediction(
        prediction.masks[best], prediction.iou_predictions[best], prediction.low_res_masks[best]
    )


def has_objects(labels: NDArray[np.integer[Any]]) -> bool:
    """Return whether there is an object that `questions_from_labels` can ask for."""
    _, areas = np.unique(labels[labels > 0], return_counts=True)
    return bool((areas >= LEAST_AREA).any())


def questions_from_labels(
    labels: NDArray[np.integer[Any]], low_res_hw: tuple[int, int]
) -> list[Question]:
    """Ask for objects of all useful sizes: a click at the innermost pixel of each, and its box.

    Specks are left out, unless there is nothing else.

    Parameters
    ----------
    labels : ndarray of int, shape (H, W)
    low_res_hw : tuple of int
        Height and width of the logits of a mask.

    Returns
    -------
    list of Question
        Two for each of at most `OBJECTS_PER_IMAGE` objects, which have `LEAST_AREA` pixels or more.
    """
    ids, areas = np.unique(labels[labels > 0], return_counts=True)
    ids, areas = ids[areas >= LEAST_AREA], areas[areas >= LEAST_AREA]
    if len(areas):
        useful = _is_useful(areas, labels.shape, low_res_hw, LEAST_SHARE * np.median(areas))
        ids, areas = ids[useful], areas[useful]
    by_size = ids[np.argsort(-areas, kind="stable")]
    steps = np.linspace(0, len(by_size) - 1, min(OBJECTS_PER_IMAGE, len(by_size))).astype(int)
    questions = []
    for obj_id in by_size[steps]:
        questions += _questions(labels == obj_id, innermost_point(labels == obj_id), is_true=True)
    return questions


def questions_from_grid(reference: SAM2ImagePredictor, hw: tuple[int, int]) -> list[Question]:
    """Ask at points of a grid, and for the boxes around what the reference finds there.

    Of the points those are asked at which the reference itself is surest; what a click on nothing
    gives says little. Specks are left out, unless there is nothing else.

    Parameters
    ----------
    reference : SAM2ImagePredictor
        With the image set.
    hw : tuple of int
        Height and width of the image in pixels.

    Returns
    -------
    list of Question
        Two for each of at most `OBJECTS_PER_IMAGE` points.
    """
    found = []
    for row, column in np.ndindex(GRID_SIDE, GRID_SIDE):
        click = (np.array([column, row]) + 0.5) / GRID_SIDE * hw[::-1]
        (asked,) = _questions(None, click.astype(np.float32))
        prediction = answer(reference, asked)
        if prediction.masks[0].sum() >= LEAST_AREA:
            found.append((click, prediction))
    if not found:
        return []
    areas = np.array([np.count_nonzero(prediction.masks[0]) for _, prediction in found])
    useful = _is_useful(areas, hw, found[0][1].low_res_masks.shape[1:])
    chosen = [each for each, is_useful in zip(found, useful, strict=True) if is_useful]
    chosen.sort(key=lambda each: -float(each[1].iou_predictions[0]))
    questions = []
    for click, prediction in chosen[:OBJECTS_PER_IMAGE]:
        questions += _questions(prediction.masks[0], click.astype(np.float32))
    return questions


def _is_useful(
    areas: NDArray[np.integer[Any]],
    hw: tuple[int, ...],
    low_res_hw: tuple[int, ...],
    least: float = 0.0,
) -> NDArray[np.bool_]:
    """Return which objects are no specks; all, if all are."""
    pixels_per_logit = math.prod(hw) / math.prod(low_res_hw)
    useful = areas >= max(least, LEAST_LOGITS * pixels_per_logit)
    return useful if useful.any() else np.ones_like(useful)


def _questions(
    mask: NDArray[np.bool_] | None, click: NDArray[np.float32], *, is_true: bool = False
) -> list[Question]:
    truth = mask if is_true else None
    questions = [Question("point", Prompts(click[None], _FOREGROUND), truth)]
    if mask is not None:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        box = np.array([columns[0], rows[0], columns[-1], rows[-1]], np.float32)
        if box[0] < box[2] and box[1] < box[3]:
            questions.append(Question("box", Prompts(box=box), truth))
    return questions
