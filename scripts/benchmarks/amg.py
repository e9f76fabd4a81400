"""How long the search for every object takes, beside SAM 2's own generator, and its memory."""

import gc
import multiprocessing
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tests.parity import make_image
from tests.reference import reference_generator

from benchmarks.machine import describe_machine, peak_memory
from benchmarks.models import SEED, model_folder, reference_model
from napari_sam2_openvino import load_model
from napari_sam2_openvino.core.automatic_mask_generator import generate_candidates
from napari_sam2_openvino.core.candidates import Candidates
from napari_sam2_openvino.core.model import Sam2Model
from napari_sam2_openvino.core.parameters import GeneratorParameters

SIDE = 1024
PYTORCH = "PyTorch f32"
# Ours, by precision as it is asked for; "auto" is the default.
PRECISIONS = ("f32", "auto")
SURVIVALS: dict[str, dict[str, Any]] = {
    "SAM 2's thresholds": {},
    "all survive": {"pred_iou_thresh": 0.0, "stability_score_thresh": 0.0},
}


@dataclass(frozen=True)
class Run:
    """One search: seconds on the clock and of all cores, masks, peak memory.

    ``surviving`` masks passed the thresholds, ``final`` ones are no duplicates.
    """

    side: str
    seconds: float
    core_seconds: float
    surviving: int
    final: int
    peak_mb: float


def amg(name: str, points_per_side: int, repeats: int, survivals: list[str] | None = None) -> None:
    """Print times of the whole search, both sides in turn, each run in a process of its own."""
    source = str(model_folder(name, reference_model(name)))
    print(describe_machine())
    for survival in survivals or SURVIVALS:
        options = SURVIVALS[survival] | {"points_per_side": points_per_side}
        runs: dict[int, list[Run]] = {}
        for _ in range(repeats):
            for number, side in enumerate((PYTORCH, *PRECISIONS)):
                measure = _pytorch if side == PYTORCH else _ours
                argument = name if side == PYTORCH else (source, side)
                runs.setdefault(number, []).append(_in_new_process(measure, argument, options))
        what = f"{name}, {SIDE} x {SIDE}, {points_per_side} x {points_per_side} points, {survival}"
        for each in runs.values():
            print(f"{what}, {_line(each, runs[0], 3 * points_per_side**2)}", flush=True)


def _line(runs: list[Run], reference: list[Run], n_masks: int) -> str:
    """Describe the runs of one side beside those of the reference."""
    seconds, cores, peak = _summary(runs)
    times = [
        its / own for its, own in zip(_summary(reference), (seconds, cores, peak), strict=True)
    ]
    return (
        f"{runs[0].side}: {seconds:.1f} s, {cores:.1f} core-seconds, peak memory {peak:.0f} MB "
        f"(PyTorch takes {times[0]:.1f}, {times[1]:.1f} and {times[2]:.1f} times as much); "
        f"{runs[0].surviving} of {n_masks} masks survive, {runs[0].final} in the end"
    )


def _summary(runs: list[Run]) -> tuple[float, float, float]:
    """Return median seconds, median core-seconds and the highest peak memory."""
    return (
        statistics.median(run.seconds for run in runs),
        statistics.median(run.core_seconds for run in runs),
        max(run.peak_mb for run in runs),
    )


class _Watch:
    """Seconds since it was made: on the clock, and of all cores together."""

    def __init__(self) -> None:
        self._started = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        clock, cores = self._started
        return time.perf_counter() - clock, time.process_time() - cores


def _in_new_process(measure: Any, argument: Any, options: dict[str, Any]) -> Run:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        run: Run = pool.submit(measure, argument, options).result()
    return run


def _image() -> np.ndarray:
    return make_image(np.random.default_rng(SEED), (SIDE, SIDE), grey=False)


def _pytorch(name: str, options: dict[str, Any]) -> Run:
    """Time SAM 2's own generator; what it allocates before is part of its peak memory."""
    model, image = reference_model(name), _image()
    reference_generator(model, points_per_side=2).generate(image)
    generator = reference_generator(model, **options)
    batches: list[int] = []
    process_batch = generator._process_batch

    def counted(*arguments: Any, **keywords: Any) -> Any:
        data = process_batch(*arguments, **keywords)
        batches.append(len(data["rles"]))
        return data

    generator._process_batch = counted
    gc.collect()
    watch = _Watch()
    records = generator.generate(image)
    return Run(PYTORCH, *watch.read(), sum(batches), len(records), peak_memory())


def _ours(source_and_precision: tuple[str, str], options: dict[str, Any]) -> Run:
    """Time ours: what `SAM2AutomaticMaskGenerator.generate` does, with the survivors counted."""
    source, precision = source_and_precision
    model, image = load_model(_source(source), precision=precision), _image()
    _search(model, image, GeneratorParameters(points_per_side=2))
    parameters = GeneratorParameters(**options)
    watch = _Watch()
    found = _search(model, image, parameters)
    best = found.suppressed(parameters.box_nms_thresh, parameters.crop_nms_thresh)
    records = found.take(best).records()
    times = watch.read()
    side = f"OpenVINO {model.precision}" + (" (default)" if precision == "auto" else "")
    return Run(side, *times, len(found), len(records), peak_memory())


def _source(source: str) -> Path | str:
    return Path(source) if Path(source).is_dir() else source


def _search(model: Sam2Model, image: np.ndarray, parameters: GeneratorParameters) -> Candidates:
    job = generate_candidates(model, image, parameters, suppress=False)
    while True:
        try:
            next(job)
        except StopIteration as stop:
            found: Candidates = stop.value
            return found
