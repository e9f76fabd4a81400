"""Parts of a plane of labels that are read, changed and compared before anything is written."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from napari_sam2_openvino._layers.label_parts import PART_PIXELS, read_labels
from napari_sam2_openvino.core.plane_box import Box
from napari_sam2_openvino.core.types import PlaneIndex


@dataclass(frozen=True, eq=False)
class Window:
    """A part of a plane of labels.

    Parameters
    ----------
    origin : tuple of int
        (row, column) in the plane of the first pixel.
    before, after : ndarray of integers, shape (h, w)
        As it is, and as it is to be.
    """

    origin: tuple[int, int]
    before: NDArray[Any]
    after: NDArray[Any]

    def part(self, box: Box) -> NDArray[Any]:
        """Return a view of what a box is to be."""
        row, column = self.origin
        return self.after[
            box.row - row : box.end_row - row, box.column - column : box.end_column - column
        ]


def read_windows(data: Any, plane: PlaneIndex, boxes: Sequence[Box]) -> list[Window]:
    """Return for each box a window that holds it; windows do not overlap, but several may be one.

    Raises
    ------
    InputError
        If the labels cannot be read.
    """
    groups = _groups(boxes)
    windows: dict[int, Window] = {}
    for group in set(groups):
        box = Box.around(each for each, its in zip(boxes, groups, strict=True) if its == group)
        row, column = plane.displayed
        index: list[int | slice] = [0 if value is None else value for value in plane.index]
        index[row], index[column] = slice(box.row, box.end_row), slice(box.column, box.end_column)
        before = np.array(read_labels(data, tuple(index)))
        before = before.T if plane.transposed else before
        windows[group] = Window(box.origin, before, before.copy())
    return [windows[group] for group in groups]


def _groups(boxes: Sequence[Box]) -> list[int]:
    """Return a number for each box: the same for those that are read at once.

    What groups fill is disjoint: a file is written in whole rectangles, so that a pixel of two
    would keep only what the last one makes of it.
    """
    if Box.around(boxes).area <= PART_PIXELS:
        return [0] * len(boxes)
    groups: NDArray[np.int_] = np.arange(len(boxes))
    low = np.array([box.origin for box in boxes])
    high = np.array([(box.end_row, box.end_column) for box in boxes])
    while True:
        meet = ((low[:, None] < high) & (low < high[:, None])).all(axis=-1)
        n_groups, joined = connected_components(meet, directed=False)
        groups = joined[groups]
        if n_groups == len(low):
            return [int(each) for each in groups]
        low, high = _around(low, high, joined, n_groups)


def _around(
    low: NDArray[np.int_], high: NDArray[np.int_], groups: NDArray[np.int_], n_groups: int
) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """Return the corners of what each group of boxes fills."""
    lows = np.full((n_groups, 2), np.iinfo(low.dtype).max)
    highs = np.zeros((n_groups, 2), high.dtype)
    np.minimum.at(lows, groups, low)
    np.maximum.at(highs, groups, high)
    return lows, highs


def changed_labels(
    windows: Sequence[Window],
) -> tuple[NDArray[np.int_], NDArray[np.int_], NDArray[Any]]:
    """Return rows and columns in the plane of all pixels that change, and what they become."""
    places: list[tuple[NDArray[Any], ...]] = []
    # Several boxes may have the same window.
    for window in {id(each): each for each in windows}.values():
        rows, columns = np.nonzero(window.before != window.after)
        values = window.after[rows, columns]
        places.append((rows + window.origin[0], columns + window.origin[1], values))
    if not places:
        return np.zeros(0, int), np.zeros(0, int), np.zeros(0, int)
    rows, columns, values = (np.concatenate(each) for each in zip(*places, strict=True))
    return rows, columns, values
