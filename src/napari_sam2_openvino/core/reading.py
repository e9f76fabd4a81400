"""Reading parts of planes from array-likes, at the resolution that is needed and no finer."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.regions import Region
from napari_sam2_openvino.core.types import PlaneIndex

# Values that are held at once while a large region is averaged.
BLOCK_VALUES = 1 << 22
# Planes of at most this many pixels are measured whole, larger ones by tiles on a grid.
WHOLE_PIXELS = 1 << 24
TILES_PER_SIDE = 8
TILE_SIDE = 256

Span = tuple[float, float]

# Overlaps of pixels below this come from rounding.
_TINY = 1e-6


@dataclass(frozen=True, eq=False)
class ImageArrays:
    """The pixels of an image, which are read in parts.

    Parameters
    ----------
    levels : sequence of array-like
        Full resolution first, then coarser versions of the same extent. Anything with ``shape``,
        ``dtype`` and basic indexing: numpy, memmap, dask, zarr, ...
    key : hashable
        Equal keys promise equal pixels.
    name : str, optional
        What sentences call the image.
    is_rgb : bool, optional
        Whether the last axis holds red, green, blue and perhaps alpha.
    """

    levels: Sequence[Any]
    key: Hashable
    name: str = "The image"
    is_rgb: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape in pixels at full resolution, without RGB's channel axis."""
        return self._spatial(self.levels[0])

    @property
    def dtype(self) -> np.dtype[Any]:
        """What a pixel is."""
        dtype: np.dtype[Any] = np.dtype(self.levels[0].dtype)
        return dtype

    def factors(self, level: int) -> tuple[float, ...]:
        """Return how many pixels of full resolution one pixel of a level spans, by axis."""
        coarse = self._spatial(self.levels[level])
        return tuple(full / part for full, part in zip(self.shape, coarse, strict=True))

    def _spatial(self, level: Any) -> tuple[int, ...]:
        shape = tuple(int(length) for length in level.shape)
        return shape[:-1] if self.is_rgb else shape


def read_region(image: ImageArrays, plane: PlaneIndex, region: Region) -> NDArray[Any]:
    """Read a region of a plane, averaged down to one pixel for each ``region.step``.

    Read from the coarsest level that is fine enough, in blocks, so that memory follows the result.
    At step 1 pixels are returned as they are.

    Returns
    -------
    ndarray, shape (h, w) or (h, w, 3)
        As the viewer shows it: rows are the first displayed axis. h and w are height and width of
        the region divided by its step, rounded up; the first and the last pixel share the edges of
        the region.

    Raises
    ------
    InputError
        If the data cannot be read.
    """
    row_axis, column_axis = plane.displayed
    level = _level_for(image, (row_axis, column_axis), region.step)
    factors = image.factors(level)
    index: list[Any] = [
        None if value is None else int((value + 0.5) / factor)
        for value, factor in zip(plane.index, factors, strict=True)
    ]
    rows = _scaled(region.row, region.height, factors[row_axis])
    columns = _scaled(region.column, region.width, factors[column_axis])
    source = _Source(image.levels[level], index, (row_axis, column_axis), image.is_rgb)
    out_hw = ceil(region.height / region.step), ceil(region.width / region.step)
    if _is_exact(rows, out_hw[0]) and _is_exact(columns, out_hw[1]):
        return source.read(_whole(rows), _whole(columns))
    return _average(source, rows, columns, out_hw)


def sample_plane(image: ImageArrays, plane: PlaneIndex, max_pixels: int) -> list[NDArray[Any]]:
    """Read as much of a plane as tells how bright it is, at full resolution.

    Parameters
    ----------
    image : ImageArrays
    plane : PlaneIndex
    max_pixels : int
        Planes of at most this many pixels are read whole, of others tiles on a regular grid,
        together about as many. The same pixels, whatever the data are kept in.

    Returns
    -------
    list of ndarray
    """
    axes = plane.displayed
    height, width = (image.shape[axis] for axis in axes)
    source = _Source(image.levels[0], list(plane.index), axes, image.is_rgb)
    if height * width <= max_pixels:
        return [source.read((0, height), (0, width))]
    per_side = max(1, min(TILES_PER_SIDE, int((max_pixels / TILE_SIDE**2) ** 0.5)))
    return [
        source.read(rows, columns)
        for rows in _tiles(height, per_side)
        for columns in _tiles(width, per_side)
    ]


class _Source:
    """One plane of one level, of which rectangles are read."""

    def __init__(
        self, data: Any, index: list[int | None], axes: tuple[int, int], is_rgb: bool
    ) -> None:
        self._data = data
        self._index = index
        self._axes = axes
        self.is_rgb = is_rgb
        self.hw = int(data.shape[axes[0]]), int(data.shape[axes[1]])
        self.chunks = _chunk_length(data, axes[0]), _chunk_length(data, axes[1])
        dtype = np.dtype(data.dtype)
        # Doubles keep 32-bit integers apart.
        is_exact = dtype.itemsize <= 2 or (dtype.kind == "f" and dtype.itemsize == 4)
        self.working_dtype = np.float32 if is_exact else np.float64

    def read(self, rows: tuple[int, int], columns: tuple[int, int]) -> NDArray[Any]:
        index: list[Any] = list(self._index)
        index[self._axes[0]], index[self._axes[1]] = slice(*rows), slice(*columns)
        try:
            pixels = np.asarray(self._data[tuple(index)])
        # The data are the user's, and so is whatever goes wrong when they are read.
        except Exception as error:
            raise InputError(
                f"The plane cannot be read ({error}): check that its file is there and whole."
            ) from error
        if self._axes[0] > self._axes[1]:
            pixels = np.swapaxes(pixels, 0, 1)
        return pixels[..., :3] if self.is_rgb else pixels


def _level_for(image: ImageArrays, axes: tuple[int, int], step: int) -> int:
    """Return the coarsest level whose pixels are no larger than a step."""
    fine_enough = [
        level
        for level in range(len(image.levels))
        if max(image.factors(level)[axis] for axis in axes) <= step * (1 + 1e-3)
    ]
    return max(fine_enough, default=0)


def _scaled(start: int, length: int, factor: float) -> Span:
    return start / factor, (start + length) / factor


def _is_exact(span: Span, n_out: int) -> bool:
    """Whether a span consists of just so many whole pixels."""
    return span[0].is_integer() and span[1].is_integer() and span[1] - span[0] == n_out


def _whole(span: Span) -> tuple[int, int]:
    return int(span[0]), int(span[1])


def _tiles(length: int, count: int) -> Iterator[tuple[int, int]]:
    for number in range(count):
        middle = (2 * number + 1) * length // (2 * count)
        start = max(0, min(middle - TILE_SIDE // 2, length - TILE_SIDE))
        yield start, min(start + TILE_SIDE, length)


def _chunk_length(data: Any, axis: int) -> int:
    chunks = getattr(data, "chunks", None)
    if not chunks:
        return 1
    lengths = chunks[axis]
    return int(max(lengths) if isinstance(lengths, tuple) else lengths)


class _Weights(NamedTuple):
    """What each source pixel along one axis adds to each output pixel."""

    first: int
    """The first source pixel that counts."""
    edges: NDArray[np.float64]
    """Of the output pixels, in source pixels."""
    matrix: Any
    """Sparse, shape (outputs, sources)."""

    @property
    def stop(self) -> int:
        return self.first + int(self.matrix.shape[1])

    def part(self, start: int, stop: int) -> tuple[slice, Any]:
        """Return which outputs a range of source pixels adds to, and its weights."""
        low = max(0, int(np.searchsorted(self.edges, start, side="right")) - 1)
        high = min(len(self.edges) - 1, int(np.searchsorted(self.edges, stop, side="left")))
        sources = slice(start - self.first, stop - self.first)
        return slice(low, high), self.matrix[low:high, sources]


def _average(
    source: _Source, rows: Span, columns: Span, out_hw: tuple[int, int]
) -> NDArray[np.floating]:
    """Average a rectangle of fractional extent down to a size, block by block."""
    down = _area_weights(rows, out_hw[0], source.hw[0])
    across = _area_weights(columns, out_hw[1], source.hw[1])
    result = np.zeros((*out_hw, 3) if source.is_rgb else out_hw, source.working_dtype)
    for row_block in _blocks(down, BLOCK_VALUES // (across.stop - across.first), source.chunks[0]):
        row_places, row_weights = down.part(*row_block)
        row_weights = row_weights.astype(result.dtype)
        per_row = BLOCK_VALUES // (row_block[1] - row_block[0])
        for column_block in _blocks(across, per_row, source.chunks[1]):
            places, weights = across.part(*column_block)
            values = source.read(row_block, column_block).astype(result.dtype)
            narrow = row_weights @ values.reshape(len(values), -1)
            turned = np.moveaxis(narrow.reshape(-1, *values.shape[1:]), 1, 0)
            small = weights.astype(result.dtype) @ turned.reshape(len(turned), -1)
            part = np.moveaxis(small.reshape(-1, *turned.shape[1:]), 0, 1)
            result[row_places, places] += part
    return result


def _blocks(weights: _Weights, length: int, chunk: int) -> Iterator[tuple[int, int]]:
    """Cut an axis into blocks of whole chunks, so that no chunk is decoded twice."""
    length = max(chunk, length // chunk * chunk)
    start = weights.first
    while start < weights.stop:
        stop = min(weights.stop, (start // length + 1) * length)
        yield start, stop
        start = stop


def _area_weights(span: Span, n_out: int, n_in: int) -> _Weights:
    """Weigh source pixels by how much of them lies in each of equally large output pixels."""
    from scipy.sparse import csr_array

    edges = np.linspace(*span, n_out + 1)
    first = floor(span[0])
    stop = min(n_in, ceil(span[1] - _TINY))
    low = np.clip(np.floor(edges[:-1] + _TINY).astype(int), first, stop - 1)
    high = np.clip(np.ceil(edges[1:] - _TINY).astype(int), low + 1, stop)
    counts = high - low
    starts = np.concatenate([[0], np.cumsum(counts)])
    outputs = np.repeat(np.arange(n_out), counts)
    inputs = np.arange(starts[-1]) - starts[outputs] + low[outputs]
    overlap = np.minimum(inputs + 1, edges[outputs + 1]) - np.maximum(inputs, edges[outputs])
    overlap = np.maximum(overlap, _TINY)
    total = np.bincount(outputs, overlap, minlength=n_out)
    matrix = csr_array(
        (overlap / total[outputs], inputs - first, starts), shape=(n_out, stop - first)
    )
    return _Weights(first, edges, matrix)
