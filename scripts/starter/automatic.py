"""How many objects a generator of automatic masks finds on the held-out images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.normalize import to_rgb
from napari_sam2_openvino.synthetic import Scene
from starter.held_out import LEAST_AREA
from starter.shapes import Masks

FOUND = 0.5
"""An object is found by a mask of at least this IoU."""


class Generator(Protocol):
    """SAM 2's ``SAM2AutomaticMaskGenerator``, or one like it."""

    def generate(self, image: NDArray[np.uint8]) -> list[dict[str, Any]]:
        """Return dicts with a mask of shape (H, W) as `segmentation`."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Objects that were found, objects that were missed, and masks of nothing."""

    found: int = 0
    missed: int = 0
    wrong: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.found + other.found, self.missed + other.missed, self.wrong + other.wrong
        )

    @property
    def precision(self) -> float:
        """Part of the masks that are of an object."""
        return self.found / max(1, self.found + self.wrong)

    @property
    def recall(self) -> float:
        """Part of the objects that were found."""
        return self.found / max(1, self.found + self.missed)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return 2 * self.found / max(1, 2 * self.found + self.missed + self.wrong)


def judge_generator(generator: Generator, scenes: Iterable[Scene]) -> Counts:
    """Count over all scenes."""
    total = Counts()
    for scene in scenes:
        annotations = generator.generate(to_rgb(scene.image))
        masks = [np.asarray(one["segmentation"], bool) for one in annotations]
        total += count_matches(masks, scene)
    return total


def count_matches(masks: list[Masks], scene: Scene) -> Counts:
    """Match masks to objects one to one, the best pairs first.

    Masks of inner parts of objects, and of slivers of fewer than `LEAST_AREA` pixels at the border,
    are neither right nor wrong.
    """
    areas = np.bincount(scene.labels.ravel())
    overlap = _overlaps(masks, scene.labels)
    asked = np.flatnonzero(areas >= LEAST_AREA)
    asked = asked[asked > 0]
    matched_masks: set[int] = set()
    matched_ids: set[int] = set()
    for index, obj_id in np.argwhere(overlap >= FOUND)[np.argsort(-overlap[overlap >= FOUND])]:
        if index not in matched_masks and obj_id not in matched_ids:
            matched_masks.add(int(index))
            matched_ids.add(int(obj_id))
    parts = _overlaps(masks, scene.parts) if scene.parts is not None else np.zeros((len(masks), 1))
    found = matched_ids & set(asked.tolist())
    wrong = [
        index
        for index in range(len(masks))
        if index not in matched_masks and parts[index].max(initial=0) < FOUND
    ]
    return Counts(len(found), len(asked) - len(found), len(wrong))


def _overlaps(masks: list[Masks], labels: NDArray[np.int32]) -> NDArray[np.float64]:
    """IoU of each mask with each label, shape (masks, labels + 1); 0 for the background."""
    areas = np.bincount(labels.ravel())
    overlap = np.zeros((len(masks), len(areas)))
    for index, mask in enumerate(masks):
        inside = np.bincount(labels[mask], minlength=len(areas))
        overlap[index] = inside / np.maximum(areas + mask.sum() - inside, 1)
    overlap[:, 0] = 0
    return overlap
