"""Label images: objects put next to each other, or cells that fill the image."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam2_openvino.synthetic.noise import smooth_noise
from napari_sam2_openvino.synthetic.outlines import Field, draw_outline, ellipse
from napari_sam2_openvino.synthetic.parameters import SceneParameters

Labels: TypeAlias = NDArray[np.int32]

_TRIES = 12
"""How often a place is sought for one object before it is given up."""

_LEAST_VISIBLE = 0.6
"""The part of an object that must stay visible beside its neighbours and the image's border."""

_LEAST_AREA = 12
"""Objects of fewer pixels are not drawn."""


def place_outlines(rng: np.random.Generator, parameters: SceneParameters) -> Labels:
    """Fill an image with objects.

    Parameters
    ----------
    rng : numpy.random.Generator
    parameters : SceneParameters

    Returns
    -------
    ndarray of int32, shape (H, W)
        0 is background; objects are numbered from 1 without gaps, each in one piece.
    """
    canvas = _Canvas(parameters)
    for _ in range(int(rng.integers(parameters.object_count[0], parameters.object_count[1] + 1))):
        radius = float(rng.uniform(*parameters.radius))
        field = draw_outline(rng, radius, parameters.irregularity)
        for _ in range(_TRIES):
            if canvas.place(field, canvas.choose_centre(rng, radius), radius):
                break
    if not canvas.placed:
        canvas.place_in_the_middle(rng)
    return canvas.labels


def tessellate(rng: np.random.Generator, parameters: SceneParameters) -> Labels:
    """Fill the whole image with cells that share their borders, as an epithelium does.

    Parameters
    ----------
    rng : numpy.random.Generator
    parameters : SceneParameters
        The mean of `radius` gives the size of the cells; `object_count` is not used.

    Returns
    -------
    ndarray of int32, shape (H, W)
        Cells are numbered from 1 without gaps; there is no background.
    """
    height, width = parameters.shape
    spacing = max(12.0, 1.8 * float(rng.uniform(*parameters.radius)))
    offset = rng.uniform(0, spacing, 2)
    rows = np.arange(offset[0] - spacing, height + spacing, spacing * 0.87)
    columns = np.arange(offset[1] - spacing, width + spacing, spacing)
    seeds = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1)
    seeds[1::2, :, 1] += spacing / 2
    seeds = seeds.reshape(-1, 2) + rng.uniform(-0.3, 0.3, (rows.size * columns.size, 2)) * spacing
    y, x = np.mgrid[:height, :width].astype(np.float32)
    bend = spacing * 0.12 * parameters.irregularity
    y = y + bend * smooth_noise(rng, parameters.shape, spacing / 2)
    x = x + bend * smooth_noise(rng, parameters.shape, spacing / 2)
    weight = (rng.uniform(-0.15, 0.15, len(seeds)) * spacing**2).astype(np.float32)
    nearest = np.zeros(parameters.shape, np.int32)
    least = np.full(parameters.shape, np.inf, np.float32)
    for index, (row, column) in enumerate(seeds.astype(np.float32)):
        distance = (y - row) ** 2 + (x - column) ** 2 + weight[index]
        closer = distance < least
        np.copyto(least, distance, where=closer)
        nearest[closer] = index + 1
    return _in_one_piece(nearest)


class _Canvas:
    """A label image that is being filled."""

    def __init__(self, parameters: SceneParameters) -> None:
        self.labels: Labels = np.zeros(parameters.shape, np.int32)
        self.placed: list[tuple[float, float, float]] = []
        self._taken = np.zeros(parameters.shape, bool)
        self._parameters = parameters

    def choose_centre(self, rng: np.random.Generator, radius: float) -> tuple[float, float]:
        """Choose (y, x): anywhere, or next to an object that is already there."""
        height, width = self.labels.shape
        if self.placed and rng.random() < self._parameters.touching:
            y, x, other = self.placed[int(rng.integers(len(self.placed)))]
            angle = rng.uniform(0, 2 * np.pi)
            distance = (radius + other) * rng.uniform(0.85, 1.1)
            y, x = y + distance * np.sin(angle), x + distance * np.cos(angle)
            return float(np.clip(y, 0, height - 1)), float(np.clip(x, 0, width - 1))
        return float(rng.uniform(0, height)), float(rng.uniform(0, width))

    def place(self, field: Field, centre: tuple[float, float], radius: float) -> bool:
        """Write one object into the free pixels around `centre`; False where it does not fit."""
        height, width = self.labels.shape
        gap = self._parameters.gap
        reach = field.shape[0] // 2
        top, left = round(centre[0]) - reach, round(centre[1]) - reach
        rows = slice(max(0, top), min(height, top + field.shape[0]))
        columns = slice(max(0, left), min(width, left + field.shape[1]))
        part = field[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        inside = part < 0
        free = inside & ~self._taken[rows, columns]
        if free.sum() < max(_LEAST_AREA, _LEAST_VISIBLE * (field < 0).sum()):
            return False
        if gap > 0 and free.sum() < inside.sum():
            return False
        if ndimage.label(free)[1] != 1:
            return False
        self.placed.append((*centre, radius))
        self.labels[rows, columns][free] = len(self.placed)
        self._taken[rows, columns] |= part < gap
        return True

    def place_in_the_middle(self, rng: np.random.Generator) -> None:
        """Write one ellipse that fits, so that no scene is empty."""
        height, width = self.labels.shape
        radius = min(self._parameters.radius[0], min(height, width) / 5)
        self.place(ellipse(rng, radius), (height / 2, width / 2), radius)


def _in_one_piece(labels: Labels) -> Labels:
    """Keep the largest piece of every label and number the labels from 1 without gaps.

    The other pieces become background.
    """
    result = np.zeros_like(labels)
    obj_id = 0
    for index, window in enumerate(ndimage.find_objects(labels), start=1):
        if window is None:
            continue
        pieces, count = ndimage.label(labels[window] == index)
        if count == 0:
            continue
        sizes = np.bincount(pieces.ravel())[1:]
        if sizes.max() < _LEAST_AREA:
            continue
        obj_id += 1
        result[window][pieces == sizes.argmax() + 1] = obj_id
    return result
