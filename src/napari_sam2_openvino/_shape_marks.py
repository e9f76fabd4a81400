"""Shapes of napari as marks."""

from typing import Any

import numpy as np
from napari.layers import Shapes
from numpy.typing import NDArray

from napari_sam2_openvino._layers import MIN_BOX_SIDE, are_traces, is_drawing
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
    kind = _KINDS[shape_type]
    if is_too_small(kind, np.ptp(xy, axis=0)):
        return None
    vertices = tuple((x, y) for x, y in _inside(kind, xy, hw).tolist())
    return Mark(kind, vertices, is_positive or kind != "path")


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


def _inside(kind: MarkKind, xy: NDArray[np.float32], hw: tuple[int, int]) -> NDArray[np.float32]:
    """Return the vertices of a mark; boxes and scribbles are cut to the image."""
    low, high = np.float32(-0.5), np.array([hw[1] - 0.5, hw[0] - 0.5], np.float32)
    if (xy.max(axis=0) <= low).any() or (xy.min(axis=0) >= high).any():
        name = {"box": "box", "path": "scribble"}.get(kind, "lasso")
        raise InputError(
            f"The {name} lies outside the image of {hw[1]} x {hw[0]} pixels: "
            "move it inside or delete it."
        )
    if kind == "box":
        xy = np.array([xy.min(axis=0), xy.max(axis=0)])
    # To cut the outline of a lasso would bend the part of it that lies inside.
    return xy.clip(low, high) if kind in ("box", "path") else xy
