"""Outlines of single objects.

An outline is a field: about the distance in pixels from the object's edge, negative inside. Fields
are square, of odd side, with the object's origin in the middle.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Field: TypeAlias = NDArray[np.float32]


def draw_outline(rng: np.random.Generator, radius: float, irregularity: float) -> Field:
    """Draw one object: an ellipse, or with chance `irregularity` a lobed or bent outline."""
    if rng.random() >= irregularity:
        return ellipse(rng, radius)
    return lobed(rng, radius) if rng.random() < 0.5 else bent(rng, radius)


def ellipse(rng: np.random.Generator, radius: float) -> Field:
    """Draw a rotated ellipse with a slightly uneven edge."""
    stretch = rng.uniform(1.0, 1.6)
    y, x = _rotated_grid(rng, radius * stretch * 1.15)
    a, b = radius * stretch, radius / stretch
    theta = np.arctan2(y / b, x / a)
    rho = np.hypot(y / b, x / a)
    edge = 1 + _wobble(rng, theta, 0.03)
    return np.asarray((rho - edge) * np.sqrt(a * b), np.float32)


def lobed(rng: np.random.Generator, radius: float) -> Field:
    """Draw an outline with two to four lobes of unequal size."""
    lobes = int(rng.integers(2, 5))
    depth = rng.uniform(0.15, 0.42 if lobes < 4 else 0.25)
    stretch = rng.uniform(1.0, 1.35)
    y, x = _rotated_grid(rng, radius * stretch * (1.3 + depth))
    y, x = y * stretch, x / stretch
    theta = np.arctan2(y, x)
    unequal = 1 + 0.5 * np.cos(theta + rng.uniform(0, 2 * np.pi))
    edge = radius * (1 + depth * unequal * np.cos(lobes * theta) + _wobble(rng, theta, 0.05))
    return np.asarray(np.hypot(y, x) - edge / np.sqrt(1 + depth**2 / 2), np.float32)


def bent(rng: np.random.Generator, radius: float) -> Field:
    """Draw a bent rod: thicker in the middle, or as thick all along."""
    slenderness = rng.uniform(2.0, 5.0)
    half_width = radius * np.sqrt(np.pi / (4 * slenderness))
    half_length = half_width * slenderness
    curvature = rng.uniform(-1.0, 1.0) * 2.2 / (2 * half_length)
    along = np.linspace(-half_length, half_length, 15)
    heading = curvature * along + rng.uniform(0, 2 * np.pi)
    step = along[1] - along[0]
    path = np.stack([np.cumsum(np.sin(heading)), np.cumsum(np.cos(heading))]) * step
    path -= (path.max(axis=1) + path.min(axis=1))[:, None] / 2
    taper = rng.uniform(0.0, 0.5)
    width = half_width * (1 - taper * (along / half_length) ** 2)
    reach = float(np.abs(path).max() + half_width) + 2
    y, x = _grid(reach)
    distance = np.hypot(y[..., None] - path[0], x[..., None] - path[1]) - width
    return np.asarray(distance.min(axis=-1), np.float32)


def _grid(reach: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    side = np.arange(-int(np.ceil(reach)), int(np.ceil(reach)) + 1, dtype=np.float64)
    return side[:, None], side[None, :]


def _rotated_grid(
    rng: np.random.Generator, reach: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    y, x = _grid(reach + 2)
    angle = rng.uniform(0, np.pi)
    return y * np.cos(angle) - x * np.sin(angle), y * np.sin(angle) + x * np.cos(angle)


def _wobble(
    rng: np.random.Generator, theta: NDArray[np.float64], amplitude: float
) -> NDArray[np.float64]:
    wobble = np.zeros_like(theta)
    for frequency in (3, 5, 7):
        wobble += (
            np.cos(frequency * theta + rng.uniform(0, 2 * np.pi)) * rng.normal() * 1.5 / frequency
        )
    return np.asarray(amplitude * np.clip(wobble, -2, 2))
