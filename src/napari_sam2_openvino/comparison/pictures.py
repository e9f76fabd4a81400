"""Masks that differ, as pictures."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_sam2_openvino.comparison.questions import Question

SIDE = 240
_MARGIN = 0.5
_GAP = 6
_MASK = np.array([255, 120, 0], np.float32)
_PROMPT = np.array([0, 255, 120], np.uint8)
_SHARE = 0.5


def side_by_side(
    rgb: NDArray[np.uint8],
    question: Question,
    first: NDArray[np.bool_],
    second: NDArray[np.bool_],
) -> NDArray[np.uint8]:
    """Draw the image with its prompt, then both masks over it, cut to where they are.

    Parameters
    ----------
    rgb : ndarray of uint8, shape (H, W, 3)
    question : Question
        Its click or box is drawn in green.
    first, second : ndarray of bool, shape (H, W)

    Returns
    -------
    ndarray of uint8, shape (SIDE, 3 SIDE + 2 gaps, 3)
    """
    x0, y0, side = _square(first | second, question)
    prompted = rgb.copy()
    _draw_prompt(prompted, question, max(1, side // 80))
    panels = [prompted, _overlay(rgb, first), _overlay(rgb, second)]
    gap = np.full((SIDE, _GAP, 3), 255, np.uint8)
    scaled = [_cut(panel, x0, y0, side) for panel in panels]
    return np.concatenate([scaled[0], gap, scaled[1], gap, scaled[2]], axis=1)


def _square(mask: NDArray[np.bool_], question: Question) -> tuple[int, int, int]:
    """Return the first column and row and the side of a square around masks and prompt."""
    y, x = np.nonzero(mask)
    box = question.prompts.box
    corners = question.prompts.point_coords if box is None else box.reshape(2, 2)
    xs, ys = np.append(corners[:, 0], x), np.append(corners[:, 1], y)
    side = (1 + _MARGIN) * max(float(np.ptp(xs)), float(np.ptp(ys)), 16.0)
    middle_x, middle_y = (xs.min() + xs.max()) / 2, (ys.min() + ys.max()) / 2
    return round(float(middle_x - side / 2)), round(float(middle_y - side / 2)), round(side)


def _overlay(rgb: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    drawn = rgb.astype(np.float32)
    drawn[mask] = (1 - _SHARE) * drawn[mask] + _SHARE * _MASK
    return drawn.astype(np.uint8)


def _draw_prompt(rgb: NDArray[np.uint8], question: Question, width: int) -> None:
    for x, y in question.prompts.point_coords.round().astype(int):
        rgb[max(0, y - width) : y + width + 1, max(0, x - width) : x + width + 1] = _PROMPT
    if question.prompts.box is not None:
        x0, y0, x1, y1 = question.prompts.box.round().astype(int)
        for rows, columns in (
            (slice(y0, y0 + width), slice(x0, x1 + 1)),
            (slice(y1, y1 + width), slice(x0, x1 + 1)),
            (slice(y0, y1 + 1), slice(x0, x0 + width)),
            (slice(y0, y1 + 1), slice(x1, x1 + width)),
        ):
            rgb[rows, columns] = _PROMPT


def _cut(rgb: NDArray[np.uint8], x0: int, y0: int, side: int) -> NDArray[np.uint8]:
    # Pillow fills what is outside with black.
    cut = Image.fromarray(rgb).crop((x0, y0, x0 + side, y0 + side))
    return np.asarray(cut.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
