"""Images that are named on the command line: files, stacks and folders of them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.errors import InputError

SUFFIXES = (".tif", ".tiff", ".zarr", ".npy", ".png", ".jpg", ".jpeg", ".bmp")


def read_planes(paths: Sequence[Path], most: int) -> Iterator[NDArray[Any]]:
    """Read planes of images, at even steps through every stack.

    Parameters
    ----------
    paths : sequence of Path
        Images; folders stand for the images in them.
    most : int
        How many planes are read, in all about as many from each image.

    Yields
    ------
    ndarray, shape (H, W) or (H, W, 3)

    Raises
    ------
    InputError
        If there is no image or one cannot be read.
    """
    from napari_sam2_openvino._files.images import open_image

    files = list(_files(paths))
    each = max(1, most // len(files))
    for path in files:
        with open_image(path) as image:
            pixels = image.levels[0]
            is_rgb = image.axes.endswith("S") or (not image.axes and pixels.shape[-1] in (3, 4))
            stack = pixels.shape[: pixels.ndim - (3 if is_rgb else 2)]
            count = int(np.prod(stack))
            numbers = np.linspace(0, count - 1, min(each, count)).round().astype(int)
            for number in numbers:
                yield np.asarray(pixels[np.unravel_index(number, stack)] if stack else pixels[...])


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    found = False
    for path in paths:
        is_folder = path.is_dir() and path.suffix.lower() not in SUFFIXES
        inside = sorted(path.iterdir()) if is_folder else [path]
        for file in inside:
            if not is_folder or file.suffix.lower() in SUFFIXES:
                found = True
                yield file
    if not found:
        named = ", ".join(map(str, paths))
        raise InputError(f"There are no images in {named}: give {', '.join(SUFFIXES)} files.")
