"""From the logits of one object to its mask, and back; the cost follows the object, not the plane.

Coordinates are (row, column) in pixels of the plane at full resolution.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.marks import MaskCut
from napari_sam2_openvino.core.mask_resizing import mask_window
from napari_sam2_openvino.core.masks import fill_holes, remove_specks, smooth
from napari_sam2_openvino.core.parameters import MaskOptions, describe
from napari_sam2_openvino.core.regions import Region

Float = NDArray[np.float32]

# A mask prompt is +-10, the logits that SAM 2 itself makes of a mask
# (``SAM2Base._use_mask_as_output``: 20 for the object, minus 10).
MASK_PROMPT_LOGIT = np.float32(10.0)


def _lowest_threshold() -> float:
    limits = describe(MaskOptions)["mask_threshold"].limits
    assert limits is not None
    return limits[0]


LOWEST_THRESHOLD = _lowest_threshold()


@dataclass(frozen=True, eq=False)
class LogitsCut:
    """Low-resolution logits of one mask, cut to what any allowed threshold can see.

    Parameters
    ----------
    logits : ndarray of float32, shape (h, w)
        Each logit above the lowest threshold of `MaskOptions`, and one more on every side; not
        clamped. (0, 0) if there is none.
    origin : tuple of int
        (row, column) of the first logit in the whole grid.
    low_res_hw : tuple of int
        Height and width of the whole grid.
    """

    logits: Float
    origin: tuple[int, int]
    low_res_hw: tuple[int, int]

    @classmethod
    def of(cls, logits: Float) -> "LogitsCut":
        """Cut the logits (H, W) of a mask; the result shares no memory with them."""
        height, width = logits.shape
        above = logits > LOWEST_THRESHOLD
        rows, columns = np.flatnonzero(above.any(axis=1)), np.flatnonzero(above.any(axis=0))
        if not len(rows):
            return cls(np.zeros((0, 0), np.float32), (0, 0), (height, width))
        top, left = max(0, int(rows[0]) - 1), max(0, int(columns[0]) - 1)
        window = logits[top : int(rows[-1]) + 2, left : int(columns[-1]) + 2]
        return cls(window.astype(np.float32, copy=True), (top, left), (height, width))

    @property
    def nbytes(self) -> int:
        """Memory held by the logits, in bytes."""
        return int(self.logits.nbytes)


def make_mask(
    logits: LogitsCut, region: Region, plane_hw: tuple[int, int], options: MaskOptions
) -> MaskCut:
    """Return the mask that logits give with some options.

    With default options it equals, bit for bit, the mask that `SAM2ImagePredictor` makes of the
    same logits for an image of the region's size. Then the outline is smoothed, holes are filled
    and specks removed, in this order.

    Parameters
    ----------
    logits : LogitsCut
    region : Region
        What was encoded.
    plane_hw : tuple of int
        Height and width of the plane in pixels; nothing lies outside it.
    options : MaskOptions
        Areas and lengths in pixels of the plane.

    Returns
    -------
    MaskCut
        In coordinates of the plane, no larger than the object.
    """
    mask, origin = mask_window(
        logits.logits, logits.origin, logits.low_res_hw, region.hw, options.mask_threshold
    )
    cut = _tight(mask, (origin[0] + region.row, origin[1] + region.column))
    if options.smoothing and cut.mask.size:
        cut = _tight(*_smoothed(cut, region, options.smoothing))
    if options.fill_holes and cut.mask.size:
        cut = MaskCut(fill_holes(cut.mask, options.fill_holes), cut.origin)
    if options.remove_specks and cut.mask.size:
        cut = _tight(remove_specks(cut.mask, options.remove_specks), cut.origin)
    return _inside(cut, plane_hw)


def _tight(mask: NDArray[np.bool_], origin: tuple[int, int]) -> MaskCut:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return MaskCut(np.zeros((0, 0), bool))
    top, left = int(rows[0]), int(columns[0])
    cut = mask[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1].copy()
    return MaskCut(cut, (origin[0] + top, origin[1] + left))


def _smoothed(
    cut: MaskCut, region: Region, radius: int
) -> tuple[NDArray[np.bool_], tuple[int, int]]:
    """Smooth with room for the outline to move, but for the region's edges, which are kept."""
    (row, column), (height, width) = cut.origin, cut.mask.shape
    top, left = min(radius, row - region.row), min(radius, column - region.column)
    bottom = min(radius, region.row + region.height - row - height)
    right = min(radius, region.column + region.width - column - width)
    padded = np.pad(cut.mask, ((top, bottom), (left, right)))
    return smooth(padded, radius), (row - top, column - left)


def _inside(cut: MaskCut, plane_hw: tuple[int, int]) -> MaskCut:
    (row, column), (height, width) = cut.origin, cut.mask.shape
    if row + height <= plane_hw[0] and column + width <= plane_hw[1]:
        return cut
    return _tight(cut.mask[: max(0, plane_hw[0] - row), : max(0, plane_hw[1] - column)], cut.origin)


def outline(mask: MaskCut, width: int) -> NDArray[np.int32]:
    """Return the pixels of the inner edge of a mask.

    Parameters
    ----------
    mask : MaskCut
    width : int
        Of the edge, in pixels of the plane.

    Returns
    -------
    ndarray of int32, shape (2, n)
        Rows and columns in the plane of the object's pixels nearer than ``width`` to its edge. Of
        an object a thin line is left, so these take less memory than an image of it.
    """
    padded = np.pad(mask.mask, width)
    height, length = mask.mask.shape
    inside = mask.mask.copy()
    for row, column in ((0, width), (2 * width, width), (width, 0), (width, 2 * width)):
        inside &= padded[row : row + height, column : column + length]
    pixels = np.array(np.nonzero(mask.mask & ~inside), np.int32)
    pixels += np.array(mask.origin, np.int32)[:, None]
    return pixels


def touches_border(mask: MaskCut, region: Region, plane_hw: tuple[int, int]) -> bool:
    """Return whether a mask reaches an edge of its region that is not an edge of the plane.

    Such an object may go on outside what the network saw.
    """
    pixels = mask.mask
    if not pixels.any():
        return False
    top, left = region.row - mask.origin[0], region.column - mask.origin[1]
    bottom, right = top + region.height - 1, left + region.width - 1
    inner_edges = (
        (region.row > 0, top, 0),
        (region.column > 0, left, 1),
        (region.row + region.height < plane_hw[0], bottom, 0),
        (region.column + region.width < plane_hw[1], right, 1),
    )
    return any(
        is_inner and 0 <= line < pixels.shape[axis] and bool(pixels.take(line, axis=axis).any())
        for is_inner, line, axis in inner_edges
    )


def mask_logits(mask: MaskCut, region: Region, size: int) -> Float:
    """Return the mask prompt that says what a mask says.

    The rule of ``SAM2Base._use_mask_as_output``: +10 on the object and -10 off it, resized by an
    antialiased bilinear filter.

    Parameters
    ----------
    mask : MaskCut
    region : Region
        What is or will be encoded; the object's part outside it is left out.
    size : int
        Side of the low-resolution grid, S / 4.

    Returns
    -------
    ndarray of float32, shape (1, size, size)
    """
    (row, column), (height, width) = mask.origin, mask.mask.shape
    rows = _antialiased(region.height, size, row - region.row, height)
    columns = _antialiased(region.width, size, column - region.column, width)
    top, left = rows.first, columns.first
    inside = mask.mask[top : top + rows.weights.shape[1], left : left + columns.weights.shape[1]]
    cover = rows.weights @ inside.astype(np.float32) @ columns.weights.T
    return ((2 * cover - 1) * MASK_PROMPT_LOGIT)[None]


class _Weights(NamedTuple):
    """Weights (n_out, n) of the samples ``first`` to ``first + n`` of a cut in each output."""

    weights: Float
    first: int


def _antialiased(n_in: int, n_out: int, offset: int, length: int) -> _Weights:
    """Return the part of a triangle filter's matrix that a cut of ``length`` samples needs.

    ``torch.nn.functional.interpolate(mode="bilinear", antialias=True)``; the cut begins at sample
    ``offset`` of ``n_in``.
    """
    scale = n_in / n_out
    support = max(scale, 1.0)
    centres = (np.arange(n_out) + 0.5) * scale
    begin, stop = max(0, offset), min(n_in, offset + length)
    samples = np.arange(begin, max(begin, stop)) + 0.5
    weights = np.maximum(0.0, 1 - np.abs(samples - centres[:, None]) / support)
    # The filter is cut off at the edges of the region: each output's weights sum to 1 there too.
    taps = centres[:, None] + np.arange(-math.ceil(support) - 1, math.ceil(support) + 2)
    taps = np.floor(taps) + 0.5
    total = np.maximum(0.0, 1 - np.abs(taps - centres[:, None]) / support)
    total[(taps < 0) | (taps > n_in)] = 0
    weights /= total.sum(axis=1)[:, None]
    return _Weights(weights.astype(np.float32), begin - offset)
