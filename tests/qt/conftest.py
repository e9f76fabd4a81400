"""A viewer with the widget in its dock, and a model that draws discs."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.disc_engine import DiscEngine

from napari_sam2_openvino._layers.features import ObjectTable
from napari_sam2_openvino._session.jobs import State

# Far longer than anything takes, so that a busy machine does not fail a test.
WAIT_MS = 30_000
HAS_DISPLAY = not sys.platform.startswith("linux") or bool(
    os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a window where there is none, and say so."""
    if not HAS_DISPLAY:
        reason = "napari needs a display to show images; scripts/test.py brings one up"
        for item in items:
            if item.path.parent == Path(__file__).parent:
                item.add_marker(pytest.mark.skip(reason=reason))


class Window:
    """A viewer, our widget in it, and what a user would do with them."""

    def __init__(
        self, viewer: Any, widget: Any, qtbot: Any, engines: dict[str, DiscEngine]
    ) -> None:
        self.viewer = viewer
        self.widget = widget
        self.annotator = widget.annotator
        self.session = widget.annotator.session
        self.engines = engines
        self.qtbot = qtbot

    @property
    def engine(self) -> DiscEngine:
        return self.engines[self.session.model_name]

    @property
    def status(self) -> str:
        return self.widget.status_label.text()

    @property
    def answer(self) -> Any:
        """What there is of the object that verbs are about."""
        focus = self.annotator.focus
        return None if focus is None else self.session.answer(focus)

    @property
    def marks(self) -> list[tuple[str, list[tuple[float, float]], bool]]:
        """What was decoded last: kind, vertices and sign of each mark."""
        _, prompts = self.engine.decoded[-1]
        return [(each.kind, list(each.vertices), each.is_positive) for each in prompts.marks]

    @property
    def clicks(self) -> list[tuple[float, float]]:
        """The points that were decoded last, as (x, y)."""
        return [vertices[0] for kind, vertices, _ in self.marks if kind == "point"]

    @property
    def labels(self) -> Any:
        """The layer that objects are committed to."""
        return self.annotator.target

    @property
    def preview(self) -> Any:
        return self.layers.preview if self.annotator.drafting else None

    @property
    def layers(self) -> Any:
        """The layers of prompts of the image."""
        return self.annotator.drafting.layers

    def table(self) -> Any:
        """Return what the target's table says of each object, by obj_id."""
        return {} if self.labels is None else ObjectTable(self.labels).rows()

    def do(self, verb: str, *arguments: int) -> None:
        """Do what a key, a button or a command does."""
        self.widget.verbs[verb](*arguments)

    def show_plane(self, number: int, axis: int = 0) -> None:
        """Move a slider."""
        self.viewer.dims.set_current_step(axis, number)

    def wait(self, condition: Callable[[], Any], timeout: int = WAIT_MS) -> None:
        self.qtbot.waitUntil(lambda: bool(condition()), timeout=timeout)

    def wait_for_encode(self) -> None:
        """Wait until the engine encodes; the state tells only that it is about to."""
        self.wait(lambda: self.session.state is State.ENCODING and self.engine.n_encodes)

    def settle(self) -> None:
        """Wait until the newest edit is answered."""
        self.qtbot.wait(60)
        self.wait(
            lambda: (
                not self.annotator._timer.isActive()
                and not self.session.is_busy
                and self.session.is_settled
                and not self.annotator.painter.is_busy
            )
        )
        # Repaint before the next change of layers: software GL crashes otherwise.
        self.qtbot.wait(20)

    def click(self, *coords: float) -> None:
        """Add a point where a click would."""
        self.do("draw_points")
        self.layers.points.add(coords)

    def draw_box(self, y0: float, x0: float, y1: float, x1: float, *lead: float) -> None:
        """Draw a rectangle, of a stack on the plane ``lead``."""
        self.do("draw_box")
        corners = ((y0, x0), (y0, x1), (y1, x1), (y1, x0))
        self.layers.shapes.add_rectangles([[*lead, y, x] for y, x in corners])

    def press(self, key: str) -> None:
        """Press a key with the active layer as it is."""
        keymap = {}
        active = self.viewer.layers.selection.active
        for owner in (self.viewer, active):
            if owner is not None:
                keymap.update({str(name): (call, owner) for name, call in owner.keymap.items()})
        call, owner = keymap[key]
        call(owner)


@pytest.fixture
def open_window(
    make_napari_viewer: Any, qtbot: Any, sam2_home: Path
) -> Iterator[Callable[..., Window]]:
    """Return a function that opens a viewer with an image and the docked widget.

    Embeddings on disk are this test's own. Other planes are encoded only where ``ahead`` says so.
    """
    windows = []
    assert not sam2_home.exists()

    def open_it(
        image: Any = None,
        *,
        show: bool = False,
        proxy: bool = False,
        ahead: bool = False,
        load_engine: Any = None,
        **options: Any,
    ) -> Window:
        from napari.utils._proxies import PublicOnlyProxy

        from napari_sam2_openvino._qt.segment_widget import SegmentWidget

        image_options = options.pop("image_options", {})
        engines: dict[str, DiscEngine] = {}

        def load(name: str) -> DiscEngine:
            return engines.setdefault(name, DiscEngine(name, **options))

        viewer = make_napari_viewer(show=show)
        if image is not None:
            viewer.add_image(image, name="cells", **image_options)
        widget = SegmentWidget(
            PublicOnlyProxy(viewer) if proxy else viewer, load_engine=load_engine or load
        )
        widget.overview.set_ahead(ahead)
        viewer.window.add_dock_widget(widget, name="SAM 2 Segment")
        window = Window(viewer, widget, qtbot, engines)
        windows.append(window)
        return window

    yield open_it
    for window in windows:
        # Qt may have destroyed the widget already.
        with suppress(RuntimeError):
            window.widget.close()
        window.annotator.close()
        time.sleep(0.01)


@pytest.fixture
def open_widget(qtbot: Any) -> Iterator[Callable[[Window], Window]]:
    """Return a function that opens one more widget in the viewer of a window."""
    windows = []

    def open_it(window: Window) -> Window:
        from napari_sam2_openvino._qt.segment_widget import SegmentWidget

        engines = window.engines
        widget = SegmentWidget(window.viewer, load_engine=lambda name: engines[name])
        window.viewer.window.add_dock_widget(widget, name="another")
        windows.append(Window(window.viewer, widget, qtbot, engines))
        return windows[-1]

    yield open_it
    for each in windows:
        each.annotator.close()


@pytest.fixture
def window(open_window: Callable[..., Window]) -> Window:
    """Return a window with a flat image, its embedding ready."""
    image = np.random.default_rng(0).integers(0, 4000, (120, 160)).astype(np.uint16)
    window = open_window(image)
    window.settle()
    return window
