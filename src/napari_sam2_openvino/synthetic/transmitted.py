"""What microscopes show of objects in transmitted or reflected light, and in electron microscopes.

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
    relief,
    typical_radius,
)
from napari_sam2_openvino.synthetic.parameters import SceneParameters
from napari_sam2_openvino.synthetic.placement import Layout
from napari_sam2_openvino.synthetic.tessellation import tessellate


def render_brightfield(
    rng: np.random.Generator, layout: Layout, parameters: SceneParameters
) -> Intensity:
    """Unstained cells: grainy, with a dark rim, a bright line beside it, or lit from one side."""
    strength = 0.25 + 0.75 * parameters.contrast
    inside = blur((layout.labels > 0).astype(np.float32), 0.8)
    halo = np.clip(blur(inside, rng.uniform(3, 6)) - inside, 0, None) * rng.uniform(0.3, 0.9)
    rim = blur(borders(layout.labels), rng.uniform(0.8, 1.6)) * rng.uniform(0.2, 0.5)
    tone = per_object(rng, layout, -0.2, 0.06) + _part_tone(rng, layout, 0.25)
    grain = rng.uniform(0.03, 0.08) * mottle(rng, layout, 0.05, 0.25) * inside
    cells = halo + blur(tone, 1.0) + grain - rim
    if rng.random() < 0.3:
        bump = 0.4 * (_part_tone(rng, layout, 1.0) != 0)
        surface = relative_depth(layout, 0.7) ** 0.5 + 0.15 * grain + bump
        surface = blur(surface.astype(np.float32), 1.2)
        slope = relief(surface, rng.uniform(0, 2 * np.pi)) * 0.35 * typical_radius(layout)
        cells = 0.35 * cells + np.clip(slope, -0.45, 0.45)
    return np.asarray(_bright_background(rng, parameters) + strength * cells, np.float32)


def render_phase(
    rng: np.random.Generator, layout: Layout, parameters: SceneParameters
) -> Intensity:
    """Cells in phase contrast: dark where they are thick, each in a bright halo.

    The ring of the condenser lets low frequencies through, which is the halo and what makes the
    middle of large objects as grey as the background.
    """
    radius = typical_radius(layout)
    thickness = relative_depth(layout, rng.uniform(0.3, 1.0)) ** rng.uniform(0.3, 0.8)
    thickness = thickness * per_object(rng, layout, 0.5, 1.0)
    grain = rng.uniform(0.02, 0.08) * mottle(rng, layout, 0.05, 0.25) * (layout.labels > 0)
    phase = blur(thickness, 0.8) - blur(_part_tone(rng, layout, 0.5), 0.8) + grain
    halo = blur(phase, float(np.clip(rng.uniform(0.2, 0.6) * radius, 2.5, 25)))
    dark = phase - rng.uniform(0.7, 1.1) * halo
    rounded = per_object(rng, layout, 0.0, 1.0) > rng.uniform(0.6, 1.3)
    bright = blur(rounded * relative_depth(layout, 0.5), 1.0)
    cells = bright * rng.uniform(0.3, 0.7) - dark * rng.uniform(0.5, 0.9)
    if rng.random() < 0.3:
        cells = -cells  # negative phase contrast, or out of focus on the other side
    strength = 0.25 + 0.75 * parameters.contrast
    return np.asarray(_bright_background(rng, parameters) + strength * cells, np.float32)


def render_electron(
    rng: np.random.Generator, layout: Layout, parameters: SceneParameters
) -> Intensity:
    """Organelles in an electron microscope: dark, with folded membranes, in grainy cytoplasm."""
    labels = layout.labels
    scale = min(labels.shape) / 256
    grain = 0.05 * smooth_noise(rng, labels.shape, 2) + 0.03 * smooth_noise(rng, labels.shape, 5)
    around = SceneParameters("electron", parameters.shape, radius=(45 * scale, 80 * scale))
    membranes = blur(borders(tessellate(rng, around).labels) * (labels == 0), 1.2) * 1.1
    rim = blur(borders(labels), rng.uniform(0.8, 1.4)) * rng.uniform(0.4, 0.8)
    matrix = per_object(rng, layout, 0.05, 0.35) - _part_tone(rng, layout, 0.3)
    phase = mottle(rng, layout, 0.5, 1.0) * 6 + mottle(rng, layout, 0.2, 0.5)
    folds = np.clip(np.sin(phase) - 0.55, 0, None) * rng.uniform(0.0, 0.6) * (layout.depth > 2)
    dark = blur(matrix + folds, 0.8) + rim
    tone = 0.66 + 0.1 * parameters.texture * smooth_noise(rng, labels.shape, 25 * scale)
    vesicles = 0.25 * parameters.texture * (np.abs(smooth_noise(rng, labels.shape, 6)) < 0.12)
    dark = dark + blur(vesicles.astype(np.float32) * (labels == 0), 0.7) + 0.8 * membranes
    return np.asarray(tone + grain - (0.3 + 0.7 * parameters.contrast) * dark, np.float32)


def render_particles(
    rng: np.random.Generator, layout: Layout, parameters: SceneParameters
) -> Intensity:
    """Opaque grains, beads and coins in light from one side: rough, with a rim and a shadow."""
    strength = 0.25 + 0.75 * parameters.contrast
    radius = typical_radius(layout)
    angle = rng.uniform(0, 2 * np.pi)
    inside = (layout.labels > 0).astype(np.float32)
    dome = rng.uniform(0.0, 1.0) * relative_depth(layout, rng.uniform(0.15, 1.0)) ** 0.5
    edge = relative_depth(layout, 0.3)
    dome += rng.uniform(0.0, 0.6) * 4 * edge * (1 - edge)
    pattern = np.where(mottle(rng, layout, 0.1, 0.5) > rng.uniform(0, 1), 1, 0)
    rough = rng.uniform(0.0, 0.6) * pattern + rng.uniform(0.0, 0.3) * mottle(rng, layout, 0.05, 0.2)
    surface = blur(dome + inside * rough * relative_depth(layout, 0.15), rng.uniform(0.7, 1.5))
    lit = np.clip(relief(surface, angle) * 3, -0.4, 0.5)
    tone = per_object(rng, layout, 0.1, 0.1 + rng.uniform(0.1, 0.4))
    if rng.random() < 0.25:
        tone = -0.7 * tone
    away = np.array([np.sin(angle), np.cos(angle)]) * rng.uniform(0.05, 0.25) * min(radius, 20)
    cast = np.roll(inside, np.rint(away).astype(int), axis=(0, 1)) * (1 - inside)
    shadow = rng.uniform(0.0, 0.3) * blur(cast.astype(np.float32), 0.5 + 0.1 * min(radius, 20))
    body = blur(tone, 0.7) + lit * inside - shadow * (1 - inside)
    level = rng.uniform(-0.25, 0.0)
    return np.asarray(_bright_background(rng, parameters) + level + strength * body, np.float32)


def _part_tone(rng: np.random.Generator, layout: Layout, most: float) -> Intensity:
    """Brightness of parts against the rest of their objects: all brighter, or all darker."""
    if layout.parts is None:
        return np.zeros(layout.labels.shape, np.float32)
    sign = rng.choice([-1.0, 1.0])
    return np.asarray(sign * per_part(rng, layout.parts, 0.5 * most, most), np.float32)


def _bright_background(rng: np.random.Generator, parameters: SceneParameters) -> Intensity:
    """Middle grey, with streaks and grains as `texture` wants it."""
    shape = parameters.shape
    grain = np.exp(rng.uniform(np.log(2), np.log(0.1 * min(shape))))
    streaks = (float(grain * rng.uniform(1, 4)), float(grain))
    structure = smooth_noise(rng, shape, streaks if rng.random() < 0.5 else streaks[::-1])
    return np.asarray(rng.uniform(0.4, 0.6) + 0.07 * parameters.texture * structure, np.float32)
