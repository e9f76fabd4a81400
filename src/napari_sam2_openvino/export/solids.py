"""Objects of stacks in three dimensions, put together plane by plane."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.labelled_image import LabelledImage, PlacedObject, objects_of_plane
from napari_sam2_openvino.core.progress import Progress


@dataclass(frozen=True, eq=False)
class Solid:
    """An object, in a plane or through z, cut out.

    Parameters
    ----------
    obj_id : int
        Its label.
    place : tuple of int
        Index along the axes that are not measured: all before Y and X, or all but Z.
    mask : ndarray of bool, shape (h, w) or (d, h, w)
    origin : tuple of int
        Index of the first pixel of the mask along the axes that are measured.
    intensities : ndarray, shape of the mask, or with colours as one more axis; optional
        What the image shows there.
    """

    obj_id: int
    place: tuple[int, ...]
    mask: NDArray[np.bool_]
    origin: tuple[int, ...]
    intensities: NDArray[np.generic] | None = None


@dataclass(frozen=True, eq=False)
class _Layer:
    """What of an object lies on one plane."""

    z: int
    placed: PlacedObject
    intensities: NDArray[np.generic] | None


def solids(labelled: LabelledImage) -> Iterator[tuple[Progress, list[Solid]]]:
    """Give all objects, through z where there is a z axis, each with how far that is.

    Planes are read one after the other, those of a z-stack twice: first to see where objects end.
    Memory follows the objects that are not finished yet, not the stack.

    Parameters
    ----------
    labelled : LabelledImage
    """
    if "Z" not in labelled.axes:
        for place in labelled.places():
            image = labelled.read_image(place)
            yield _progress(labelled, place), []
            for placed in objects_of_plane(labelled.read(place), place):
                layer = _Layer(0, placed, _crop(image, placed))
                solid = _join(placed.obj_id, place, [layer])
                flat = None if solid.intensities is None else solid.intensities[0]
                flat_solid = Solid(placed.obj_id, place, solid.mask[0], solid.origin[1:], flat)
                yield _progress(labelled, place), [flat_solid]
        return
    axis = labelled.lead.index("Z")
    lengths = [length for number, length in enumerate(labelled.shape[:-2]) if number != axis]
    for rest in np.ndindex(*lengths):
        yield from _through_z(labelled, rest, axis)


def _through_z(
    labelled: LabelledImage, rest: tuple[int, ...], axis: int
) -> Iterator[tuple[Progress, list[Solid]]]:
    places = [(*rest[:axis], z, *rest[axis:]) for z in range(labelled.shape[axis])]
    last: dict[int, int] = {}
    for z, place in enumerate(places):
        for obj_id in np.unique(labelled.read(place)).tolist():
            last[obj_id] = z
        yield _progress(labelled, place), []
    unfinished: dict[int, list[_Layer]] = {}
    for z, place in enumerate(places):
        image = labelled.read_image(place)
        for placed in objects_of_plane(labelled.read(place), place):
            layers = unfinished.setdefault(placed.obj_id, [])
            layers.append(_Layer(z, placed, _crop(image, placed)))
            if last[placed.obj_id] == z:
                solid = _join(placed.obj_id, rest, unfinished.pop(placed.obj_id))
                yield _progress(labelled, place), [solid]


def _crop(image: NDArray[np.generic] | None, placed: PlacedObject) -> NDArray[np.generic] | None:
    if image is None:
        return None
    (row, column), (height, width) = placed.cut.origin, placed.cut.mask.shape
    # A copy: the plane goes.
    return image[row : row + height, column : column + width].copy()


def _join(obj_id: int, place: tuple[int, ...], layers: list[_Layer]) -> Solid:
    starts = np.array([[layer.z, *layer.placed.cut.origin] for layer in layers])
    stops = starts + [[1, *layer.placed.cut.mask.shape] for layer in layers]
    origin = starts.min(axis=0)
    shape = stops.max(axis=0) - origin
    mask = np.zeros(shape, bool)
    first = layers[0].intensities
    values = None if first is None else np.zeros((*shape, *first.shape[2:]), first.dtype)
    for layer, start, stop in zip(layers, starts - origin, stops - origin, strict=True):
        window = start[0], slice(start[1], stop[1]), slice(start[2], stop[2])
        mask[window] = layer.placed.cut.mask
        if values is not None and layer.intensities is not None:
            values[window] = layer.intensities
    return Solid(obj_id, place, mask, tuple(origin.tolist()), values)


def _progress(labelled: LabelledImage, place: tuple[int, ...]) -> Progress:
    lengths = labelled.shape[:-2]
    number, total = 1, 1
    if lengths:
        number, total = int(np.ravel_multi_index(place, lengths)) + 1, int(np.prod(lengths))
    return Progress("Measuring", number / total, f"plane {number} of {total}")
