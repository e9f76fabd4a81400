"""Training images: synthetic scenes as the network sees them, made ahead of time."""

from __future__ import annotations

import math
from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.normalize import to_rgb
from napari_sam2_openvino.synthetic import KINDS, SceneParameters, make_scene, make_volume

FIRST_TRAINING_SEED = 1_000_000
"""Seeds below are kept for evaluation and are never trained on."""

_VARIED = 0.6
"""Part of the examples whose light differs from what the scene's renderer gave."""

_COLOURED = 0.35
"""Part of the examples that come in other colours."""

_STACKS = 0.04
"""Part of the examples that are a plane of a z-stack."""

_USES = 6
_APART = 64
"""How often a scene is used, and the number of examples between."""


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """An image of shape (S, S, 3) and dtype uint8, with what is in it.

    Attributes
    ----------
    image : ndarray of uint8, shape (S, S, 3)
    labels : ndarray of int32, shape (S, S)
        0 is background, objects are numbered from 1.
    parts : ndarray of int32, shape (S, S)
        Where it is i, object i has an inner part that a click there may mean as well.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.int32]
    parts: NDArray[np.int32]


def make_example(number: int, difficulty: float, size: int, whole: int) -> Example:
    """Make the example of that number: a scene of any kind, up to `difficulty`.

    Every scene serves `_USES` times, `_APART` examples apart, turned and lit in another way:
    drawing it takes a good part of the time of a training step.

    Parameters
    ----------
    number : int
    difficulty : float
        From 0 to 1.
    size : int
        Side of the image, in pixels.
    whole : int
        Side of the image that it looks to be cut from: objects have the sizes that they have there.

    Returns
    -------
    Example
    """
    rng = np.random.default_rng([number, 77])
    scene = _scene(number // (_USES * _APART) * _APART + number % _APART, difficulty, size, whole)
    image = vary_light(scene.image, rng) if rng.random() < _VARIED else scene.image
    image = vary_colour(image, rng) if rng.random() < _COLOURED else image
    turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))

    def turned(pixels: NDArray[Any]) -> NDArray[Any]:
        pixels = np.rot90(pixels, turns)
        return np.ascontiguousarray(pixels[:, ::-1] if mirrored else pixels)

    return Example(turned(image), turned(scene.labels), turned(scene.parts))


@lru_cache(maxsize=2 * _APART)
def _scene(number: int, difficulty: float, size: int, whole: int) -> Example:
    """Draw a scene of any kind, or a plane of a stack."""
    seed = FIRST_TRAINING_SEED + number
    rng = np.random.default_rng([seed, 78])
    if rng.random() < _STACKS:
        return _plane(seed, size, whole, rng)
    kind = KINDS[int(rng.integers(len(KINDS)))]
    harder = float(difficulty * np.sqrt(rng.random()))
    parameters = SceneParameters.at_difficulty(kind, harder, (whole, whole), rng)
    fewest, most = (math.ceil(count * (size / whole) ** 2) for count in parameters.object_count)
    parameters = replace(parameters, shape=(size, size), object_count=(fewest, most))
    scene = make_scene(kind, seed, parameters=parameters)
    parts = np.zeros_like(scene.labels) if scene.parts is None else scene.parts
    return Example(to_rgb(scene.image), scene.labels, parts)


def _plane(seed: int, size: int, whole: int, rng: np.random.Generator) -> Example:
    """Draw a plane of a stack of nuclei, most of which are larger in other planes."""
    radius = max(4.0, whole / 512 * float(rng.uniform(14, 50)))
    count = math.ceil(rng.uniform(0.2, 0.7) * size**2 / (math.pi * radius**2))
    volume = make_volume(
        seed,
        shape=(int(radius / 2) + 3, size, size),
        object_count=count,
        radius=(0.7 * radius, 1.2 * radius),
    )
    plane = int((volume.labels > 0).sum(axis=(1, 2)).argmax())
    numbers = np.unique(volume.labels[plane], return_inverse=True)[1]
    labels = np.asarray(numbers.reshape(size, size), np.int32)
    return Example(to_rgb(volume.image[plane]), labels, np.zeros_like(labels))


def vary_light(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Change gamma and illumination, and now and then turn bright to dark."""
    light = image.astype(np.float32) / 255
    if rng.random() < 0.2:
        light = 1 - light
    y, x = (np.linspace(-1, 1, side, dtype=np.float32) for side in image.shape[:2])
    slopes = rng.uniform(-0.25, 0.25, 2)
    shading = 1 + slopes[0] * y[:, None, None] + slopes[1] * x[:, None]
    slopes = rng.uniform(-0.15, 0.15, 2)
    glow = rng.uniform(-0.05, 0.15) + slopes[0] * y[:, None, None] + slopes[1] * x[:, None]
    varied = light ** rng.uniform(0.6, 1.6) * shading + glow
    return np.asarray(np.rint(np.clip(varied, 0, 1) * 255), np.uint8)


def vary_colour(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Swap the channels, weaken some of them, or turn the image grey: colours mean nothing."""
    if rng.random() < 0.3:
        grey = image @ rng.dirichlet(np.ones(3)).astype(np.float32)
        return np.asarray(np.rint(grey[..., None].repeat(3, axis=2)), np.uint8)
    strengths = rng.random(3) ** 0.5
    strengths[rng.random(3) < 0.3] = 0
    strengths[rng.integers(3)] = 1
    return np.asarray(np.rint(image[..., rng.permutation(3)] * strengths), np.uint8)


class ExampleSource:
    """Examples by number, made ahead of time in another process.

    Parameters
    ----------
    ahead : int
        How many examples are made before they are asked for.
    """

    def __init__(self, ahead: int = 8) -> None:
        self._ahead = ahead
        self._executor = ProcessPoolExecutor(max_workers=1)
        self._waiting: deque[tuple[tuple[int, float, int, int], Future[Example]]] = deque()
        self._kept: dict[tuple[int, int], Example] = {}

    def from_pool(self, numbers: list[int], size: int, whole: int) -> list[Example]:
        """Return easy examples that are asked for again and again; each is made once."""
        chosen = []
        for number in numbers:
            if (number, size) not in self._kept:
                self._kept[number, size] = make_example(number, 0.0, size, whole)
            chosen.append(self._kept[number, size])
        return chosen

    def fresh(
        self, first: int, count: int, difficulty: float, size: int, whole: int
    ) -> list[Example]:
        """Return `count` examples from number `first` on, and have the next ones made."""
        self._kept.clear()
        if self._waiting and self._waiting[0][0] != (first, difficulty, size, whole):
            self.forget()
        last = self._waiting[-1][0][0] if self._waiting else first - 1
        for number in range(last + 1, first + count + self._ahead):
            job = self._executor.submit(make_example, number, difficulty, size, whole)
            self._waiting.append(((number, difficulty, size, whole), job))
        return [self._waiting.popleft()[1].result() for _ in range(count)]

    def forget(self) -> None:
        """Drop what was made ahead."""
        for _, job in self._waiting:
            job.cancel()
        self._waiting.clear()

    def close(self) -> None:
        """End the other process."""
        self.forget()
        self._executor.shutdown(cancel_futures=True)
