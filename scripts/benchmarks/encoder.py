"""The image encoder in each precision, beside PyTorch: how long it takes, and how alike it is."""

import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tests.reference import inject_outliers

from benchmarks.machine import describe_machine
from benchmarks.models import SEED, reference_model
from napari_sam2_openvino.conversion import export
from napari_sam2_openvino.conversion.quantize_graphs import write_quantized_graphs
from napari_sam2_openvino.conversion.recipes import PRESETS
from napari_sam2_openvino.core.image_graphs import ImageEncoder
from napari_sam2_openvino.core.model_folder import IMAGE_ENCODER_FILE
from napari_sam2_openvino.core.normalize import to_rgb
from napari_sam2_openvino.core.transforms import preprocess
from napari_sam2_openvino.synthetic import KINDS, make_scene

Embeddings = list[NDArray[np.float32]]
# OpenVINO's own choice.
DEFAULT = ""


class _Side(NamedTuple):
    name: str
    run: Callable[[], Embeddings]


class _Times(NamedTuple):
    clock: list[float]
    cores: list[float]


def encoder(
    name: str, repeats: int, images: int, home: Path, *, outliers: bool, threads: int
) -> None:
    """Print times and cosines of a model's image encoder, all sides in turn.

    Parameters
    ----------
    name : str
        A model of the catalogue or the starter.
    repeats : int
        Rounds that are timed; 0 prints cosines alone.
    images : int
        How many images the models in 8 bits are calibrated with.
    home : Path
        A folder for the graphs.
    outliers : bool
        Whether channels are made to stand out as in trained transformers.
    threads : int
        Of both sides; 0 leaves it to them.
    """
    import torch

    if threads:
        torch.set_num_threads(threads)
    reference = reference_model(name)
    if outliers:
        inject_outliers(reference, SEED)
    folder = home / f"{name}{' outliers' if outliers else ''}"
    _exported(reference, folder)
    size = reference.image_size
    image = preprocess(_scene(0, size), size)
    sides = [*_torch_sides(reference, image), *_our_sides(folder, image, threads)]
    for preset in ("balanced", "fast"):
        target = folder / f"{preset}, {images} images"
        quantized = quantized_graphs(folder, target, preset, images, size)
        sides.append(_our_side(f"ours, INT8 {preset}", quantized, DEFAULT, image, threads))
    print(f"{describe_machine()}. {name}, {size} x {size}{', outliers' if outliers else ''}")
    _report(sides, repeats)


def _exported(reference: Any, folder: Path) -> None:
    """Write the graphs of single images, if they are not there from an earlier run."""
    if folder.is_dir():
        return
    unfinished = folder.with_name(f"{folder.name} unfinished")
    unfinished.mkdir(exist_ok=True)
    export.export_image_encoder(reference, unfinished)
    export.export_mask_decoder(reference, unfinished)
    unfinished.rename(folder)


def _scene(seed: int, size: int) -> NDArray[np.uint8]:
    return to_rgb(make_scene(KINDS[seed % len(KINDS)], seed, shape=(size, size)).image)


def _torch_sides(reference: Any, image: NDArray[np.float32]) -> list[_Side]:
    import torch

    tensor = torch.from_numpy(image)

    def run(*, is_bf16: bool) -> Embeddings:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=is_bf16):
            feats = reference.forward_image(tensor)["backbone_fpn"]
        return [feats[index].float().numpy() for index in (2, 0, 1)]

    return [
        _Side("PyTorch f32", partial(run, is_bf16=False)),
        _Side("PyTorch bf16", partial(run, is_bf16=True)),
    ]


def _our_sides(folder: Path, image: NDArray[np.float32], threads: int) -> list[_Side]:
    return [
        _our_side("ours, f32", folder, "f32", image, threads),
        _our_side("ours, default", folder, DEFAULT, image, threads),
    ]


def _our_side(
    name: str, folder: Path, precision: str, image: NDArray[np.float32], threads: int
) -> _Side:
    import openvino

    options: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
    if precision:
        options["INFERENCE_PRECISION_HINT"] = precision
    if threads:
        options["INFERENCE_NUM_THREADS"] = threads
    compiled = openvino.Core().compile_model(folder / IMAGE_ENCODER_FILE, "CPU", options)
    request = compiled.create_infer_request()
    effective = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()

    def run() -> Embeddings:
        found = request.infer({"image": image})
        return [found[port] for port in ImageEncoder.OUTPUTS]

    return _Side(f"{name} ({effective})", run)


def quantized_graphs(folder: Path, target: Path, preset: str, images: int, size: int) -> Path:
    """Write the graphs of a folder in 8 bits, if they are not there from an earlier run."""
    if target.is_dir():
        return target
    unfinished = target.with_name(f"{target.name}, unfinished")
    unfinished.mkdir(exist_ok=True)
    started = time.perf_counter()
    calibration = [partial(_scene, seed, size) for seed in range(1, images + 1)]
    for _ in write_quantized_graphs(folder, unfinished, PRESETS[preset], calibration, size):
        pass
    print(f"{preset}: {images} images, {time.perf_counter() - started:.0f} s", flush=True)
    return unfinished.rename(target)


def _report(sides: list[_Side], repeats: int) -> None:
    """Print a row for each side; the first of them is the reference."""
    wanted: Embeddings = []
    cosines: dict[str, str] = {}
    for side in sides:
        found = [np.array(each) for each in side.run()]
        wanted = wanted or found
        each = (_cosine(a, b) for a, b in zip(found, wanted, strict=True))
        cosines[side.name] = ", ".join(f"{cosine:.4f}" for cosine in each)
    times = {side.name: _Times([], []) for side in sides}
    for _ in range(repeats):
        for side in sides:
            clock, cores = time.perf_counter(), time.process_time()
            side.run()
            times[side.name].clock.append(time.perf_counter() - clock)
            times[side.name].cores.append(time.process_time() - cores)
    print("| | clock | core-seconds | cosine of embedding, features 0, 1 |\n|---|---|---|---|")
    first = times[sides[0].name]
    for name, taken in times.items():
        shown = [_shown(*pair) for pair in zip(taken, first, strict=True)] if repeats else ["", ""]
        print(f"| {name} | {shown[0]} | {shown[1]} | {cosines[name]} |", flush=True)


def _shown(mine: list[float], theirs: list[float]) -> str:
    """Write the median, and how many times as much the reference takes."""
    median = statistics.median(mine)
    return f"{median:.3f} s ({statistics.median(theirs) / median:.2f})"


def _cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    x, y = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    return float(x @ y / np.sqrt((x @ x) * (y @ y)))
