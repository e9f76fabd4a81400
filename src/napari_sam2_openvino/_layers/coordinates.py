"""Between a prompt layer's data coordinates and (x, y) pixels of a plane.

The one place where (row, column) becomes (x, y) and back. napari's integer coordinate is the centre
of a pixel and so is SAM 2's, hence data coordinate (y, x) is pixel (x, y), unchanged. Only napari's
public API is used.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from napari.layers import Image, Layer, Points, Shapes
from numpy.typing import NDArray

from napari_sam2_openvino._layers.planes import affine_matrix, image_shape
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.types import PlaneIndex


def plane_hw(image: Image, plane: PlaneIndex) -> tuple[int, int]:
    """Return height and width of a plane in pixels, as the viewer shows it."""
    shape = image_shape(image)
    row, column = plane.displayed
    return shape[row], shape[column]


def to_image(layer: Layer, coords: NDArray[Any], image: Image) -> NDArray[np.float64]:
    """Carry data coordinates, shape (m, n), from a layer by way of the world to the image.

    Raises
    ------
    InputError
        If the layer has another number of axes than the image.
    """
    return _carry(layer, image, coords, (layer, image))


def to_layer(image: Image, coords: NDArray[Any], layer: Layer) -> NDArray[np.float64]:
    """Carry data coordinates, shape (m, n), of the image by way of the world to a layer."""
    return _carry(image, layer, coords, (layer, image))


def _carry(
    source: Layer, goal: Layer, coords: NDArray[Any], pair: tuple[Layer, Image]
) -> NDArray[np.float64]:
    layer, image = pair
    if layer.ndim != image.ndim:
        raise InputError(
            f"{layer.name} has {layer.ndim} axes, but {image.name} has {image.ndim}: "
            "delete the layer to get a new one."
        )
    place = np.asarray(coords, np.float64).reshape(-1, layer.ndim)
    there, back = affine_matrix(source), affine_matrix(goal)
    if np.array_equal(there, back):
        # To the bit, so that a mark that is written is read as the same mark.
        return place
    matrix = np.linalg.solve(back, there)
    carried: NDArray[np.float64] = place @ matrix[:-1, :-1].T + matrix[:-1, -1]
    return carried


def vertices_in_image(shapes: Shapes, image: Image) -> tuple[NDArray[np.float64], NDArray[np.int_]]:
    """Carry the vertices of all shapes to the image, at once: each call costs a solve.

    Returns
    -------
    place : ndarray of float64, shape (m, n)
        The vertices of all shapes, one shape after the other.
    starts : ndarray of int, shape (k,)
        Where each shape begins, as ``numpy.ufunc.reduceat`` takes it.
    """
    vertices = shapes.data
    if not vertices:
        return np.zeros((0, image.ndim)), np.zeros(0, int)
    ends = np.cumsum([len(each) for each in vertices])
    starts = np.concatenate([[0], ends[:-1]])
    return to_image(shapes, np.concatenate(vertices), image), starts


def are_on_plane(place: NDArray[np.float64], plane: PlaneIndex) -> NDArray[np.bool_]:
    """Return which coordinates of the image, shape (m, n), lie on a plane."""
    # Rounded as plane_in_view rounds the viewer's position.
    here = np.ones(len(place), bool)
    for axis, value in enumerate(plane.index):
        if value is not None:
            here &= np.round(place[:, axis]) == value
    return here


def prompts_on_plane(layer: Points | Shapes, image: Image, plane: PlaneIndex) -> NDArray[np.bool_]:
    """Return for each point, or each shape, whether it lies on a plane with all its vertices."""
    if len(layer.data) == 0:
        return np.zeros(0, bool)
    if isinstance(layer, Points):
        return are_on_plane(to_image(layer, layer.data, image), plane)
    place, starts = vertices_in_image(layer, image)
    are_here: NDArray[np.bool_] = np.logical_and.reduceat(are_on_plane(place, plane), starts)
    return are_here


def to_xy(place: NDArray[np.float64], plane: PlaneIndex) -> NDArray[np.float32]:
    """Return coordinates of the image, shape (m, n), as (x, y) pixels of a plane, shape (m, 2)."""
    row, column = plane.displayed
    return place[:, [column, row]].astype(np.float32)


def from_xy(
    xy: Sequence[tuple[float, float]] | NDArray[Any], plane: PlaneIndex
) -> NDArray[np.float64]:
    """Return (x, y) pixels of a plane, shape (m, 2), as coordinates of the image, shape (m, n)."""
    pixels = np.asarray(xy, np.float64).reshape(-1, 2)
    place = np.tile([float(value or 0) for value in plane.index], (len(pixels), 1))
    row, column = plane.displayed
    place[:, column], place[:, row] = pixels[:, 0], pixels[:, 1]
    return place
