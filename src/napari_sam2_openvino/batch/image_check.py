"""Whether an image is still the one that the finished planes of a job were made of."""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from napari_sam2_openvino.batch.images import StackImage
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.normalize import ChannelView
from napari_sam2_openvino.core.reading import ImageArrays, sample_plane
from napari_sam2_openvino.core.types import PlaneIndex

# So many planes are compared, however many there are: to read all of them again takes long.
_MOST_PLANES = 32
# Of a plane, to tell it from another one: little beside what is read to segment it.
_PIXELS = 1 << 16


def channel_planes(plane: PlaneIndex, view: ChannelView) -> list[PlaneIndex]:
    """Return a plane in each channel that is seen."""
    if view.axis is None:
        return [plane]
    planes = []
    for channel in view.indices:
        index = list(plane.index)
        index[view.axis] = channel
        planes.append(PlaneIndex(tuple(index)))
    return planes


def compared_planes(numbers: Sequence[int]) -> frozenset[int]:
    """Return those of a job's planes, spread evenly, by which its image is known again."""
    places = np.linspace(0, len(numbers) - 1, min(_MOST_PLANES, len(numbers)))
    return frozenset(numbers[place] for place in places.round().astype(int))


def plane_digest(image: StackImage, arrays: ImageArrays, number: int, view: ChannelView) -> str:
    """Return a hash of pixels of a plane that are seen; "" if they cannot be read.

    Parameters
    ----------
    image : StackImage
    arrays : ImageArrays
        Of the image, open.
    number : int
        Of the plane.
    view : ChannelView
    """
    hasher = hashlib.blake2b(digest_size=8)
    for plane in channel_planes(image.axes.plane(image.axes.position(number)), view):
        try:
            parts = sample_plane(arrays, plane, _PIXELS)
        # What is wrong is told when the plane is segmented.
        except InputError:
            return ""
        for part in parts:
            hasher.update(np.ascontiguousarray(part).tobytes())
    return hasher.hexdigest()


def find_changed(image: StackImage, view: ChannelView, noted: Mapping[int, str]) -> str:
    """Return the name of the first plane that is not what it was; "" if there is none.

    Parameters
    ----------
    image : StackImage
    view : ChannelView
    noted : mapping of int to str
        Hashes of planes as they were, by number. What could not be read then, or cannot be read
        now, is not compared.
    """
    axes = image.axes
    with image.open() as arrays:
        for number, before in noted.items():
            now = plane_digest(image, arrays, number, view)
            if now and before and now != before:
                return axes.name(axes.position(number))
    return ""
