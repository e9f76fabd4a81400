"""How good the starter is on held-out objects, beside two answers that need no network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from napari_sam2_openvino.synthetic import Kind, Scene
from starter.held_out import DIFFICULTIES, IMAGES_PER_KIND, LEAST_AREA, Judged, held_out_scenes
from starter.shapes import (
    Masks,
    corners,
    disc_at,
    ellipse_in_box,
    innermost_point,
    iou,
    neighbours,
    solidity,
)

OBJECTS_PER_IMAGE = 5
PAIRS_PER_IMAGE = 6
CORRECTIONS = 5
_CROWD = 100
_CONVEX = 0.85
_TEXTURED = 0.6
"""More objects, less solidity, more background texture: each makes an object a hard one."""


@dataclass(frozen=True, slots=True)
class ObjectResult:
    """IoU of every answer for one held-out object.

    Attributes
    ----------
    difficulty, kind : str
    traits : tuple of str
        What makes it hard: touching, non-convex, textured, crowded.
    box, point, best_of_three, truly_best, corrected : float
        The network's mask from the object's box; from a click at its innermost point; of the three
        masks from that click the one with the highest predicted IoU, and the one that is best in
        truth; after `CORRECTIONS` further clicks.
    ellipse, disc : float
        An ellipse in the object's box; a disc of the image's median object area at the click.
    box_predicted, point_predicted, best_predicted : float
        IoU that the network predicts for its own masks.
    """

    difficulty: str
    kind: Kind
    traits: tuple[str, ...]
    box: float
    point: float
    best_of_three: float
    truly_best: float
    corrected: float
    ellipse: float
    disc: float
    box_predicted: float
    point_predicted: float
    best_predicted: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Results of objects, and whether each touching pair was told apart."""

    objects: list[ObjectResult]
    pairs: list[bool]


def evaluate(
    network: Any, images_per_kind: int = IMAGES_PER_KIND, first_seed: int = 0
) -> Evaluation:
    """Judge a network on the held-out images.

    Parameters
    ----------
    network : SAM2Base
        In evaluation mode.
    images_per_kind : int
        Images for each kind and difficulty.
    first_seed : int
        Seed of the first of them.

    Returns
    -------
    Evaluation
        At most `OBJECTS_PER_IMAGE` objects and `PAIRS_PER_IMAGE` pairs of each image.
    """
    objects: list[ObjectResult] = []
    pairs: list[bool] = []
    for difficulty in DIFFICULTIES:
        for scene in held_out_scenes(difficulty, images_per_kind, first_seed):
            with torch.no_grad():
                judged = Judged(network, scene.image)
            objects += judge_objects(judged, scene, difficulty)
            pairs += judge_pairs(judged, scene)
    return Evaluation(objects, pairs)


def judge_objects(judged: Judged, scene: Scene, difficulty: str) -> list[ObjectResult]:
    """Ask for some of a scene's objects in every way."""
    areas = np.bincount(scene.labels.ravel())[1:]
    ids = np.flatnonzero(areas >= LEAST_AREA) + 1
    if not len(ids):
        return []
    ids = np.random.default_rng([scene.seed, 5]).permutation(ids)[:OBJECTS_PER_IMAGE]
    true = np.stack([scene.labels == obj_id for obj_id in ids])
    clicks = np.stack([innermost_point(mask) for mask in true])[:, None]
    boxes = np.stack([corners(mask) for mask in true])
    every = np.arange(len(ids))
    from_box, box_predicted, _ = judged.answer(boxes, np.tile([2, 3], (len(ids), 1)))
    from_click, predicted, logits = judged.answer(clicks, np.ones((len(ids), 1)))
    best = 1 + predicted[:, 1:].argmax(axis=1)
    corrected = _correct(judged, true, clicks, from_click[every, best], logits[every, best])
    radius = float(np.sqrt(np.median(areas) / np.pi))
    shape = scene.labels.shape
    of_three = np.stack([iou(from_click[:, index], true) for index in (1, 2, 3)], axis=1)
    columns = (
        iou(from_box[:, 0], true),
        iou(from_click[:, 0], true),
        of_three[every, best - 1],
        of_three.max(axis=1),
        iou(corrected, true),
        iou(np.stack([ellipse_in_box(box, shape) for box in boxes]), true),
        iou(np.stack([disc_at(click[0], radius, shape) for click in clicks]), true),
        box_predicted[:, 0],
        predicted[:, 0],
        predicted[every, best],
    )
    traits = _traits(scene, ids, true)
    return [
        ObjectResult(difficulty, scene.parameters.kind, of_object, *map(float, row))
        for of_object, *row in zip(traits, *columns, strict=True)
    ]


def judge_pairs(judged: Judged, scene: Scene) -> list[bool]:
    """Click on both of touching objects; True where each mask is its own object's.

    A mask is an object's own where its IoU with that one is higher than with the other; and the two
    masks must not be much the same.
    """
    areas = np.bincount(scene.labels.ravel())
    pairs = sorted(p for p in neighbours(scene.labels) if areas[list(p)].min() >= LEAST_AREA)
    if not pairs:
        return []
    chosen = np.random.default_rng([scene.seed, 6]).permutation(pairs)[:PAIRS_PER_IMAGE]
    true = np.stack([[scene.labels == obj_id for obj_id in pair] for pair in chosen])
    clicks = np.stack([innermost_point(mask) for mask in true.reshape(-1, *true.shape[2:])])
    masks = judged.answer(clicks[:, None], np.ones((len(clicks), 1)))[0][:, 0].reshape(true.shape)
    own, others = iou(masks, true), iou(masks, true[:, ::-1])
    same = iou(masks[:, 0], masks[:, 1])
    return [bool(ok) for ok in (own > others).all(axis=1) & (same < 0.5)]


def _correct(
    judged: Judged, true: Masks, clicks: NDArray[np.float32], seen: Masks, logits: torch.Tensor
) -> Masks:
    """Masks after further clicks, each in the middle of what is wrong."""
    coords, labels = clicks, np.ones(clicks.shape[:2], np.int32)
    logits = logits[:, None]
    for _ in range(CORRECTIONS):
        new = np.stack([innermost_point(a ^ b) for a, b in zip(seen, true, strict=True)])
        inside = [m[int(y), int(x)] for m, (x, y) in zip(true, new, strict=True)]
        coords = np.concatenate([coords, new[:, None]], axis=1)
        labels = np.concatenate([labels, np.array(inside, np.int32)[:, None]], axis=1)
        masks, _, answers = judged.answer(coords, labels, logits)
        seen, logits = masks[:, 0], answers[:, :1]
    return seen


def _traits(scene: Scene, ids: NDArray[np.int64], true: Masks) -> list[tuple[str, ...]]:
    touching = {obj_id for pair in neighbours(scene.labels) for obj_id in pair}
    return [
        tuple(
            name
            for name, holds in (
                ("touching", obj_id in touching),
                ("non-convex", solidity(mask) < _CONVEX),
                ("textured", scene.parameters.texture > _TEXTURED),
                ("crowded", scene.object_count > _CROWD),
            )
            if holds
        )
        for obj_id, mask in zip(ids, true, strict=True)
    ]


def summarize(results: Iterable[ObjectResult]) -> dict[str, float | int]:
    """Means over objects, and the rank correlation of predicted and true IoU."""
    results = list(results)
    names = ("box", "ellipse", "point", "best_of_three", "truly_best", "disc", "corrected")
    summary: dict[str, float | int] = {"objects": len(results)}
    for name in names:
        summary[name] = float(np.mean([getattr(result, name) for result in results]))
    for name, predicted in (
        ("box", "box_predicted"),
        ("point", "point_predicted"),
        ("best_of_three", "best_predicted"),
    ):
        summary[f"{name}_rank_correlation"] = _rank_correlation(
            [getattr(result, predicted) for result in results],
            [getattr(result, name) for result in results],
        )
    return summary


def report(evaluation: Evaluation) -> dict[str, dict[str, float | int]]:
    """Summaries of all objects, of each difficulty, of each trait, and of each kind."""
    results = evaluation.objects
    groups = {"all": results}
    for difficulty in DIFFICULTIES:
        groups[difficulty] = [r for r in results if r.difficulty == difficulty]
    groups["hard part"] = [r for r in results if r.traits]
    for trait in ("touching", "non-convex", "textured", "crowded"):
        groups[trait] = [r for r in results if trait in r.traits]
    for kind in sorted({r.kind for r in results}):
        groups[kind] = [r for r in results if r.kind == kind]
    return {name: summarize(group) for name, group in groups.items() if group}


def as_markdown(evaluation: Evaluation) -> str:
    """Write the figures as a table, and the pairs below it."""
    titles = {
        "objects": "objects",
        "box": "box",
        "ellipse": "ellipse in box",
        "point": "one click",
        "best_of_three": "one click, best of three by score",
        "truly_best": "best of three in truth",
        "disc": "disc at click",
        "corrected": f"after {CORRECTIONS} corrections",
        "box_rank_correlation": "rank correlation, box",
        "point_rank_correlation": "rank correlation, click",
        "best_of_three_rank_correlation": "rank correlation, best of three",
    }
    lines = ["| held-out objects | " + " | ".join(titles.values()) + " |"]
    lines.append("|---" * (len(titles) + 1) + "|")
    for group, summary in report(evaluation).items():
        cells = [
            str(summary[name]) if name == "objects" else f"{summary[name]:.3f}" for name in titles
        ]
        lines.append(f"| {group} | " + " | ".join(cells) + " |")
    apart, count = sum(evaluation.pairs), len(evaluation.pairs)
    lines.append(f"\n{apart} of {count} pairs of touching objects are told apart.")
    return "\n".join(lines)


def _rank_correlation(predicted: list[float], true: list[float]) -> float:
    """Spearman's correlation; 0 where all values are the same."""
    if min(np.ptp(predicted), np.ptp(true)) == 0:
        return 0.0
    return float(stats.spearmanr(predicted, true).statistic)
