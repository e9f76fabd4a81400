"""What the widget costs in a real window, beside the same work with PyTorch."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from tests.parity import make_image
from tests.reference import reference_predictor

from benchmarks.gaps import GapMeter
from benchmarks.models import SEED, model_folder, reference_model
from napari_sam2_openvino.core.models import STARTER

SIDE = 2048
N_OBJECTS = 100
# Objects that PyTorch decodes in one call: their full-size logits take 0.5 GB.
REFERENCE_BATCH = 10


class BenchedWindow:
    """A viewer with a stack of two planes and the widget.

    Parameters
    ----------
    source : str
        A model's name or folder.
    """

    def __init__(self, source: str) -> None:
        import napari

        self.rng = np.random.default_rng(SEED)
        self.viewer = napari.Viewer()
        self.planes = [make_image(self.rng, (SIDE, SIDE), grey=True)[..., 0] for _ in range(2)]
        self.layer = self.viewer.add_image(np.stack(self.planes))
        self.meter = GapMeter()
        # The first frames and the settling of the window are napari's.
        self.meter.watch_for(3)
        self.gap_alone = max(self.draw_anew(lambda: True) for _ in range(3))
        opened = time.perf_counter()
        _, self.widget = self.viewer.window.add_plugin_dock_widget(
            "napari-sam2-openvino", "SAM 2 Segment"
        )
        self.session = self.widget.annotator.session
        self.widget.overview.set_ahead(False)
        self.session.set_model(source)
        self.do("draw_points")
        self.click(700, 800)
        self.first_mask = time.perf_counter() - opened

    def do(self, verb: str) -> None:
        """Do what a key does."""
        self.widget.verbs[verb]()

    def until(self, is_over: Callable[[], bool]) -> float:
        """Process events; return the seconds until it is over."""
        started = time.perf_counter()
        self.meter.watch(is_over)
        return time.perf_counter() - started

    def is_answered(self) -> bool:
        """Whether each object that is drawn has its mask."""
        drawn = self.widget.annotator.drawn
        return bool(drawn) and all(self.session.answer(key) is not None for key in drawn)

    def click(self, x: float, y: float) -> float:
        """Add a point of a new object; return the seconds until its preview is shown."""
        self.do("clear")
        self.meter.watch_for(0.1)
        plane = self.viewer.dims.point[0]
        self.widget.annotator.drafting.layers.points.add([plane, y, x])
        return self.until(self.is_answered)

    def draw_anew(self, is_over: Callable[[], bool]) -> float:
        """Change the image; return the longest gap in the next two seconds or until the end."""
        image = make_image(self.rng, (SIDE, SIDE), grey=True)[..., 0]
        end = time.perf_counter() + 2
        self.layer.data = np.stack([image, self.planes[1]])
        return self.meter.watch(lambda: time.perf_counter() > end and is_over())

    def commit(self) -> float:
        """Commit an object; return the seconds that the main thread is busy with it."""
        self.click(*self.rng.integers(200, SIDE - 200, 2))
        started = time.perf_counter()
        self.do("commit")
        return time.perf_counter() - started

    def change_plane(self) -> float:
        """Go to the other plane and back to the prompts; return the seconds until the mask."""
        self.viewer.dims.set_point(0, 1)
        self.meter.watch(lambda: not self.session.is_busy and self.session.source is not None)
        self.meter.watch_for(0.2)
        self.viewer.dims.set_point(0, 0)
        return self.until(self.is_answered)

    def many(self, places: np.ndarray) -> tuple[float, float]:
        """Add many points, an object each; return the seconds until all masks, and the gap."""
        self.do("clear")
        self.do("toggle_many")
        self.meter.watch_for(0.2)
        points = np.column_stack([np.zeros(len(places)), places])
        started = time.perf_counter()
        self.widget.annotator.drafting.layers.points.add(points)
        gap = self.meter.watch(
            lambda: len(self.widget.annotator.drawn) == len(places) and self.is_answered()
        )
        return time.perf_counter() - started, gap

    def cancel(self) -> float:
        """Cancel an encode; return the seconds until the worker is free for the next job."""
        self.layer.data = self.layer.data.transpose(0, 2, 1).copy()
        self.meter.watch(lambda: self.session.is_busy)
        self.meter.watch_for(0.1)
        ended: list[float] = []
        cancelled = time.perf_counter()
        self.widget.annotator.cancel()
        self.widget.annotator.worker(time.perf_counter, ended.append, ended.append)
        self.meter.watch(lambda: bool(ended))
        return ended[0] - cancelled


def window(name: str, repeats: int) -> None:
    """Print what each step costs on a 2048 x 2048 image."""
    reference = reference_model(name)
    bench = BenchedWindow(STARTER if name == STARTER else str(model_folder(name, reference)))
    print(f"{name}: first mask {bench.first_mask:.2f} s after the widget was opened")
    places = bench.rng.integers(200, SIDE - 200, (N_OBJECTS, 2)).astype(float)
    clicks = [bench.click(x, y) for y, x in places[:repeats]]
    _print(name, "click to preview", clicks)
    _print(name, "plane change with a warm cache", [bench.change_plane() for _ in range(repeats)])
    # The first one makes the Labels layer.
    _print(name, "commit (main thread)", [bench.commit() for _ in range(repeats + 1)][1:])
    seconds, gap = bench.many(places)
    print(f"{name}: {N_OBJECTS} objects at once {seconds:.2f} s, longest gap {1e3 * gap:.0f} ms")
    started = time.perf_counter()
    bench.do("commit_all")
    print(f"{name}: commit of {N_OBJECTS} {1e3 * (time.perf_counter() - started):.0f} ms")
    gap = max(bench.draw_anew(lambda: not bench.session.is_busy) for _ in range(3))
    print(
        f"{name}: longest gap of a 10 ms timer while a new image is drawn and encoded "
        f"{1e3 * gap:.0f} ms, without the plugin {1e3 * bench.gap_alone:.0f} ms"
    )
    print(f"{name}: cancel ended the encode after {1e3 * bench.cancel():.0f} ms")
    bench.viewer.close()
    _same_with_pytorch(name, reference, bench.planes[0], places, repeats)


def _same_with_pytorch(
    name: str, reference: Any, image: np.ndarray, places: np.ndarray, repeats: int
) -> None:
    predictor = reference_predictor(reference)
    rgb = np.repeat(image[..., None], 3, axis=2)
    encodes, clicks = [], []
    for y, x in places[:repeats]:
        started = time.perf_counter()
        predictor.set_image(rgb)
        encodes.append(time.perf_counter() - started)
        started = time.perf_counter()
        predictor.predict(point_coords=np.array([[x, y]]), point_labels=np.array([1]))
        clicks.append(time.perf_counter() - started)
    _print(name, "PyTorch f32, predict of a click", clicks)
    both = [a + b for a, b in zip(encodes, clicks, strict=True)]
    _print(name, "PyTorch f32, plane change (it keeps one image: encode and click)", both)
    batch = places[:REFERENCE_BATCH, None, ::-1].copy()
    started = time.perf_counter()
    predictor.predict(point_coords=batch, point_labels=np.ones(batch.shape[:2], int))
    seconds = time.perf_counter() - started
    print(
        f"{name}: PyTorch f32, {len(batch)} objects {seconds:.2f} s, so {len(places)} take "
        f"{seconds * len(places) / len(batch):.1f} s beside the encode"
    )


def _print(name: str, step: str, seconds: list[float]) -> None:
    print(f"{name}: {step} {1e3 * statistics.median(seconds):.0f} ms (median of {len(seconds)})")
