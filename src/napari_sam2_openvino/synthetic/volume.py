"""Stacks of planes with ground truth, each given by a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam2_openvino.synthetic.noise import smooth_noise

_NOISE = 0.03
"""Standard deviation of the camera's noise, as a fraction of the full range."""

_TRIES = 20
"""How often a place is sought for one object before it is given up."""


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """A synthetic z-stack and what is in it.

    Attributes
    ----------
    image : ndarray of uint16, shape (Z, Y, X)
    labels : ndarray of int32, shape (Z, Y, X)
        0 is background, objects are numbered from 1 without gaps and keep their number in z.
    spacing : tuple of float
        (z, y, x) distance of neighbouring voxels, in units of a pixel's side.
    seed : int
    """

    image: NDArray[np.uint16]
    labels: NDArray[np.int32]
    spacing: tuple[float, float, float]
    seed: int


def make_volume(
    seed: int,
    *,
    shape: tuple[int, int, int] = (24, 192, 192),
    object_count: int = 24,
    radius: tuple[float, float] = (12.0, 22.0),
    z_spacing: float = 3.0,
) -> Volume:
    """Make a z-stack of fluorescent nuclei with its ground truth.

    Parameters
    ----------
    seed : int
        The same seed and parameters give the same volume.
    shape : tuple of int
        (planes, height, width).
    object_count : int
        Number of nuclei that are tried; fewer are drawn when there is no room for more.
    radius : tuple of float
        Smallest and largest radius of a nucleus, in pixels of a plane.
    z_spacing : float
        Distance of the planes, in pixels of a plane.

    Returns
    -------
    Volume

    Raises
    ------
    ValueError
        If `shape` is not three positive lengths or `object_count` is less than 1.

    Examples
    --------
    >>> volume = make_volume(seed=1, shape=(8, 64, 64), object_count=4)
    >>> volume.image.shape, volume.image.dtype.name
    ((8, 64, 64), 'uint16')
    """
    if len(shape) != 3 or min(shape) < 1:
        raise ValueError(f"shape must be three positive lengths (Z, Y, X), but got {shape}")
    if object_count < 1:
        raise ValueError(f"object_count must be at least 1, but got {object_count}")
    rng = np.random.default_rng([seed, 3])
    labels = np.zeros(shape, np.int32)
    placed = 0
    for _ in range(object_count):
        size = float(rng.uniform(*radius))
        for _ in range(_TRIES):
            if _place_nucleus(rng, labels, size, z_spacing, placed + 1):
                placed += 1
                break
    image = _render(rng, labels, z_spacing)
    return Volume(image, labels, (z_spacing, 1.0, 1.0), seed)


def _place_nucleus(
    rng: np.random.Generator,
    labels: NDArray[np.int32],
    size: float,
    z_spacing: float,
    obj_id: int,
) -> bool:
    """Write one rotated, dented ellipsoid; False where less than 9/10 of it would be free."""
    semi_axes = size * np.array([rng.uniform(0.6, 0.9), rng.uniform(0.75, 1.0), 1.0])
    centre = rng.uniform(0, 1, 3) * labels.shape
    reach = np.ceil(np.array([size / z_spacing, size, size]) * 1.2).astype(int)
    low = np.maximum(np.floor(centre).astype(int) - reach, 0)
    high = np.minimum(np.floor(centre).astype(int) + reach + 1, labels.shape)
    window = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    grid = np.meshgrid(*(np.arange(a, b) for a, b in zip(low, high, strict=True)), indexing="ij")
    offsets = np.stack([g - c for g, c in zip(grid, centre, strict=True)], axis=-1)
    offsets = offsets * np.array([z_spacing, 1.0, 1.0])
    rotation = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    body = offsets @ rotation / semi_axes
    dents = 1 + 0.08 * np.sin(3 * body[..., 0] + rng.uniform(0, 6)) * np.cos(2 * body[..., 1])
    inside = np.linalg.norm(body, axis=-1) < dents
    free = inside & (labels[window] == 0)
    if free.sum() < max(12, 0.9 * inside.sum()) or ndimage.label(free)[1] != 1:
        return False
    labels[window][free] = obj_id
    return True


def _render(
    rng: np.random.Generator, labels: NDArray[np.int32], z_spacing: float
) -> NDArray[np.uint16]:
    """Nuclei of unequal brightness, blurred more along z than in the plane."""
    brightness = rng.uniform(0.45, 1.0, int(labels.max()) + 1).astype(np.float32)
    brightness[0] = 0.0
    mottled = 1 + 0.15 * smooth_noise(rng, labels.shape, 4.0)
    signal = ndimage.gaussian_filter(brightness[labels] * mottled, (2.5 / z_spacing, 1.0, 1.0))
    haze = ndimage.gaussian_filter(signal, (6 / z_spacing, 8.0, 8.0))
    attenuation = np.linspace(1.0, 0.7, labels.shape[0], dtype=np.float32)[:, None, None]
    light = np.clip(0.06 + attenuation * (0.75 * signal + 0.15 * haze), 0, None)
    grains = rng.standard_normal(light.shape, dtype=np.float32)
    seen = light + _NOISE * (0.4 + 0.6 * np.sqrt(light)) * grains
    return np.asarray(np.clip(np.rint(seen * 3000 + 100), 0, 4095), np.uint16)
