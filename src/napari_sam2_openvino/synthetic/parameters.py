"""What a synthetic scene is made of: its kind, its size and how hard it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

Kind: TypeAlias = Literal[
    "fluorescence", "brightfield", "darkfield", "membrane", "tissue", "elongated", "electron"
]
"""The kinds of microscopy that can be imitated."""

KINDS: tuple[Kind, ...] = get_args(Kind)

_REFERENCE_SIZE = 256
"""Side, in pixels, to which the radii of `SceneParameters.at_difficulty` refer."""


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
        Distance, in pixels, that objects keep from each other. 0 lets them touch.
    touching : float
        Chance, from 0 to 1, that an object is drawn next to one that is already there.
    irregularity : float
        From 0 (rotated ellipses) to 1 (lobed and bent outlines only).
    contrast : float
        Object against background, from 0 (hardly visible) to 1 (full).
    noise : float
        Standard deviation of the camera's noise, as a fraction of the full range.
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
        if self.gap < 0:
            raise ValueError(f"gap must not be negative, but got {self.gap}")
        for name in ("touching", "irregularity", "contrast", "noise"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ValueError(f"{name} must lie between 0 and 1, but got {value}")

    @classmethod
    def at_difficulty(
        cls, kind: Kind, difficulty: float, shape: tuple[int, int] = (256, 256)
    ) -> SceneParameters:
        """Choose between easy (few, large, apart, clear) and hard (many, small, crowded, noisy).

        Parameters
        ----------
        kind : str
            One of `KINDS`.
        difficulty : float
            From 0 to 1.
        shape : tuple of int
            (height, width) in pixels. Radii grow with its shorter side.

        Returns
        -------
        SceneParameters
        """
        if not 0 <= difficulty <= 1:
            raise ValueError(f"difficulty must lie between 0 and 1, but got {difficulty}")
        scale = min(shape) / _REFERENCE_SIZE

        def between(easy: float, hard: float) -> float:
            return easy + (hard - easy) * difficulty

        return cls(
            kind=kind,
            shape=shape,
            object_count=(round(between(2, 12)), round(between(5, 40))),
            radius=(max(1.0, scale * between(24, 6)), max(1.0, scale * between(44, 24))),
            gap=scale * max(0.0, between(6, -6)),
            touching=max(0.0, between(-0.2, 0.7)),
            irregularity=between(0.5, 0.6),
            contrast=between(0.95, 0.45),
            noise=between(0.01, 0.05),
        )
