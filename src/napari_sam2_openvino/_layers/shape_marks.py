"""Shapes of napari as marks."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from napari.layers import Shapes
from numpy.typing import NDArray

from napari_sam2_openvino._layers.drawing import MIN_BOX_SIDE, are_traces, is_drawing
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.marks import Mark, MarkKind

_KINDS: dict[str, MarkKind] = {
    "rectangle": "box",
    "polygon": "polygon",
    "ellipse": "ellipse",
    "line": "path",
    "path": "path",
}


def shape_mark(
    shape_type: str, xy: NDArray[np.float32], hw: tuple[int, int], is_positive: bool
) -> Mark | None:
    """Return the mark of a shape, None if it is no more than the trace of a click.

    Parameters
    ----------
    shape_type : str
        One of napari's.
    xy : ndarray of float32, shape (m, 2)
        Vertices in pixels of the plane.
    hw : tuple of int
        Height and width of the plane.
    is_positive : bool
        Of a scribble; boxes and lassos are always positive.

    Raises
    ------
    InputError
        If it lies outside the plane.
    """
    kind, low, high = _KINDS[shape_type], xy.min(axis=0), xy.max(axis=0)
    for problem in outside_problems([kind], low[None], high[None], hw).values():
        raise InputError(problem)
    if kind == "box":
        return box_marks(low[None], high[None], hw)[0]
    if is_too_small(kind, high - low):
        return None
    # Scribbles are cut to the image; to cut the outline of a lasso would bend what is inside.
    inside = xy.clip(*_limits(hw)) if kind == "path" else xy
    vertices = tuple((x, y) for x, y in inside.tolist())
    return Mark(kind, vertices, is_positive or kind != "path")


def box_marks(
    low: NDArray[np.float32], high: NDArray[np.float32], hw: tuple[int, int]
) -> list[Mark | None]:
    """Return the marks of boxes that lie on the plane, many at once, see `shape_mark`.

    Parameters
    ----------
    low, high : ndarray of float32, shape (k, 2)
        Smallest and largest (x, y) of each.
    hw : tuple of int
    """
    first, last = _limits(hw)
    is_mark = (high - low).min(axis=1, initial=np.inf) >= MIN_BOX_SIDE
    corners = zip(low.clip(first, last).tolist(), high.clip(first, last).tolist(), strict=True)
    return [
        Mark("box", ((x0, y0), (x1, y1))) if is_one else None
        for is_one, ((x0, y0), (x1, y1)) in zip(is_mark.tolist(), corners, strict=True)
    ]


def outside_problems(
    kinds: Sequence[MarkKind],
    low: NDArray[np.float32],
    high: NDArray[np.float32],
    hw: tuple[int, int],
) -> dict[int, str]:
    """Return in one sentence each, by row, which shapes lie outside a plane.

    Parameters
    ----------
    kinds : sequence of str
    low, high : ndarray of float32, shape (k, 2)
        Smallest and largest (x, y) of each.
    hw : tuple of int
        Height and width of the plane.
    """
    first, last = _limits(hw)
    are_outside = ((high <= first) | (low >= last)).any(axis=1)
    names: dict[MarkKind, str] = {"box": "box", "path": "scribble"}
    return {
        row: f"The {names.get(kinds[row], 'lasso')} lies outside the image of {hw[1]} x {hw[0]} "
        "pixels: move it inside or delete it."
        for row in np.flatnonzero(are_outside).tolist()
        if not is_too_small(kinds[row], high[row] - low[row])
    }


def kinds_of(shapes: Shapes) -> list[MarkKind | None]:
    """Return what each shape is, None for one that is still being drawn, or no more than a click.

    A box counts while it is dragged; a polygon or a path, drawn click by click, does not.
    """
    kinds: list[MarkKind | None] = [
        None if is_trace else _KINDS.get(kind)
        for kind, is_trace in zip(shapes.shape_type, are_traces(shapes), strict=True)
    ]
    # napari begins a polygon as a path, and its last vertex is the pointer.
    if is_drawing(shapes) and shapes.shape_type[-1] in ("path", "polygon"):
        kinds[-1] = None
    return kinds


def is_too_small(kind: MarkKind, extent: NDArray[Any]) -> bool:
    """Whether a shape of an extent along x and y is no more than the trace of a click."""
    # A path may be as thin as it likes.
    sides = extent.max() if kind in ("path", "polygon") else extent.min()
    return bool(sides < MIN_BOX_SIDE)


def _limits(hw: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return np.full(2, -0.5, np.float32), np.array([hw[1] - 0.5, hw[0] - 0.5], np.float32)
