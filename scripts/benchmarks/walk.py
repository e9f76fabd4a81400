"""Random edits in a real window, and the same in napari alone: how long each holds the window."""

import shutil
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np
from skimage.draw import disk

from benchmarks.gaps import GapMeter
from napari_sam2_openvino._layers import drawing
from napari_sam2_openvino.core.models import STARTER, list_models
from napari_sam2_openvino.core.paths import models_dir
from napari_sam2_openvino.synthetic import make_scene

SIDE = 2048
N_PLANES = 3
SECONDS_PER_STEP = 0.12
N_ROUNDS = 2
OTHER_MODEL = "starter again"
_OBJECT_RADIUS = 60
_SHAPES = {
    "box": ([(0, 0), (0, 120), (90, 120), (90, 0)], "rectangle"),
    "lasso": ([(0, 0), (40, 150), (120, 80), (140, 20)], "polygon"),
    "scribble": ([(0, 0), (60, 90), (30, 140)], "path"),
}
_WEIGHTS = {
    **{"click": 8, "move": 4, "remove": 2, "box": 3, "lasso": 2, "scribble": 2, "point_at": 3},
    **{"plane": 3, "transpose": 1, "rename": 1, "contrast": 1, "pixels": 1, "remove_layer": 1},
    **{"commit": 4, "commit_all": 1, "undo": 2, "redo": 1, "clear": 1, "undo_labels": 1},
    **{"next_object": 2, "next_mask": 2, "toggle_polarity": 2, "toggle_many": 1, "grow_mask": 1},
    **{"toggle_live": 1, "toggle_hover": 1, "edit_object": 1, "model": 1},
}


@dataclass(frozen=True)
class Step:
    """Something that is done, and numbers from 0 to 1 that say where."""

    name: str
    numbers: tuple[float, float, float]


def make_script(n_steps: int, seed: int) -> list[Step]:
    """Return random steps: the same seed gives the same ones."""
    rng = np.random.default_rng(seed)
    weights = np.array(list(_WEIGHTS.values()), float)
    names = rng.choice(list(_WEIGHTS), n_steps, p=weights / weights.sum())
    return [Step(str(name), tuple(map(float, rng.random(3)))) for name in names]  # type: ignore[arg-type]


class Alone:
    """napari without the plugin; what only the plugin can do is left out."""

    def __init__(self, stack: np.ndarray) -> None:
        import napari

        self.viewer = napari.Viewer()
        self.image = self.viewer.add_image(stack, name="stack")
        self.labels: Any = None
        self.points: Any = None
        self.shapes: Any = None

    def do(self, step: Step) -> None:
        """Do a step."""
        if (act := getattr(self, f"_do_{step.name}", None)) is not None:
            act(*step.numbers)
        else:
            self.verb(step.name)

    def verb(self, name: str) -> None:
        """Do what only the plugin can."""

    def place(self, y: float, x: float) -> list[float]:
        """Return where numbers from 0 to 1 lie on the plane in view."""
        return [self.viewer.dims.point[0], 200 + y * (SIDE - 400), 200 + x * (SIDE - 400)]

    def need(self, kind: str) -> Any:
        """Return the layer that something is drawn in, which is made when it is first needed."""
        if kind == "points" and self.points not in self.viewer.layers:
            self.points = self.viewer.add_layer(drawing.new_points_layer(self.image))
        if kind == "shapes" and self.shapes not in self.viewer.layers:
            self.shapes = self.viewer.add_layer(drawing.new_shapes_layer(self.image))
        return getattr(self, kind)

    def there(self, kind: str) -> Any:
        """Return the layer if there is anything in it."""
        layer = getattr(self, kind)
        return layer if layer in self.viewer.layers and len(layer.data) else None

    def draw(self, kind: str, y: float, x: float) -> None:
        """Draw a shape."""
        offsets, shape_type = _SHAPES[kind]
        z, *corner = self.place(y, x)
        vertices = [(z, *np.add(corner, each)) for each in offsets]
        self.need("shapes").add(np.array(vertices), shape_type=shape_type)

    def _do_click(self, y: float, x: float, _: float) -> None:
        self.need("points").add(self.place(y, x))

    def _do_box(self, y: float, x: float, _: float) -> None:
        self.draw("box", y, x)

    def _do_lasso(self, y: float, x: float, _: float) -> None:
        self.draw("lasso", y, x)

    def _do_scribble(self, y: float, x: float, _: float) -> None:
        self.draw("scribble", y, x)

    def _do_move(self, which: float, y: float, x: float) -> None:
        if (points := self.there("points")) is not None:
            data = points.data.copy()
            data[int(which * len(data)), 1:] = self.place(y, x)[1:]
            points.data = data

    def _do_remove(self, kind: float, which: float, _: float) -> None:
        if (layer := self.there("points" if kind < 0.5 else "shapes")) is not None:
            layer.selected_data = {int(which * len(layer.data))}
            layer.remove_selected()

    def _do_point_at(self, y: float, x: float, _: float) -> None:
        self.viewer.cursor.position = tuple(self.place(y, x))

    def _do_plane(self, which: float, *_: float) -> None:
        self.viewer.dims.set_point(0, int(which * N_PLANES))

    def _do_transpose(self, *_: float) -> None:
        dims = self.viewer.dims
        dims.order = (0, 2, 1) if dims.order == (0, 1, 2) else (0, 1, 2)

    def _do_rename(self, which: float, name: float, _: float) -> None:
        layers = self.viewer.layers
        layers[int(which * len(layers))].name = f"layer {100 * name:.0f}"

    def _do_contrast(self, low: float, *_: float) -> None:
        self.image.contrast_limits = (1000 * low, 1000 * low + 20_000)

    def _do_pixels(self, *_: float) -> None:
        self.image.data = np.roll(self.image.data, 40, axis=2)

    def _do_remove_layer(self, kind: float, *_: float) -> None:
        layer = self.points if kind < 0.5 else self.shapes
        if layer in self.viewer.layers:
            self.viewer.layers.remove(layer)

    def _do_clear(self, *_: float) -> None:
        if (points := self.there("points")) is not None:
            points.remove(list(range(len(points.data))))

    def _do_commit(self, y: float, x: float, _: float) -> None:
        if self.labels not in self.viewer.layers:
            data = np.zeros((N_PLANES, SIDE, SIDE), np.uint16)
            self.labels = self.viewer.add_labels(data)
        z, row, column = self.place(y, x)
        rows, columns = disk((row, column), _OBJECT_RADIUS)
        self.labels.data_setitem((np.full(len(rows), round(z)), rows, columns), 1)

    def _do_undo_labels(self, *_: float) -> None:
        if self.labels in self.viewer.layers:
            self.labels.undo()


class Plugged(Alone):
    """napari with the widget."""

    def __init__(self, stack: np.ndarray) -> None:
        super().__init__(stack)
        _, self.widget = self.viewer.window.add_plugin_dock_widget(
            "napari-sam2-openvino", "SAM 2 Segment"
        )
        self.annotator = self.widget.annotator

    def verb(self, name: str) -> None:
        """Do what a key does."""
        self.widget.verbs[name]()

    def need(self, kind: str) -> Any:
        """Press the button of a tool."""
        self.verb("draw_points" if kind == "points" else "draw_box")
        return self.there_or_empty(kind)

    def there(self, kind: str) -> Any:
        """Return the layer of ours if there is anything in it."""
        layer = self.there_or_empty(kind)
        return layer if layer is not None and len(layer.data) else None

    def there_or_empty(self, kind: str) -> Any:
        """Return the layer of ours."""
        layers = self.annotator.drafting.layers
        self.points, self.shapes, self.labels = layers.points, layers.shapes, self.annotator.target
        return getattr(self, kind)

    def _do_commit(self, *_: float) -> None:
        self.verb("commit")

    def _do_clear(self, *_: float) -> None:
        self.verb("clear")

    def _do_model(self, which: float, *_: float) -> None:
        self.annotator.session.set_model(STARTER if which < 0.5 else OTHER_MODEL)


def walk(n_steps: int, seed: int = 0) -> None:
    """Print the longest gaps of the same steps with the plugin and without, in turns."""
    _copy_starter()
    script = make_script(n_steps, seed)
    gaps: dict[str, list[list[float]]] = defaultdict(list)
    for _ in range(N_ROUNDS):
        for side in (Alone, Plugged):
            gaps[side.__name__].append(_take_apart(side, script))
    # The least of the rounds: what happens by chance, such as garbage collection, does not count.
    alone, plugged = (np.min(gaps[name], axis=0) for name in ("Alone", "Plugged"))
    by_name: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for step, without, with_it in zip(script, alone, plugged, strict=True):
        by_name[step.name].append((1e3 * without, 1e3 * with_it))
    print(
        f"{n_steps} random edits on {N_PLANES} x {SIDE} x {SIDE}: processor time of the main "
        "thread between two ticks of a 10 ms timer, the longest of each edit"
    )
    for name, pairs in sorted(by_name.items(), key=lambda each: -max(b for _, b in each[1])):
        without, with_it = zip(*pairs, strict=True)
        print(
            f"  {name} ({len(pairs)}): napari alone {max(without):.0f} ms, with the plugin "
            f"{max(with_it):.0f} ms (medians {statistics.median(without):.0f}, "
            f"{statistics.median(with_it):.0f})"
        )
    for name, gaps_of_all in (("napari alone", alone), ("with the plugin", plugged)):
        median, high, most = (1e3 * np.percentile(gaps_of_all, each) for each in (50, 99, 100))
        print(f"all, {name}: median {median:.0f} ms, 99 % {high:.0f} ms, longest {most:.0f} ms")


def _take_apart(make: Callable[[np.ndarray], Alone], script: list[Step]) -> list[float]:
    """Take the steps in a process of its own: napari collects garbage of all that is in memory."""
    with ProcessPoolExecutor(1, get_context("spawn")) as executor:
        return executor.submit(_take, make, script).result()


def _take(make: Callable[[np.ndarray], Alone], script: list[Step]) -> list[float]:
    scene = make_scene("fluorescence", seed=1, shape=(SIDE // 4, SIDE // 4)).image
    plane = np.tile(scene, (4, 4)).astype(np.uint16)
    stack = np.stack([np.roll(plane, 50 * number, axis=1) for number in range(N_PLANES)])
    side = make(stack)
    meter = GapMeter(time.thread_time)
    meter.watch_for(4)
    # To make a layer for the first time is napari's business.
    side.need("points")
    side.need("shapes")
    side.do(Step("click", (0.5, 0.5, 0.5)))
    meter.watch_for(2)
    side.do(Step("commit", (0.5, 0.5, 0.5)))
    meter.watch_for(2)
    gaps = [meter.watch_for(SECONDS_PER_STEP, partial(side.do, step)) for step in script]
    side.viewer.close()
    return gaps


def _copy_starter() -> None:
    """Make a second model to switch to."""
    (starter,) = (each.folder for each in list_models() if each.name == STARTER)
    shutil.copytree(starter, models_dir() / OTHER_MODEL)
