"""Which plane of an image is in view, and what the network sees of it.

Only napari's public API is used.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer
from numpy.typing import NDArray

from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.normalize import ChannelView, Stretch
from napari_sam2_openvino.core.planes import PlaneSource, StretchCache, make_plane_source
from napari_sam2_openvino.core.reading import ImageArrays
from napari_sam2_openvino.core.types import PlaneIndex


def image_data(image: Image | Labels) -> Any:
    """Return the pixels of an image at full resolution."""
    return image.data[0] if image.multiscale else image.data


def image_shape(image: Image | Labels) -> tuple[int, ...]:
    """Return the shape of an image in pixels, at full resolution and without RGB's channel axis."""
    shape = tuple(int(length) for length in image_data(image).shape)
    return shape[:-1] if isinstance(image, Image) and image.rgb else shape


def plane_in_view(viewer: ViewerModel, image: Image | Labels) -> PlaneIndex:
    """Return the plane of an image that the viewer shows.

    Parameters
    ----------
    viewer : ViewerModel
        A viewer or its model; ``dims`` and ``layers`` are read.
    image : Image or Labels

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


def _check_slicing(viewer: ViewerModel, image: Image | Labels, displayed: list[int]) -> None:
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


def affine_matrix(layer: Layer) -> NDArray[np.float64]:
    """Return the matrix, shape (n + 1, n + 1), from a layer's data to world coordinates."""
    ndim = layer.ndim
    matrix = np.eye(ndim + 1)
    matrix[:-1, -1] = layer.data_to_world(np.zeros(ndim))
    for axis, unit in enumerate(np.eye(ndim)):
        matrix[:-1, axis] = np.asarray(layer.data_to_world(unit)) - matrix[:-1, -1]
    return matrix


def plane_source(
    channels: Sequence[Image],
    plane: PlaneIndex,
    view: ChannelView | None = None,
    *,
    versions: Sequence[int] = (),
    measured: StretchCache | None = None,
) -> PlaneSource:
    """Describe what the network sees of a plane; nothing is read yet.

    Parameters
    ----------
    channels : sequence of Image
        One layer, grey or RGB, or up to three grey ones that become red, green and blue.
    plane : PlaneIndex
        Of the first of them.
    view : ChannelView, optional
    versions : sequence of int, optional
        One for each layer, to be raised whenever its pixels change.
    measured : StretchCache, optional
        Shared between planes, so that a stack is measured once.

    Returns
    -------
    PlaneSource

    Raises
    ------
    InputError
        If layers, plane and view do not go together.
    """
    (source,) = plane_sources(channels, [plane], view, versions=versions, measured=measured)
    return source


def plane_sources(
    channels: Sequence[Image],
    planes: Sequence[PlaneIndex],
    view: ChannelView | None = None,
    *,
    versions: Sequence[int] = (),
    measured: StretchCache | None = None,
) -> list[PlaneSource]:
    """Describe what the network sees of many planes of a stack, see `plane_source`."""
    for image in channels[1:]:
        if problem := _mismatch(image, channels[0]):
            raise InputError(problem)
    numbers = versions or [0] * len(channels)
    arrays = [
        image_arrays(image, version) for image, version in zip(channels, numbers, strict=True)
    ]
    return [make_plane_source(arrays, plane, view, measured) for plane in planes]


def image_arrays(image: Image, version: int = 0) -> ImageArrays:
    """Return the pixels of a layer, without the layer: a worker may read them.

    Parameters
    ----------
    image : Image
    version : int, optional
        To be raised whenever pixels change.
    """
    levels = tuple(image.data) if image.multiscale else (image.data,)
    return ImageArrays(levels, (image.unique_id, version), image.name, bool(image.rgb))


def shown_limits(image: Image) -> Stretch:
    """Return how bright a layer is shown now; its colours do not count."""
    low, high = image.contrast_limits
    return Stretch(float(low), float(high), float(image.gamma))


def with_shown_limits(view: ChannelView, images: Sequence[Image]) -> ChannelView:
    """Return a view that holds how bright the layers are shown now, for mode "as displayed".

    Parameters
    ----------
    view : ChannelView
    images : sequence of Image
        As given to `plane_source`.
    """
    shown = tuple(shown_limits(image) for image in images)
    return replace(view, displayed=shown * max(1, len(view.indices)))


def has_new_contrast(view: ChannelView, images: Sequence[Image]) -> bool:
    """Whether layers are shown otherwise than when "as displayed" was chosen."""
    is_used = view.normalization.mode == "as displayed"
    return is_used and with_shown_limits(view, images) != view


def stack_planes(
    image: Image,
    plane: PlaneIndex,
    axis: int | None = None,
    *,
    channel_axis: int | None = None,
    limit: int | None = None,
) -> list[PlaneIndex]:
    """Return the other planes of a stack in the order in which they are likely to be wanted.

    Neighbours along one axis first, alternately on both sides, then those further away along the
    other axes.

    Parameters
    ----------
    image : Image
    plane : PlaneIndex
        The one in view, which is left out.
    axis : int, optional
        The axis that was moved along last; the last hidden one if None.
    channel_axis : int, optional
        An axis along which nothing is a plane of its own.
    limit : int, optional
        No more planes than this.
    """
    hidden = [
        each for each, value in enumerate(plane.index) if value is not None and each != channel_axis
    ]
    if not hidden:
        return []
    if axis in hidden:
        hidden.remove(axis)
        hidden.append(axis)
    shape = image_shape(image)
    distances, places = [], np.indices([shape[each] for each in hidden]).reshape(len(hidden), -1)
    for each, place in zip(hidden, places, strict=True):
        offset = place - (plane.index[each] or 0)
        # Where both sides are equally far, the following plane comes first.
        distances.append(2 * np.abs(offset) - (offset > 0))
    order = np.lexsort(distances[::-1])[1:][:limit]
    return [_with(plane, hidden, place) for place in places[:, order].T]


def _with(plane: PlaneIndex, axes: Sequence[int], place: NDArray[np.intp]) -> PlaneIndex:
    index = list(plane.index)
    for axis, value in zip(axes, place, strict=True):
        index[axis] = int(value)
    return PlaneIndex(tuple(index), plane.transposed)


def _mismatch(image: Image, first: Image) -> str | None:
    """Return why a layer cannot be a channel beside another one, or None."""
    if image.ndim != first.ndim:
        return (
            f"{image.name} has {image.ndim} axes, but {first.name} has {first.ndim}: channels "
            "must have the same shape."
        )
    if tuple(image.units) != tuple(first.units):
        return f"{image.name} and {first.name} have different units: give them the same."
    if not np.allclose(affine_matrix(image), affine_matrix(first)):
        return (
            f"{image.name} lies elsewhere than {first.name}: channels must have the same scale "
            "and position."
        )
    return None
