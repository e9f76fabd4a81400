"""Outlines made of strokes: bent rods, filaments and branching cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.synthetic.outlines import Field, Form

_PARTS = 12
"""Straight parts of which a stroke is made."""


def bent(rng: np.random.Generator) -> Form:
    """Draw a bent rod: thicker in the middle, or as thick all along."""
    length = float(rng.uniform(2.5, 6.0))
    path = _wander(rng, length, turn=float(rng.uniform(0.0, 1.1)), sway=0.05)
    along = np.linspace(-1, 1, _PARTS + 1)
    return _stroked([path], [1 - rng.uniform(0.0, 0.5) * along**2])


def filament(rng: np.random.Generator) -> Form:
    """Draw a long thin line that winds."""
    length = float(rng.uniform(9.0, 26.0))
    path = _wander(rng, length, turn=float(rng.uniform(0.0, 1.2)), sway=0.25)
    width = 1 + 0.15 * rng.standard_normal(_PARTS + 1)
    return _stroked([path], [np.clip(width, 0.7, 1.4)])


def star(rng: np.random.Generator) -> Form:
    """Draw a cell body with three to six tapering arms."""
    arms = int(rng.integers(3, 7))
    body = float(rng.uniform(0.8, 1.3))
    start = rng.uniform(0, 2 * np.pi)
    paths, widths = [], []
    for arm in range(arms):
        heading = start + (arm + rng.uniform(-0.3, 0.3)) * 2 * np.pi / arms
        path = _wander(rng, float(rng.uniform(1.8, 3.5)), turn=0.3, sway=0.2, parts=3)
        angle = heading - np.arctan2(path[-1, 0], path[-1, 1])
        paths.append(_turned(path - path[0], float(angle)))
        widths.append(np.linspace(body * rng.uniform(0.5, 0.9), rng.uniform(0.2, 0.35), 4))
    paths.append(np.zeros((2, 2)))
    widths.append(np.full(2, body))
    return _stroked(paths, widths)


def branching(rng: np.random.Generator) -> Form:
    """Draw a winding line with one to three side branches, as of a hypha or a neurite."""
    trunk = _wander(rng, float(rng.uniform(7.0, 14.0)), turn=0.5, sway=0.3)
    paths, widths = [trunk], [np.ones(_PARTS + 1)]
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(1, _PARTS))
        branch = _wander(rng, float(rng.uniform(2.5, 6.0)), turn=0.4, sway=0.2, parts=4)
        forward = trunk[at + 1] - trunk[at - 1]
        side = rng.choice([-1.0, 1.0]) * rng.uniform(0.5, 1.2)
        heading = np.arctan2(forward[0], forward[1]) + side
        branch = _turned(branch - branch[0], float(heading - np.arctan2(*(branch[1] - branch[0]))))
        paths.append(branch + trunk[at])
        widths.append(np.linspace(0.9, rng.uniform(0.4, 0.9), 5))
    return _stroked(paths, widths)


def _wander(
    rng: np.random.Generator, length: float, *, turn: float, sway: float, parts: int = _PARTS
) -> NDArray[np.float64]:
    """Points (y, x) of a path that turns by `turn` radians to each side of its middle."""
    heading = rng.uniform(0, 2 * np.pi) + turn * np.linspace(-1, 1, parts)
    heading += np.cumsum(sway * rng.standard_normal(parts))
    steps = np.stack([np.sin(heading), np.cos(heading)], axis=1) * length / parts
    return np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])


def _turned(path: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    sine, cosine = np.sin(angle), np.cos(angle)
    return np.asarray(path @ np.array([[cosine, -sine], [sine, cosine]]))


def _stroked(paths: list[NDArray[np.float64]], widths: list[NDArray[np.float64]]) -> Form:
    """Put the strokes' middle at the origin and join them; `widths` are half widths."""
    points = np.concatenate(paths)
    middle = (points.max(axis=0) + points.min(axis=0)) / 2
    parts = [
        (*(a - middle), *(b - a), wa, wb - wa)
        for path, width in zip(paths, widths, strict=True)
        for a, b, wa, wb in zip(path[:-1], path[1:], width[:-1], width[1:], strict=True)
    ]
    reach = float(np.abs(points - middle).max() + max(w.max() for w in widths)) * 1.02

    def distance(y: Field, x: Field) -> Field:
        nearest = np.full(np.broadcast_shapes(y.shape, x.shape), np.inf, np.float32)
        for part in parts:
            y0, x0, dy, dx, width, widening = map(np.float32, part)
            v, u = y - y0, x - x0
            squared = max(dy * dy + dx * dx, np.float32(1e-9))
            at = np.clip(v * (dy / squared) + u * (dx / squared), 0, 1)
            across = np.sqrt((v - at * dy) ** 2 + (u - at * dx) ** 2)
            np.minimum(nearest, across - (width + at * widening), out=nearest)
        return nearest

    return Form(distance, reach)
