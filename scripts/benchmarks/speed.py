"""How long an encode and a click take, beside PyTorch."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from tests.parity import make_image
from tests.reference import reference_predictor

from benchmarks.models import SEED, model_folder, reference_model
from napari_sam2_openvino import SAM2ImagePredictor, load_model


def speed(name: str, repeats: int) -> None:
    """Print the median times of encode and click, ours and PyTorch's in turn."""
    reference = reference_model(name)
    torch_predictor = reference_predictor(reference)
    source = model_folder(name, reference)
    predictors = {
        precision: SAM2ImagePredictor(load_model(source, precision=precision))
        for precision in ("f32", "auto")
    }
    image = make_image(np.random.default_rng(SEED), (2048, 2048), grey=False)
    click: dict[str, Any] = {"point_coords": [[900, 1100]], "point_labels": [1]}
    rows: dict[str, dict[str, Callable[[], object]]] = {
        "encode": {"PyTorch f32": lambda: torch_predictor.set_image(image)},
        "click": {"PyTorch f32": lambda: torch_predictor.predict(**click)},
    }
    for label, predictor in predictors.items():
        shown = f"OpenVINO {predictor.model.precision} ({label})"
        rows["encode"][shown] = lambda p=predictor: p.set_image(image)
        rows["click"][shown] = lambda p=predictor: p.predict(**click)
    for row, sides in rows.items():
        for side, median in interleaved(sides, repeats).items():
            print(f"{name}, 2048 x 2048, {row}, {side}: {1e3 * median:.0f} ms")


def interleaved(sides: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Return the median seconds of each side; they take turns, after one round that warms up."""
    times: dict[str, list[float]] = {side: [] for side in sides}
    for repeat in range(repeats + 1):
        for side, action in sides.items():
            started = time.perf_counter()
            action()
            if repeat:
                times[side].append(time.perf_counter() - started)
    return {side: statistics.median(values) for side, values in times.items()}
