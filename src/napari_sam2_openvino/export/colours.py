"""One colour for each label, the same in every file."""

import colorsys

import numpy as np
from numpy.typing import NDArray

# Neighbouring labels get hues that are far apart (the golden ratio of the circle).
_TURN = 0.618033988749895
_SHADES = ((0.85, 1.0), (0.55, 1.0), (0.9, 0.75))
_CYCLE = 3 * 64


def colour_of(number: int) -> tuple[int, int, int]:
    """Return the RGB colour, 0 to 255, of a label or of the number of a class."""
    saturation, value = _SHADES[number % len(_SHADES)]
    red, green, blue = colorsys.hsv_to_rgb(number % _CYCLE * _TURN % 1, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def colours_of(labels: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Return the colour of each label, shape (..., 3)."""
    table = np.array([colour_of(number) for number in range(_CYCLE)], np.uint8)
    return table[np.asarray(labels % _CYCLE, np.intp)]
