"""Images with ground truth, each given by its kind and a seed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from napari_sam2_openvino.synthetic.camera import Image, take_image
from napari_sam2_openvino.synthetic.parameters import KINDS, Kind, SceneParameters
from napari_sam2_openvino.synthetic.parts import draw_parts
from napari_sam2_openvino.synthetic.placement import Labels, Layout, place_outlines
from napari_sam2_openvino.synthetic.rendering import PART_CHANCES
from napari_sam2_openvino.synthetic.tessellation import tessellate

_LEAST_CONTRAST_OF_PARTS = 0.5
"""Where objects are fainter, one would not see what is inside them."""


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

    image: Image
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
        The same kind, parameters and seed give the same scene. On another machine, or with another
        number of threads for matrix products, rounding may change single pixels by one grey level.
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
    return Scene(take_image(rng, layout, parameters), layout.labels, layout.parts, parameters, seed)


def _draw_layout(rng: np.random.Generator, parameters: SceneParameters) -> Layout:
    draw = tessellate if parameters.kind == "membrane" else place_outlines
    layout = draw(rng, parameters)
    in_scene, in_object = PART_CHANCES.get(parameters.kind, (0.0, 0.0))
    if parameters.contrast >= _LEAST_CONTRAST_OF_PARTS and rng.random() < in_scene:
        layout = replace(layout, parts=draw_parts(rng, layout, in_object))
    return layout
