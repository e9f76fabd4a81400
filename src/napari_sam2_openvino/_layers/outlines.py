"""Outlines of many objects, drawn over each other as one picture; for a worker."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.plane_box import Box

OutlineKind = Literal["current", "other", "hover"]
"""Whose outline it is: the current object's, another's, or of what lies under the pointer."""

# A higher value lies on top.
VALUES: dict[OutlineKind, int] = {"other": 1, "hover": 2, "current": 3}
# The second cue beside the colour: which part of a line is drawn, in dashes of a period.
_DASHES: dict[OutlineKind, tuple[int, int]] = {
    "other": (2, 3),
    "hover": (1, 2),
    "current": (1, 1),
}
# Objects that lie further apart are drawn coarser: memory does not grow with the plane.
MOST_PIXELS = 4096


@dataclass(frozen=True, eq=False)
class Outline:
    """The outline of one object.

    Parameters
    ----------
    kind : {"current", "other", "hover"}
        Each has a colour and a dash of its own, and the current object's lies on top.
    pixels : ndarray of int32, shape (2, n)
        Rows and columns in the plane.
    box : Box
        Holds all pixels.
    """

    kind: OutlineKind
    pixels: NDArray[np.int32]
    box: Box

    @property
    def key(self) -> tuple[OutlineKind, int]:
        """Tells outlines apart while they are alive."""
        return self.kind, id(self.pixels)


@dataclass(frozen=True, eq=False)
class Drawing:
    """Outlines of a plane, drawn over each other.

    Parameters
    ----------
    outlines : tuple of Outline
        What is drawn.
    pixels : ndarray of unsigned integers, shape (h, w)
        What `VALUES` says of the outline on top, 0 where there is none. Not changed any more.
    origin : tuple of int
        (row, column) in the plane of the first pixel.
    step : int
        Pixels of the plane to a pixel of the drawing, along each axis.
    """

    outlines: tuple[Outline, ...]
    pixels: NDArray[np.unsignedinteger[Any]]
    origin: tuple[int, int] = (0, 0)
    step: int = 1

    @property
    def keys(self) -> frozenset[tuple[OutlineKind, int]]:
        """Of all that is drawn."""
        return frozenset(each.key for each in self.outlines)


NOTHING = Drawing((), np.zeros((0, 0), np.uint8))


def draw_outlines(
    outlines: Sequence[Outline], plane_hw: tuple[int, int], before: Drawing = NOTHING
) -> Drawing:
    """Draw outlines, and return the same whatever their order and whatever was drawn before.

    Parameters
    ----------
    outlines : sequence of Outline
    plane_hw : tuple of int
        Height and width of the plane in pixels: dashes are as long as fits it.
    before : Drawing, optional
        Of the same plane: where nothing of it has gone, only what is new is drawn.

    Returns
    -------
    Drawing
        No larger than the objects.
    """
    drawn = tuple(each for each in outlines if each.pixels.size)
    if not drawn:
        return NOTHING
    box = Box.around(each.box for each in drawn)
    step = -(-max(box.hw) // MOST_PIXELS)
    pixels = np.zeros([-(-side // step) for side in box.hw], np.uint8)
    there = before.keys
    if before.step == step and there <= {each.key for each in drawn} and _fits(before, box, step):
        _paste(pixels, before, box)
    else:
        there = frozenset()
    dash = max(2, round(max(plane_hw) / 256))
    for each in _bottom_first(each for each in drawn if each.key not in there):
        _draw(pixels, each, box, step, dash)
    return Drawing(drawn, pixels, box.origin, step)


def _fits(before: Drawing, box: Box, step: int) -> bool:
    """Whether pixels of a drawing are pixels of one that fills a box."""
    offset = np.subtract(before.origin, box.origin)
    return bool(before.pixels.size == 0 or not (offset % step).any())


def _paste(pixels: NDArray[np.uint8], before: Drawing, box: Box) -> None:
    if before.pixels.size:
        row, column = np.subtract(before.origin, box.origin) // before.step
        height, width = before.pixels.shape
        pixels[row : row + height, column : column + width] = before.pixels


def _bottom_first(outlines: Iterable[Outline]) -> list[Outline]:
    return sorted(outlines, key=lambda each: VALUES[each.kind])


def _draw(pixels: NDArray[np.uint8], outline: Outline, box: Box, step: int, dash: int) -> None:
    drawn, period = _DASHES[outline.kind]
    rows, columns = outline.pixels
    if drawn < period:
        # Fixed to the plane, so that dashes stay where they are while an object grows; steeper in
        # rows than in columns: few edges run along such lines for long.
        is_drawn = (2 * rows + columns) // dash % period < drawn
        rows, columns = rows[is_drawn], columns[is_drawn]
    rows, columns = rows - box.row, columns - box.column
    if step > 1:
        rows, columns = rows // step, columns // step
    value = np.uint8(VALUES[outline.kind])
    pixels[rows, columns] = np.maximum(pixels[rows, columns], value)
