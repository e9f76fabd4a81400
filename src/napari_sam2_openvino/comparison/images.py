"""Images that models are calibrated with and compared on, one at a time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.errors import InputError, times
from napari_sam2_openvino.core.normalize import to_rgb

# The engine encodes planes that are larger than this many squares of the model in parts.
_MOST_SQUARES = 2


@dataclass(frozen=True, eq=False)
class SampleImage:
    """One image as the network sees it.

    Parameters
    ----------
    rgb : ndarray of uint8, shape (H, W, 3)
    labels : ndarray of int, shape (H, W), or None
        What is true of it, or what the user has segmented: 0 is background.
    """

    rgb: NDArray[np.uint8]
    labels: NDArray[np.integer[Any]] | None = None


def sample_images(
    images: Iterable[NDArray[Any]],
    labels: Iterable[NDArray[Any]] | None,
    image_size: int,
) -> Iterator[SampleImage]:
    """Turn images into what the engine would encode, one by one.

    Parameters
    ----------
    images : iterable of ndarray, shape (H, W) or (H, W, 3)
        Any real dtype; see `to_rgb`.
    labels : iterable of ndarray of int, shape (H, W), or None
        One for each image.
    image_size : int
        S of the model. Of an image larger than 2 S the middle is taken, since the engine encodes
        such an image in parts.

    Raises
    ------
    InputError
        If an image cannot be used or labels do not fit.
    """
    for image, given in _pairs(images, labels):
        shape = np.shape(image)
        if len(shape) not in (2, 3):
            raise InputError(
                f"Images must have shape (H, W) or (H, W, 3), but one has shape {shape}: "
                "give planes."
            )
        rows, columns = (_middle(length, _MOST_SQUARES * image_size) for length in shape[:2])
        if given is None:
            yield SampleImage(to_rgb(np.asarray(image[rows, columns])))
            continue
        label = np.asarray(given)
        if label.shape != shape[:2] or label.dtype.kind not in "iu":
            raise InputError(
                f"Labels must be whole numbers of shape {times(shape[:2])}, as their "
                f"image, but are {label.dtype} of shape {times(label.shape)}."
            )
        yield SampleImage(to_rgb(np.asarray(image[rows, columns])), label[rows, columns])


def _pairs(
    images: Iterable[NDArray[Any]], labels: Iterable[NDArray[Any]] | None
) -> Iterator[tuple[NDArray[Any], NDArray[Any] | None]]:
    if labels is None:
        yield from ((image, None) for image in images)
        return
    try:
        yield from zip(images, labels, strict=True)
    except InputError:
        raise
    except ValueError as error:
        raise InputError("There must be labels for each image, or for none.") from error


def _middle(length: int, most: int) -> slice:
    start = max(0, (length - most) // 2)
    return slice(start, start + min(length, most))
