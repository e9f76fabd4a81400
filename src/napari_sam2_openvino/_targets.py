"""The Labels layer that masks are committed to: whether it fits, what id comes next, the write."""

from collections.abc import Callable
from typing import Any

import numpy as np
from napari.layers import Image, Labels
from numpy.typing import NDArray

from napari_sam2_openvino._layers import spatial_metadata
from napari_sam2_openvino._planes import affine_matrix, image_shape
from napari_sam2_openvino.core.errors import InputError, JobCancelledError
from napari_sam2_openvino.core.types import PlaneIndex

# What is read between two looks at whether to go on.
PART_PIXELS = 2**24
_ADVICE = "choose another layer or a new one"


def new_labels_layer(image: Image) -> Labels:
    """Make an empty Labels layer that fits an image.

    Raises
    ------
    InputError
        If there is no memory for one.
    """
    shape = image_shape(image)
    try:
        data = np.zeros(shape, np.uint16)
    except MemoryError as error:
        raise InputError(
            f"A Labels layer of {' x '.join(map(str, shape))} pixels does not fit into memory: "
            "choose one that is backed by a zarr array."
        ) from error
    return Labels(data, name=f"{image.name} objects", **spatial_metadata(image))


def fit_problem(labels: Labels, image: Image) -> str | None:
    """Return in one sentence why masks of an image cannot be written to a layer, or None."""
    if labels.multiscale:
        return f"{labels.name} is multiscale, which napari cannot edit: {_ADVICE}."
    if tuple(labels.data.shape) != image_shape(image):
        return (
            f"{labels.name} has shape {_times(labels.data.shape)}, but {image.name} has "
            f"{_times(image_shape(image))}: {_ADVICE}."
        )
    if tuple(labels.units) != tuple(image.units):
        return f"{labels.name} and {image.name} are in different units: {_ADVICE}."
    if not np.allclose(affine_matrix(labels), affine_matrix(image)):
        return (
            f"{labels.name} lies elsewhere than {image.name} (scale, translate, rotate, shear or "
            f"affine differ): {_ADVICE}."
        )
    return _write_problem(labels)


def _write_problem(labels: Labels) -> str | None:
    if not labels.visible:
        # napari's write takes the data type and the size from what the layer shows.
        return f"{labels.name} is hidden, and napari cannot edit it: show it or {_ADVICE}."
    data = labels.data
    if type(data).__module__.partition(".")[0] == "dask":
        return f"{labels.name} is a dask array, which cannot be written to: {_ADVICE}."
    flags = getattr(data, "flags", None)
    if getattr(flags, "writeable", True) is False or getattr(data, "read_only", False):
        return f"{labels.name} is read-only: {_ADVICE}."
    return None


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def largest_label(data: Any, cancelled: Callable[[], bool] = lambda: False) -> int:
    """Return the largest label of an array, read in parts. Meant for a worker thread.

    Parameters
    ----------
    data : array_like
        At least two axes.
    cancelled : callable, optional
        Asked before each part; to say True ends the search.

    Raises
    ------
    JobCancelledError
    InputError
        If the labels cannot be read.
    """
    *lead, height, width = data.shape
    # Whole chunks, so that none is unpacked twice.
    chunk = (getattr(data, "chunks", None) or (1,) * data.ndim)[-2]
    rows = chunk * max(1, PART_PIXELS // (chunk * max(1, width)))
    largest = 0
    for index in np.ndindex(*lead):
        for start in range(0, height, rows):
            if cancelled():
                raise JobCancelledError("The search for the largest label was cancelled.")
            try:
                part = np.asarray(data[(*index, slice(start, start + rows))])
            except OSError as error:
                raise InputError(
                    f"The labels cannot be read ({error}): check that their file is there."
                ) from error
            largest = max(largest, int(part.max(initial=0)))
    return largest


def largest_in_memory(labels: Labels, plane: PlaneIndex) -> int:
    """Return the largest label of a plane; 0 if that would mean to read a file."""
    if not isinstance(labels.data, np.ndarray):
        return 0
    index = tuple(slice(None) if value is None else value for value in plane.index)
    return int(labels.data[index].max(initial=0))


def commit_mask(
    labels: Labels,
    mask: NDArray[np.bool_],
    obj_id: int,
    plane: PlaneIndex,
    *,
    origin: tuple[int, int] = (0, 0),
) -> int:
    """Write a mask into a Labels layer: the changed pixels only, as one step of napari's undo.

    Pixels that belong to an object stay as they are.

    Parameters
    ----------
    labels : Labels
        Fits the image, see `fit_problem`.
    mask : ndarray of bool, shape (h, w)
        A mask of the plane, or the part of it that begins at ``origin``.
    obj_id : int
        Label to write.
    plane : PlaneIndex
    origin : tuple of int, optional
        (row, column) in the plane of the mask's first pixel.

    Returns
    -------
    int
        Number of pixels that were written.

    Raises
    ------
    InputError
        If the layer's integers cannot hold the id, or the layer cannot be written to.
    """
    if problem := _write_problem(labels):
        raise InputError(problem)
    largest = np.iinfo(labels.dtype).max
    if not 1 <= obj_id <= largest:
        raise InputError(
            f"{labels.name} holds labels from 1 to {largest} ({labels.dtype}), but the next is "
            f"{obj_id}: convert its data type, or choose a new layer."
        )
    row, column = plane.displayed
    window: list[int | slice] = [0 if value is None else value for value in plane.index]
    window[row] = slice(origin[0], origin[0] + mask.shape[0])
    window[column] = slice(origin[1], origin[1] + mask.shape[1])
    current = np.asarray(labels.data[tuple(window)])
    if plane.transposed:
        current = current.T
    changed = mask & (current == 0)
    rows, columns = np.nonzero(changed)
    if len(rows) == 0:
        return 0
    rows += origin[0]
    columns += origin[1]
    places = {row: rows, column: columns}
    indices = [
        np.full(len(rows), value) if value is not None else places[axis]
        for axis, value in enumerate(plane.index)
    ]
    labels.data_setitem(tuple(indices), obj_id)
    return len(rows)
