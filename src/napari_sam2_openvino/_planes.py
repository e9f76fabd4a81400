"""Which plane of an image is in view, and its pixels.

Only napari's public API is used.
"""

from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Layer
from numpy.typing import NDArray

from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.types import PlaneIndex


def image_data(image: Image) -> Any:
    """Return the pixels of an image at full resolution."""
    return image.data[0] if image.multiscale else image.data


def image_shape(image: Image) -> tuple[int, ...]:
    """Return the shape of an image in pixels, at full resolution and without RGB's channel axis."""
    shape = tuple(int(length) for length in image_data(image).shape)
    return shape[:-1] if image.rgb else shape


def plane_in_view(viewer: ViewerModel, image: Image) -> PlaneIndex:
    """Return the plane of an image that the viewer shows.

    Parameters
    ----------
    viewer : ViewerModel
        A viewer or its model; ``dims`` and ``layers`` are read.
    image : Image

    Returns
    -------
    PlaneIndex

    Raises
    ------
    InputError
        If no single plane of the image is in view.
    """
    dims = viewer.dims
    if dims.ndisplay != 2:
        raise InputError("Prompts are placed on a plane: switch the viewer from 3D to 2D.")
    offset = dims.ndim - image.ndim
    displayed = [axis - offset for axis in dims.displayed if axis >= offset]
    if len(displayed) != 2:
        raise InputError(
            f"The viewer shows an axis that {image.name} does not have: change the order of axes."
        )
    _check_slicing(viewer, image, displayed)
    position = np.round(image.world_to_data(dims.point)).astype(int)
    index: list[int | None] = [int(value) for value in position]
    for axis, length in enumerate(image_shape(image)):
        if axis in displayed:
            index[axis] = None
        elif not 0 <= position[axis] < length:
            raise InputError(f"{image.name} has no plane here: move the slider into its range.")
    return PlaneIndex(tuple(index), transposed=displayed[0] > displayed[1])


def _check_slicing(viewer: ViewerModel, image: Image, displayed: list[int]) -> None:
    world_units = viewer.layers.units
    if world_units is not None and tuple(world_units[-image.ndim :]) != tuple(image.units):
        raise InputError(
            f"{image.name} is in {'/'.join(map(str, image.units))}, other layers are in "
            f"{'/'.join(map(str, world_units))}: give all layers the same units."
        )
    matrix = affine_matrix(image)[:-1, :-1]
    hidden = [axis for axis in range(image.ndim) if axis not in displayed]
    mixed = matrix[np.ix_(displayed, hidden)], matrix[np.ix_(hidden, displayed)]
    if any(not np.allclose(block, 0, atol=1e-6 * np.abs(matrix).max()) for block in mixed):
        raise InputError(
            f"The plane in view cuts {image.name} at an angle: remove the rotation or shear "
            "between its displayed and its other axes."
        )


def read_plane(data: Any, plane: PlaneIndex) -> NDArray[Any]:
    """Read one plane of array-like data (numpy, memmap, dask, zarr), and nothing else of it.

    Meant for a worker thread.

    Returns
    -------
    ndarray, shape (H, W) or (H, W, 3 or 4)
        As the viewer shows it: rows are the first displayed axis.

    Raises
    ------
    InputError
        If the data cannot be read.
    """
    index = tuple(slice(None) if value is None else value for value in plane.index)
    try:
        pixels = np.asarray(data[index])
    except OSError as error:
        raise InputError(
            f"The plane cannot be read ({error}): check that its file is there."
        ) from error
    return np.swapaxes(pixels, 0, 1) if plane.transposed else pixels


def affine_matrix(layer: Layer) -> NDArray[np.float64]:
    """Return the matrix, shape (n + 1, n + 1), from a layer's data to world coordinates."""
    ndim = layer.ndim
    matrix = np.eye(ndim + 1)
    matrix[:-1, -1] = layer.data_to_world(np.zeros(ndim))
    for axis, unit in enumerate(np.eye(ndim)):
        matrix[:-1, axis] = np.asarray(layer.data_to_world(unit)) - matrix[:-1, -1]
    return matrix
