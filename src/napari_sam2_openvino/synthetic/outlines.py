"""Outlines of single objects.

A form is drawn around the origin at any scale, as a function of (y, x) that gives about the
distance from its edge, negative inside. `rasterize` scales it to a wanted area in pixels and gives
a field: the same distance in pixels, square, of odd side, with the object's origin in the middle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.synthetic.noise import linear_weights

Field: TypeAlias = NDArray[np.float32]
Distance: TypeAlias = Callable[[Field, Field], Field]

_COARSE_STEP = 2.5
"""Fields are worked out on a grid of this step, in pixels, and interpolated in between."""

_COARSE_SIDES = (25, 129)
"""Fewest and most grid points along a side."""

_MARGIN = 2
"""Pixels around an object that its field covers too."""


@dataclass(frozen=True, slots=True)
class Form:
    """A form at a scale of its own.

    Attributes
    ----------
    distance : callable
        Takes (y, x) arrays that broadcast against each other.
    reach : float
        The form lies within this distance of the origin along both axes.
    """

    distance: Distance
    reach: float


Draw: TypeAlias = Callable[[np.random.Generator], Form]


def rasterize(
    form: Form, radius: float, *, thinnest: float = 0.0, longest: float = np.inf
) -> Field:
    """Scale a form to the area of a disc and give its field.

    Parameters
    ----------
    form : Form
    radius : float
        Of the disc, in pixels.
    thinnest : float, optional
        The form is drawn larger if it would be nowhere as deep, in pixels.
    longest : float, optional
        The form is drawn smaller if it would be longer along an axis, in pixels.

    Returns
    -------
    ndarray of float32, square
    """
    count = int(np.clip(2 * form.reach * radius / _COARSE_STEP, *_COARSE_SIDES))
    cell = 2 * form.reach / (count - 1)
    side = ((np.arange(count) - (count - 1) / 2) * cell).astype(np.float32)
    coarse = np.asarray(form.distance(side[:, None], side[None, :]), np.float32)
    # The part of a cell that is inside, to first order: an area finer than whole cells.
    area = np.clip(0.5 - coarse / cell, 0, 1).sum() * cell**2
    scale = radius * np.sqrt(np.pi / max(float(area), cell**2))
    depth = max(-float(coarse.min()), 0.1 * cell)
    scale = min(max(scale, thinnest / depth), longest / (2 * form.reach))
    reach = int(np.ceil(form.reach * scale)) + _MARGIN
    position = np.arange(-reach, reach + 1) / (scale * cell) + (count - 1) / 2
    weights = linear_weights(position, count)
    return np.asarray(scale * (weights @ coarse @ weights.T), np.float32)


def crop(
    field: Field, centre: tuple[int, int], shape: tuple[int, ...]
) -> tuple[Field, tuple[slice, slice]]:
    """Put the middle of a field on a pixel (y, x) of an image.

    Returns
    -------
    ndarray of float32
        The part of the field that lies in an image of `shape`.
    tuple of slice
        The rows and columns of the image that it covers.
    """
    reach = field.shape[0] // 2
    inside, window = [], []
    for middle, side in zip(centre, shape, strict=True):
        low, high = (min(max(0, end), side) for end in (middle - reach, middle + reach + 1))
        inside.append(slice(low - middle + reach, high - middle + reach))
        window.append(slice(low, high))
    return field[inside[0], inside[1]], (window[0], window[1])


def disc(rng: np.random.Generator) -> Form:
    """Draw an almost round outline."""
    return ellipse(rng, longest=1.15)


def ellipse(rng: np.random.Generator, *, longest: float = 2.4) -> Form:
    """Draw a rotated ellipse of slightly uneven edge, up to `longest` times as long as wide."""
    stretch = float(np.sqrt(rng.uniform(1.0, longest)))
    edge = _wobble(rng, 0.03)
    turned = _rotation(rng)

    def distance(y: Field, x: Field) -> Field:
        v, u = turned(y, x)
        v, u = v * stretch, u / stretch
        return _radial(v, u, edge(v, u), 1 / stretch)

    return Form(distance, 1.15 * stretch)


def lobed(rng: np.random.Generator) -> Form:
    """Draw an outline with two to five lobes of unequal size."""
    lobes = int(rng.integers(2, 6))
    depth = float(rng.uniform(0.15, 0.42 if lobes < 4 else 0.25))
    stretch = float(rng.uniform(1.0, 1.35))
    phase = float(rng.uniform(0, 2 * np.pi))
    edge = _wobble(rng, 0.05)
    turned = _rotation(rng)

    def distance(y: Field, x: Field) -> Field:
        v, u = turned(y, x)
        v, u = v * stretch, u / stretch
        theta = np.arctan2(v, u)
        unequal = 1 + 0.5 * np.cos(theta + phase)
        bound = edge(v, u) + depth * unequal * np.cos(lobes * theta)
        return _radial(v, u, bound, (1 - depth) / stretch)

    return Form(distance, stretch * (1.3 + 1.5 * depth))


def amoeboid(rng: np.random.Generator) -> Form:
    """Draw an outline without symmetry, as of a cell that spreads on glass."""
    stretch = float(rng.uniform(1.0, 1.5))
    edge = _wobble(rng, float(rng.uniform(0.1, 0.28)), frequencies=(2, 3, 4, 5, 7))
    turned = _rotation(rng)

    def distance(y: Field, x: Field) -> Field:
        v, u = turned(y, x)
        v, u = v * stretch, u / stretch
        return _radial(v, u, edge(v, u), 0.8 / stretch)

    return Form(distance, 1.65 * stretch)


def polygon(rng: np.random.Generator) -> Form:
    """Draw a convex polygon with rounded corners, as of a grain or a crystal."""
    corners = int(rng.integers(3, 8))
    angles = (np.arange(corners) + rng.uniform(-0.25, 0.25, corners)) * 2 * np.pi / corners
    angles += rng.uniform(0, 2 * np.pi)
    sides = rng.uniform(0.75, 1.15, corners)
    rounding = float(rng.uniform(0.05, 0.3))
    sine, cosine = np.sin(angles).astype(np.float32), np.cos(angles).astype(np.float32)

    def distance(y: Field, x: Field) -> Field:
        heights = y[..., None] * sine + x[..., None] * cosine - (sides - rounding)
        outside = np.sqrt((np.clip(heights, 0, None) ** 2).sum(axis=-1))
        return np.asarray(np.where(outside > 0, outside, heights.max(axis=-1)) - rounding)

    return Form(distance, 2.6 if corners < 5 else 1.7)


def crescent(rng: np.random.Generator) -> Form:
    """Draw a disc out of which another disc is cut."""
    bite = float(rng.uniform(0.6, 1.1))
    offset = float(bite + rng.uniform(-0.45, 0.2))
    turned = _rotation(rng)

    def distance(y: Field, x: Field) -> Field:
        v, u = turned(y, x)
        outer = np.asarray(np.hypot(v, u) - 1, np.float32)
        bitten = np.asarray(np.float32(bite) - np.hypot(v, u - offset), np.float32)
        return _smooth_maximum(outer, bitten, 0.12)

    return Form(distance, 1.1)


def dumbbell(rng: np.random.Generator) -> Form:
    """Draw two discs that a neck joins, as of a cell that buds or divides."""
    other = float(rng.uniform(0.45, 1.0))
    apart = float((1 + other) * rng.uniform(0.65, 0.95))
    # Narrower, it could not be told from two objects that touch.
    neck = float(rng.uniform(0.5, 0.8) * other)
    turned = _rotation(rng)

    def distance(y: Field, x: Field) -> Field:
        v, u = turned(y, x)
        u = u + apart / 2
        ends = np.minimum(np.hypot(v, u) - 1, np.hypot(v, u - apart) - other)
        bridge = np.hypot(v, u - np.clip(u, 0, apart)) - neck
        joined = _smooth_maximum(np.float32(-1) * ends, np.asarray(-bridge, np.float32), 0.2)
        return -joined

    return Form(distance, 1.15 + apart / 2)


def ring(rng: np.random.Generator) -> Form:
    """Draw a closed band around a hole, which is not a part of it."""
    thickness = float(rng.uniform(0.15, 0.35))
    whole = ellipse(rng)

    def distance(y: Field, x: Field) -> Field:
        return np.abs(whole.distance(y, x)) - np.float32(thickness)

    return Form(distance, whole.reach * (1 + thickness * whole.reach))


def warped(rng: np.random.Generator, form: Form) -> Form:
    """Bend a form a little, so that no two are alike and none is all circles and lines."""
    wave = 2 * np.pi / (form.reach * rng.uniform(1.0, 2.0))
    sway = float(rng.uniform(0.03, 0.22) / wave)
    phase = rng.uniform(0, 2 * np.pi, 2)

    def distance(y: Field, x: Field) -> Field:
        v = y + sway * np.sin(wave * x + phase[0])
        u = x + sway * np.sin(wave * y + phase[1])
        return form.distance(v.astype(np.float32), u.astype(np.float32))

    return Form(distance, form.reach + sway)


def rotated(form: Form, angle: float) -> Form:
    """Rotate a form about the origin, by an angle in radians."""
    sine, cosine = np.float32(np.sin(angle)), np.float32(np.cos(angle))
    reach = form.reach * (abs(float(sine)) + abs(float(cosine)))

    def distance(y: Field, x: Field) -> Field:
        return form.distance(y * cosine - x * sine, y * sine + x * cosine)

    return Form(distance, reach)


def _radial(y: Field, x: Field, bound: Field, middle: float) -> Field:
    """Give the field of a form whose edge is `bound` away from the origin, deep by `middle`."""
    return np.asarray((np.hypot(y, x) / bound - 1) * middle, np.float32)


def _smooth_maximum(a: Field, b: Field, width: float) -> Field:
    """Give the larger of two fields, rounded where they are closer than `width`."""
    mix = np.clip(width - np.abs(a - b), 0, None)
    return np.asarray(np.maximum(a, b) + mix**2 / (4 * width), np.float32)


def _rotation(rng: np.random.Generator) -> Callable[[Field, Field], tuple[Field, Field]]:
    angle = rng.uniform(0, 2 * np.pi)
    sine, cosine = np.float32(np.sin(angle)), np.float32(np.cos(angle))
    return lambda y, x: (y * cosine - x * sine, y * sine + x * cosine)


def _wobble(
    rng: np.random.Generator, amplitude: float, frequencies: tuple[int, ...] = (3, 5, 7)
) -> Distance:
    """Give the distance of an uneven edge from the origin, about 1, in the direction of (y, x)."""
    waves = [
        (k, float(rng.uniform(0, 2 * np.pi)), float(rng.normal() * 1.5 / k)) for k in frequencies
    ]

    def edge(y: Field, x: Field) -> Field:
        theta = np.arctan2(y, x)
        sway = sum(size * np.cos(k * theta + phase) for k, phase, size in waves)
        return np.asarray(1 + amplitude * np.clip(sway, -2, 2), np.float32)

    return edge
