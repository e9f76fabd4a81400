"""A plane of an image, as what is done with it needs it: a name, a size and a way to read it."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.errors import InputError, times
from napari_sam2_openvino.core.normalize import (
    MOST_CHANNELS,
    ChannelView,
    Stretch,
    check_dtype,
    compose_rgb,
    measure_stretch,
    to_eight_bits,
)
from napari_sam2_openvino.core.reading import (
    WHOLE_PIXELS,
    ImageArrays,
    read_region,
    sample_plane,
)
from napari_sam2_openvino.core.regions import Region
from napari_sam2_openvino.core.types import PlaneIndex

# What is looked at of a stack whose planes are all to be equally bright.
STACK_PLANES = 16
STACK_PIXELS = 1 << 23


@dataclass(frozen=True)
class PlaneSource:
    """A plane to segment.

    Parameters
    ----------
    key : hashable
        Equal keys promise equal pixels, channels and normalization.
    hw : tuple of int
        Height and width in pixels at full resolution.
    load : callable
        Returns the RGB image of a region that the network sees: uint8, shape (h, w, 3), about
        ``region.height / region.step`` by ``region.width / region.step``. Called in a worker.
    """

    key: Hashable
    hw: tuple[int, int]
    load: Callable[[Region], NDArray[np.uint8]]


class StretchCache:
    """Stretches that were measured, so that no plane or stack is measured twice.

    Safe to use from several threads.
    """

    def __init__(self, max_entries: int = 4096) -> None:
        self._max_entries = max_entries
        self._entries: OrderedDict[Hashable, Stretch | None] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, measure: Callable[[], Stretch | None]) -> Stretch | None:
        """Return what is known under a key, or measure it."""
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
                return self._entries[key]
        stretch = measure()
        with self._lock:
            self._entries[key] = stretch
            while len(self._entries) > self._max_entries:
                self._entries.popitem(last=False)
        return stretch


@dataclass(frozen=True, eq=False)
class _Channel:
    """One channel of a plane."""

    image: ImageArrays
    plane: PlaneIndex
    fixed_axis: int | None
    displayed: Stretch | None


def make_plane_source(
    images: Sequence[ImageArrays],
    plane: PlaneIndex,
    view: ChannelView | None = None,
    measured: StretchCache | None = None,
) -> PlaneSource:
    """Describe what the network sees of a plane; nothing is read yet.

    Parameters
    ----------
    images : sequence of ImageArrays
        One image, grey or RGB, or up to three grey ones of one shape.
    plane : PlaneIndex
        Its value along the channel axis of ``view``, if there is one, does not count.
    view : ChannelView, optional
    measured : StretchCache, optional
        Shared between planes, so that a stack is measured once.

    Returns
    -------
    PlaneSource

    Raises
    ------
    InputError
        If images, plane and view do not go together.
    """
    view = ChannelView() if view is None else view
    measured = StretchCache() if measured is None else measured
    _check_images(images, plane)
    if view.axis is not None:
        plane = _without_channel(images, plane, view.axis)
    channels = _channels(images, plane, view)
    row_axis, column_axis = plane.displayed
    shape = images[0].shape
    return PlaneSource(
        key=(tuple(image.key for image in images), plane, view),
        hw=(shape[row_axis], shape[column_axis]),
        load=partial(_load, channels, view, measured),
    )


def _check_images(images: Sequence[ImageArrays], plane: PlaneIndex) -> None:
    if not 1 <= len(images) <= MOST_CHANNELS:
        raise InputError(f"Choose 1 to {MOST_CHANNELS} images as channels, not {len(images)}.")
    first = images[0]
    for image in images:
        check_dtype(image.dtype)
        if len(images) > 1 and image.is_rgb:
            raise InputError(f"{image.name} is an RGB image already: choose it alone.")
        if image.shape != first.shape:
            raise InputError(
                f"{image.name} has shape {times(image.shape)}, but {first.name} has "
                f"{times(first.shape)}: channels must have the same shape."
            )
        if 0 in image.shape:
            raise InputError(f"The image must have pixels, but has shape {image.shape}.")
    if len(plane.index) != len(first.shape):
        raise InputError(
            f"The plane has {len(plane.index)} axes, but {first.name} has {len(first.shape)}."
        )
    for value, length in zip(plane.index, first.shape, strict=True):
        if value is not None and not 0 <= value < length:
            raise InputError(f"{first.name} has no plane {plane.index}: choose one in its range.")


def _without_channel(images: Sequence[ImageArrays], plane: PlaneIndex, axis: int) -> PlaneIndex:
    """Return the plane as it is called in all channels."""
    if len(images) > 1:
        raise InputError("Choose channels along an axis of one image, or several images, not both.")
    if not 0 <= axis < len(plane.index) or plane.index[axis] is None:
        raise InputError(
            f"Axis {axis} of {images[0].name} cannot hold the channels, because it is displayed "
            "or not there: choose another axis."
        )
    index = list(plane.index)
    index[axis] = 0
    return PlaneIndex(tuple(index), plane.transposed)


def _channels(
    images: Sequence[ImageArrays], plane: PlaneIndex, view: ChannelView
) -> list[_Channel]:
    planes = [plane] * len(images)
    if view.axis is not None:
        axis, image = view.axis, images[0]
        if image.is_rgb:
            raise InputError(f"{image.name} is an RGB image already: choose no channels of it.")
        outside = [number for number in view.indices if not 0 <= number < image.shape[axis]]
        if outside:
            raise InputError(
                f"{image.name} has {image.shape[axis]} channels along axis {axis}, so there is no "
                f"channel {outside[0]}: choose another one."
            )
        images = [image] * len(view.indices)
        planes = [_at(plane, axis, number) for number in view.indices]
    displayed: Sequence[Stretch | None] = [None] * len(images)
    if view.normalization.mode == "as displayed":
        displayed = view.displayed
        if len(displayed) != len(images):
            raise InputError(
                "The contrast limits of each channel must be known to show it to the network as "
                "displayed: choose this again."
            )
    return [
        _Channel(image, channel_plane, view.axis, stretch)
        for image, channel_plane, stretch in zip(images, planes, displayed, strict=True)
    ]


def _at(plane: PlaneIndex, axis: int, value: int) -> PlaneIndex:
    index = list(plane.index)
    index[axis] = value
    return PlaneIndex(tuple(index), plane.transposed)


def _load(
    channels: Sequence[_Channel], view: ChannelView, measured: StretchCache, region: Region
) -> NDArray[np.uint8]:
    seen = []
    for channel in channels:
        pixels = read_region(channel.image, channel.plane, region)
        stretch = channel.displayed or _stretch_of(channel, view, measured, pixels)
        seen.append(to_eight_bits(pixels, stretch))
    return compose_rgb(seen, as_grey=view.as_grey)


def _stretch_of(
    channel: _Channel, view: ChannelView, measured: StretchCache, pixels: NDArray[Any]
) -> Stretch | None:
    """Measure a channel: the whole stack, or the whole plane whatever the region."""
    image, plane, normalization = channel.image, channel.plane, view.normalization
    if image.dtype == np.uint8 and normalization.mode == "automatic":
        return None
    if normalization.whole_stack:
        planes = _stack_sample(image, plane, channel.fixed_axis)
        key = image.key, tuple(planes), normalization
        pixels_each = STACK_PIXELS // len(planes)
        return measured.get(
            key,
            lambda: measure_stretch(
                [part for each in planes for part in sample_plane(image, each, pixels_each)],
                normalization,
            ),
        )

    def measure() -> Stretch | None:
        plane_hw = tuple(image.shape[axis] for axis in plane.displayed)
        is_whole = pixels.shape[:2] == plane_hw and pixels.dtype == image.dtype
        if is_whole and prod(plane_hw) <= WHOLE_PIXELS:
            return measure_stretch([pixels], normalization)
        return measure_stretch(sample_plane(image, plane, WHOLE_PIXELS), normalization)

    return measured.get((image.key, plane, normalization), measure)


def _stack_sample(
    image: ImageArrays, plane: PlaneIndex, fixed_axis: int | None
) -> list[PlaneIndex]:
    """Return planes spread evenly over the stack; a channel's stack holds that channel only."""
    hidden = [
        axis for axis, value in enumerate(plane.index) if value is not None and axis != fixed_axis
    ]
    lengths = [image.shape[axis] for axis in hidden]
    count = prod(lengths)
    numbers = np.unique(np.linspace(0, count - 1, min(count, STACK_PLANES)).round().astype(int))
    planes = []
    for places in np.stack(np.unravel_index(numbers, lengths), axis=-1) if hidden else [()]:
        index = list(plane.index)
        for axis, place in zip(hidden, places, strict=True):
            index[axis] = int(place)
        # Not transposed: the same pixels, however they are shown.
        planes.append(PlaneIndex(tuple(index)))
    return planes
