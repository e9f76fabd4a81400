"""The layer that shows outlines of objects that are not committed yet.

Only napari's public API is used.
"""

from typing import Any

import numpy as np
from napari.layers import Image, Labels, Layer
from napari.utils.colormaps import CyclicLabelColormap
from numpy.typing import NDArray

from napari_sam2_openvino._layers.outlines import Drawing, OutlineKind
from napari_sam2_openvino._layers.planes import affine_matrix
from napari_sam2_openvino.core.types import PlaneIndex

# Of Okabe and Ito's set, and other colours than those of prompts.
PREVIEW_COLOR = "#f0e442"
OUTLINE_COLORS: dict[OutlineKind, str] = {
    "other": "#009e73",
    "hover": "#cc79a7",
    "current": PREVIEW_COLOR,
}
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


def new_found_layer(image: Image) -> Labels:
    """Make the layer that shows the objects that were found, filled, before they are committed."""
    return Labels(
        np.zeros((1,) * image.ndim, np.uint8),
        name=f"{image.name} found",
        opacity=0.5,
        affine=affine_matrix(image),
        units=image.units,
        axis_labels=image.axis_labels,
        metadata={_OURS: _PREVIEW},
    )


def show_found(
    layer: Labels, image: Image, plane: PlaneIndex, labels: NDArray[np.unsignedinteger[Any]]
) -> None:
    """Show objects on a plane.

    Parameters
    ----------
    layer : Labels
        From `new_found_layer`.
    image : Image
    plane : PlaneIndex
    labels : ndarray of integers, shape (H, W)
        Of the whole plane.
    """
    show_drawing(layer, image, plane, Drawing((), labels))


def is_preview(layer: Layer) -> bool:
    """Whether a layer is a preview of ours, which nothing is committed to."""
    return bool(layer.metadata.get(_OURS) == _PREVIEW)


def show_drawing(preview: Labels, image: Image, plane: PlaneIndex, drawing: Drawing) -> None:
    """Show outlines on a plane. The layer covers no more than the objects, so this is quick.

    Parameters
    ----------
    preview : Labels
        From `new_preview_layer`.
    image : Image
    plane : PlaneIndex
    drawing : Drawing
    """
    if not drawing.pixels.size:
        hide_preview(preview)
        return
    row, column = plane.displayed
    shape = np.ones(image.ndim, int)
    shape[[row, column]] = drawing.pixels.shape
    pixels = drawing.pixels.T if plane.transposed else drawing.pixels
    preview.data = pixels.reshape(tuple(shape))
    matrix = _placed(image, plane, drawing)
    if not np.array_equal(affine_matrix(preview), matrix):
        preview.affine = matrix


def _placed(image: Image, plane: PlaneIndex, drawing: Drawing) -> NDArray[np.float64]:
    """Return what carries pixels of a drawing to the world."""
    row, column = plane.displayed
    offset = np.array([value or 0 for value in plane.index], float)
    # The middle of the pixels that one of the drawing stands for.
    offset[[row, column]] = np.add(drawing.origin, (drawing.step - 1) / 2)
    matrix = affine_matrix(image)
    matrix[:-1, -1] += matrix[:-1, :-1] @ offset
    matrix[:-1, [row, column]] *= drawing.step
    return matrix


def hide_preview(preview: Labels) -> None:
    """Show nothing in a preview layer."""
    if preview.data.size > 1 or preview.data.any():
        preview.data = np.zeros((1,) * preview.ndim, np.uint8)
