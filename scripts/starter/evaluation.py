"""How good the starter is on images it has never seen, beside two answers that need no network.

The held-out images are given by the seeds 0 to `IMAGES_PER_KIND - 1` of every kind, at two
difficulties; training uses seeds from `FIRST_TRAINING_SEED` on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage, stats
from torch.nn.functional import interpolate

from napari_sam2_openvino.core.normalize import to_rgb
from napari_sam2_openvino.synthetic import KINDS, Kind, Scene, make_scene
from starter.network import Features, Prediction, decode, encode

Masks: TypeAlias = NDArray[np.bool_]

DIFFICULTIES = {"easy": 0.1, "hard": 0.7}
IMAGES_PER_KIND = 16
OBJECTS_PER_IMAGE = 5
CORRECTIONS = 5
_LEAST_AREA = 40
"""Objects of fewer pixels, slivers at the border, are not asked for."""


@dataclass(frozen=True, slots=True)
class ObjectResult:
    """IoU of every answer for one held-out object.

    Attributes
    ----------
    difficulty, kind : str
    box, point, best_of_three, corrected : float
        The network's mask from the object's box; from a click at its innermost point; of the three
        masks from that click the one with the highest predicted IoU; after `CORRECTIONS` clicks.
    ellipse, disc : float
        An ellipse in the object's box; a disc of the image's median object area at the click.
    box_predicted, point_predicted : float
        IoU that the network predicts for its own masks.
    follows : bool
        The mask from the click overlaps its object more than any other object.
    """

    difficulty: str
    kind: Kind
    box: float
    point: float
    best_of_three: float
    corrected: float
    ellipse: float
    disc: float
    box_predicted: float
    point_predicted: float
    follows: bool


def evaluate(network: Any, images_per_kind: int = IMAGES_PER_KIND) -> list[ObjectResult]:
    """Judge a network on the held-out images.

    Parameters
    ----------
    network : SAM2Base
        In evaluation mode.
    images_per_kind : int
        Images for each kind and difficulty.

    Returns
    -------
    list of ObjectResult
        At most `OBJECTS_PER_IMAGE` for each image.
    """
    results: list[ObjectResult] = []
    for difficulty, value in DIFFICULTIES.items():
        for kind in KINDS:
            for seed in range(images_per_kind):
                scene = make_scene(kind, seed, difficulty=value)
                results += _judge_scene(network, scene, difficulty)
    return results


@torch.no_grad()
def _judge_scene(network: Any, scene: Scene, difficulty: str) -> list[ObjectResult]:
    areas = np.bincount(scene.labels.ravel())[1:]
    ids = np.flatnonzero(areas >= _LEAST_AREA) + 1
    if not len(ids):
        return []
    rng = np.random.default_rng([scene.seed, 5])
    ids = rng.permutation(ids)[:OBJECTS_PER_IMAGE]
    true = np.stack([scene.labels == obj_id for obj_id in ids])
    judge = _Judge(network, scene, len(ids))
    clicks = np.stack([innermost_point(mask) for mask in true])[:, None]
    boxes = np.stack([_corners(mask) for mask in true])
    from_box, box_predicted, _ = judge.answer(boxes, np.tile([2, 3], (len(ids), 1)))
    from_click, click_predicted, logits = judge.answer(clicks, np.ones((len(ids), 1)))
    best = 1 + click_predicted[:, 1:].argmax(axis=1)
    every = np.arange(len(ids))
    corrected = judge.correct(true, clicks, from_click[:, 0], logits)
    ellipses = np.stack([ellipse_in_box(corners, scene.labels.shape) for corners in boxes])
    radius = float(np.sqrt(np.median(areas) / np.pi))
    discs = np.stack([disc_at(click[0], radius, scene.labels.shape) for click in clicks])
    columns = (
        iou(from_box[:, 0], true),
        iou(from_click[:, 0], true),
        iou(from_click[every, best], true),
        iou(corrected, true),
        iou(ellipses, true),
        iou(discs, true),
        box_predicted[:, 0],
        click_predicted[:, 0],
    )
    follows = [
        _main_label(m, scene.labels) == i for m, i in zip(from_click[:, 0], ids, strict=True)
    ]
    return [
        ObjectResult(difficulty, scene.parameters.kind, *map(float, row), follows=bool(ok))
        for *row, ok in zip(*columns, follows, strict=True)
    ]


class _Judge:
    """A network with one encoded scene, asked for several objects at once."""

    def __init__(self, network: Any, scene: Scene, count: int) -> None:
        self._network = network
        self._shape = scene.labels.shape
        self._scale = network.image_size / np.array(self._shape[::-1], np.float32)
        image = torch.from_numpy(to_rgb(scene.image)).permute(2, 0, 1)[None].float()
        size = (network.image_size, network.image_size)
        image = interpolate(image, size, mode="bilinear", align_corners=False, antialias=True)
        rgb = image[0].permute(1, 2, 0).round().clamp(0, 255).byte().numpy()
        device = next(network.parameters()).device
        self._features: Features = encode(network, [rgb], device).repeat(count)
        self._device = device

    def answer(
        self,
        coords: NDArray[np.generic],
        labels: NDArray[np.generic],
        mask_input: torch.Tensor | None = None,
    ) -> tuple[Masks, NDArray[np.float32], torch.Tensor]:
        """Masks (B, 4, H, W), predicted IoU (B, 4), and the single masks' logits (B, 1, h, w)."""
        prediction: Prediction = decode(
            self._network,
            self._features,
            torch.from_numpy((coords * self._scale).astype(np.float32)).to(self._device),
            torch.from_numpy(labels.astype(np.int32)).to(self._device),
            mask_input,
        )
        fine = interpolate(
            prediction.low_res_masks, self._shape, mode="bilinear", align_corners=False
        )
        predicted = prediction.iou_predictions.cpu().numpy()
        return (fine > 0).cpu().numpy(), predicted, prediction.low_res_masks[:, :1].clamp(-32, 32)

    def correct(
        self, true: Masks, clicks: NDArray[np.float32], seen: Masks, logits: torch.Tensor
    ) -> Masks:
        """Masks after further clicks, each in the middle of what is wrong."""
        coords, labels = clicks, np.ones(clicks.shape[:2], np.int32)
        for _ in range(CORRECTIONS):
            new = np.stack([innermost_point(a ^ b) for a, b in zip(seen, true, strict=True)])
            inside = [m[int(y), int(x)] for m, (x, y) in zip(true, new, strict=True)]
            coords = np.concatenate([coords, new[:, None]], axis=1)
            labels = np.concatenate([labels, np.array(inside, np.int32)[:, None]], axis=1)
            masks, _, logits = self.answer(coords, labels, logits)
            seen = masks[:, 0]
        return seen


def innermost_point(mask: Masks) -> NDArray[np.float32]:
    """(x, y) of the pixel farthest from the mask's edge; the image's border is an edge."""
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(depth.argmax(), mask.shape)
    return np.array([x, y], np.float32)


def ellipse_in_box(corners: NDArray[np.float32], shape: tuple[int, int]) -> Masks:
    """Draw the ellipse that touches the sides of a box, given by its corner pixels (x, y)."""
    middle = corners.mean(axis=0)
    half = (corners[1] - corners[0] + 1) / 2
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.asarray(((x - middle[0]) / half[0]) ** 2 + ((y - middle[1]) / half[1]) ** 2 <= 1)


def disc_at(click: NDArray[np.float32], radius: float, shape: tuple[int, int]) -> Masks:
    """Draw a disc around a click (x, y)."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.asarray((x - click[0]) ** 2 + (y - click[1]) ** 2 <= radius**2)


def iou(masks: Masks, true: Masks) -> NDArray[np.float64]:
    """Intersection over union of each mask with its object, both of shape (B, H, W)."""
    union = (masks | true).sum(axis=(1, 2))
    return np.asarray((masks & true).sum(axis=(1, 2)) / np.maximum(union, 1))


def summarize(results: Iterable[ObjectResult]) -> dict[str, float | int]:
    """Means over objects, and the rank correlation of predicted and true IoU."""
    results = list(results)
    names = ("box", "ellipse", "point", "best_of_three", "disc", "corrected", "follows")
    summary: dict[str, float | int] = {"objects": len(results)}
    for name in names:
        summary[name] = float(np.mean([getattr(result, name) for result in results]))
    for name in ("box", "point"):
        predicted = [getattr(result, f"{name}_predicted") for result in results]
        true = [getattr(result, name) for result in results]
        summary[f"{name}_rank_correlation"] = _rank_correlation(predicted, true)
    return summary


def report(results: list[ObjectResult]) -> dict[str, dict[str, float | int]]:
    """Summaries for each difficulty, and for each kind within it."""
    groups: dict[str, list[ObjectResult]] = {}
    for result in results:
        groups.setdefault(result.difficulty, []).append(result)
    for result in results:
        groups.setdefault(f"{result.difficulty}, {result.kind}", []).append(result)
    return {name: summarize(group) for name, group in groups.items()}


def as_markdown(figures: dict[str, dict[str, float | int]]) -> str:
    """Write the figures as a table."""
    titles = {
        "objects": "objects",
        "box": "box",
        "ellipse": "ellipse in box",
        "point": "one click",
        "best_of_three": "one click, best of three",
        "disc": "disc at click",
        "corrected": f"after {CORRECTIONS} corrections",
        "follows": "mask is of the clicked object",
        "box_rank_correlation": "rank correlation, box",
        "point_rank_correlation": "rank correlation, click",
    }
    lines = ["| held-out images | " + " | ".join(titles.values()) + " |"]
    lines.append("|---" * (len(titles) + 1) + "|")
    for group, summary in figures.items():
        cells = [
            str(summary[name]) if name == "objects" else f"{summary[name]:.3f}" for name in titles
        ]
        lines.append(f"| {group} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _rank_correlation(predicted: list[float], true: list[float]) -> float:
    """Spearman's correlation; 0 where all values are the same."""
    if min(np.ptp(predicted), np.ptp(true)) == 0:
        return 0.0
    return float(stats.spearmanr(predicted, true).statistic)


def _corners(mask: Masks) -> NDArray[np.float32]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array([[columns[0], rows[0]], [columns[-1], rows[-1]]], np.float32)


def _main_label(mask: Masks, labels: NDArray[np.int32]) -> int:
    """Return the object that a mask covers most of; 0 where it covers none."""
    counts = np.bincount(labels[mask], minlength=2)
    counts[0] = 0
    return int(counts.argmax()) if counts.any() else 0
