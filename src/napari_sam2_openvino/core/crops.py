"""Where the automatic mask generator looks: crops of the image and points in them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.parameters import GeneratorParameters

# How near to the edge of its crop, in pixels, a mask counts as cut off.
EDGE_TOLERANCE = 20


@dataclass(frozen=True)
class Crop:
    """A part of the image that is encoded on its own.

    Parameters
    ----------
    layer : int
        0 is the whole image.
    x0, y0, x1, y1 : int
        In pixels of the image; x1 and y1 are not part of it.
    """

    layer: int
    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def box(self) -> tuple[int, int, int, int]:
        """The crop as xyxy."""
        return self.x0, self.y0, self.x1, self.y1

    @property
    def hw(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.y1 - self.y0, self.x1 - self.x0

    def cuts_off(self, box: tuple[int, int, int, int], image_hw: tuple[int, int]) -> bool:
        """Whether a mask reaches an edge of the crop that is not an edge of the image.

        ``sam2.utils.amg.is_box_near_crop_edge``.

        Parameters
        ----------
        box : tuple of int
            xyxy of the mask in pixels of the image, the last column and row included.
        image_hw : tuple of int
        """
        image = (0, 0, image_hw[1], image_hw[0])
        return any(
            abs(side - crop_edge) <= EDGE_TOLERANCE < abs(side - image_edge)
            for side, crop_edge, image_edge in zip(box, self.box, image, strict=True)
        )


def crop_boxes(image_hw: tuple[int, int], n_layers: int, overlap_ratio: float) -> list[Crop]:
    """Return the whole image and the crops of each layer (``sam2.utils.amg.generate_crop_boxes``).

    Layer i has 2**i crops a side. Of images of few pixels, crops that would hold no pixel are left
    out, where SAM 2 fails.

    Parameters
    ----------
    image_hw : tuple of int
        Height and width in pixels.
    n_layers : int
        Layers beside the whole image.
    overlap_ratio : float
        Overlap of the crops of the first layer, as a share of the image's shorter side.
    """
    height, width = image_hw
    crops = [Crop(0, 0, 0, width, height)]
    for layer in range(1, n_layers + 1):
        n_side = 2**layer
        overlap = int(overlap_ratio * min(image_hw) * (2 / n_side))
        crop_w, crop_h = (
            math.ceil((overlap * (n_side - 1) + length) / n_side) for length in (width, height)
        )
        corners_x, corners_y = (
            [(length - overlap) * index for index in range(n_side)] for length in (crop_w, crop_h)
        )
        for x0, y0 in product(corners_x, corners_y):
            if x0 < width and y0 < height:
                box = x0, y0, min(x0 + crop_w, width), min(y0 + crop_h, height)
                crops.append(Crop(layer, *box))
    return crops


def grids_of(parameters: GeneratorParameters) -> list[NDArray[np.float64]]:
    """Return the points of each layer, (x, y) in [0, 1], row by row.

    ``sam2.utils.amg.build_all_layer_point_grids``.

    Raises
    ------
    InputError
        If a layer of crops would have no points.
    """
    grids = []
    for layer in range(parameters.crop_n_layers + 1):
        n_side = int(parameters.points_per_side / parameters.crop_n_points_downscale_factor**layer)
        if not n_side:
            raise InputError(
                f"Layer {layer} of the crops would have no points: crop_n_points_downscale_factor "
                f"must be smaller than {parameters.crop_n_points_downscale_factor}, or "
                f"points_per_side larger than {parameters.points_per_side}."
            )
        side = np.linspace(1 / (2 * n_side), 1 - 1 / (2 * n_side), n_side)
        grids.append(np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2))
    return grids


def read_point_grids(grids: Sequence[ArrayLike], n_layers: int) -> list[NDArray[np.float64]]:
    """Return point grids that are given instead of those of `grids_of`, checked.

    Parameters
    ----------
    grids : sequence of array_like, shape (n, 2)
        One for the image and one for each layer of crops; (x, y) in [0, 1].
    n_layers : int
        Layers of crops.

    Raises
    ------
    InputError
        If one is missing, or is not such points.
    """
    if len(grids) <= n_layers:
        raise InputError(
            f"point_grids must hold {n_layers + 1} arrays, one for the image and one for each "
            f"layer of crops, but holds {len(grids)}."
        )
    arrays = [np.asarray(grid, np.float64) for grid in grids]
    for array in arrays:
        if array.ndim != 2 or array.shape[1] != 2:
            raise InputError(
                "Each array of point_grids must have shape (n, 2), (x, y) each, "
                f"but one has shape {array.shape}."
            )
        if not ((array >= 0) & (array <= 1)).all():
            raise InputError(
                "point_grids must be between 0 and 1, as shares of the image's width and height: "
                "divide pixels by them."
            )
    return arrays
