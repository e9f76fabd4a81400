"""Compressed TIFF stacks as arrays of which only the tiles that are asked for are unpacked."""

import threading
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import tifffile


class TiffPages:
    """A series of a TIFF file, read in parts while the file is open.

    tifffile offers the same by way of zarr, but that need not be installed.

    Parameters
    ----------
    series : tifffile.TiffPageSeries
        For which `can_read` is true.
    """

    def __init__(self, series: "tifffile.TiffPageSeries") -> None:
        self._series = series
        self._keyframe = series.keyframe
        self.shape = tuple(int(length) for length in series.shape)
        self.dtype = np.dtype(series.dtype)
        self.ndim = len(self.shape)
        self._lead = self.shape[: self.ndim - len(self._keyframe.shape)]
        self.chunks = (1,) * len(self._lead) + tuple(self._keyframe.chunks)

    @staticmethod
    def can_read(series: "tifffile.TiffPageSeries") -> bool:
        """Whether each page is a plane, as one image or with its colours side by side."""
        keyframe = series.keyframe
        page = tuple(keyframe.shape)
        lead = tuple(series.shape)[: len(series.shape) - len(page)]
        return (
            tuple(series.shape)[len(lead) :] == page
            and len(page) == (2 if keyframe.samplesperpixel == 1 else 3)
            and keyframe.planarconfig == 1
            and len(series.pages) == prod(lead)
        )

    def __getitem__(self, index: Any) -> NDArray[Any]:
        """Read a part, given by whole numbers and slices of step 1."""
        places = index if isinstance(index, tuple) else (index,)
        places = places + (slice(None),) * (self.ndim - len(places))
        ranges = [
            range(*place.indices(length)) if isinstance(place, slice) else range(place, place + 1)
            for place, length in zip(places, self.shape, strict=True)
        ]
        n_lead = len(self._lead)
        counts = [len(each) for each in ranges]
        result = np.zeros(counts, self.dtype)
        for place in np.ndindex(*counts[:n_lead]):
            page = [each[number] for each, number in zip(ranges[:n_lead], place, strict=True)]
            number = int(np.ravel_multi_index(page, self._lead)) if page else 0
            self._read_page(number, ranges[n_lead:], result[place])
        kept = [number for number, each in enumerate(places) if isinstance(each, slice)]
        return result.reshape([counts[axis] for axis in kept])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Read everything."""
        return self[:] if dtype is None else self[:].astype(dtype)

    def _read_page(self, number: int, ranges: list[range], result: NDArray[Any]) -> None:
        """Unpack the tiles, or strips, that a rectangle of a page lies in."""
        page = self._series.pages[number]
        rows, columns = ranges[:2]
        if page is None or not len(rows) or not len(columns):
            return
        height, width = self._keyframe.chunks[:2]
        per_row = -(-self._keyframe.shape[1] // width)
        numbers = [
            row * per_row + column
            for row in range(rows[0] // height, rows[-1] // height + 1)
            for column in range(columns[0] // width, columns[-1] // width + 1)
        ]
        tables = page.jpegtables
        segments = page.parent.filehandle.read_segments(
            [page.dataoffsets[each] for each in numbers],
            [page.databytecounts[each] for each in numbers],
            indices=numbers,
        )
        for data, each in segments:
            pixels, (_, _, top, left, _), _ = page.decode(data, each, jpegtables=tables)
            if pixels is None:
                continue
            tile = pixels[0] if len(ranges) == 3 else pixels[0, ..., 0]
            self._paste(tile, (top, left), ranges, result)

    @staticmethod
    def _paste(
        tile: NDArray[Any], origin: tuple[int, int], ranges: list[range], result: NDArray[Any]
    ) -> None:
        source, target = [], []
        for start, length, wanted in zip(origin, tile.shape[:2], ranges[:2], strict=True):
            low, high = max(start, wanted[0]), min(start + length, wanted[-1] + 1)
            source.append(slice(low - start, high - start))
            target.append(slice(low - wanted[0], high - wanted[0]))
        if len(ranges) == 3:
            source.append(slice(ranges[2][0], ranges[2][-1] + 1))
            target.append(slice(None))
        result[tuple(target)] = tile[tuple(source)]


class PagesOfFiles(TiffPages):
    """A series whose pages lie in several files, read page by page; safe to use from threads.

    A page is unpacked whole, and the last one is kept, as its parts are often read one by one.

    Parameters
    ----------
    series : tifffile.TiffPageSeries
        For which `can_read` is true.
    """

    # Levels of an image share files, which are opened and closed for each page.
    _lock = threading.Lock()

    def __init__(self, series: "tifffile.TiffPageSeries") -> None:
        super().__init__(series)
        self.chunks = (1,) * len(self._lead) + tuple(self._keyframe.shape)
        self._last: tuple[int, NDArray[Any]] | None = None

    @staticmethod
    def is_needed(series: "tifffile.TiffPageSeries") -> bool:
        """Whether pages of the finest level lie elsewhere than in the file that was opened."""
        return series.is_multifile or series.keyframe.parent is not series.parent

    def _read_page(self, number: int, ranges: list[range], result: NDArray[Any]) -> None:
        if all(len(each) for each in ranges):
            with self._lock:
                pixels = self._page(number)
            if pixels is not None:
                result[...] = pixels[tuple(slice(each[0], each[-1] + 1) for each in ranges)]

    def _page(self, number: int) -> NDArray[Any] | None:
        page = self._series.pages[number]
        if page is None:
            return None
        if self._last is None or self._last[0] != number:
            self._last = None
            file = page.parent.filehandle
            was_closed = file.closed
            if was_closed:
                file.open()
            try:
                self._last = number, page.asarray()
            finally:
                if was_closed:
                    file.close()
        return self._last[1]
