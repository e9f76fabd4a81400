"""Measure the engine: parity with PyTorch, and the time of each step.

    python scripts/benchmark.py --parity                 all models, 200 prompt sets each
    python scripts/benchmark.py --parity starter
    python scripts/benchmark.py --speed starter sam2.1_hiera_tiny

Both run in the environment that ``scripts/test.py`` makes (it has PyTorch). Meta's architectures
get seeded weights with every parameter perturbed; the starter is the trained one. Figures of speed
are medians of runs in which the two sides take turns.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from napari_sam2_openvino.core.catalogue import find_entry  # noqa: E402
from tests.parity import IMAGE_SIZES, SETS_PER_IMAGE, Comparison, compare, make_image  # noqa: E402
from tests.reference import build_model, perturbed_model, reference_predictor  # noqa: E402

from napari_sam2_openvino import SAM2ImagePredictor, convert, load_model  # noqa: E402
from napari_sam2_openvino.core.paths import HOME_VARIABLE, models_dir  # noqa: E402

STARTER = "starter"
STARTER_FOLDER = ROOT / "scripts" / "starter"
PARITY_MODELS = ("sam2.1_hiera_tiny", "sam2_hiera_tiny", STARTER)
SEED = 1


def reference_model(name: str) -> Any:
    """Return the PyTorch model of that name, with the weights that the engine gets."""
    import torch

    if name == STARTER:
        model = build_model(STARTER_FOLDER / "starter.yaml")
        checkpoint = torch.load(STARTER_FOLDER / "checkpoint.pt", weights_only=True)
        model.load_state_dict({key: value.float() for key, value in checkpoint["model"].items()})
        return model
    entry = find_entry(name)
    if entry is None:
        raise SystemExit(f"There is no model {name!r} in the catalogue.")
    return perturbed_model(entry.config_file, seed=SEED)


def model_folder(name: str, reference: Any) -> Path | str:
    """Return what `load_model` takes: the bundled starter, or a conversion of the reference."""
    import torch

    if name == STARTER:
        return STARTER
    checkpoint = models_dir().parent / f"{name}.pt"
    torch.save({"model": reference.state_dict()}, checkpoint)
    started = time.perf_counter()
    converted = convert(checkpoint, name, image_size=reference.image_size)
    print(f"{name}: converted in {time.perf_counter() - started:.0f} s")
    return converted


def parity(name: str, sets_per_image: int) -> bool:
    """Compare a model with PyTorch and print each set that differs; return whether all passed."""
    reference = reference_model(name)
    engine = load_model(model_folder(name, reference), precision="f32")
    results = []
    for result in compare(
        reference_predictor(reference), engine, SEED, IMAGE_SIZES, sets_per_image
    ):
        results.append(result)
        if not result.passed:
            print(_line(result))
    failed = [result for result in results if not (result.passed or result.tie)]
    ties = [result for result in results if result.tie and not result.passed]
    print(
        f"{name} ({engine.precision}): {len(results)} prompt sets, "
        f"{len(results) - len(failed) - len(ties)} agree, {len(ties)} differ by a tie, "
        f"{len(failed)} fail; smallest pixel agreement "
        f"{min(r.pixel_agreement for r in results if not r.tie):.5f}, largest score difference "
        f"{max(r.score_difference for r in results if not r.tie):.1e}, largest difference of "
        f"low-resolution logits {max(r.low_res_difference for r in results if not r.tie):.1e}"
    )
    return not failed


def _line(result: Comparison) -> str:
    why = "tie" if result.tie else "FAIL"
    return (
        f"  {why}: {result.image}, {result.kind}: pixels {result.pixel_agreement:.5f}, "
        f"score {result.score_difference:.1e}"
    )


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
        for side, median in _interleaved(sides, repeats).items():
            print(f"{name}, 2048 x 2048, {row}, {side}: {1e3 * median:.0f} ms")


def _interleaved(sides: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    times: dict[str, list[float]] = {side: [] for side in sides}
    for repeat in range(repeats + 1):
        for side, action in sides.items():
            started = time.perf_counter()
            action()
            # The first round warms up.
            if repeat:
                times[side].append(time.perf_counter() - started)
    return {side: statistics.median(values) for side, values in times.items()}


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parity", nargs="*", metavar="MODEL", help="compare with PyTorch")
    parser.add_argument("--speed", nargs="+", metavar="MODEL", help="time encode and click")
    parser.add_argument("--sets", type=int, default=SETS_PER_IMAGE, help="prompt sets per image")
    parser.add_argument("--repeats", type=int, default=5, help="timed rounds")
    arguments = parser.parse_args()
    if arguments.parity is None and arguments.speed is None:
        parser.error("choose --parity or --speed")
    passed = True
    with tempfile.TemporaryDirectory() as home:
        # The user's own models and caches stay out of it.
        os.environ[HOME_VARIABLE] = home
        for name in (arguments.parity or PARITY_MODELS) if arguments.parity is not None else ():
            passed &= parity(name, arguments.sets)
        for name in arguments.speed or ():
            speed(name, arguments.repeats)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
