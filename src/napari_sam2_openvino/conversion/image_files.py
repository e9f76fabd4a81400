"""Images on their way to the child process of a job, as files in its folder."""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.comparison.images import sample_images
from napari_sam2_openvino.comparison.questions import has_objects
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.progress import Progress

_FOLDER = ".images"
_RGB, _LABELS = "rgb", "labels"


def write_images(
    folder: Path,
    images: Iterable[NDArray[Any]],
    labels: Iterable[NDArray[Any]] | None,
    image_size: int,
    most: int,
    check: Callable[[], None],
) -> Generator[Progress, None, int]:
    """Prepare images as the engine does, and keep them.

    Parameters
    ----------
    folder : Path
        Of the job; `remove_images` takes them out of it again.
    images, labels, image_size
        See `sample_images`.
    most : int
        How many are looked at.
    check : callable
        Called before each image; what it raises ends the job.

    Returns
    -------
    int
        How many there are.

    Raises
    ------
    InputError
        If there is none, one cannot be used, or there are labels but none with objects.
    """
    place = folder / _FOLDER
    place.mkdir()
    count = 0
    can_ask = labels is None
    for sample in sample_images(images, labels, image_size):
        if count == most:
            break
        check()
        np.save(_path(folder, count, _RGB), sample.rgb)
        if sample.labels is not None:
            np.save(_path(folder, count, _LABELS), sample.labels)
            can_ask = can_ask or has_objects(sample.labels)
        count += 1
        yield Progress("Reading the images", 0.0, f"image {count}")
    if not count:
        raise InputError("There must be at least one image, but there is none: choose some.")
    if not can_ask:
        # The work takes minutes, and its report would come to nothing.
        raise InputError(
            "Labels must have an object of some size in at least one image, but those of the "
            f"{count} images that are read have none: choose others, or go without labels."
        )
    return count


def read_image(folder: Path, number: int) -> NDArray[np.uint8]:
    """Return an image, shape (H, W, 3)."""
    rgb: NDArray[np.uint8] = np.load(_path(folder, number, _RGB), allow_pickle=False)
    return rgb


def read_images(folder: Path, numbers: Sequence[int]) -> Iterator[NDArray[np.uint8]]:
    """Give images, one at a time."""
    return (read_image(folder, number) for number in numbers)


def read_labels(folder: Path, numbers: Sequence[int]) -> Iterator[NDArray[np.integer[Any]]]:
    """Give the labels of images, one at a time."""
    return (np.load(_path(folder, each, _LABELS), allow_pickle=False) for each in numbers)


def remove_images(folder: Path) -> None:
    """Take all of them out of the folder."""
    for path in (folder / _FOLDER).iterdir():
        path.unlink()
    (folder / _FOLDER).rmdir()


def _path(folder: Path, number: int, kind: str) -> Path:
    return folder / _FOLDER / f"{number}.{kind}.npy"
