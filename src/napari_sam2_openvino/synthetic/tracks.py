"""Objects that move, divide, come and go: where each of them is at every time."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.synthetic.outlines import Form

_BORDER = 0.12
"""Objects start up to this far outside the image, in units of its sides, and so come in later."""

_TOUCH = 0.9
"""Objects are pushed apart where they are closer than this part of their radii together."""

_PUSHES = 3
"""How often, at each time, all objects are pushed apart."""

_PERSISTENCE = 0.7
"""The part of its velocity that an object keeps from one time to the next."""


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """One object at one time.

    Attributes
    ----------
    obj_id : int
        The same at every time.
    parent : int
        The object that has divided into this one and another, 0 if none has.
    form : Form
    radius : float
        Of the disc of the same area, in pixels.
    centre, velocity : ndarray of float64, shape (2,)
        (y, x) in pixels, and their change from one time to the next.
    angle, spin : float
        Rotation of the form in radians, and its change from one time to the next.
    """

    obj_id: int
    parent: int
    form: Form
    radius: float
    centre: NDArray[np.float64]
    velocity: NDArray[np.float64]
    angle: float
    spin: float


@dataclass(frozen=True, slots=True)
class Motion:
    """How objects behave from one time to the next.

    Attributes
    ----------
    speed : float
        Typical way, in units of the object's radius.
    division : float
        Chance that an object divides.
    turnover : float
        Chance that an object vanishes, and that for each vanished one another one appears.
    """

    speed: float = 0.25
    division: float = 0.03
    turnover: float = 0.02

    def __post_init__(self) -> None:
        if self.speed < 0:
            raise ValueError(f"speed must not be negative, but got {self.speed}")
        for name in ("division", "turnover"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie between 0 and 1, but got {getattr(self, name)}")


def simulate(
    rng: np.random.Generator,
    forms: list[tuple[Form, float]],
    shape: tuple[int, int],
    frames: int,
    motion: Motion,
) -> list[list[Track]]:
    """Let objects move about.

    Parameters
    ----------
    rng : numpy.random.Generator
    forms : list of (Form, float)
        Of the objects at the beginning, with their radii in pixels.
    shape : tuple of int
        (height, width) of the image in pixels. Objects may leave it and come back.
    frames : int
        Number of times.
    motion : Motion

    Returns
    -------
    list of list of Track
        The objects at each time, in the order of their numbers.
    """
    present = [_appear(rng, i + 1, *form, shape, motion) for i, form in enumerate(forms)]
    last_id = len(present)
    history = [_pushed_apart(present, 4 * _PUSHES)]
    for _ in range(frames - 1):
        following: list[Track] = []
        for track in history[-1]:
            event = rng.random()
            if event < motion.division:
                following += _divide(rng, track, last_id)
                last_id += 2
            elif event < motion.division + motion.turnover:
                last_id += 1
                following.append(_appear(rng, last_id, track.form, track.radius, shape, motion))
            else:
                following.append(_move(rng, track, motion))
        history.append(_pushed_apart(following, _PUSHES))
    return history


def _appear(
    rng: np.random.Generator,
    obj_id: int,
    form: Form,
    radius: float,
    shape: tuple[int, int],
    motion: Motion,
) -> Track:
    centre = rng.uniform(-_BORDER, 1 + _BORDER, 2) * shape
    velocity = rng.standard_normal(2) * motion.speed * radius
    spin = float(0.3 * motion.speed * rng.standard_normal())
    return Track(obj_id, 0, form, radius, centre, velocity, 0.0, spin)


def _move(rng: np.random.Generator, track: Track, motion: Motion) -> Track:
    push = rng.standard_normal(2) * motion.speed * track.radius
    velocity = _PERSISTENCE * track.velocity + np.sqrt(1 - _PERSISTENCE**2) * push
    return replace(
        track,
        centre=track.centre + velocity,
        velocity=velocity,
        angle=track.angle + track.spin,
    )


def _divide(rng: np.random.Generator, mother: Track, last_id: int) -> list[Track]:
    """Give two daughters of half the area each, side by side."""
    angle = rng.uniform(0, 2 * np.pi)
    apart = 0.7 * mother.radius * np.array([np.sin(angle), np.cos(angle)])
    daughter = replace(mother, parent=mother.obj_id, radius=mother.radius / np.sqrt(2))
    return [
        replace(
            daughter,
            obj_id=last_id + number,
            centre=mother.centre + side * apart,
            velocity=mother.velocity + 0.2 * side * apart,
            spin=float(mother.spin + 0.05 * rng.standard_normal()),
        )
        for number, side in ((1, -1.0), (2, 1.0))
    ]


def _pushed_apart(tracks: list[Track], times: int) -> list[Track]:
    """Move objects that would cover each other until they little more than touch."""
    centres = np.array([track.centre for track in tracks]).reshape(-1, 2)
    radii = np.array([track.radius for track in tracks])
    least = _TOUCH * (radii[:, None] + radii[None, :])
    np.fill_diagonal(least, 0)
    for _ in range(times):
        offsets = centres[:, None] - centres[None, :]
        distances = np.hypot(offsets[..., 0], offsets[..., 1])
        excess = np.clip(least - distances, 0, None) / (distances + 1e-3)
        centres = centres + 0.5 * (excess[..., None] * offsets).sum(axis=1)
    return [replace(track, centre=centre) for track, centre in zip(tracks, centres, strict=True)]
