"""From a layout to the image that a camera takes of it."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.synthetic.clutter import add_clutter
from napari_sam2_openvino.synthetic.noise import smooth_noise
from napari_sam2_openvino.synthetic.optics import Intensity, blur
from napari_sam2_openvino.synthetic.parameters import SceneParameters
from napari_sam2_openvino.synthetic.placement import Layout
from napari_sam2_openvino.synthetic.rendering import DARK_GROUND, RENDERERS, SIXTEEN_BIT

Image: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]

_CAMERA_RANGE = 4095
"""The largest value of the imitated 12-bit camera."""

_GRAINY = 0.25
"""Part of the images whose noise is coarser than a pixel, as after resampling or compression."""


def take_image(
    rng: np.random.Generator,
    layout: Layout,
    parameters: SceneParameters,
    noise_rng: np.random.Generator | None = None,
) -> Image:
    """Show objects as `parameters` want it.

    Parameters
    ----------
    rng : numpy.random.Generator
    layout : Layout
    parameters : SceneParameters
    noise_rng : numpy.random.Generator, optional
        Source of the camera's noise; `rng` without it. With another one, images differ by their
        noise and layout only if `rng` is the same.

    Returns
    -------
    ndarray of uint8 or uint16, shape (H, W) or (H, W, 3)
    """
    light = RENDERERS[parameters.kind](rng, layout, parameters)
    light = _shade(rng, add_clutter(rng, light, layout, parameters), parameters)
    return _photograph(rng, light, parameters, rng if noise_rng is None else noise_rng)


def _shade(rng: np.random.Generator, light: Intensity, parameters: SceneParameters) -> Intensity:
    """Light the image unevenly: from one side, from the middle or in patches."""
    height, width = parameters.shape
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)
    tilt = rng.uniform(-1, 1, 2)
    patches = smooth_noise(rng, parameters.shape, 0.4 * min(height, width))
    uneven = tilt[0] * y + tilt[1] * x - rng.random() * (y**2 + x**2) + 0.3 * patches
    gain = np.clip(1 + 0.4 * parameters.shading * uneven, 0.15, None).astype(np.float32)
    glow: Intensity = np.zeros((1, 1), np.float32)
    if parameters.kind in DARK_GROUND:
        side = rng.uniform(-1, 1, 2)
        glow = 0.15 * parameters.shading * np.clip(side[0] * y + side[1] * x, 0, None)
    if light.ndim == 3:
        gain, glow = gain[..., None], glow[..., None]
    return np.asarray(light * gain + glow, np.float32)


def _photograph(
    rng: np.random.Generator,
    intensity: Intensity,
    parameters: SceneParameters,
    noise_rng: np.random.Generator,
) -> Image:
    """Blur, add noise that grows with the root of the light, round to the camera's values."""
    gain = rng.uniform(0.8, 1.3) if parameters.kind in DARK_GROUND else 1.0
    light = np.clip(np.float32(gain) * intensity, 0, 1.5)
    if parameters.blur > 0.3:
        light = _blur_planes(light, parameters.blur)
    noise = noise_rng.standard_normal(light.shape, dtype=np.float32)
    if rng.random() < _GRAINY:
        noise = _blur_planes(noise, rng.uniform(0.6, 1.0))
        noise /= noise.std()
    seen = light + parameters.noise * (0.4 + 0.6 * np.sqrt(light)) * noise
    if parameters.kind in SIXTEEN_BIT:
        exposure = rng.uniform(0.3, 0.9) * _CAMERA_RANGE
        counts = np.clip(np.rint(seen * exposure + 100), 0, _CAMERA_RANGE)
        return np.asarray(counts, np.uint16)
    return np.asarray(np.clip(np.rint(seen * 255), 0, 255), np.uint8)


def _blur_planes(image: Intensity, sigma: float) -> Intensity:
    """Blur an image of shape (H, W), or each colour of one of shape (H, W, 3)."""
    if image.ndim == 2:
        return blur(image, sigma)
    return np.stack([blur(image[..., colour], sigma) for colour in range(3)], axis=-1)
