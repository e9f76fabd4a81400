"""Noise with a grain size, from which textures and uneven light are made."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def smooth_noise(
    rng: np.random.Generator, shape: tuple[int, ...], scale: float | tuple[float, ...]
) -> NDArray[np.float32]:
    """Noise of mean 0 and standard deviation 1 whose grains are about `scale` pixels wide.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : tuple of int
        (height, width) in pixels, or more axes.
    scale : float or tuple of float
        Distance of the random values between which a cubic spline runs, in pixels; one for all
        axes, or one for each.

    Returns
    -------
    ndarray of float32, of the given shape
    """
    scales = scale if isinstance(scale, tuple) else (scale,) * len(shape)
    weights = [
        _spline_weights(side, max(1.0, step)) for side, step in zip(shape, scales, strict=True)
    ]
    noise = rng.standard_normal([w.shape[1] for w in weights], dtype=np.float32)
    for weight in weights:
        # Takes the first axis and puts it last, so that the last step restores the order.
        noise = np.tensordot(noise, weight, axes=(0, 1))
    return np.asarray((noise - noise.mean()) / (noise.std() + 1e-6), np.float32)


def linear_weights(position: NDArray[np.float64], count: int) -> NDArray[np.float32]:
    """Weights of `count` grid points at fractional positions, shape (positions, count).

    Beyond the grid its outermost value goes on.
    """
    inside = np.clip(position, 0, count - 1)
    distance = np.abs(inside[:, None] - np.arange(count))
    return np.asarray(np.clip(1 - distance, 0, None), np.float32)


def _spline_weights(length: int, scale: float) -> NDArray[np.float32]:
    """Weights of a uniform cubic B-spline, shape (length, number of control values)."""
    position = np.arange(length) / scale
    first = position.astype(np.int64)
    t = position - first
    four = [(1 - t) ** 3, 4 - 6 * t**2 + 3 * t**3, 1 + 3 * t + 3 * t**2 - 3 * t**3, t**3]
    weights = np.zeros((length, int(first[-1]) + 4), np.float32)
    for offset, weight in enumerate(four):
        weights[np.arange(length), first + offset] = weight / 6
    return weights
