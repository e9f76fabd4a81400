"""From low-resolution logits to pixels of the image, as SAM 2 resizes them; pure functions."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]

# Logits in the size of the image that are held at once: they stay in a core's cache.
_STRIP_PIXELS = 1 << 16


class _Taps(NamedTuple):
    """For each output sample, its two source samples and the weight of the second."""

    low: NDArray[np.intp]
    high: NDArray[np.intp]
    weight: Float

    def part(self, span: slice) -> "_Taps":
        return _Taps(self.low[span], self.high[span], self.weight[span])


def _taps(n_in: int, n_out: int, first: int = 0, stop: int | None = None) -> _Taps:
    """Return the taps of the outputs ``first`` to ``stop``, of all ``n_out`` by default."""
    outputs = np.arange(first, n_out if stop is None else stop)
    source = np.maximum((outputs + 0.5) * (n_in / n_out) - 0.5, 0.0)
    low = np.minimum(source.astype(np.intp), n_in - 1)
    return _Taps(low, np.minimum(low + 1, n_in - 1), (source - low).astype(np.float32))


def _reach(n_in: int, n_out: int, wanted: NDArray[np.bool_], offset: int) -> tuple[int, _Taps]:
    """Return the outputs that read at or between wanted samples: the first, and their taps.

    ``wanted`` begins at sample ``offset`` of ``n_in``. The outputs read at most one sample beyond
    the outermost wanted ones.
    """
    found = np.flatnonzero(wanted)
    lowest, highest = offset + int(found[0]), offset + int(found[-1])
    # Where they must lie by the formula of the taps, and one more against rounding.
    first = max(0, math.floor((lowest - 0.5) * n_out / n_in - 0.5) - 1)
    stop = min(n_out, math.ceil((highest + 1.5) * n_out / n_in - 0.5) + 2)
    taps = _taps(n_in, n_out, first, stop)
    reads = np.flatnonzero((taps.high >= lowest) & (taps.low <= highest))
    if not len(reads):
        return first, _taps(n_in, n_out, first, first)
    span = slice(int(reads[0]), int(reads[-1]) + 1)
    return first + span.start, taps.part(span)


def _interpolate(logits: Float, rows: _Taps, columns: _Taps) -> Float:
    """Bilinear in two steps, along columns first: the intermediate is small."""
    resized = np.empty((len(rows.low), len(columns.low)), np.float32)
    for span, values in _strips(_between_columns(logits, columns), rows):
        resized[span] = values
    return resized


def _between_columns(logits: Float, columns: _Taps) -> Float:
    # By `take`, which gives rows that are contiguous; an index gives columns that are, and
    # everything after it walks the array across memory.
    left = np.take(logits, columns.low, axis=1)
    wide = np.take(logits, columns.high, axis=1)
    wide -= left
    wide *= columns.weight
    wide += left
    return wide


def _strips(wide: Float, rows: _Taps) -> Iterator[tuple[slice, Float]]:
    """Interpolate between rows, a strip of outputs at a time.

    Yields
    ------
    span : slice
        Rows of the output.
    values : ndarray of float32
        In memory that the next strip is written to.
    """
    steps = np.zeros_like(wide)
    np.subtract(wide[1:], wide[:-1], out=steps[:-1])
    height = max(1, _STRIP_PIXELS // max(1, wide.shape[1]))
    buffers = np.empty((2, min(height, len(rows.low)), wide.shape[1]), np.float32)
    for first in range(0, len(rows.low), height):
        part = rows.part(slice(first, first + height))
        values, top = buffers[:, : len(part.low)]
        # Every index is valid; "clip" lets numpy write to the buffer without one of its own.
        np.take(wide, part.low, axis=0, out=top, mode="clip")
        np.take(steps, part.low, axis=0, out=values, mode="clip")
        values *= part.weight[:, None]
        values += top
        yield slice(first, first + len(part.low)), values


def resize_logits(logits: Float, image_hw: tuple[int, int]) -> Float:
    """Resize logits to the image (bilinear, no antialiasing, corners not aligned).

    ``torch.nn.functional.interpolate(mode="bilinear", align_corners=False)``, which Pillow and
    scikit-image do not offer when shrinking.

    Parameters
    ----------
    logits : ndarray of float32, shape (C, h, w)
    image_hw : tuple of int
        Height and width of the image in pixels.

    Returns
    -------
    ndarray of float32, shape (C, H, W)
    """
    rows, columns = (_taps(n, out) for n, out in zip(logits.shape[1:], image_hw, strict=True))
    resized = np.empty((len(logits), *image_hw), np.float32)
    for mask, target in zip(logits, resized, strict=True):
        target[:] = _interpolate(mask, rows, columns)
    return resized


def masks_from_logits(
    logits: Float, image_hw: tuple[int, int], mask_threshold: float = 0.0
) -> NDArray[np.bool_]:
    """Return ``resize_logits(logits, image_hw) > mask_threshold`` without computing the empty part.

    A bilinear value lies between its four neighbours, so only the region where a low-resolution
    logit exceeds the threshold can hold foreground: the cost follows the object, not the image.

    Parameters
    ----------
    logits : ndarray of float32, shape (C, h, w)
    image_hw : tuple of int
        Height and width of the image in pixels.
    mask_threshold : float, optional
        In logits.

    Returns
    -------
    ndarray of bool, shape (C, H, W)
    """
    masks = np.zeros((len(logits), *image_hw), bool)
    for mask, target in zip(logits, masks, strict=True):
        part, (row, column) = mask_window(mask, (0, 0), mask.shape, image_hw, mask_threshold)
        target[row : row + part.shape[0], column : column + part.shape[1]] = part
    return masks


def mask_window(
    logits: Float,
    origin: tuple[int, int],
    low_res_hw: tuple[int, ...],
    image_hw: tuple[int, int],
    mask_threshold: float = 0.0,
) -> tuple[NDArray[np.bool_], tuple[int, int]]:
    """Return the part of a mask that can hold foreground, from a window of its logits.

    Equal, bit for bit, to that part of what all the logits give, if the window holds each logit
    above the threshold and one more on every side of them.

    Parameters
    ----------
    logits : ndarray of float32, shape (h, w)
        Window of the low-resolution logits.
    origin : tuple of int
        (row, column) of the window in the low-resolution grid.
    low_res_hw : tuple of int
        Height and width of the whole grid.
    image_hw : tuple of int
        Height and width of the image in pixels.
    mask_threshold : float, optional
        In logits.

    Returns
    -------
    part : ndarray of bool, shape (H, W)
        (0, 0) if there is no foreground.
    origin : tuple of int
        (row, column) of the part in the image.
    """
    window = _window(logits, origin, low_res_hw, image_hw, mask_threshold)
    if window is None:
        return np.zeros((0, 0), bool), (0, 0)
    part = np.empty(window.hw, bool)
    for span, values in _strips(_between_columns(logits, window.columns), window.rows):
        np.greater(values, np.float32(mask_threshold), out=part[span])
    return part, window.origin


def logits_window(
    logits: Float,
    origin: tuple[int, int],
    low_res_hw: tuple[int, ...],
    image_hw: tuple[int, int],
    mask_threshold: float = 0.0,
) -> tuple[Float, tuple[int, int]]:
    """Return the part of the resized logits that can exceed a threshold; see `mask_window`."""
    window = _window(logits, origin, low_res_hw, image_hw, mask_threshold)
    if window is None:
        return np.zeros((0, 0), np.float32), (0, 0)
    return _interpolate(logits, window.rows, window.columns), window.origin


class _Window(NamedTuple):
    """The part of the image that can exceed a threshold."""

    origin: tuple[int, int]
    """(row, column) of the part in the image."""
    rows: _Taps
    """Of the part, into the window of the logits."""
    columns: _Taps

    @property
    def hw(self) -> tuple[int, int]:
        return len(self.rows.low), len(self.columns.low)


def _window(
    logits: Float,
    origin: tuple[int, int],
    low_res_hw: tuple[int, ...],
    image_hw: tuple[int, int],
    threshold: float | np.float32,
) -> _Window | None:
    """Return what `mask_window` computes; None if no logit exceeds the threshold."""
    above = logits > threshold
    if not above.any():
        return None
    row, rows = _reach(low_res_hw[0], image_hw[0], np.asarray(above.any(axis=1)), origin[0])
    column, columns = _reach(low_res_hw[1], image_hw[1], np.asarray(above.any(axis=0)), origin[1])
    rows = rows._replace(low=rows.low - origin[0], high=rows.high - origin[0])
    columns = columns._replace(low=columns.low - origin[1], high=columns.high - origin[1])
    return _Window((row, column), rows, columns)


class JudgedMask(NamedTuple):
    """A mask in the size of the image, and how stable it is."""

    part: NDArray[np.bool_]
    """The part that can hold foreground; column by column in memory."""
    origin: tuple[int, int]
    """(row, column) of the part in the image."""
    stability_score: np.float32
    """NaN where both masks that it compares are empty."""


def judge_mask(
    logits: Float, image_hw: tuple[int, int], mask_threshold: float, stability_offset: float
) -> JudgedMask:
    """Resize a mask to the image and compute its stability there.

    Mask and stability are those of ``sam2.utils.amg.calculate_stability_score`` on all logits in
    the size of the image, but only those are computed that may exceed the lower threshold, a strip
    at a time: memory follows the object as pixels, never the image as logits.

    Parameters
    ----------
    logits : ndarray of float32, shape (h, w)
        Low-resolution logits.
    image_hw : tuple of int
        Height and width of the image in pixels.
    mask_threshold : float
        In logits.
    stability_offset : float
        Distance of both thresholds from the mask's, in logits; not negative.
    """
    low, high = (np.float32(mask_threshold + sign * stability_offset) for sign in (-1, 1))
    # Column by column in memory, as run lengths are made.
    logits, size = np.ascontiguousarray(logits.T), image_hw[::-1]
    window = _window(logits, (0, 0), logits.shape, size, low)
    if window is None:
        return JudgedMask(np.zeros((0, 0), bool), (0, 0), np.float32(np.nan))
    part = np.empty(window.hw, bool)
    inner = outer = 0
    for span, values in _strips(_between_columns(logits, window.columns), window.rows):
        np.greater(values, np.float32(mask_threshold), out=part[span])
        inner += int(np.count_nonzero(values > high))
        outer += int(np.count_nonzero(values > low))
    stability = np.float32(inner) / np.float32(outer) if outer else np.float32(np.nan)
    return JudgedMask(part.T, window.origin[::-1], stability)
