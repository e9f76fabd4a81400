"""What a synthetic scene is made of: its kind, its size and how hard it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

Kind: TypeAlias = Literal[
    "fluorescence",
    "brightfield",
    "darkfield",
    "membrane",
    "tissue",
    "elongated",
    "electron",
    "phase",
    "cytoplasm",
    "filaments",
    "smear",
    "particles",
]
"""The kinds of microscopy that can be imitated."""

KINDS: tuple[Kind, ...] = get_args(Kind)

MOST_OBJECTS = 300
"""The largest number of objects that `SceneParameters.at_difficulty` asks for."""

_REFERENCE_SIZE = 512
"""Side, in pixels, to which the radii below refer."""

_LARGEST_RADIUS = 100.0
_EASY_RADIUS = 66.0
_LEAST_RADIUS = 4.0
"""Smaller objects than of this radius, in pixels at any size of the image, are never asked for."""


@dataclass(frozen=True, slots=True)
class SceneParameters:
    """How a scene is drawn.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    shape : tuple of int
        (height, width) of the image in pixels.
    object_count : tuple of int
        Smallest and largest number of objects that are tried. Fewer are drawn when
        there is no room for more.
    radius : tuple of float
        Smallest and largest radius, in pixels, of the disc of the same area.
    gap : float
        Distance, in pixels, that objects keep from each other. 0 lets them touch and overlap.
    touching : float
        Chance, from 0 to 1, that an object is drawn next to one that is already there.
    irregularity : float
        From 0 (rotated ellipses) to 1 (only the irregular outlines of the kind).
    contrast : float
        Object against background, from 0 (hardly visible) to 1 (full).
    noise : float
        Standard deviation of the camera's noise, as a fraction of the full range.
    blur : float
        Standard deviation, in pixels, of the blur of the whole image.
    shading : float
        Unevenness of the light, from 0 to 1.
    texture : float
        Structure of the background, from 0 (plain) to 1.
    clutter : float
        Amount of debris, saturated spots and objects out of focus, from 0 to 1. They are no
        objects of the ground truth.
    """

    kind: Kind
    shape: tuple[int, int] = (256, 256)
    object_count: tuple[int, int] = (8, 20)
    radius: tuple[float, float] = (10.0, 24.0)
    gap: float = 0.0
    touching: float = 0.3
    irregularity: float = 0.5
    contrast: float = 0.7
    noise: float = 0.03
    blur: float = 0.0
    shading: float = 0.2
    texture: float = 0.3
    clutter: float = 0.1

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, but got {self.kind!r}")
        if min(self.shape) < 16:
            raise ValueError(f"shape must be at least 16 x 16 pixels, but got {self.shape}")
        if not 1 <= self.object_count[0] <= self.object_count[1]:
            raise ValueError(
                "object_count must be (smallest, largest) with 1 <= smallest <= largest, "
                f"but got {self.object_count}"
            )
        if not 1 <= self.radius[0] <= self.radius[1]:
            raise ValueError(
                "radius must be (smallest, largest) with 1 <= smallest <= largest, "
                f"but got {self.radius}"
            )
        for name in ("gap", "blur"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, but got {getattr(self, name)}")
        for name in (
            "touching",
            "irregularity",
            "contrast",
            "noise",
            "shading",
            "texture",
            "clutter",
        ):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ValueError(f"{name} must lie between 0 and 1, but got {value}")

    @classmethod
    def at_difficulty(
        cls, kind: Kind, difficulty: float, shape: tuple[int, int], rng: np.random.Generator
    ) -> SceneParameters:
        """Draw parameters: few large clear objects, or anything up to many small crowded ones.

        The harder, the wider the range of what is drawn: hard scenes are unlike each other.

        Parameters
        ----------
        kind : str
            One of `KINDS`.
        difficulty : float
            From 0 to 1.
        shape : tuple of int
            (height, width) in pixels. Radii grow with its shorter side: at 512 pixels objects are
            8 to 200 pixels across.
        rng : numpy.random.Generator

        Returns
        -------
        SceneParameters
        """
        if not 0 <= difficulty <= 1:
            raise ValueError(f"difficulty must lie between 0 and 1, but got {difficulty}")
        scale = min(shape) / _REFERENCE_SIZE
        least = _EASY_RADIUS * (_LEAST_RADIUS / _EASY_RADIUS) ** difficulty
        largest = _EASY_RADIUS * (_LARGEST_RADIUS / _EASY_RADIUS) ** difficulty
        typical = max(_LEAST_RADIUS, scale * least * (largest / least) ** rng.random())
        spread = rng.uniform(1.15, 1.35 + 0.5 * difficulty)
        radius = (
            max(_LEAST_RADIUS, typical / spread),
            max(_LEAST_RADIUS, min(typical * spread, scale * _LARGEST_RADIUS)),
        )
        coverage = rng.uniform(0.1 + 0.05 * difficulty, 0.2 + 0.6 * difficulty)
        count = coverage * shape[0] * shape[1] / (np.pi * typical**2)
        fewest = 2 if difficulty < 0.5 else 1
        most = int(np.clip(1.2 * count, fewest, MOST_OBJECTS))
        harder = difficulty * rng.random(6)
        contrast = float(0.95 - 0.6 * harder[0] ** 1.5)
        return cls(
            kind=kind,
            shape=shape,
            object_count=(max(fewest, int(most / 1.5)), most),
            radius=radius,
            gap=scale * max(0.0, 12 - 24 * difficulty),
            touching=max(0.0, 1.3 * difficulty - 0.3) * float(rng.random()),
            irregularity=float(rng.uniform(0.3, 0.5 + 0.5 * difficulty)),
            contrast=contrast,
            # Noise that would hide what has little contrast is of no use.
            noise=float(0.01 + 0.07 * harder[1] ** 2 * contrast),
            blur=float(min(4 * scale * max(0.0, harder[2] - 0.3), 0.2 * radius[0])),
            shading=float(0.1 + 0.9 * harder[3]),
            texture=float(0.1 + 0.9 * harder[4]),
            clutter=float(harder[5] ** 1.5),
        )
