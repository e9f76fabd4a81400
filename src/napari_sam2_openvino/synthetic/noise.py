"""Noise with a grain size, from which textures and uneven light are made."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def smooth_noise(
    rng: np.random.Generator, shape: tuple[int, ...], scale: float
) -> NDArray[np.float32]:
    """Noise of mean 0 and standard deviation 1 whose grains are about `scale` pixels wide.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : tuple of int
        (height, width) in pixels, or more axes.
    scale : float
        Distance of the random values between which a cubic spline runs, in pixels.

    Returns
    -------
    ndarray of float32, of the given shape
    """
    weights = [_spline_weights(length, max(1.0, scale)) for length in shape]
    noise = rng.standard_normal([w.shape[1] for w in weights]).astype(np.float32)
    for axis, weight in enumerate(weights):
        noise = np.moveaxis(np.tensordot(weight, noise, axes=(1, axis)), 0, axis)
    return np.asarray((noise - noise.mean()) / (noise.std() + 1e-6), np.float32)


def _spline_weights(length: int, scale: float) -> NDArray[np.float32]:
    """Weights of a uniform cubic B-spline, shape (length, number of control values)."""
    position = np.arange(length) / scale
    distance = np.abs(position[:, None] + 1 - np.arange(int(position[-1]) + 4)[None, :])
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = np.clip(2 - distance, 0, None) ** 3 / 6
    return np.asarray(np.where(distance < 1, near, far), np.float32)
