"""Which planes of a Labels layer an edit of napari's has touched."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from napari_sam2_openvino.core.types import PlaneIndex


def painted_planes(item: Any, planes: Iterable[PlaneIndex]) -> list[PlaneIndex]:
    """Return those of some planes that a step of napari's history may have changed.

    Parameters
    ----------
    item : list
        What the event ``paint`` of a Labels layer says: for each change a tuple whose first part
        are indices, as arrays, or something with ``slice_key``, a tuple of slices.
    planes : iterable of PlaneIndex

    Returns
    -------
    list of PlaneIndex
        All of them, if what the event says is of no kind that is known.
    """
    planes = list(planes)
    try:
        boxes = [[_range(part) for part in _key(atom)] for atom in item]
        # Of one stroke all changes are on the same planes: one box says so of all.
        along = [list(each) for each in zip(*boxes, strict=True)]
    except (AttributeError, IndexError, TypeError, ValueError):
        return planes
    box = [(min(first for first, _ in each), max(end for _, end in each)) for each in along]
    return [plane for plane in planes if _is_in(plane.index, box)]


def _key(atom: Any) -> Any:
    return atom.slice_key if hasattr(atom, "slice_key") else atom[0]


def _range(part: Any) -> tuple[int, int]:
    """Return (first, end) of a change along an axis."""
    if isinstance(part, slice):
        return int(part.start), int(part.stop)
    numbers = np.asarray(part)
    return int(numbers.min()), int(numbers.max()) + 1


def _is_in(index: tuple[int | None, ...], box: list[tuple[int, int]]) -> bool:
    if len(index) != len(box):
        return True
    pairs = zip(index, box, strict=True)
    return all(value is None or first <= value < end for value, (first, end) in pairs)
