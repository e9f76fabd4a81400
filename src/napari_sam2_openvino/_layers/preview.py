"""The layer that shows outlines of objects that are not committed yet.

Only napari's public API is used.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import numpy as np
from napari.layers import Image, Labels, Layer
from napari.utils.colormaps import CyclicLabelColormap
from numpy.typing import NDArray

from napari_sam2_openvino._layers.coordinates import plane_hw
from napari_sam2_openvino._layers.planes import affine_matrix
from napari_sam2_openvino.core.types import PlaneIndex

OutlineKind = Literal["current", "other", "hover"]
"""Whose outline it is: the current object's, another's, or of what lies under the pointer."""

Outline = tuple[OutlineKind, NDArray[np.uint8], tuple[int, int]]
"""Kind, ndarray of shape (h, w), 1 on the outline and 0 elsewhere, (row, column) of its origin."""

# Of Okabe and Ito's set, and other colours than those of prompts.
PREVIEW_COLOR = "#f0e442"
OUTLINE_COLORS: dict[OutlineKind, str] = {
    "other": "#009e73",
    "hover": "#cc79a7",
    "current": PREVIEW_COLOR,
}
# The second cue: which part of a line is drawn, in dashes of a period.
_DASHES: dict[OutlineKind, tuple[int, int]] = {
    "other": (2, 3),
    "hover": (1, 2),
    "current": (1, 1),
}
# A higher value lies on top.
_VALUES: dict[OutlineKind, int] = {"other": 1, "hover": 2, "current": 3}
# The largest outline whose dashes are kept from one call to the next.
_TILE_SIDE = 512
_OURS = "napari-sam2-openvino"
_PREVIEW = "preview"


def new_preview_layer(image: Image) -> Labels:
    """Make the layer that shows the outlines of objects of an image."""
    return Labels(
        np.zeros((1,) * image.ndim, np.uint8),
        name=f"{image.name} preview",
        # Not the direct kind: napari compiles code for it, for seconds, when it is first used.
        # The first colour is the background's, which is not shown.
        colormap=CyclicLabelColormap(colors=[PREVIEW_COLOR, *OUTLINE_COLORS.values()]),
        opacity=1.0,
        affine=affine_matrix(image),
        units=image.units,
        axis_labels=image.axis_labels,
        metadata={_OURS: _PREVIEW},
    )


def is_preview(layer: Layer) -> bool:
    """Whether a layer is a preview of ours, which nothing is committed to."""
    return bool(layer.metadata.get(_OURS) == _PREVIEW)


def show_outlines(
    preview: Labels, image: Image, plane: PlaneIndex, outlines: Sequence[Outline]
) -> None:
    """Show outlines on a plane. The layer covers no more than the objects, so this is quick.

    Parameters
    ----------
    preview : Labels
        From `new_preview_layer`.
    image : Image
    plane : PlaneIndex
    outlines : sequence of (kind, ndarray, (row, column))
        Each kind has a colour and a dash of its own, and the current object's lies on top.
    """
    drawn = [each for each in outlines if each[1].size]
    if not drawn:
        hide_preview(preview)
        return
    low = np.min([origin for _, _, origin in drawn], axis=0)
    high = np.max([np.add(origin, pixels.shape) for _, pixels, origin in drawn], axis=0)
    canvas = np.zeros(high - low, np.uint8)
    dash = max(2, round(max(plane_hw(image, plane)) / 256))
    for kind, pixels, origin in drawn:
        row, column = origin[0] - low[0], origin[1] - low[1]
        window = canvas[row : row + pixels.shape[0], column : column + pixels.shape[1]]
        _draw(window, kind, pixels, origin, dash)
    _place(preview, image, plane, canvas, (int(low[0]), int(low[1])))


def _draw(
    window: NDArray[np.uint8],
    kind: OutlineKind,
    pixels: NDArray[np.uint8],
    origin: tuple[int, int],
    dash: int,
) -> None:
    # Dashes are fixed to the plane, so that they stay where they are while an object grows.
    height, width = pixels.shape
    period = dash * _DASHES[kind][1]
    row, column = origin[0] % period, origin[1] % period
    if max(height, width) <= _TILE_SIDE:
        tile = _tile(kind, dash)[row : row + height, column : column + width]
        np.maximum(window, pixels * tile, out=window)
    else:
        rows, columns = np.nonzero(pixels)
        values = _dash_values(kind, dash, rows + row, columns + column)
        window[rows, columns] = np.maximum(window[rows, columns], values)


@lru_cache(maxsize=len(_VALUES))
def _tile(kind: OutlineKind, dash: int) -> NDArray[np.uint8]:
    side = np.arange(_TILE_SIDE + dash * _DASHES[kind][1])
    return _dash_values(kind, dash, side[:, None], side)


def _dash_values(
    kind: OutlineKind, dash: int, rows: NDArray[np.int_], columns: NDArray[np.int_]
) -> NDArray[np.uint8]:
    drawn, period = _DASHES[kind]
    # Steeper in rows than in columns: few edges run along such lines for long.
    is_drawn = (2 * rows + columns) // dash % period < drawn
    return np.where(is_drawn, _VALUES[kind], 0).astype(np.uint8)


def _place(
    preview: Labels,
    image: Image,
    plane: PlaneIndex,
    pixels: NDArray[np.uint8],
    origin: tuple[int, int],
) -> None:
    row, column = plane.displayed
    offset = np.array([value or 0 for value in plane.index], float)
    offset[[row, column]] = origin
    shape = np.ones(image.ndim, int)
    shape[[row, column]] = pixels.shape
    matrix = affine_matrix(image)
    matrix[:-1, -1] += matrix[:-1, :-1] @ offset
    preview.data = (pixels.T if plane.transposed else pixels).reshape(tuple(shape))
    if not np.array_equal(affine_matrix(preview), matrix):
        preview.affine = matrix


def hide_preview(preview: Labels) -> None:
    """Show nothing in a preview layer."""
    if preview.data.any():
        preview.data = np.zeros((1,) * preview.ndim, np.uint8)
