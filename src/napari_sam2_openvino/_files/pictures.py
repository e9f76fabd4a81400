"""Pictures of common formats, such as PNG and JPEG, which are read whole."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Those of which scikit-image does not tell what their numbers are.
_PILLOW_SUFFIXES = (".jpg", ".jpeg", ".png")
# Red, green, blue and alpha.
_MOST_COLOURS = 4


def read_picture(path: Path) -> tuple[NDArray[Any], str]:
    """Return pixels and one letter for each of their axes, none where these are not known."""
    pixels = _read(path)
    if pixels.ndim == 3 and pixels.shape[-1] == 2:
        # Grey with alpha, which is no channel to look at.
        pixels = pixels[..., 0]
    if pixels.ndim == 2:
        return pixels, "YX"
    # Of an animation the first axis is that of its pictures.
    has_colours = pixels.ndim == 3 and pixels.shape[-1] <= _MOST_COLOURS
    return pixels, "YXS" if has_colours else ""


def _read(path: Path) -> NDArray[Any]:
    from skimage.io import imread

    if path.suffix.lower() in _PILLOW_SUFFIXES:
        from PIL import Image, ImageSequence

        with Image.open(path) as picture:
            # Inks would be taken for red, green, blue and alpha; so would four pictures of an
            # animation.
            if picture.mode == "CMYK":
                return np.asarray(picture.convert("RGB"))
            if picture.format == "PNG" and getattr(picture, "is_animated", False):
                return np.stack([np.array(each) for each in ImageSequence.Iterator(picture)])
    pixels: NDArray[Any] = imread(path)
    return pixels
