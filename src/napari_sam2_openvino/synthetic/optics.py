"""Operations on images that renderers share."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam2_openvino.synthetic.noise import linear_weights, smooth_noise
from napari_sam2_openvino.synthetic.placement import Labels, Layout

Intensity: TypeAlias = NDArray[np.float32]

_FINE_SIGMA = 4.0
"""Wider blurs are done on a coarser grid."""


def blur(image: Intensity, sigma: float) -> Intensity:
    """Blur an image of shape (H, W) with a Gaussian of `sigma` pixels."""
    step = int(2 * sigma / _FINE_SIGMA)
    if step < 2:
        return np.asarray(ndimage.gaussian_filter(image, sigma, truncate=3.0), np.float32)
    rows, columns = (-(-side // step) for side in image.shape)
    padding = [(0, rows * step - image.shape[0]), (0, columns * step - image.shape[1])]
    blocks = np.pad(image, padding, mode="edge").reshape(rows, step, columns, step)
    coarse = ndimage.gaussian_filter(blocks.mean(axis=(1, 3)), sigma / step, truncate=3.0)
    weights = [
        linear_weights((np.arange(side) + 0.5) / step - 0.5, count)
        for side, count in zip(image.shape, coarse.shape, strict=True)
    ]
    return np.asarray(weights[0] @ coarse @ weights[1].T, np.float32)


def per_object(rng: np.random.Generator, layout: Layout, low: float, high: float) -> Intensity:
    """Give one random value for each object, 0 in the background."""
    values = rng.uniform(low, high, len(layout.radii)).astype(np.float32)
    values[0] = 0
    return values[layout.labels]


def per_part(rng: np.random.Generator, parts: Labels, low: float, high: float) -> Intensity:
    """Give one random value for each part of an object, 0 elsewhere."""
    values = rng.uniform(low, high, int(parts.max()) + 1).astype(np.float32)
    values[0] = 0
    return values[parts]


def borders(labels: Labels) -> Intensity:
    """1 at pixels whose lower or right neighbour has another label, 0 elsewhere."""
    result = np.zeros(labels.shape, np.float32)
    result[:-1] = labels[:-1] != labels[1:]
    result[:, :-1] += labels[:, :-1] != labels[:, 1:]
    return np.minimum(result, 1)


def seams(rng: np.random.Generator, layout: Layout) -> Intensity:
    """1, and less along the lines where objects touch, as far as one sees these in a scene."""
    between = borders(layout.labels) * (layout.labels > 0)
    return np.asarray(1 - rng.uniform(0.0, 0.9) * blur(between, rng.uniform(0.7, 1.3)), np.float32)


def relative_depth(layout: Layout, portion: float) -> Intensity:
    """0 at the edge of an object to 1 at `portion` of its radius and further inside."""
    return np.clip(layout.depth / (portion * layout.radii)[layout.labels], 0, 1)


def mottle(
    rng: np.random.Generator, layout: Layout, finest: float = 0.1, coarsest: float = 0.6
) -> Intensity:
    """Noise whose grains are a random part, within the limits, of the objects' typical radius."""
    scale = typical_radius(layout) * np.exp(rng.uniform(np.log(finest), np.log(coarsest)))
    noise = smooth_noise(rng, layout.labels.shape, max(1.5, float(scale)))
    return noise if layout.texture_from is None else noise[layout.texture_from]


def relief(height: Intensity, angle: float) -> Intensity:
    """Give the slope of a surface in a direction: what is lit from one side."""
    down, right = ndimage.sobel(height, axis=0), ndimage.sobel(height, axis=1)
    return np.asarray((np.sin(angle) * down + np.cos(angle) * right) / 8, np.float32)


def typical_radius(layout: Layout) -> float:
    """Median radius of the objects, in pixels."""
    return float(np.median(layout.radii[1:]))
