"""From labels to what a microscope would show: one function for each kind.

Every renderer takes the labels and returns intensities from 0 to 1, before the camera's noise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam2_openvino.synthetic.noise import smooth_noise
from napari_sam2_openvino.synthetic.parameters import Kind, SceneParameters
from napari_sam2_openvino.synthetic.placement import Labels, tessellate

Intensity = NDArray[np.float32]
Renderer = Callable[[np.random.Generator, Labels, SceneParameters], Intensity]

_HAEMATOXYLIN = np.array([0.65, 0.70, 0.29], np.float32)
_EOSIN = np.array([0.07, 0.99, 0.11], np.float32)
"""Optical density of the two stains in red, green and blue (Ruifrok and Johnston, 2001)."""


def render_fluorescence(
    rng: np.random.Generator, labels: Labels, parameters: SceneParameters
) -> Intensity:
    """Nuclei with a DNA stain: bright, mottled, of unequal brightness, in a faint haze."""
    low = 1 - 0.6 * (1.1 - parameters.contrast)
    brightness = _per_object(rng, labels, 0.5 * low, 1.0)
    mottled = 1 + 0.18 * smooth_noise(rng, labels.shape, rng.uniform(3, 7))
    rounded = 0.75 + 0.25 * np.clip(_depth(labels) / _typical_radius(parameters), 0, 1)
    signal = brightness * mottled * rounded
    haze = 0.5 * _blur(signal, 0.5 * _typical_radius(parameters))
    background = 0.05 + (1 - parameters.contrast) * (
        0.25 + 0.06 * smooth_noise(rng, labels.shape, 60) + 0.25 * haze
    )
    sharp = _blur(signal, rng.uniform(0.7, 1.6)) * (0.35 + 0.6 * parameters.contrast)
    return np.asarray(sharp + background, np.float32)


def render_elongated(
    rng: np.random.Generator, labels: Labels, parameters: SceneParameters
) -> Intensity:
    """Cells with a cytoplasmic label: brightest in the middle, uneven, darker spots inside."""
    brightness = _per_object(rng, labels, 0.45, 1.0)
    depth = np.clip(_depth(labels) / (0.5 * _typical_radius(parameters)), 0, 1)
    mottled = 1 + 0.2 * smooth_noise(rng, labels.shape, rng.uniform(4, 10))
    spots = 1 - 0.5 * (smooth_noise(rng, labels.shape, 6) > 1.8)
    signal = _blur(brightness * (0.55 + 0.45 * depth) * mottled * spots, rng.uniform(0.7, 1.4))
    background = 0.06 + (1 - parameters.contrast) * (
        0.25 + 0.1 * smooth_noise(rng, labels.shape, 50)
    )
    return np.asarray(signal * (0.3 + 0.65 * parameters.contrast) + background, np.float32)


def render_brightfield(
    rng: np.random.Generator, labels: Labels, parameters: SceneParameters
) -> Intensity:
    """Unstained cells in phase contrast: grainy, a dark rim and a bright halo around it."""
    strength = 0.4 + 0.6 * parameters.contrast
    inside = _blur((labels > 0).astype(np.float32), 0.8)
    wide = _blur(inside, rng.uniform(3, 6))
    halo = np.clip(wide - inside, 0, None) * rng.uniform(0.5, 0.9)
    rim = _blur(_borders(labels).astype(np.float32), 1.0) * rng.uniform(0.25, 0.45)
    tone = _per_object(rng, labels, -0.16, 0.04)
    grain = 0.06 * smooth_noise(rng, labels.shape, rng.uniform(2, 4)) * inside
    illumination = 0.5 + 0.05 * smooth_noise(rng, labels.shape, 120)
    return np.asarray(illumination + strength * (halo + _blur(tone, 1.0) + grain - rim), np.float32)


def render_darkfield(
    rng: np.random.Generator, labels: Labels, parameters: SceneParameters
) -> Intensity:
    """Cells in dark field: edges and granules scatter light, the background is dark."""
    inside = (labels > 0).astype(np.float32)
    rim = _blur(_borders(labels).astype(np.float32), 1.1) * _rim_brightness(rng, labels)
    body = _per_object(rng, labels, 0.1, 0.35) * (1 + 0.25 * smooth_noise(rng, labels.shape, 5))
    granules = np.clip(smooth_noise(rng, labels.shape, 2.5) - 1.4, 0, None) * 0.35 * inside
    glow = 0.35 * _blur(rim, 5)
    background = 0.06 + 0.2 * (1 - parameters.contrast)
    light = _blur(body + granules, 0.8) + rim + glow
    return np.asarray(background + (0.35 + 0.6 * parameters.contrast) * light, np.float32)


def render_membrane(
    rng: np.random.Generator, labels: Labels, parameters: SceneParameters
) -> Intensity:
    """Cells of an epithelium with labelled membranes: bright uneven borders, dim inside."""
    width = rng.uniform(0.8, 1.6)
    borders = _blur(_borders(labels).astype(np.float32), width) * width * 1.3
    uneven = np.clip(1 + 0.3 * smooth_noise(rng, labels.shape, 14), 0.35, 1.6)
    cytoplasm = _per_object(rng, labels, 0.02, 0.2) * (1 + 0.3 * smooth_noise(rng, labels.shape, 6))
    background = 0.05 + (1 - parameters.contrast) * 0.2
    return np.asarray(
        background + (0.4 + 0.6 * parameters.contrast) * (borders * uneven + cytoplasm), np.float32
    )


def render_tissue(
    rng: np.random.Generator, labels: Labels, parameters: SceneParameters
) -> Intensity:
    """Nuclei in a section stained with haematoxylin and eosin, violet in pink; (H, W, 3)."""
    fibres = smooth_noise(rng, labels.shape, 5) * 0.5 + smooth_noise(rng, labels.shape, 24)
    eosin = np.clip(0.30 + 0.10 * fibres, 0.02, None)
    holes = (smooth_noise(rng, labels.shape, 40) > 1.6) & (labels == 0)
    eosin = np.where(holes, 0.02, eosin)
    chromatin = 1 + 0.2 * smooth_noise(rng, labels.shape, 3)
    stained = _per_object(rng, labels, 0.55, 1.1) * chromatin
    stained = stained + 0.35 * _blur(_borders(labels).astype(np.float32), 0.8) * (labels > 0)
    haematoxylin = 0.12 * (1.4 - parameters.contrast) * (1 + 0.4 * fibres)
    haematoxylin = np.clip(haematoxylin, 0.01, None) + stained * (0.35 + 0.6 * parameters.contrast)
    eosin = _blur(np.where(labels > 0, 0.6 * eosin, eosin), 1.0)
    density = _blur(haematoxylin, 0.8)[..., None] * (
        _HAEMATOXYLIN * rng.uniform(0.9, 1.1, 3)
    ) + eosin[..., None] * (_EOSIN * rng.uniform(0.9, 1.1, 3))
    return np.asarray(0.95 * np.exp(-1.3 * density), np.float32)


def render_electron(
    rng: np.random.Generator, labels: Labels, parameters: SceneParameters
) -> Intensity:
    """Organelles in an electron microscope: dark, with folded membranes, in grainy cytoplasm."""
    grain = 0.05 * smooth_noise(rng, labels.shape, 2) + 0.03 * smooth_noise(rng, labels.shape, 5)
    cells = SceneParameters(kind="electron", shape=parameters.shape, radius=(45.0, 80.0))
    cell_borders = _borders(tessellate(rng, cells)) & (labels == 0)
    membranes = _blur(cell_borders.astype(np.float32), 1.2) * 1.1
    rim = _blur(_borders(labels).astype(np.float32), 0.9) * 0.6
    matrix = _per_object(rng, labels, 0.12, 0.3)
    phase = smooth_noise(rng, labels.shape, 14) * 6 + smooth_noise(rng, labels.shape, 7)
    folds = np.clip(np.sin(phase) - 0.55, 0, None) * 0.35 * (_depth(labels) > 2)
    dark = _blur(matrix + folds, 0.8) + rim
    tone = 0.66 + 0.04 * smooth_noise(rng, labels.shape, 50)
    return np.asarray(
        tone + grain - (0.45 + 0.55 * parameters.contrast) * (dark + 0.8 * membranes), np.float32
    )


RENDERERS: Mapping[Kind, Renderer] = MappingProxyType(
    {
        "fluorescence": render_fluorescence,
        "brightfield": render_brightfield,
        "darkfield": render_darkfield,
        "membrane": render_membrane,
        "tissue": render_tissue,
        "elongated": render_elongated,
        "electron": render_electron,
    }
)


def _blur(image: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    return np.asarray(ndimage.gaussian_filter(image, sigma, truncate=3.0), np.float32)


def _per_object(
    rng: np.random.Generator, labels: Labels, low: float, high: float
) -> NDArray[np.float32]:
    """One random value for each object, 0 in the background."""
    values = rng.uniform(low, high, int(labels.max()) + 1).astype(np.float32)
    values[0] = 0
    return values[labels]


def _rim_brightness(rng: np.random.Generator, labels: Labels) -> NDArray[np.float32]:
    return np.asarray(
        np.clip(0.9 + 0.25 * smooth_noise(rng, labels.shape, 10), 0.3, 1.4), np.float32
    )


def _borders(labels: Labels) -> NDArray[np.bool_]:
    """Pixels whose lower or right neighbour has another label."""
    borders = np.zeros(labels.shape, bool)
    borders[:-1] |= labels[:-1] != labels[1:]
    borders[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    return borders


def _depth(labels: Labels) -> NDArray[np.float32]:
    """Distance of each pixel of an object from the object's edge, in pixels."""
    return np.asarray(ndimage.distance_transform_edt((labels > 0) & ~_borders(labels)), np.float32)


def _typical_radius(parameters: SceneParameters) -> float:
    return sum(parameters.radius) / 2
