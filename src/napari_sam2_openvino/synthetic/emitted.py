"""What microscopes show of objects that give light: fluorescence and dark field.

Every renderer takes a layout and returns intensities from 0 to 1, before clutter, shading, blur
and the camera's noise.
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
    seams,
    typical_radius,
)
from napari_sam2_openvino.synthetic.parameters import SceneParameters
from napari_sam2_openvino.synthetic.placement import Layout

_OVERLAP_GAIN = 0.35
"""How much brighter an object is where another one shines through."""


def render_fluorescence(
    rng: np.random.Generator, layout: Layout, parameters: SceneParameters
) -> Intensity:
    """Nuclei with a DNA stain: bright, mottled, of unequal brightness, in a faint haze."""
    contrast = parameters.contrast
    brightness = per_object(rng, layout, 0.5 * (0.35 + 0.6 * contrast), 1.0)
    dome = rng.uniform(0.05, 0.45) if rng.random() < 0.8 else 0.8
    rounded = 1 - dome + dome * relative_depth(layout, rng.uniform(0.4, 1.0))
    mottled = 1 + rng.uniform(0.03, 0.15) * mottle(rng, layout)
    mottled += rng.uniform(0.0, 0.12) * mottle(rng, layout, 0.05, 0.2)
    nucleoli = 1 - rng.uniform(0.0, 0.45) * (mottle(rng, layout, 0.25, 0.4) > 1.4)
    signal = brightness * rounded * mottled * nucleoli * seams(rng, layout)
    signal *= 1 + _OVERLAP_GAIN * layout.overlap
    haze = blur(signal, 0.6 * typical_radius(layout))
    sharp = blur(signal, rng.uniform(0.6, 1.3))
    background = _dark_background(rng, parameters) + (1 - contrast) * 0.2 * haze
    return np.asarray(sharp * (0.1 + 0.8 * contrast) + background, np.float32)


def render_elongated(
    rng: np.random.Generator, layout: Layout, parameters: SceneParameters
) -> Intensity:
    """Cells with a cytoplasmic label: brightest in the middle, uneven, darker spots inside."""
    brightness = per_object(rng, layout, 0.45, 1.0)
    rounded = 0.55 + 0.45 * relative_depth(layout, rng.uniform(0.3, 0.6))
    mottled = 1 + rng.uniform(0.1, 0.25) * mottle(rng, layout)
    spots = 1 - 0.5 * (mottle(rng, layout, 0.2, 0.4) > 1.8)
    signal = brightness * rounded * mottled * spots * seams(rng, layout)
    signal = blur(signal, rng.uniform(0.6, 1.2))
    signal *= 0.15 + 0.8 * parameters.contrast
    return np.asarray(signal + _dark_background(rng, parameters), np.float32)


def render_darkfield(
    rng: np.random.Generator, layout: Layout, parameters: SceneParameters
) -> Intensity:
    """Cells in dark field: edges and granules scatter light, the background is dark."""
    inside = (layout.labels > 0).astype(np.float32)
    uneven = np.clip(0.9 + 0.25 * smooth_noise(rng, layout.labels.shape, 10), 0.3, 1.4)
    rim = blur(borders(layout.labels), rng.uniform(0.8, 1.5)) * uneven * rng.uniform(0.7, 1.3)
    body = per_object(rng, layout, 0.1, 0.35) * (1 + 0.25 * mottle(rng, layout))
    granules = np.clip(mottle(rng, layout, 0.05, 0.2) - 1.4, 0, None) * 0.35 * inside
    glow = 0.35 * blur(rim, 5)
    light = blur(body + granules, 0.8) + rim + glow
    light *= 0.25 + 0.7 * parameters.contrast
    return np.asarray(light + _dark_background(rng, parameters), np.float32)


def render_membrane(
    rng: np.random.Generator, layout: Layout, parameters: SceneParameters
) -> Intensity:
    """Cells of an epithelium with labelled membranes: bright uneven borders, dim inside."""
    width = rng.uniform(0.8, 1.6 + 0.02 * typical_radius(layout))
    lines = blur(borders(layout.labels), width) * width * 1.3
    uneven = np.clip(1 + 0.3 * smooth_noise(rng, layout.labels.shape, 14), 0.35, 1.6)
    inside = per_object(rng, layout, 0.02, 0.2) * (1 + 0.3 * mottle(rng, layout))
    if layout.parts is not None:
        inside = inside + rng.uniform(0.15, 0.35) * blur((layout.parts > 0).astype(np.float32), 1)
    light = (0.25 + 0.7 * parameters.contrast) * (lines * uneven + inside)
    return np.asarray(light + _dark_background(rng, parameters), np.float32)


def render_filaments(
    rng: np.random.Generator, layout: Layout, parameters: SceneParameters
) -> Intensity:
    """Fibres and branching cells: beaded, brighter where one crosses another, or dark on grey."""
    brightness = per_object(rng, layout, 0.35, 1.0)
    beaded = np.clip(1 + rng.uniform(0.05, 0.4) * mottle(rng, layout, 0.15, 0.8), 0.3, 2)
    hollow = rng.uniform(-0.4, 0.5)
    profile = 1 - max(hollow, 0) + hollow * relative_depth(layout, 0.3)
    signal = brightness * beaded * profile * (1 + 2 * _OVERLAP_GAIN * layout.overlap)
    signal = blur(signal, rng.uniform(0.5, 1.2))
    glow = 0.3 * rng.random() * blur(signal, 4)
    light = (0.15 + 0.75 * parameters.contrast) * (signal + glow)
    light = light + _dark_background(rng, parameters)
    if rng.random() < 0.35:
        light = rng.uniform(0.5, 0.9) * np.exp(-rng.uniform(0.8, 1.6) * light)
    return np.asarray(light, np.float32)


def render_cytoplasm(
    rng: np.random.Generator, layout: Layout, parameters: SceneParameters
) -> Intensity:
    """Cells in one colour and their nuclei in another, which may be the same; (H, W, 3)."""
    brightness = per_object(rng, layout, 0.3, 1.0)
    dome = rng.uniform(0.2, 0.7)
    rounded = 1 - dome + dome * relative_depth(layout, rng.uniform(0.5, 1.2))
    textured = np.clip(1 + rng.uniform(0.08, 0.3) * mottle(rng, layout, 0.05, 0.3), 0.2, 2)
    cell = brightness * rounded * textured * seams(rng, layout)
    cell *= 1 + _OVERLAP_GAIN * layout.overlap
    nucleus = np.zeros_like(cell)
    if layout.parts is not None:
        nucleus = (layout.parts > 0).astype(np.float32)
        cell = cell * (1 - nucleus * rng.uniform(-0.2, 0.7))
        nucleus = per_part(rng, layout.parts, 0.5, 1.0) * (1 + 0.15 * mottle(rng, layout))
    sharpness = rng.uniform(0.6, 1.3)
    first, second = _two_colours(rng)
    background = _dark_background(rng, parameters)[..., None]
    cells = blur(cell, sharpness)[..., None] * first
    if rng.random() < 0.25:
        cells += per_object(rng, layout, 0.0, 1.0)[..., None] * cells[..., ::-1]
    light = cells + blur(nucleus, sharpness)[..., None] * second
    return np.asarray((0.15 + 0.8 * parameters.contrast) * light + background, np.float32)


def _two_colours(rng: np.random.Generator) -> tuple[Intensity, Intensity]:
    """Colours in which two channels are shown; both grey in one case of four."""
    if rng.random() < 0.25:
        return np.ones(3, np.float32), np.full(3, rng.uniform(0.2, 0.8), np.float32)
    colours = np.array([[0, 1, 0], [1, 0, 0], [0, 0.2, 1], [1, 0, 1], [0, 1, 1], [1, 0.8, 0]])
    first, second = rng.permutation(colours)[:2] + rng.uniform(0, 0.15, (2, 3))
    return first.astype(np.float32), second.astype(np.float32)


def _dark_background(rng: np.random.Generator, parameters: SceneParameters) -> Intensity:
    """Little light, the more the lower the contrast, and uneven as `texture` wants it."""
    shape = parameters.shape
    level = 0.03 + (1 - parameters.contrast) * 0.25
    grain = np.exp(rng.uniform(np.log(4), np.log(0.2 * min(shape))))
    structure = smooth_noise(rng, shape, float(grain)) + 0.5 * smooth_noise(rng, shape, 4.0)
    return np.asarray(level * np.clip(1 + 0.45 * parameters.texture * structure, 0, None))
