"""Outlines of masks along the edges of their pixels: nothing is lost, nothing is rounded.

A pixel (row, column) covers x from column to column + 1 and y from row to row + 1, as in QuPath,
ImageJ and COCO. napari's integer coordinates are centres of pixels: half a pixel less.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.marks import MaskCut

Ring = NDArray[np.int64]
"""Corners (x, y), shape (n, 2), each once: the first follows the last."""

# (row, column) of one step East, South, West and North: each a turn to the right of the one before.
_STEPS = ((0, 1), (1, 0), (0, -1), (-1, 0))


@dataclass(frozen=True, eq=False)
class Polygon:
    """One connected piece of an object.

    Rings touch themselves nowhere and each other in corners at most, so that the polygon is valid
    in the sense of OGC's Simple Features.

    Parameters
    ----------
    exterior : ndarray of int64, shape (n, 2)
        Corners (x, y) in pixels of the plane, with a positive signed area.
    holes : tuple of ndarray of int64, shape (m, 2)
        With a negative signed area.
    """

    exterior: Ring
    holes: tuple[Ring, ...] = ()


def polygons_of(cut: MaskCut) -> tuple[Polygon, ...]:
    """Return the outline of an object, a polygon for each piece.

    Pixels that only share a corner are separate pieces.

    Parameters
    ----------
    cut : MaskCut

    Returns
    -------
    tuple of Polygon
        Together they cover the pixels of the mask, and nothing else.
    """
    from scipy.ndimage import label

    pieces, count = label(cut.mask)
    exteriors: list[Ring | None] = [None] * count
    holes: list[list[Ring]] = [[] for _ in range(count)]
    offset = np.array(cut.origin[::-1])
    for corners, (row, column) in _trace(cut.mask):
        piece = pieces[row, column] - 1
        for ring in _simple(corners):
            if signed_area(ring) > 0:
                exteriors[piece] = ring + offset
            else:
                holes[piece].append(ring + offset)
    return tuple(
        Polygon(exterior, tuple(inner))
        for exterior, inner in zip(exteriors, holes, strict=True)
        if exterior is not None
    )


def polygons_without_holes(cut: MaskCut) -> tuple[Polygon, ...]:
    """Return an object as polygons of which none has a hole, for formats that know none.

    Where there is a hole the object is cut along the row in which it begins.
    """
    todo = [cut]
    done: list[Polygon] = []
    while todo:
        part = todo.pop()
        polygons = polygons_of(part)
        starts = [int(hole[:, 1].min()) for each in polygons for hole in each.holes]
        if not starts:
            done.extend(polygons)
            continue
        row, column = part.origin
        height = min(starts) - row
        todo.append(MaskCut(part.mask[height:], (row + height, column)))
        todo.append(MaskCut(part.mask[:height], part.origin))
    return tuple(done)


def signed_area(ring: Ring) -> float:
    """Return the area of a ring in pixels: positive if x turns to y, as exteriors here do."""
    x, y = ring.T
    return float(np.dot(x, np.roll(y, -1)) - np.dot(np.roll(x, -1), y)) / 2


def _trace(mask: NDArray[np.bool_]) -> Iterator[tuple[Ring, tuple[int, int]]]:
    """Walk along the edges between mask and background, the mask to the right.

    Yields the corners (x, y) of each closed walk and a pixel (row, column) of the mask beside it.
    """
    padded = np.pad(mask, 1)
    inside = padded[1:-1, 1:-1]
    neighbours = (padded[:-2, 1:-1], padded[1:-1, 2:], padded[2:, 1:-1], padded[1:-1, :-2])
    # Where the edge of a pixel begins, as seen from its upper left corner.
    begins = ((0, 0), (0, 1), (1, 1), (1, 0))
    shape = mask.shape[0] + 1, mask.shape[1] + 1
    number = np.full((4, *shape), -1, np.int64)
    places: list[NDArray[np.int64]] = []
    for heading, (neighbour, begin) in enumerate(zip(neighbours, begins, strict=True)):
        rows, columns = np.nonzero(inside & ~neighbour)
        rows, columns = rows + begin[0], columns + begin[1]
        first = sum(map(len, places))
        number[heading, rows, columns] = np.arange(first, first + len(rows))
        places.append(np.column_stack([np.full(len(rows), heading), rows, columns]))
    edges = np.concatenate(places)
    following = _following(edges, number)
    yield from _walks(edges, following, begins)


def _following(edges: NDArray[np.int64], number: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the edge after each: to the right where there are two, so that pieces stay apart."""
    heading = edges[:, 0]
    ends = edges[:, 1:] + np.array(_STEPS)[heading]
    following = np.full(len(edges), -1, np.int64)
    for turn in (3, 0, 1):
        found = number[(heading + turn) % 4, ends[:, 0], ends[:, 1]]
        following = np.where(found >= 0, found, following)
    return following


def _walks(
    edges: NDArray[np.int64], following: NDArray[np.int64], begins: tuple[tuple[int, int], ...]
) -> Iterator[tuple[Ring, tuple[int, int]]]:
    is_corner = np.empty(len(edges), bool)
    is_corner[following] = edges[following, 0] != edges[:, 0]
    corner, after = is_corner.tolist(), following.tolist()
    is_done = bytearray(len(after))
    for start in range(len(after)):
        if is_done[start]:
            continue
        walk, edge = [], start
        while not is_done[edge]:
            is_done[edge] = 1
            if corner[edge]:
                walk.append(edge)
            edge = after[edge]
        heading, row, column = edges[start].tolist()
        pixel = row - begins[heading][0], column - begins[heading][1]
        yield edges[walk][:, :0:-1], pixel


def _simple(corners: Ring) -> Iterator[Ring]:
    """Cut a walk that comes back to a corner into rings that do not."""
    path: list[tuple[int, int]] = []
    seen: dict[tuple[int, int], int] = {}
    for corner in map(tuple, corners.tolist()):
        if corner in seen:
            loop = path[seen[corner] :]
            del path[seen[corner] :]
            for each in loop:
                del seen[each]
            yield np.array(loop)
        seen[corner] = len(path)
        path.append(corner)
    yield np.array(path)
