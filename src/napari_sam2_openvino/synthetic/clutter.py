"""What is seen beside the objects: debris, saturated spots and what is out of focus."""

from __future__ import annotations

import numpy as np

from napari_sam2_openvino.synthetic.optics import Intensity, blur, typical_radius
from napari_sam2_openvino.synthetic.outlines import Field, amoeboid, crop, ellipse, rasterize
from napari_sam2_openvino.synthetic.parameters import SceneParameters
from napari_sam2_openvino.synthetic.placement import Layout
from napari_sam2_openvino.synthetic.rendering import DARK_GROUND
from napari_sam2_openvino.synthetic.strokes import bent, filament

_MOST_SPECKS = 30
_MOST_SPOTS = 8
_MOST_OUT_OF_FOCUS = 8


def add_clutter(
    rng: np.random.Generator, light: Intensity, layout: Layout, parameters: SceneParameters
) -> Intensity:
    """Add to an image what is no object of it, as much as `parameters.clutter` wants.

    Parameters
    ----------
    rng : numpy.random.Generator
    light : ndarray of float32, shape (H, W) or (H, W, 3)
    layout : Layout
    parameters : SceneParameters

    Returns
    -------
    ndarray of float32, of the shape of `light`
    """
    if parameters.clutter == 0:
        return light
    sign = 1.0 if parameters.kind in DARK_GROUND else -1.0
    strength = sign * (0.2 + 0.6 * parameters.contrast)
    scale = min(parameters.shape) / 512
    counts = rng.binomial((_MOST_SPECKS, _MOST_SPOTS, _MOST_OUT_OF_FOCUS), parameters.clutter)
    layer = np.zeros(parameters.shape, np.float32)
    for _ in range(counts[0]):
        draw = (ellipse, amoeboid, bent, filament)[int(rng.integers(4))]
        outline = rasterize(draw(rng), float(rng.uniform(1.0, 4.0)) * max(scale, 0.5))
        _stamp(rng, layer, outline, strength * float(rng.uniform(0.2, 1.0)))
    for _ in range(counts[1] - counts[1] // 2):
        outline = rasterize(ellipse(rng), float(rng.uniform(1.5, 5.0)) * max(scale, 0.5))
        _stamp(rng, layer, outline, 1.5)
    layer = blur(layer, float(rng.uniform(0.6, 1.5)))
    for _ in range(counts[1] // 2):
        outline = rasterize(ellipse(rng), float(rng.uniform(1.0, 7.0)) * max(scale, 0.5))
        _stamp(rng, layer, outline, 3.0 * (1.0 if rng.random() < 0.8 else sign))
    far = np.zeros(parameters.shape, np.float32)
    radius = typical_radius(layout)
    for _ in range(counts[2]):
        outline = rasterize(amoeboid(rng), float(min(radius * rng.uniform(0.8, 1.8), 120 * scale)))
        _stamp(rng, far, outline, 0.5 * strength * float(rng.uniform(0.3, 1.0)))
    if counts[2]:
        layer += blur(far, float(rng.uniform(0.3, 0.7)) * radius + 1.5)
    return light + (layer if light.ndim == 2 else layer[..., None])


def _stamp(rng: np.random.Generator, layer: Intensity, outline: Field, value: float) -> None:
    """Add an object of one brightness, with a soft edge, at a random place."""
    height, width = layer.shape
    part, window = crop(outline, (int(rng.integers(height)), int(rng.integers(width))), layer.shape)
    layer[window] += value * np.clip(0.5 - part, 0, 1)
