"""Objects put into an image, next to or on top of each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam2_openvino.synthetic.forms import THINNEST, draw_forms
from napari_sam2_openvino.synthetic.outlines import Field, crop, ellipse, rasterize
from napari_sam2_openvino.synthetic.parameters import SceneParameters

Labels: TypeAlias = NDArray[np.int32]

_TRIES = (8, 200)
"""How often a place is sought, at least, for one object, and for all that are placed together."""

_LEAST_VISIBLE = 0.6
"""The part of an object that must stay visible beside its neighbours and the image's border."""

_LEAST_AREA = 12
"""Objects of fewer pixels are not drawn."""

_CROSS = ndimage.generate_binary_structure(2, 1)
"""Pixels that share a side are connected."""


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Where the objects of a scene are.

    Attributes
    ----------
    labels : ndarray of int32, shape (H, W)
        0 is background; objects are numbered from 1 without gaps, each in one piece.
    depth : ndarray of float32, shape (H, W)
        About the distance from the edge of the object, in pixels; 0 in the background.
    overlap : ndarray of bool, shape (H, W)
        Pixels of an object under which another one goes on.
    radii : ndarray of float32, shape (N + 1,)
        Radius, in pixels, of the disc of each object's area; entry 0 means nothing.
    parts : ndarray of int32, shape (H, W), or None
        What lies inside objects, see `Scene.parts`.
    texture_from : tuple of two ndarrays of int, shape (H, W), or None
        Row and column from which each pixel takes the texture of its object, for objects that
        have moved.
    """

    labels: Labels
    depth: NDArray[np.float32]
    overlap: NDArray[np.bool_]
    radii: NDArray[np.float32]
    parts: Labels | None = None
    texture_from: tuple[NDArray[np.intp], NDArray[np.intp]] | None = None


def radii_of(labels: Labels) -> NDArray[np.float32]:
    """Radius, in pixels, of the disc of each object's area, shape (N + 1,); entry 0 is 1."""
    areas = np.bincount(labels.ravel()).astype(np.float32)
    areas[0] = np.pi
    return np.asarray(np.sqrt(areas / np.float32(np.pi)))


def place_outlines(rng: np.random.Generator, parameters: SceneParameters) -> Layout:
    """Fill an image with objects.

    Parameters
    ----------
    rng : numpy.random.Generator
    parameters : SceneParameters

    Returns
    -------
    Layout
    """
    canvas = _Canvas(parameters)
    count = int(rng.integers(parameters.object_count[0], parameters.object_count[1] + 1))
    longest = 0.9 * min(parameters.shape)
    tries = max(_TRIES[0], _TRIES[1] // count)
    for form, radius in draw_forms(rng, parameters, count):
        outline = rasterize(form, radius, thinnest=THINNEST, longest=longest)
        for _ in range(tries):
            if canvas.place(outline, canvas.choose_centre(rng, radius), radius):
                break
    if not canvas.placed:
        canvas.place_in_the_middle(rng)
    return Layout(canvas.labels, canvas.depth, canvas.overlap, radii_of(canvas.labels))


@dataclass(slots=True, eq=False)
class _Canvas:
    """An image that is being filled."""

    parameters: SceneParameters
    placed: list[tuple[float, float, float]] = field(default_factory=list)
    labels: Labels = field(init=False)
    depth: NDArray[np.float32] = field(init=False)
    overlap: NDArray[np.bool_] = field(init=False)
    _taken: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        shape = self.parameters.shape
        self.labels = np.zeros(shape, np.int32)
        self.depth = np.zeros(shape, np.float32)
        self.overlap = np.zeros(shape, bool)
        self._taken = np.zeros(shape, bool)

    def choose_centre(self, rng: np.random.Generator, radius: float) -> tuple[float, float]:
        """Choose (y, x): anywhere, or next to an object that is already there."""
        height, width = self.labels.shape
        if self.placed and rng.random() < self.parameters.touching:
            y, x, other = self.placed[int(rng.integers(len(self.placed)))]
            angle = rng.uniform(0, 2 * np.pi)
            distance = (radius + other) * rng.uniform(0.85, 1.1)
            y, x = y + distance * np.sin(angle), x + distance * np.cos(angle)
            return float(np.clip(y, 0, height - 1)), float(np.clip(x, 0, width - 1))
        return float(rng.uniform(0, height)), float(rng.uniform(0, width))

    def place(self, outline: Field, centre: tuple[float, float], radius: float) -> bool:
        """Write one object into the free pixels around `centre`; False where it does not fit."""
        gap = self.parameters.gap
        part, window = crop(outline, (round(centre[0]), round(centre[1])), self.labels.shape)
        inside = part < 0
        taken = self._taken[window]
        free = inside & ~taken
        visible = np.count_nonzero(free)
        if visible < max(_LEAST_AREA, _LEAST_VISIBLE * np.count_nonzero(outline < 0)):
            return False
        if gap > 0 and visible < np.count_nonzero(inside):
            return False
        if ndimage.label(free, _CROSS)[1] != 1:
            return False
        self.placed.append((*centre, radius))
        self.overlap[window] |= inside & (self.labels[window] > 0)
        self.labels[window][free] = len(self.placed)
        self.depth[window][free] = -part[free]
        taken |= part < gap
        return True

    def place_in_the_middle(self, rng: np.random.Generator) -> None:
        """Write one ellipse that fits, so that no scene is empty."""
        height, width = self.labels.shape
        radius = min(self.parameters.radius[0], min(height, width) / 5)
        outline = rasterize(ellipse(rng), radius)
        self.place(outline, (height / 2, width / 2), radius)
