"""Reading parts of planes from array-likes, at the resolution that is needed and no finer."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.regions import Region
from napari_sam2_openvino.core.types import PlaneIndex

# Values that are held at once while a large region is averaged.
SLAB_VALUES = 1 << 24
# Planes of at most this many pixels are measured whole, larger ones by tiles on a grid.
WHOLE_PIXELS = 1 << 24
TILES_PER_SIDE = 16
TILE_SIDE = 128

Span = tuple[float, float]


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

    Read from the coarsest level that is fine enough, in slabs, so that memory follows the result.
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
        self._is_rgb = is_rgb
        self.hw = int(data.shape[axes[0]]), int(data.shape[axes[1]])
        self.chunk_rows = _chunk_length(data, axes[0])

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
        return pixels[..., :3] if self._is_rgb else pixels


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


def _average(
    source: _Source, rows: Span, columns: Span, out_hw: tuple[int, int]
) -> NDArray[np.floating]:
    """Average a rectangle of fractional extent down to a size, a slab of rows at a time."""
    row_edges, row_weights = _area_weights(rows, out_hw[0], source.hw[0])
    _, column_weights = _area_weights(columns, out_hw[1], source.hw[1])
    first_row, first_column = floor(rows[0]), floor(columns[0])
    last_row = first_row + row_weights.shape[1]
    last_column = first_column + column_weights.shape[1]
    result: NDArray[np.floating] | None = None
    for start, stop in _slabs(first_row, last_row, last_column - first_column, source.chunk_rows):
        slab = source.read((start, stop), (first_column, last_column))
        values = slab.astype(_working_dtype(slab.dtype))
        if result is None:
            result = np.zeros((*out_hw, *slab.shape[2:]), values.dtype)
            row_weights = row_weights.astype(values.dtype)
            column_weights = column_weights.astype(values.dtype)
        low = max(0, int(np.searchsorted(row_edges, start, side="right")) - 1)
        high = min(out_hw[0], int(np.searchsorted(row_edges, stop, side="left")))
        part = row_weights[low:high, start - first_row : stop - first_row]
        rows_done = (part @ values.reshape(len(values), -1)).reshape(-1, *values.shape[1:])
        across = np.moveaxis(rows_done, 1, 0)
        done = column_weights @ across.reshape(len(across), -1)
        result[low:high] += np.moveaxis(done.reshape(-1, *across.shape[1:]), 0, 1)
    assert result is not None
    return result


def _working_dtype(dtype: np.dtype[Any]) -> type[np.floating]:
    # Doubles keep 32-bit integers apart.
    is_exact = dtype.itemsize <= 2 or (dtype.kind == "f" and dtype.itemsize == 4)
    return np.float32 if is_exact else np.float64


def _slabs(first: int, last: int, row_values: int, chunk_rows: int) -> Iterator[tuple[int, int]]:
    """Cut rows into slabs of whole chunks, so that no chunk is decoded twice."""
    rows = max(1, SLAB_VALUES // max(1, row_values))
    rows = max(chunk_rows, rows // chunk_rows * chunk_rows)
    start = first
    while start < last:
        stop = min(last, (start // rows + 1) * rows)
        yield start, stop
        start = stop


def _area_weights(span: Span, n_out: int, n_in: int) -> tuple[NDArray[np.float64], Any]:
    """Return what each source pixel adds to each output pixel of equal extent, as sparse rows.

    Returns
    -------
    edges : ndarray of float64, shape (n_out + 1,)
        Of the output pixels, in source pixels.
    weights : csr_array of float64, shape (n_out, n)
        For the source pixels from ``floor(span[0])`` on.
    """
    from scipy.sparse import csr_array

    edges = np.linspace(*span, n_out + 1)
    first = floor(span[0])
    stop = min(n_in, ceil(span[1] - 1e-6))
    low = np.clip(np.floor(edges[:-1] + 1e-6).astype(int), first, stop - 1)
    high = np.clip(np.ceil(edges[1:] - 1e-6).astype(int), low + 1, stop)
    counts = high - low
    starts = np.concatenate([[0], np.cumsum(counts)])
    outputs = np.repeat(np.arange(n_out), counts)
    inputs = np.arange(starts[-1]) - starts[outputs] + low[outputs]
    overlap = np.minimum(inputs + 1, edges[outputs + 1]) - np.maximum(inputs, edges[outputs])
    overlap = np.maximum(overlap, 1e-9)
    total = np.bincount(outputs, overlap, minlength=n_out)
    weights = overlap / total[outputs]
    return edges, csr_array((weights, inputs - first, starts), shape=(n_out, stop - first))
