"""Every runtime beside the others: PyTorch, ONNX Runtime and ours, in each precision."""

import json
import math
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tests.parity import make_image
from tests.reference import let_memory_count, reference_generator, reference_predictor
from tests.video_parity import Reference

from benchmarks.encoder import quantized_graphs
from benchmarks.machine import describe_machine
from benchmarks.models import SEED, model_folder, reference_model
from benchmarks.onnx_model import OnnxModel, export_onnx, require_onnx
from benchmarks.peak import ONNX, TORCH, peak_of
from napari_sam2_openvino import (
    SAM2AutomaticMaskGenerator,
    SAM2ImagePredictor,
    SAM2VideoPredictor,
    load_model,
)
from napari_sam2_openvino.comparison.memory import measure_peak_memory
from napari_sam2_openvino.core.model import Sam2Model
from napari_sam2_openvino.core.model_folder import (
    IMAGE_ENCODER_FILE,
    MASK_DECODER_FILE,
    read_model_info,
    write_model_info,
)
from napari_sam2_openvino.core.models import STARTER, find_model_folder
from napari_sam2_openvino.core.volume_parameters import VolumeParameters

TASKS = ("encode", "click", "batch", "amg", "stack", "memory")
SIDE = 1024
BATCH = 64
POINTS_PER_SIDE = 16
PLANES = 20
CALIBRATION_IMAGES = 4
_WHAT = {
    "encode": "encode",
    "click": "click",
    "batch": f"{BATCH} prompts at once",
    "amg": f"every object, {POINTS_PER_SIDE} x {POINTS_PER_SIDE} points",
    "stack": f"one object through {PLANES} planes",
    "memory": "peak memory of an image and a click",
}
# By the name of a side: seconds, or bytes.
Figures = dict[str, list[float]]


@dataclass(frozen=True)
class _Side:
    """One runtime in one precision: SAM 2's classes, with a model in it."""

    name: str
    predictor: Any
    generate: Callable[[NDArray[np.uint8]], Any]
    planes: Callable[[NDArray[np.uint8]], Iterator[Any]]
    context: Callable[[], AbstractContextManager[Any]] = nullcontext


def compared(name: str, tasks: list[str], repeats: int, home: Path) -> None:
    """Print the times of a model in every runtime, all of them in turn.

    Parameters
    ----------
    name : str
        A model of the catalogue.
    tasks : list of str
        Of `TASKS`.
    repeats : int
        Timed rounds of encode, click and batch; of the longer tasks there is one.
    home : Path
        A folder for models and figures, those of earlier runs among them.
    """
    version = require_onnx()
    reference = reference_model(name)
    if name == STARTER:
        # It has no memory of its own.
        tasks = [task for task in tasks if task != "stack"]
    else:
        let_memory_count(reference, SEED)
    source = find_model_folder(model_folder(name, reference, memory="stack" in tasks))
    sides = [*_torch_sides(reference), *_our_sides(name, source, reference, home)]
    figures = home / f"{name}.json"
    known: dict[str, Figures] = json.loads(figures.read_text()) if figures.exists() else {}
    for task in tasks:
        if task == "memory":
            known[task] = _peaks(name, source, home)
        else:
            known[task] = _stack(sides) if task == "stack" else _timed(sides, task, repeats)
        figures.write_text(json.dumps(known, indent=2))
        print(f"{task}: {known[task]}", flush=True)
    print(f"{name}, {SIDE} x {SIDE}, {describe_machine()}, ONNX Runtime {version}\n")
    print(as_table(known))


def as_table(known: dict[str, Figures]) -> str:
    """Return a Markdown table of medians; in brackets how many times as much the first takes."""
    names = list(next(iter(known.values())))
    lines = [("", *names), ("---",) * (len(names) + 1)]
    for task in (each for each in TASKS if each in known):
        medians = [statistics.median(known[task][name]) for name in names]
        show = _as_memory if task == "memory" else _as_time
        cells = [f"{show(each)} ({medians[0] / each:.2f})" for each in medians[1:]]
        lines.append((_WHAT[task], show(medians[0]), *cells))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _as_time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1e3 * seconds:.0f} ms"


def _as_memory(size: float) -> str:
    return f"{size / 1e9:.2f} GB"


def _torch_sides(reference: Any) -> Iterator[_Side]:
    import torch

    generator = reference_generator(reference, points_per_side=POINTS_PER_SIDE)
    for name, is_bf16 in (("PyTorch f32", False), ("PyTorch bf16", True)):

        def context(enabled: bool = is_bf16) -> AbstractContextManager[Any]:
            context: AbstractContextManager[Any] = torch.autocast(
                "cpu", torch.bfloat16, enabled=enabled
            )
            return context

        def planes(images: NDArray[np.uint8]) -> Iterator[Any]:
            video = Reference(reference, images, correct_as_cond=True)
            _click_on_first(video.predictor, video.state)
            return iter(video.predictor.propagate_in_video(video.state))

        yield _Side(name, reference_predictor(reference), generator.generate, planes, context)


def _our_sides(name: str, source: Path, reference: Any, home: Path) -> Iterator[_Side]:
    onnx = OnnxModel(source, export_onnx(reference, home / f"{name} onnx"))
    yield _engine_side("ONNX Runtime f32", onnx)
    yield _engine_side("ours, f32", load_model(source, precision="f32"))
    yield _engine_side("ours, bf16", load_model(source, precision="bf16"))
    int8 = _quantized(source, home / f"{name} int8", reference.image_size)
    yield _engine_side("ours, INT8", load_model(int8, precision="bf16"))


def _engine_side(name: str, model: Sam2Model) -> _Side:
    def planes(images: NDArray[np.uint8]) -> Iterator[Any]:
        parameters = VolumeParameters(method="memory", fill_hole_area=0)
        predictor = SAM2VideoPredictor(model, parameters)
        state = predictor.init_state(images)
        _click_on_first(predictor, state)
        return predictor.propagate_in_video(state)

    # Compiled when they are first asked for, which is not what is timed.
    model.point_graphs()
    if model.has_memory:
        model.memory  # noqa: B018
    generator = SAM2AutomaticMaskGenerator(model, points_per_side=POINTS_PER_SIDE)
    return _Side(name, SAM2ImagePredictor(model), generator.generate, planes)


def _quantized(source: Path, folder: Path, size: int) -> Path:
    """Return the model with its graphs in 8 bits, by the preset "balanced"."""
    quantized_graphs(source, folder, "balanced", CALIBRATION_IMAGES, size)
    graphs = (IMAGE_ENCODER_FILE, MASK_DECODER_FILE)
    written = {name for file in graphs for name in (file, str(Path(file).with_suffix(".bin")))}
    for path in source.iterdir():
        if path.is_file() and path.name not in written:
            shutil.copyfile(path, folder / path.name)
    write_model_info(folder, replace(read_model_info(source), weights="int8"))
    return folder


def _click_on_first(predictor: Any, state: Any) -> None:
    predictor.add_new_points_or_box(state, 0, 1, points=[[SIDE / 2, SIDE / 2]], labels=[1])


def _timed(sides: list[_Side], task: str, repeats: int) -> Figures:
    """Time rounds in which the sides take turns; all but the long task warm up before."""
    image = make_image(np.random.default_rng(SEED), (SIDE, SIDE), grey=False)
    many = np.random.default_rng(SEED).uniform(0, SIDE, (BATCH, 1, 2)).astype(np.float32)
    actions: dict[str, Callable[[_Side], Any]] = {
        "encode": lambda side: side.predictor.set_image(image),
        "click": lambda side: side.predictor.predict(
            point_coords=np.array([[450.0, 550.0]]), point_labels=np.array([1])
        ),
        "batch": lambda side: side.predictor.predict(
            point_coords=many, point_labels=np.ones((BATCH, 1), np.int32)
        ),
        "amg": lambda side: side.generate(image),
    }
    is_long = task == "amg"
    masks = []
    for side in sides:
        with side.context():
            side.predictor.set_image(image)
            answered = None if is_long else actions[task](side)
            if answered is not None:
                masks.append(answered[0])
    for side, found in zip(sides, masks, strict=False):
        print(f"{task}, {side.name}: {(found == masks[0]).mean():.4f} of the pixels as the first")
    seconds: Figures = {side.name: [] for side in sides}
    for _ in range(1 if is_long else repeats):
        for side in sides:
            with side.context():
                started = time.perf_counter()
                actions[task](side)
                seconds[side.name].append(time.perf_counter() - started)
    return seconds


def _peaks(name: str, source: Path, home: Path) -> Figures:
    """Return the bytes that a process of each side takes at most, libraries included."""
    int8 = home / f"{name} int8"
    return {
        "PyTorch f32": [peak_of(TORCH, name, "f32")],
        "PyTorch bf16": [peak_of(TORCH, name, "bf16")],
        "ONNX Runtime f32": [peak_of(ONNX, str(source), str(home / f"{name} onnx"))],
        "ours, f32": [measure_peak_memory(source, "CPU", "f32") or math.nan],
        "ours, bf16": [measure_peak_memory(source, "CPU", "bf16") or math.nan],
        "ours, INT8": [measure_peak_memory(int8, "CPU", "bf16") or math.nan],
    }


def _stack(sides: list[_Side]) -> Figures:
    """Carry an object through a stack on all sides, plane by plane in turn."""
    rng = np.random.default_rng(SEED)
    images = np.stack([make_image(rng, (SIDE, SIDE), grey=True)[..., 0] for _ in range(PLANES)])
    seconds: Figures = {side.name: [0.0] for side in sides}
    walks: dict[str, Iterator[Any]] = {}
    for step in range(PLANES + 1):
        for side in sides:
            with side.context():
                started = time.perf_counter()
                if step:
                    next(walks[side.name])
                else:
                    walks[side.name] = side.planes(images)
                seconds[side.name][0] += time.perf_counter() - started
    return seconds
