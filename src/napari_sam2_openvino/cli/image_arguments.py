"""Images that are named on the command line, with their labels, as planes to look at."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino._files.images import open_image
from napari_sam2_openvino.batch.images import stack_image
from napari_sam2_openvino.batch.inputs import find_images
from napari_sam2_openvino.batch.samples import (
    LabelledStack,
    SampledPlane,
    sample_planes,
    split_samples,
)
from napari_sam2_openvino.core.errors import InputError, times

Images = Iterator[NDArray[np.uint8]]
Labels = Iterator[NDArray[np.integer[Any]]]


def read_samples(
    images: Sequence[Path], labels: Sequence[Path] | None, most: int, image_size: int
) -> tuple[Images, Labels | None]:
    """Return planes of images as the engine sees them, and their labels, to be taken in turns.

    Parameters
    ----------
    images : sequence of Path
        Folders stand for the images in them.
    labels : sequence of Path, or None
        As many, in the same order.
    most : int
        How many planes are read, see `sample_planes`.
    image_size : int
        S of the model.

    Returns
    -------
    iterator of ndarray of uint8, shape (H, W, 3)
    iterator of ndarray of int, shape (H, W), or None
        What they yield is read when it is asked for, which raises InputError if there is no image,
        one cannot be read or labels do not fit.
    """
    planes = _planes(images, labels, most, image_size)
    return split_samples(planes, has_labels=labels is not None)


def _planes(
    images: Sequence[Path], labels: Sequence[Path] | None, most: int, image_size: int
) -> Iterator[SampledPlane]:
    stacks = [stack_image(path) for path in find_images(images)[0]]
    if labels is None:
        labelled = [LabelledStack(stack) for stack in stacks]
    else:
        files, _ = find_images(labels)
        if len(files) != len(stacks):
            raise InputError(
                "There must be labels for each image, in the same order, but there are "
                f"{len(stacks)} images and labels of {len(files)}: give as many, or none."
            )
        labelled = [
            LabelledStack(stack, _LabelsFile(file, stack.axes.labels_shape))
            for stack, file in zip(stacks, files, strict=True)
        ]
    yield from sample_planes(labelled, most, image_size)


@dataclass(frozen=True)
class _LabelsFile:
    """Labels of a file, which is open only while some are read: there may be many files."""

    path: Path
    shape: tuple[int, ...]

    def __getitem__(self, index: Any) -> NDArray[Any]:
        with open_image(self.path) as file:
            pixels = file.levels[0]
            if tuple(pixels.shape) != self.shape:
                raise InputError(
                    f"Labels must have the shape of their image without channels, "
                    f"{times(self.shape)}, but {self.path} has {times(pixels.shape)}: give those "
                    "of the images, in the same order."
                )
            return np.asarray(pixels[index])
