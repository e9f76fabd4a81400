"""A picture of a plane with its objects drawn over it."""

from collections.abc import Generator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino._files.replacing import replacing
from napari_sam2_openvino.core.labelled_image import LabelledImage
from napari_sam2_openvino.core.normalize import to_rgb
from napari_sam2_openvino.core.parameters import ExportParameters
from napari_sam2_openvino.core.progress import Progress
from napari_sam2_openvino.export.colours import colours_of


def write_overlay(
    labelled: LabelledImage, path: Path, parameters: ExportParameters | None = None
) -> Generator[Progress, None, None]:
    """Write a PNG of one plane: the image, or black without one, and its objects.

    Parameters
    ----------
    labelled : LabelledImage
        ``shown`` says which plane of a stack it is; without it the one in the middle.
    path : Path
        A PNG file, which is replaced.
    parameters : ExportParameters, optional
        ``style``, ``contour_width`` and ``opacity`` say how objects are drawn.

    Raises
    ------
    InputError
        If labels or image cannot be read or the file cannot be written.
    """
    from PIL import Image

    parameters = ExportParameters() if parameters is None else parameters
    place = labelled.middle if labelled.shown is None else labelled.shown
    yield Progress("Drawing", 0.0)
    labels, image = labelled.read(place), labelled.read_image(place)
    background = np.zeros((*labelled.hw, 3), np.uint8) if image is None else to_rgb(image)
    yield Progress("Drawing", 0.5)
    with replacing(path, "The picture") as temporary:
        Image.fromarray(draw_objects(background, labels, parameters)).save(temporary)
        yield Progress("Drawing", 1.0)


def draw_objects(
    background: NDArray[np.uint8], labels: NDArray[np.integer], parameters: ExportParameters
) -> NDArray[np.uint8]:
    """Draw objects over an image.

    Parameters
    ----------
    background : ndarray of uint8, shape (H, W, 3)
    labels : ndarray of integers, shape (H, W)
    parameters : ExportParameters

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        Contours are the outermost pixels of each object, opaque; fillings are mixed with the image.
    """
    picture = background.copy()
    if parameters.style == "contours":
        drawn = _contours(labels, parameters.contour_width)
        picture[drawn] = colours_of(labels[drawn])
        return picture
    drawn = labels > 0
    share = parameters.opacity
    mixed = share * colours_of(labels[drawn]) + (1 - share) * picture[drawn]
    picture[drawn] = mixed.round().astype(np.uint8)
    return picture


def _contours(labels: NDArray[np.integer], width: int) -> NDArray[np.bool_]:
    """Return the pixels of objects within a distance of something else, or of the image's edge."""
    padded = np.pad(labels, 1)
    inner = labels > 0
    for _ in range(width):
        kept = np.pad(inner, 1)
        same = np.ones_like(inner)
        for shift in ((0, 1), (2, 1), (1, 0), (1, 2)):
            window = tuple(
                slice(start, start + length)
                for start, length in zip(shift, labels.shape, strict=True)
            )
            same &= (padded[window] == labels) & kept[window]
        inner = inner & same
    return (labels > 0) & ~inner
