"""Where every object of a large plane is looked for: tiles that overlap, fine ones and coarse ones.

A plane that one encode resolves well is searched whole. A larger one is cut into *cores*, so that
each pixel belongs to one. Around its core a tile shows the model a halo, and its points lie in its
core: an object that holds a point and is a little smaller than the halo lies whole in that tile,
whatever seams run through it. So nothing has to be put together of halves. A mask that reaches an
edge of its tile inside the plane is dropped: it is larger than the halo, or wrong.

What is larger is looked for by the same rule in tiles of twice the side, read at half the
resolution, and so on, up to `LARGEST_STEP`. There only masks count that are too large to be sure of
in the finer tiles, and where both found the same, the finer mask wins. Each level costs a quarter
of the one before.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.crops import EDGE_TOLERANCE, Crop
from napari_sam2_openvino.core.object_parameters import TilingParameters
from napari_sam2_openvino.core.regions import WHOLE_FACTOR, Region

# What a tile shows of its surroundings, on each side, as a share of its own side. Encodes are
# few beside decoded points, and each point is decoded once whatever the halo.
HALO = 1 / 4
# The coarsest tiles are this many times as large as what the model sees: beyond, masks at full
# resolution would fill the memory.
LARGEST_STEP = 8
# Coarse tiles become all of the plane if that is no more than this many times as long.
_NEARLY_WHOLE = 3 / 2


@dataclass(frozen=True)
class Tile:
    """A part of a plane that is encoded on its own, and where in it points are put.

    Parameters
    ----------
    region : Region
        What is encoded.
    core : tuple of float
        (x0, y0, x1, y1) in pixels of the plane; x1 and y1 are not part of it.
    side : int
        Of the tiles of this level, in pixels; tiles at the border may be cut.
    plane_hw : tuple of int
        Height and width of the plane in pixels.
    level : int, optional
        0 for the finest tiles, 1 for those of twice the side, and so on.
    least_side : float, optional
        Masks whose box is shorter on both sides, in pixels, are left to finer tiles.
    """

    region: Region
    core: tuple[float, float, float, float]
    side: int
    plane_hw: tuple[int, int]
    level: int = 0
    least_side: float = 0

    @property
    def crop(self) -> Crop:
        """What is encoded, as the generator calls it."""
        region = self.region
        x1, y1 = region.column + region.width, region.row + region.height
        return Crop(self.level, region.column, region.row, x1, y1)

    def points(self, points_per_side: int) -> NDArray[np.float64]:
        """Return the points of this tile: those in its core of a grid over the whole plane.

        So points are as dense at the seams as elsewhere.

        Parameters
        ----------
        points_per_side : int
            Points along the side of a tile.

        Returns
        -------
        ndarray of float64, shape (n, 2)
            (x, y) in [0, 1], as shares of the tile.
        """
        y, x = (
            (np.arange(count) + 0.5) * (length / count)
            for length in self.plane_hw
            for count in [max(1, round(length * points_per_side / self.side))]
        )
        x0, y0, x1, y1 = self.core
        x, y = x[(x >= x0) & (x < x1)], y[(y >= y0) & (y < y1)]
        grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
        return np.asarray((grid - (self.region.column, self.region.row)) / self.region.hw[::-1])


def plan_tiles(
    plane_hw: tuple[int, int], image_size: int, parameters: TilingParameters
) -> tuple[Tile, ...]:
    """Return the tiles of a plane; one if it is searched whole.

    Parameters
    ----------
    plane_hw : tuple of int
        Height and width of the plane in pixels.
    image_size : int
        S, the model's side in pixels.
    parameters : TilingParameters

    Returns
    -------
    tuple of Tile
        Fine ones first, row by row. The cores of each level cover the plane without overlap.
    """
    side, longest = parameters.tile_size or image_size, max(plane_hw)
    if not parameters.use_tiles or longest <= (parameters.tile_size or WHOLE_FACTOR * image_size):
        # Up to twice the side all pixels are read, as for prompts: the same embedding.
        step = 1 if longest <= WHOLE_FACTOR * image_size else longest // image_size
        whole = Region.whole(plane_hw, step)
        return (Tile(whole, (0, 0, plane_hw[1], plane_hw[0]), longest, plane_hw),)
    tiles: list[Tile] = []
    level, least = 0, 0.0
    while True:
        if level and _NEARLY_WHOLE * side >= longest:
            side = longest
        # Smaller tiles than what the model sees are enlarged, not read more finely.
        step = max(1, side // image_size)
        tiles += _level(plane_hw, side, step, level, least)
        if side >= longest or step >= LARGEST_STEP:
            return tuple(tiles)
        # What finer tiles see whole, with some margin: a little more may be found twice.
        least = max(0.0, min(HALO * side / 2, HALO * side - EDGE_TOLERANCE))
        side, level = 2 * side, level + 1


def _level(plane_hw: tuple[int, int], side: int, step: int, level: int, least: float) -> list[Tile]:
    rows, columns = (_spans(length, side, step) for length in plane_hw)
    return [
        Tile(
            Region(row.start, column.start, row.length, column.length, step),
            (column.core[0], row.core[0], column.core[1], row.core[1]),
            side,
            plane_hw,
            level,
            least,
        )
        for row in rows
        for column in columns
    ]


@dataclass(frozen=True)
class _Span:
    """A tile along one axis, and the part of it that is its core."""

    start: int
    length: int
    core: tuple[float, float]


def _spans(length: int, side: int, step: int) -> list[_Span]:
    """Return tiles along one axis, equally far apart, that overlap by two halos or more."""
    if length <= side:
        return [_Span(0, length, (0, length))]
    # Starts lie on pixels that are read, so they may be a step nearer to each other than planned.
    stride = max(1, int((1 - 2 * HALO) * side))
    count = 1 - (side - length) // stride
    starts = [(length - side) * number // (count - 1) // step * step for number in range(count)]
    ends = [start + side for start in starts[:-1]] + [length]
    seams = [(end + start) / 2 for end, start in zip(ends[:-1], starts[1:], strict=True)]
    edges = [0, *seams, length]
    return [
        _Span(start, end - start, (edges[number], edges[number + 1]))
        for number, (start, end) in enumerate(zip(starts, ends, strict=True))
    ]
