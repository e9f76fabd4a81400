"""What lies inside objects: nuclei of cells and the like."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from napari_sam2_openvino.synthetic.outlines import amoeboid, crop, ellipse, rasterize
from napari_sam2_openvino.synthetic.placement import Labels, Layout

_LEAST_AREA = 12
"""Parts of fewer pixels are not drawn."""

_PORTIONS = (0.08, 0.6)
"""Least and largest portion of its object that a part covers."""


def draw_parts(rng: np.random.Generator, layout: Layout, chance: float) -> Labels | None:
    """Draw one part into some of the objects.

    Parameters
    ----------
    rng : numpy.random.Generator
    layout : Layout
    chance : float
        That an object gets a part, from 0 to 1.

    Returns
    -------
    ndarray of int32, shape (H, W), or None
        The part of object i has number i, lies inside it and is in one piece. None if no object
        has got a part.
    """
    parts = np.zeros_like(layout.labels)
    portion = rng.uniform(0.15, 0.4)
    for obj_id, window in enumerate(ndimage.find_objects(layout.labels), start=1):
        if rng.random() >= chance:
            continue
        inside = layout.labels[window] == obj_id
        depth = np.where(inside, layout.depth[window], 0)
        area = np.count_nonzero(inside)
        radius = np.sqrt(area * portion * rng.uniform(0.7, 1.4) / np.pi)
        form = ellipse(rng) if rng.random() < 0.8 else amoeboid(rng)
        outline = rasterize(form, float(max(1.5, min(radius, 0.95 * depth.max()))))
        # Off the deepest point, by less than would bring it to the object's edge.
        y, x = np.unravel_index(np.argmax(depth), depth.shape)
        loose = max(0.0, float(depth.max()) - radius)
        shift = np.rint(rng.uniform(-0.6, 0.6, 2) * loose).astype(int)
        centre = np.clip(np.array([y, x]) + shift, 0, np.array(depth.shape) - 1)
        part, where = crop(outline, (int(centre[0]), int(centre[1])), depth.shape)
        covered = np.zeros(depth.shape, bool)
        covered[where] = (part < 0) & (depth[where] > 1)
        if np.count_nonzero(covered) < max(_LEAST_AREA, _PORTIONS[0] * area):
            continue
        if np.count_nonzero(covered) > _PORTIONS[1] * area or ndimage.label(covered)[1] != 1:
            continue
        parts[window][covered] = obj_id
    return parts if parts.any() else None
