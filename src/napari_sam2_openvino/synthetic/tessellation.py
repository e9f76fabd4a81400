"""Cells that fill the image and share their borders."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam2_openvino.synthetic.noise import smooth_noise
from napari_sam2_openvino.synthetic.parameters import MOST_OBJECTS, SceneParameters
from napari_sam2_openvino.synthetic.placement import Labels, Layout, radii_of

_LEAST_AREA = 0.08
"""Smaller cells become background; in units of the squared spacing of the seeds."""

_OPEN = 0.35
"""Chance that cells are missing, so that there is background."""

_WINDOW = 1.6
"""A cell reaches less far from its seed than this, in units of the seeds' spacing."""


def tessellate(rng: np.random.Generator, parameters: SceneParameters) -> Layout:
    """Fill the whole image with cells that share their borders, as an epithelium does.

    Parameters
    ----------
    rng : numpy.random.Generator
    parameters : SceneParameters
        The mean of `radius` gives the size of the cells; `object_count` is not used.

    Returns
    -------
    Layout
        In some layouts a few regions are background; in all, slivers at the image's border.
    """
    height, width = parameters.shape
    fewest_pixels = height * width / MOST_OBJECTS
    spacing = max(1.2 * np.sqrt(fewest_pixels), 12.0, 1.9 * float(rng.uniform(*parameters.radius)))
    seeds = _draw_seeds(rng, parameters.shape, spacing)
    bend = spacing * 0.2 * parameters.irregularity
    y, x = np.arange(height, dtype=np.float32)[:, None], np.arange(width, dtype=np.float32)
    y = y + bend * smooth_noise(rng, parameters.shape, spacing / 2)
    x = x + bend * smooth_noise(rng, parameters.shape, spacing / 2)
    weights = (rng.uniform(-0.15, 0.15, len(seeds)) * spacing**2).astype(np.float32)
    nearest = np.zeros(parameters.shape, np.int32)
    least = np.full(parameters.shape, np.inf, np.float32)
    second = least.copy()
    reach = _WINDOW * spacing + 2 * bend
    for index, (row, column) in enumerate(seeds):
        window = (
            slice(max(0, int(row - reach)), max(0, int(row + reach))),
            slice(max(0, int(column - reach)), max(0, int(column + reach))),
        )
        distance = (y[window] - row) ** 2 + (x[window] - column) ** 2 + weights[index]
        closer = distance < least[window]
        np.minimum(second[window], np.maximum(distance, least[window]), out=second[window])
        np.minimum(least[window], distance, out=least[window])
        nearest[window][closer] = index + 1
    if rng.random() < _OPEN:
        keep = smooth_noise(rng, parameters.shape, 0.3 * min(parameters.shape)) > -0.7
        at = np.clip(seeds.astype(int), 0, np.array(parameters.shape) - 1)
        nearest = np.where(np.append(True, keep[at[:, 0], at[:, 1]])[nearest], nearest, 0)
    labels = _in_one_piece(nearest, max(12.0, _LEAST_AREA * spacing**2))
    # Half the difference of squared distances, over the seeds' distance: that from the border.
    depth = np.where(labels > 0, np.minimum((second - least) / (2 * spacing), spacing), 0)
    overlap = np.zeros(parameters.shape, bool)
    return Layout(labels, depth.astype(np.float32), overlap, radii_of(labels))


def _draw_seeds(
    rng: np.random.Generator, shape: tuple[int, int], spacing: float
) -> NDArray[np.float32]:
    """(y, x) of the cells' seeds: a hexagonal grid whose points are moved at random."""
    offset = rng.uniform(0, spacing, 2)
    rows = np.arange(offset[0] - spacing, shape[0] + spacing, spacing * 0.87)
    columns = np.arange(offset[1] - spacing, shape[1] + spacing, spacing)
    seeds = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1)
    seeds[1::2, :, 1] += spacing / 2
    moved = rng.uniform(-0.3, 0.3, (rows.size * columns.size, 2)) * spacing
    return np.asarray(seeds.reshape(-1, 2) + moved, np.float32)


def _in_one_piece(labels: Labels, least_area: float) -> Labels:
    """Keep the largest piece of every label and number the labels from 1 without gaps.

    The other pieces, and labels of fewer than `least_area` pixels, become background.
    """
    result = np.zeros_like(labels)
    obj_id = 0
    for index, window in enumerate(ndimage.find_objects(labels), start=1):
        if window is None:
            continue
        pieces, _ = ndimage.label(labels[window] == index)
        sizes = np.bincount(pieces.ravel())[1:]
        if sizes.max() < least_area:
            continue
        obj_id += 1
        result[window][pieces == sizes.argmax() + 1] = obj_id
    return result
