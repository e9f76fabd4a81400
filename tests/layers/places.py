"""What tests of layers share: places of an image in the world, marks of one object."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from napari.layers import Image, Points, Shapes

from napari_sam2_openvino._layers.marks_io import PlacedMark, place_marks
from napari_sam2_openvino.core.marks import Mark
from napari_sam2_openvino.core.types import PlaneIndex

ANGLE = np.deg2rad(30)
ROTATED = np.array([[np.cos(ANGLE), -np.sin(ANGLE)], [np.sin(ANGLE), np.cos(ANGLE)]])
PLACES: list[dict[str, Any]] = [
    {},
    {"scale": (0.25, 0.5)},
    {"translate": (100, -7)},
    {"rotate": 30},
    {"shear": [0.3]},
    {"affine": np.block([[ROTATED * 2, np.array([[5], [6]])], [np.zeros((1, 2)), 1]])},
    {"scale": (2, 3), "translate": (1, 2), "rotate": 20, "units": ("nm", "nm")},
]


def write_marks(
    points: Points | None,
    shapes: Shapes | None,
    image: Image,
    plane: PlaneIndex,
    obj_id: int,
    marks: Iterable[Mark],
) -> None:
    """Append the marks of one object on one plane."""
    place_marks(points, shapes, image, [PlacedMark(plane, obj_id, mark) for mark in marks])
