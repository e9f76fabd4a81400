"""Where an image may lie in the world: what tests of layers go through."""

from typing import Any

import numpy as np

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
