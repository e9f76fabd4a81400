"""Images with ground truth, each given by its kind and a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.synthetic.parameters import KINDS, Kind, SceneParameters
from napari_sam2_openvino.synthetic.placement import Labels, place_outlines, tessellate
from napari_sam2_openvino.synthetic.rendering import RENDERERS, Intensity

_CAMERA_RANGE = 4095
"""The largest value of the imitated 12-bit camera."""

_SIXTEEN_BIT: frozenset[Kind] = frozenset({"fluorescence", "membrane"})
"""Kinds whose images are uint16; the others are uint8."""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A synthetic image and what is in it.

    Attributes
    ----------
    image : ndarray of uint8 or uint16, shape (H, W) or (H, W, 3)
    labels : ndarray of int32, shape (H, W)
        0 is background, objects are numbered from 1 without gaps.
    parameters : SceneParameters
        What the scene was drawn from.
    seed : int
    """

    image: NDArray[np.uint8] | NDArray[np.uint16]
    labels: Labels
    parameters: SceneParameters
    seed: int

    @property
    def object_count(self) -> int:
        """Number of objects in the scene."""
        return int(self.labels.max())


def make_scene(
    kind: Kind,
    seed: int,
    *,
    shape: tuple[int, int] = (256, 256),
    difficulty: float = 0.5,
    parameters: SceneParameters | None = None,
) -> Scene:
    """Make a microscopy-like image with its ground truth.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    seed : int
        The same kind, parameters and seed give the same scene.
    shape : tuple of int
        (height, width) in pixels.
    difficulty : float
        From 0 (few large objects, apart and clear) to 1 (many small ones, crowded and noisy).
    parameters : SceneParameters, optional
        Used instead of `shape` and `difficulty`.

    Returns
    -------
    Scene

    Raises
    ------
    ValueError
        If a value is out of its range, or `parameters` are of another kind.

    Examples
    --------
    >>> scene = make_scene("tissue", seed=1, shape=(128, 160))
    >>> scene.image.shape, scene.image.dtype.name
    ((128, 160, 3), 'uint8')
    >>> scene.labels.shape
    (128, 160)
    """
    if parameters is None:
        parameters = SceneParameters.at_difficulty(kind, difficulty, shape)
    elif parameters.kind != kind:
        raise ValueError(f"parameters are for kind {parameters.kind!r}, but kind is {kind!r}")
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    draw_labels = tessellate if kind == "membrane" else place_outlines
    labels = draw_labels(rng, parameters)
    intensity = RENDERERS[kind](rng, labels, parameters)
    return Scene(_photograph(rng, intensity, parameters), labels, parameters, seed)


def _photograph(
    rng: np.random.Generator, intensity: Intensity, parameters: SceneParameters
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Add noise that grows with the square root of the light, and round to the camera's values."""
    light = np.clip(intensity, 0, 1.5)
    noise = rng.standard_normal(light.shape, dtype=np.float32)
    seen = light + parameters.noise * (0.4 + 0.6 * np.sqrt(light)) * noise
    if parameters.kind in _SIXTEEN_BIT:
        exposure = rng.uniform(0.3, 0.9) * _CAMERA_RANGE
        return np.clip(np.rint(seen * exposure + 100), 0, _CAMERA_RANGE).astype(np.uint16)
    return np.clip(np.rint(seen * 255), 0, 255).astype(np.uint8)
