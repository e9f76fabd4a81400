"""The quick search beside the whole grid: how much sooner it ends, and what it misses."""

import time
from dataclasses import replace

import numpy as np

from benchmarks.machine import describe_machine
from napari_sam2_openvino.core.all_objects import default_parameters
from napari_sam2_openvino.core.candidates import Candidates
from napari_sam2_openvino.core.labels_from_candidates import labels_from_candidates
from napari_sam2_openvino.core.model import Sam2Model
from napari_sam2_openvino.core.models import load_model
from napari_sam2_openvino.core.object_parameters import AllObjectsParameters, TilingParameters
from starter.held_out import DIFFICULTIES
from starter.objects import (
    FOUND,
    Example,
    Judgement,
    coins,
    held_out_examples,
    judge,
    run_search,
    summarize,
)


def quick(name: str, images_per_kind: int) -> None:
    """Print seconds, F1 and agreement of both searches on images that training never saw."""
    print(describe_machine())
    model = load_model(name)
    whole = replace(default_parameters(model), tiling=TilingParameters(use_tiles=False))
    coarse = replace(whole, generator=replace(whole.generator, quick=True))
    run_search(model, coins().image, coarse)  # compiles
    for title, examples in (
        *((each, list(held_out_examples(each, images_per_kind))) for each in DIFFICULTIES),
        ("coins", [coins()]),
    ):
        seconds: list[tuple[float, float]] = []
        shares: list[tuple[int, int, float]] = []
        judged: tuple[list[Judgement], list[Judgement]] = ([], [])
        for example in examples:
            (every, took_all), (some, took_some) = (
                _timed(model, example, each) for each in (whole, coarse)
            )
            seconds.append((took_all, took_some))
            shares.append(_found_again(every, some))
            for judgements, found in zip(judged, (every, some), strict=True):
                judgements.append(_judgement(example, found, whole))
        took_all, took_some = np.sum(seconds, axis=0)
        n_masks, n_again, iou = np.sum(shares, axis=0)
        f1_all, f1_some = (summarize(each)["F1 by image"] for each in judged)
        print(
            f"{title}, {len(examples)} images: whole grid {took_all:.1f} s, F1 {f1_all:.3f}; quick "
            f"{took_some:.1f} s ({took_all / took_some:.2f} times faster), F1 {f1_some:.3f}; "
            f"{n_again:.0f} of {n_masks:.0f} masks found again, "
            f"mean IoU {iou / max(1, n_again):.3f}"
        )


def _timed(
    model: Sam2Model, example: Example, parameters: AllObjectsParameters
) -> tuple[Candidates, float]:
    began = time.perf_counter()
    found = run_search(model, example.image, parameters)
    return found, time.perf_counter() - began


def _judgement(example: Example, found: Candidates, parameters: AllObjectsParameters) -> Judgement:
    return judge(labels_from_candidates(found, parameters.labels).labels, example)


def _found_again(every: Candidates, some: Candidates) -> tuple[int, int, float]:
    """Return how many masks there are, how many the other search has too, and their IoU."""
    best = [_best_iou(every, some, index) for index in range(len(every))]
    again = [iou for iou in best if iou >= FOUND]
    return len(best), len(again), sum(again)


def _best_iou(every: Candidates, some: Candidates, index: int) -> float:
    x0, y0, x1, y1 = every.boxes[index]
    left, top, right, bottom = some.boxes.T
    near = np.flatnonzero((left <= x1) & (right >= x0) & (top <= y1) & (bottom >= y0))
    mask = every.masks[index].mask(every.image_hw)
    others = (some.masks[other].mask(some.image_hw) for other in near)
    return max(((mask & other).sum() / (mask | other).sum() for other in others), default=0.0)
