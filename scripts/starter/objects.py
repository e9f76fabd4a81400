"""How many objects of synthetic and real images a model finds, and with which thresholds most."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage import data

from napari_sam2_openvino.core.all_objects import find_objects
from napari_sam2_openvino.core.candidate_files import load_candidates, save_candidates
from napari_sam2_openvino.core.candidate_filter import CandidateSieve
from napari_sam2_openvino.core.candidates import Candidates
from napari_sam2_openvino.core.labels_from_candidates import labels_from_candidates
from napari_sam2_openvino.core.model import Sam2Model
from napari_sam2_openvino.core.object_parameters import (
    AllObjectsParameters,
    CandidateFilter,
    TilingParameters,
)
from napari_sam2_openvino.core.parameters import GeneratorParameters
from napari_sam2_openvino.core.planes import make_plane_source
from napari_sam2_openvino.core.reading import ImageArrays
from napari_sam2_openvino.core.types import PlaneIndex
from napari_sam2_openvino.synthetic import KINDS, make_scene
from starter.held_out import DIFFICULTIES, LEAST_AREA, SIDE, held_out_scenes
from starter.pictures import coin_labels

FIRST_TRAINING_SEED = 1_000_000
FOUND = 0.5
"""An object is found by a label of at least this IoU."""

# Half of this is kept of every image: nothing below is tried.
LOWEST = CandidateFilter(0.1, 0.3)

CHOICES: Mapping[str, Sequence[Any]] = {
    "pred_iou_thresh": np.arange(0.1, 0.86, 0.05).round(2).tolist(),
    "stability_score_thresh": np.arange(0.3, 0.96, 0.05).round(2).tolist(),
    "box_nms_thresh": np.arange(0.1, 0.96, 0.1).round(2).tolist(),
    "max_overlap": np.arange(0.2, 1.01, 0.1).round(2).tolist(),
    "remove_background": (False, True),
    "min_visible": (0.0, 0.1, 0.25, 0.4, 0.5, 0.6, 0.75),
}
"""What is tried of each parameter. Whose shared pixels are is a matter of what one wants to see."""

LEAST_GAIN = 0.001
"""Of F1: less tells more of the images than of the model."""


@dataclass(frozen=True, slots=True)
class Example:
    """An image and what is in it.

    Attributes
    ----------
    name : str
    image : ndarray, shape (H, W) or (H, W, 3)
    labels : ndarray of int, shape (H, W)
        The objects.
    parts : ndarray of int, shape (H, W), or None
        Parts of objects, of which a label is neither right nor wrong.
    """

    name: str
    image: NDArray[Any]
    labels: NDArray[Any]
    parts: NDArray[Any] | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of the objects of one image.

    Attributes
    ----------
    found, missed, wrong : int
        Objects that a label matches, those that none matches, and labels of nothing.
    iou : float
        Sum over those that are found.
    """

    found: int
    missed: int
    wrong: int
    iou: float

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 1 where there is nothing and nothing is found."""
        errors = self.missed + self.wrong
        return 2 * self.found / (2 * self.found + errors) if self.found or errors else 1.0


def judge(labels: NDArray[Any], example: Example) -> Judgement:
    """Compare labels with what is in an image.

    Objects of fewer than `LEAST_AREA` pixels are not asked for, and labels of them not wrong.
    """
    iou = _iou(example.labels, labels)
    is_match = iou >= FOUND
    asked = np.bincount(example.labels.ravel())[1:] >= LEAST_AREA
    is_found = is_match.any(axis=1) & asked
    # A number that no pixel has is no label.
    is_right = is_match.any(axis=0) | (np.bincount(labels.ravel())[1:] == 0)
    if example.parts is not None:
        is_right |= (_iou(example.parts, labels) >= FOUND).any(axis=0)
    return Judgement(
        int(is_found.sum()),
        int((asked & ~is_found).sum()),
        int((~is_right).sum()),
        float(iou[is_found].max(axis=1, initial=0).sum()),
    )


def _iou(truth: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.float64]:
    """IoU of each object of the truth with each label, the background left out."""
    n_truth, n_labels = int(truth.max()) + 1, int(labels.max()) + 1
    pairs = truth.astype(np.int64).ravel() * n_labels + labels.ravel()
    shared = np.bincount(pairs, minlength=n_truth * n_labels).reshape(n_truth, n_labels)
    union = shared.sum(axis=1)[:, None] + shared.sum(axis=0) - shared
    return np.asarray((shared / np.maximum(1, union))[1:, 1:])


def training_examples(images_per_kind: int) -> Iterator[Example]:
    """Draw images of seeds that training uses, of every kind at both difficulties."""
    for number in range(images_per_kind):
        for difficulty, value in DIFFICULTIES.items():
            for kind in KINDS:
                seed = FIRST_TRAINING_SEED + number
                scene = make_scene(kind, seed, shape=(SIDE, SIDE), difficulty=value)
                name = f"{difficulty} {kind} {seed}"
                yield Example(name, scene.image, scene.labels, scene.parts)


def held_out_examples(difficulty: str, images_per_kind: int) -> Iterator[Example]:
    """Draw images that training never saw."""
    for scene in held_out_scenes(difficulty, images_per_kind):
        name = f"{difficulty} {scene.parameters.kind} {scene.seed}"
        yield Example(name, scene.image, scene.labels, scene.parts)


def coins() -> Example:
    """Return scikit-image's coins, whose truth a watershed gives."""
    image = data.coins()
    return Example("coins", image, coin_labels(image))


def stored_candidates(
    model: Sam2Model, example: Example, generator: GeneratorParameters, folder: Path
) -> Candidates:
    """Return the candidates of an image, from the folder if they were found before."""
    path = folder / f"{model.key} {generator.points_per_side} {example.name}.npz"
    if path.is_file():
        return load_candidates(path)
    parameters = AllObjectsParameters(generator, LOWEST, tiling=TilingParameters(use_tiles=False))
    found = run_search(model, example.image, parameters, keep=True)
    folder.mkdir(parents=True, exist_ok=True)
    save_candidates(path, found)
    return found


def run_search(
    model: Sam2Model, image: NDArray[Any], parameters: AllObjectsParameters, *, keep: bool = False
) -> Candidates:
    """Find the objects of an image."""
    arrays = ImageArrays((image,), "image", is_rgb=image.ndim == 3)
    source = make_plane_source([arrays], PlaneIndex((None, None)))
    job = find_objects(model, source, parameters, keep=keep)
    while True:
        try:
            next(job)
        except StopIteration as stop:
            found: Candidates = stop.value
            return found


def with_values(parameters: AllObjectsParameters, **values: Any) -> AllObjectsParameters:
    """Return parameters with other values of the filter, of the labels or of the search.

    Of a name that filter and search share, the filter's value counts.
    """
    for name, value in values.items():
        part = next(
            part
            for part in ("filter", "labels", "generator")
            if hasattr(getattr(parameters, part), name)
        )
        changed: Any = replace(getattr(parameters, part), **{name: value})
        parameters = replace(parameters, **{part: changed})
    return parameters


def mean_f1(
    examples: Sequence[tuple[Example, CandidateSieve]], parameters: AllObjectsParameters
) -> float:
    """Return F1 at `FOUND` on average over images."""
    scores = []
    for example, sieve in examples:
        chosen = sieve.indices(parameters.filter)
        found = labels_from_candidates(
            sieve.candidates.take(chosen),
            parameters.labels,
            cut=lambda index, sieve=sieve, chosen=chosen: sieve.cut(int(chosen[index])),
        )
        scores.append(judge(found.labels, example).f1)
    return float(np.mean(scores))


def tune(
    examples: Sequence[tuple[Example, CandidateSieve]],
    start: AllObjectsParameters,
    tell: Callable[[str], None],
) -> AllObjectsParameters:
    """Improve one parameter after the other until none gets better."""
    best, best_score = start, mean_f1(examples, start)
    tell(f"start: {best_score:.4f}")
    while True:
        before = best_score
        for name, choices in CHOICES.items():
            for value in choices:
                tried = with_values(best, **{name: value})
                score = mean_f1(examples, tried)
                if score > best_score + LEAST_GAIN:
                    best, best_score = tried, score
                    tell(f"{name} = {value}: {score:.4f}")
        if best_score == before:
            return best


def summarize(judgements: Iterable[Judgement]) -> dict[str, float]:
    """Return F1 over all objects and over images, mean matched IoU, precision and recall."""
    every = list(judgements)
    found, missed, wrong = (
        sum(getattr(each, name) for each in every) for name in ("found", "missed", "wrong")
    )
    return {
        "objects": found + missed,
        "F1": 2 * found / max(1, 2 * found + missed + wrong),
        "F1 by image": float(np.mean([each.f1 for each in every])),
        "mean matched IoU": sum(each.iou for each in every) / max(1, found),
        "precision": found / max(1, found + wrong),
        "recall": found / max(1, found + missed),
    }
