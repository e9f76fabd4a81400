"""A few planes of images, taken at even steps, as the network sees them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import tee
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.batch.images import StackImage, choose_channels
from napari_sam2_openvino.core.normalize import MOST_CHANNELS
from napari_sam2_openvino.core.parameters import Normalization
from napari_sam2_openvino.core.planes import StretchCache, make_plane_source
from napari_sam2_openvino.core.regions import WHOLE_FACTOR, Region


@dataclass(frozen=True, eq=False)
class LabelledStack:
    """An image, and the objects that are known of it.

    Parameters
    ----------
    image : StackImage
    labels : array-like of int, optional
        Of the shape of the image's labels.
    """

    image: StackImage
    labels: Any = None


@dataclass(frozen=True, eq=False)
class SampledPlane:
    """One plane, or the middle of a large one.

    Parameters
    ----------
    rgb : ndarray of uint8, shape (H, W, 3)
    labels : ndarray of int, shape (H, W), or None
    """

    rgb: NDArray[np.uint8]
    labels: NDArray[np.integer[Any]] | None


def split_samples(
    planes: Iterator[SampledPlane], *, has_labels: bool
) -> tuple[Iterator[NDArray[np.uint8]], Iterator[NDArray[np.integer[Any]]] | None]:
    """Return images and labels of planes apart, to be taken in turns; each is read when asked for.

    Parameters
    ----------
    planes : iterator of SampledPlane
    has_labels : bool
        Whether labels are asked for.

    Returns
    -------
    iterator of ndarray of uint8, shape (H, W, 3)
    iterator of ndarray of int, shape (H, W), or None
    """
    if not has_labels:
        return (plane.rgb for plane in planes), None
    first, second = tee(planes)
    labels = (plane.labels for plane in second if plane.labels is not None)
    return (plane.rgb for plane in first), labels


def sample_planes(
    stacks: Sequence[LabelledStack], most: int, image_size: int
) -> Iterator[SampledPlane]:
    """Read planes, about as many of each image.

    Parameters
    ----------
    stacks : sequence of LabelledStack
    most : int
        How many planes are read in all; of more images than that, at even steps.
    image_size : int
        S of the model. Of a plane that the engine encodes in parts, the middle is read.

    Raises
    ------
    InputError
        If an image cannot be read.
    """
    if len(stacks) > most:
        stacks = [stacks[number] for number in _even_steps(len(stacks), most)]
    shares = _shares([stack.image.axes.n_planes for stack in stacks], most)
    for stack, share in zip(stacks, shares, strict=True):
        yield from _planes_of(stack, share, image_size)


def _shares(counts: Sequence[int], most: int) -> list[int]:
    """Return how many planes are read of each image; what short ones leave goes to longer ones."""
    shares = [0] * len(counts)
    ascending = sorted(range(len(counts)), key=counts.__getitem__)
    for rank, number in enumerate(ascending):
        shares[number] = min(counts[number], (most - sum(shares)) // (len(counts) - rank))
    return shares


def _planes_of(stack: LabelledStack, most: int, image_size: int) -> Iterator[SampledPlane]:
    axes = stack.image.axes
    # An image of many channels is shown one channel at a time.
    channels = (0,) if axes.n_channels > MOST_CHANNELS else ()
    view = choose_channels(stack.image, channels, Normalization(), as_grey=False)
    rows, columns = (_middle(length, WHOLE_FACTOR * image_size) for length in axes.plane_hw)
    height, width = (part.stop - part.start for part in (rows, columns))
    measured = StretchCache()
    with stack.image.open() as arrays:
        for number in _even_steps(axes.n_planes, most):
            position = axes.position(number)
            source = make_plane_source([arrays], axes.plane(position), view, measured)
            rgb = source.load(Region(rows.start, columns.start, height, width))
            labels = None if stack.labels is None else stack.labels[(*position, rows, columns)]
            yield SampledPlane(rgb, None if labels is None else np.asarray(labels))


def _even_steps(count: int, most: int) -> list[int]:
    return [int(each) for each in np.linspace(0, count - 1, min(count, most)).round()]


def _middle(length: int, most: int) -> slice:
    start = max(0, (length - most) // 2)
    return slice(start, start + min(length, most))
