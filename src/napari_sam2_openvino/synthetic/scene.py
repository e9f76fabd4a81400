"""Images with ground truth, each given by its kind and a seed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.synthetic.clutter import add_clutter
from napari_sam2_openvino.synthetic.noise import smooth_noise
from napari_sam2_openvino.synthetic.optics import Intensity, blur
from napari_sam2_openvino.synthetic.parameters import KINDS, Kind, SceneParameters
from napari_sam2_openvino.synthetic.parts import draw_parts
from napari_sam2_openvino.synthetic.placement import Labels, Layout, place_outlines
from napari_sam2_openvino.synthetic.rendering import (
    DARK_GROUND,
    PART_CHANCES,
    RENDERERS,
    SIXTEEN_BIT,
)
from napari_sam2_openvino.synthetic.tessellation import tessellate

_CAMERA_RANGE = 4095
"""The largest value of the imitated 12-bit camera."""

_LEAST_CONTRAST_OF_PARTS = 0.5
"""Where objects are fainter, one would not see what is inside them."""

_GRAINY = 0.25
"""Part of the images whose noise is coarser than a pixel, as after resampling or compression."""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A synthetic image and what is in it.

    Attributes
    ----------
    image : ndarray of uint8 or uint16, shape (H, W) or (H, W, 3)
    labels : ndarray of int32, shape (H, W)
        0 is background, objects are numbered from 1 without gaps, each in one piece.
    parts : ndarray of int32, shape (H, W), or None
        What is seen inside objects, such as nuclei of cells: the part of object i has number i,
        lies inside object i and is in one piece; 0 elsewhere. Not every object has a part; None
        if none has. A click on a part can mean the part or its object.
    parameters : SceneParameters
        What the scene was drawn from.
    seed : int
    """

    image: NDArray[np.uint8] | NDArray[np.uint16]
    labels: Labels
    parts: Labels | None
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
        From 0 (few large objects, apart and clear) to 1 (anything up to many small ones, crowded,
        in bad light); see `SceneParameters.at_difficulty`.
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
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, but got {kind!r}")
    if parameters is not None and parameters.kind != kind:
        raise ValueError(f"parameters are for kind {parameters.kind!r}, but kind is {kind!r}")
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    if parameters is None:
        parameters = SceneParameters.at_difficulty(kind, difficulty, shape, rng)
    layout = _draw_layout(rng, parameters)
    light = add_clutter(rng, RENDERERS[kind](rng, layout, parameters), layout, parameters)
    image = _photograph(rng, _shade(rng, light, parameters), parameters)
    return Scene(image, layout.labels, layout.parts, parameters, seed)


def _draw_layout(rng: np.random.Generator, parameters: SceneParameters) -> Layout:
    draw = tessellate if parameters.kind == "membrane" else place_outlines
    layout = draw(rng, parameters)
    in_scene, in_object = PART_CHANCES.get(parameters.kind, (0.0, 0.0))
    if parameters.contrast >= _LEAST_CONTRAST_OF_PARTS and rng.random() < in_scene:
        layout = replace(layout, parts=draw_parts(rng, layout, in_object))
    return layout


def _shade(rng: np.random.Generator, light: Intensity, parameters: SceneParameters) -> Intensity:
    """Light the image unevenly: from one side, from the middle or in patches."""
    height, width = parameters.shape
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)
    tilt = rng.uniform(-1, 1, 2)
    patches = smooth_noise(rng, parameters.shape, 0.4 * min(height, width))
    uneven = tilt[0] * y + tilt[1] * x - rng.random() * (y**2 + x**2) + 0.3 * patches
    gain = np.clip(1 + 0.4 * parameters.shading * uneven, 0.15, None).astype(np.float32)
    glow: Intensity = np.zeros((1, 1), np.float32)
    if parameters.kind in DARK_GROUND:
        side = rng.uniform(-1, 1, 2)
        glow = 0.15 * parameters.shading * np.clip(side[0] * y + side[1] * x, 0, None)
    if light.ndim == 3:
        gain, glow = gain[..., None], glow[..., None]
    return np.asarray(light * gain + glow, np.float32)


def _photograph(
    rng: np.random.Generator, intensity: Intensity, parameters: SceneParameters
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Blur, add noise that grows with the root of the light, round to the camera's values."""
    gain = rng.uniform(0.8, 1.3) if parameters.kind in DARK_GROUND else 1.0
    light = np.clip(np.float32(gain) * intensity, 0, 1.5)
    if parameters.blur > 0.3:
        light = _blur_planes(light, parameters.blur)
    noise = rng.standard_normal(light.shape, dtype=np.float32)
    if rng.random() < _GRAINY:
        noise = _blur_planes(noise, rng.uniform(0.6, 1.0))
        noise /= noise.std()
    seen = light + parameters.noise * (0.4 + 0.6 * np.sqrt(light)) * noise
    if parameters.kind in SIXTEEN_BIT:
        exposure = rng.uniform(0.3, 0.9) * _CAMERA_RANGE
        counts = np.clip(np.rint(seen * exposure + 100), 0, _CAMERA_RANGE)
        return np.asarray(counts, np.uint16)
    return np.asarray(np.clip(np.rint(seen * 255), 0, 255), np.uint8)


def _blur_planes(image: Intensity, sigma: float) -> Intensity:
    """Blur an image of shape (H, W), or each colour of one of shape (H, W, 3)."""
    if image.ndim == 2:
        return blur(image, sigma)
    return np.stack([blur(image[..., colour], sigma) for colour in range(3)], axis=-1)
