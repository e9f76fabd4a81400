"""Stained objects in colour: tissue sections and blood smears.

Every renderer takes a layout and returns intensities from 0 to 1, shape (H, W, 3), before clutter,
shading, blur and the camera's noise.
"""

from __future__ import annotations

import numpy as np

from napari_sam2_openvino.synthetic.noise import smooth_noise
from napari_sam2_openvino.synthetic.optics import (
    Intensity,
    blur,
    borders,
    mottle,
    per_object,
    per_part,
    relative_depth,
)
from napari_sam2_openvino.synthetic.parameters import SceneParameters
from napari_sam2_openvino.synthetic.placement import Layout

_HAEMATOXYLIN = np.array([0.65, 0.70, 0.29], np.float32)
_EOSIN = np.array([0.07, 0.99, 0.11], np.float32)
_DIAMINOBENZIDINE = np.array([0.27, 0.57, 0.78], np.float32)
"""Optical density of the stains in red, green and blue (Ruifrok and Johnston, 2001)."""

_GIEMSA_PURPLE = np.array([0.55, 0.85, 0.25], np.float32)
_RED_CELL = np.array([0.12, 0.62, 0.42], np.float32)


def render_tissue(
    rng: np.random.Generator, layout: Layout, parameters: SceneParameters
) -> Intensity:
    """Nuclei in a section: haematoxylin in eosin, or brown ones among blue ones; (H, W, 3)."""
    labels = layout.labels
    inside = (labels > 0).astype(np.float32)
    fibres = smooth_noise(rng, labels.shape, (5.0, 9.0)) * 0.5 + smooth_noise(rng, labels.shape, 24)
    ground = np.clip(0.30 + (0.06 + 0.12 * parameters.texture) * fibres, 0.02, None)
    holes = (smooth_noise(rng, labels.shape, 40) > 1.6) & (labels == 0)
    ground = blur(np.where(holes, 0.02, ground) * (1 - 0.4 * inside), 1.0)
    chromatin = 1 + rng.uniform(0.1, 0.3) * mottle(rng, layout, 0.1, 0.4)
    stained = per_object(rng, layout, 0.55, 1.1) * chromatin
    stained = stained + rng.uniform(0.0, 0.5) * blur(borders(labels), 0.8) * inside
    strength = 0.2 + 0.75 * parameters.contrast
    faint = 0.12 * (1.4 - parameters.contrast) * np.clip(1 + 0.4 * fibres, 0.05, None)
    brown = np.zeros_like(stained)
    ground_stain = _EOSIN
    if rng.random() < 0.35:
        ground_stain, ground = _HAEMATOXYLIN, 0.4 * ground
        if rng.random() < 0.5:
            brown = stained * (per_object(rng, layout, 0, 1) > rng.uniform(0.2, 0.8))
        else:
            brown = _stained_region(rng, labels.shape) * (1 - rng.uniform(0.6, 0.9) * inside)
    blue = faint + strength * np.clip(stained - brown, 0, None)
    density = (
        blur(blue, 0.8)[..., None] * (_HAEMATOXYLIN * rng.uniform(0.9, 1.1, 3))
        + blur(strength * brown, 0.8)[..., None] * (_DIAMINOBENZIDINE * rng.uniform(0.9, 1.1, 3))
        + ground[..., None] * (ground_stain * rng.uniform(0.9, 1.1, 3))
    )
    return np.asarray(rng.uniform(0.85, 1.0, 3) * np.exp(-1.3 * density), np.float32)


def _stained_region(rng: np.random.Generator, shape: tuple[int, ...]) -> Intensity:
    """Stain with folds and dark lines in a few large regions."""
    side = min(shape)
    region = np.clip(4 * smooth_noise(rng, shape, 0.2 * side) + 1, 0, 1)
    lines = np.abs(smooth_noise(rng, shape, (0.02 * side, 0.06 * side)))
    texture = 0.5 + 0.6 * np.clip(1 - lines / 0.4, 0, 1) + 0.1 * smooth_noise(rng, shape, 3)
    return np.asarray(region * texture, np.float32)


def render_smear(
    rng: np.random.Generator, layout: Layout, parameters: SceneParameters
) -> Intensity:
    """Blood cells: red ones with a pale centre, white ones with a dark nucleus; (H, W, 3)."""
    labels = layout.labels
    parts = np.zeros_like(labels) if layout.parts is None else layout.parts
    is_white = np.zeros(len(layout.radii), bool)
    is_white[np.unique(parts)] = True
    is_white[0] = False
    white = is_white[labels].astype(np.float32)
    red = (labels > 0) - white
    pale = rng.uniform(0.2, 0.9) * relative_depth(layout, rng.uniform(0.7, 1.1)) ** 2
    rim = 1 + rng.uniform(0.0, 0.4) * borders(labels)
    red = red * per_object(rng, layout, 0.4, 0.8) * (1 - pale) * rim
    cytoplasm = white * per_object(rng, layout, 0.15, 0.45) * (1 + 0.3 * mottle(rng, layout))
    chromatin = 1 + 0.2 * mottle(rng, layout, 0.1, 0.3)
    nucleus = per_part(rng, parts, 0.8, 1.4) * chromatin
    overlap = 1 + 0.5 * layout.overlap
    strength = 0.3 + 0.7 * parameters.contrast
    stained = [blur(strength * layer * overlap, 0.8) for layer in (red, cytoplasm + nucleus)]
    plasma = 0.06 * np.clip(1 + parameters.texture * smooth_noise(rng, labels.shape, 30), 0, None)
    density = (
        (stained[0] + plasma)[..., None] * (_RED_CELL * rng.uniform(0.8, 1.2, 3))
        + stained[1][..., None] * (_GIEMSA_PURPLE * rng.uniform(0.85, 1.15, 3))
    ).astype(np.float32)
    return np.asarray(rng.uniform(0.85, 1.0, 3) * np.exp(-1.2 * density), np.float32)
