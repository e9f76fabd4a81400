"""Measure the engine: parity with PyTorch, and the time of each step.

    python scripts/benchmark.py --parity                 all models, 200 prompt sets each
    python scripts/benchmark.py --parity starter
    python scripts/benchmark.py --speed starter sam2.1_hiera_tiny
    python scripts/benchmark.py --window starter sam2.1_hiera_tiny

They run in the environment that ``scripts/test.py`` makes (it has PyTorch); the last needs a
display. Meta's architectures get seeded weights with every parameter perturbed; the starter is the
trained one. Figures of speed are medians of runs in which the two sides take turns.
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

from tests.parity import IMAGE_SIZES, SETS_PER_IMAGE, Comparison, compare, make_image  # noqa: E402
from tests.reference import perturbed_model, reference_predictor, starter_model  # noqa: E402

from napari_sam2_openvino import SAM2ImagePredictor, convert, load_model  # noqa: E402
from napari_sam2_openvino.core.catalogue import find_entry  # noqa: E402
from napari_sam2_openvino.core.models import STARTER  # noqa: E402
from napari_sam2_openvino.core.paths import HOME_VARIABLE, models_dir  # noqa: E402

PARITY_MODELS = ("sam2.1_hiera_tiny", "sam2_hiera_tiny", STARTER)
SEED = 1


def reference_model(name: str) -> Any:
    """Return the PyTorch model of that name, with the weights that the engine gets."""
    if name == STARTER:
        return starter_model()
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


class GapMeter:
    """A timer of 10 ms in the main thread: the longest time between two of its ticks."""

    def __init__(self) -> None:
        from qtpy.QtCore import Qt, QTimer

        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(10)
        self._timer.timeout.connect(self._on_tick)
        self._last = 0.0
        self._longest = 0.0

    def watch(self, is_over: Callable[[], bool]) -> float:
        """Process events until ``is_over``; return the longest gap in seconds."""
        from qtpy.QtWidgets import QApplication

        self._last, self._longest = time.perf_counter(), 0.0
        self._timer.start()
        while not is_over():
            QApplication.processEvents()
            time.sleep(0.001)
        self._timer.stop()
        return self._longest

    def watch_for(self, seconds: float) -> float:
        """Process events for some time; return the longest gap in seconds."""
        end = time.perf_counter() + seconds
        return self.watch(lambda: time.perf_counter() > end)

    def _on_tick(self) -> None:
        now = time.perf_counter()
        self._longest = max(self._longest, now - self._last)
        self._last = now


def window(name: str, repeats: int) -> None:
    """Print what the widget costs in a real window on a 2048 x 2048 image."""
    import napari

    rng = np.random.default_rng(SEED)
    source = STARTER if name == STARTER else model_folder(name, reference_model(name))
    viewer = napari.Viewer()
    layer = viewer.add_image(make_image(rng, (2048, 2048), grey=True)[..., 0])
    meter = GapMeter()
    # The first frames and the settling of the window are napari's.
    meter.watch_for(3)
    gap_alone = max(_draw_anew(meter, layer, rng, lambda: True) for _ in range(3))
    opened = time.perf_counter()
    _, widget = viewer.window.add_plugin_dock_widget("napari-sam2-openvino", "SAM 2 Segment")
    annotator = widget.annotator
    annotator.session.set_model(str(source))
    annotator.draw_points()
    _click(annotator, meter, 700, 800)
    print(f"{name}: first mask {time.perf_counter() - opened:.2f} s after the widget was opened")
    places = rng.integers(200, 1800, (repeats, 2))
    times = [_click(annotator, meter, int(x), int(y)) for x, y in places]
    print(f"{name}: click to preview {1e3 * statistics.median(times):.0f} ms (median)")
    annotator.clear()
    gap = max(
        _draw_anew(meter, layer, rng, lambda: not annotator.session.is_busy) for _ in range(3)
    )
    print(
        f"{name}: longest gap of a 10 ms timer while a new image is drawn and encoded "
        f"{1e3 * gap:.0f} ms, without the plugin {1e3 * gap_alone:.0f} ms"
    )
    print(f"{name}: cancel ended the encode after {1e3 * _cancel(annotator, meter, layer):.0f} ms")
    viewer.close()


def _click(annotator: Any, meter: GapMeter, x: int, y: int) -> float:
    """Add a point; return the seconds until its preview is shown."""
    answers: list[float] = []

    def on_object(answer: object) -> None:
        if answer is not None:
            answers.append(time.perf_counter())

    annotator.session.object_changed.connect(on_object)
    clicked = time.perf_counter()
    annotator.prompt_layers.points.add([y, x])
    meter.watch(lambda: bool(answers))
    annotator.session.object_changed.disconnect(on_object)
    return answers[0] - clicked


def _draw_anew(
    meter: GapMeter, layer: Any, rng: np.random.Generator, is_over: Callable[[], bool]
) -> float:
    """Change the image; return the timer's longest gap in the next two seconds or until the end."""
    image = make_image(rng, (2048, 2048), grey=True)[..., 0]
    end = time.perf_counter() + 2
    layer.data = image
    return meter.watch(lambda: time.perf_counter() > end and is_over())


def _cancel(annotator: Any, meter: GapMeter, layer: Any) -> float:
    """Cancel an encode; return the seconds until the worker is free for the next job."""
    layer.data = layer.data.T.copy()
    meter.watch(lambda: annotator.session.is_busy)
    meter.watch_for(0.1)
    ended: list[float] = []
    cancelled = time.perf_counter()
    annotator.cancel()
    annotator.worker(time.perf_counter, ended.append, ended.append)
    meter.watch(lambda: bool(ended))
    return ended[0] - cancelled


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parity", nargs="*", metavar="MODEL", help="compare with PyTorch")
    parser.add_argument("--speed", nargs="+", metavar="MODEL", help="time encode and click")
    parser.add_argument("--window", nargs="+", metavar="MODEL", help="time the widget")
    parser.add_argument("--sets", type=int, default=SETS_PER_IMAGE, help="prompt sets per image")
    parser.add_argument("--repeats", type=int, default=5, help="timed rounds")
    arguments = parser.parse_args()
    if arguments.parity is None and not arguments.speed and not arguments.window:
        parser.error("choose --parity, --speed or --window")
    passed = True
    with tempfile.TemporaryDirectory() as home:
        # The user's own models and caches stay out of it.
        os.environ[HOME_VARIABLE] = home
        for name in (arguments.parity or PARITY_MODELS) if arguments.parity is not None else ():
            passed &= parity(name, arguments.sets)
        for name in arguments.speed or ():
            speed(name, arguments.repeats)
        for name in arguments.window or ():
            window(name, arguments.repeats)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
