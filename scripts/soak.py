"""Use the software at random for long, and print what it holds of the computer meanwhile.

    python scripts/soak.py window --minutes 60
    python scripts/soak.py predictions --count 10000

The first edits images in a real window with the starter (it needs a display; `xvfb-run` is one),
the second predicts without a window. Both print memory, threads and open files at the start, each
minute and at the end, and exit with 1 if anything raised.
"""

import argparse
import gc
import logging
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from napari_sam2_openvino.core.paths import HOME_VARIABLE  # noqa: E402

SECOND_MODEL = "starter again"
PREDICTIONS_PER_IMAGE = 20
REMEMBERED_BYTES = 8 << 20


class Meter:
    """Prints what this process holds, at most once in so many seconds.

    Parameters
    ----------
    seconds : float
    """

    def __init__(self, seconds: float = 60.0) -> None:
        self.process = psutil.Process()
        self.seconds = seconds
        self.started = self.last = time.monotonic()
        self.errors: Counter[str] = Counter()
        print(f"{'time':>8} {'memory':>9} {'threads':>8} {'files':>6} {'errors':>7}  done")

    @property
    def is_due(self) -> bool:
        """Whether it is time for the next line."""
        return time.monotonic() - self.last >= self.seconds

    def read(self, done: str) -> None:
        """Print a line."""
        self.last = time.monotonic()
        gc.collect()
        process = self.process
        files = process.num_fds() if hasattr(process, "num_fds") else process.num_handles()
        minutes, seconds = divmod(round(self.last - self.started), 60)
        print(
            f"{minutes:5d}:{seconds:02d} {process.memory_info().rss / 1e6:6.0f} MB"
            f" {process.num_threads():8d} {files:6d} {self.errors.total():7d}  {done}",
            flush=True,
        )

    def count_error(self, kind: type[BaseException], error: Any, trace: Any) -> None:
        """Remember an error that nothing caught, and print it the first time."""
        key = f"{kind.__name__}: {error}"
        if not self.errors[key]:
            traceback.print_exception(kind, error, trace)
        self.errors[key] += 1


class EventLoop:
    """Waits as pytest-qt does: the window lives meanwhile."""

    def wait(self, ms: int) -> None:
        """Process events for so many milliseconds."""
        from qtpy.QtTest import QTest

        QTest.qWait(ms)

    def waitUntil(self, condition: Any, timeout: int) -> None:  # noqa: N802 - pytest-qt's name
        """Process events until something is so."""
        end = time.monotonic() + timeout / 1000
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"Not answered within {timeout / 1000:.0f} seconds.")
            self.wait(10)


def soak_window(minutes: float, seed: int) -> Meter:
    """Edit at random in a window; empty it before each line, so that contents do not count."""
    import napari
    from tests.driven_window import Window
    from tests.random_walk import Walk, image_data

    from napari_sam2_openvino._qt.segment_widget import SegmentWidget
    from napari_sam2_openvino.core.models import STARTER, list_models
    from napari_sam2_openvino.core.paths import models_dir

    (starter,) = (each.folder for each in list_models() if each.name == STARTER)
    shutil.copytree(starter, models_dir() / SECOND_MODEL)
    meter = Meter()
    viewer = napari.Viewer()
    # After the viewer: napari puts a hook of its own there.
    sys.excepthook = meter.count_error
    random = np.random.default_rng(seed)
    viewer.add_image(image_data(random))
    widget = SegmentWidget(viewer)
    viewer.window.add_dock_widget(widget, name="SAM 2 Segment")
    window = Window(viewer, widget, EventLoop(), {})
    remember_little(window.session)
    walk = Walk(window, seed, (STARTER, SECOND_MODEL), is_exact=False)
    window.settle()
    meter.read("window open")
    while time.monotonic() - meter.started < minutes * 60:
        try:
            walk.step()
        except Exception as error:
            meter.count_error(type(error), error, error.__traceback__)
        if meter.is_due:
            empty(window, image_data(random))
            walk.model.forget()
            meter.read(f"{len(walk.done)} edits")
    empty(window, image_data(random))
    meter.read(f"{len(walk.done)} edits, window emptied")
    widget.close()
    viewer.close()
    window.qtbot.wait(200)
    meter.read("window closed")
    return meter


def leave_unpainted() -> None:
    """Let the canvas draw nothing; what was to go to the graphics card is forgotten."""
    from vispy.scene import SceneCanvas

    SceneCanvas.on_draw = lambda canvas, _event: canvas.context.glir.clear()


def remember_little(session: Any) -> None:
    """Give what is remembered on purpose so little room that it is soon full.

    Else memory grows with it for hours, and hides whether anything else does.
    """
    session._embeddings.max_bytes = REMEMBERED_BYTES
    session._objects._memory.max_bytes = REMEMBERED_BYTES


def empty(window: Any, image: np.ndarray) -> None:
    """Leave a new image, and nothing else, in a window."""
    window.viewer.layers.clear()
    # Repaint between, see Window.settle.
    window.qtbot.wait(100)
    window.viewer.dims.order = tuple(range(window.viewer.dims.ndim))
    window.viewer.add_image(image)
    window.qtbot.wait(500)
    if window.session.is_settled:
        window.settle()


def soak_predictions(count: int, seed: int) -> Meter:
    """Predict from random points and boxes in random images."""
    from napari_sam2_openvino import SAM2ImagePredictor, load_model

    meter = Meter()
    predictor = SAM2ImagePredictor(load_model("starter"))
    random = np.random.default_rng(seed)
    meter.read("model loaded")
    for number in range(count):
        try:
            if number % PREDICTIONS_PER_IMAGE == 0:
                hw = random.integers(40, 700, 2)
                predictor.set_image(random.integers(0, 255, (*hw, 3), dtype=np.uint8))
            predict(predictor, hw, random)
        except Exception as error:
            meter.count_error(type(error), error, error.__traceback__)
        if meter.is_due:
            meter.read(f"{number + 1} predictions")
    meter.read(f"{count} predictions")
    return meter


def predict(predictor: Any, hw: np.ndarray, random: np.random.Generator) -> None:
    """Predict once from one to eight points, and in one of three cases from a box as well."""
    n_points = int(random.integers(1, 9))
    box = None
    if random.random() < 1 / 3:
        corners = np.sort(random.uniform(0, hw[::-1], (2, 2)), axis=0)
        box = corners.ravel()
    masks, scores, _ = predictor.predict(
        random.uniform(0, hw[::-1], (n_points, 2)),
        random.integers(0, 2, n_points),
        box=box,
        multimask_output=bool(random.integers(2)),
    )
    if masks.shape[1:] != tuple(hw) or not np.isfinite(scores).all():
        raise ValueError(f"masks of shape {masks.shape} with scores {scores}")


def main() -> int:
    """Soak what the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["window", "predictions"])
    parser.add_argument("--minutes", type=float, default=60.0, help="of the window")
    parser.add_argument("--count", type=int, default=10_000, help="of predictions")
    parser.add_argument(
        "--unpainted",
        action="store_true",
        help="draw nothing on the canvas: Mesa 22.3 in software crashes within minutes",
    )
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    logging.getLogger("napari").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="napari-sam2-soak-") as folder:
        os.environ[HOME_VARIABLE] = str(Path(folder, "home"))
        os.environ["NAPARI_CONFIG"] = str(Path(folder, "settings.yaml"))
        if chosen.unpainted:
            leave_unpainted()
        if chosen.what == "window":
            meter = soak_window(chosen.minutes, chosen.seed)
        else:
            meter = soak_predictions(chosen.count, chosen.seed)
    return 1 if meter.errors else 0


if __name__ == "__main__":
    sys.exit(main())
