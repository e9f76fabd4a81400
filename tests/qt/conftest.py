"""A viewer with the widget in its dock, and a model that draws discs."""

import gc
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
from tests.driven_window import Window

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


@pytest.fixture(scope="session", autouse=True)
def plugins_are_looked_for_once() -> Iterator[None]:
    """Read manifests for the first viewer alone: napari's fixture has each viewer do so."""
    from npe2 import PluginManager

    discover, found = PluginManager.discover, set()

    def discover_once(manager: PluginManager, *args: Any, **options: Any) -> int:
        if manager in found:
            return 0
        count = discover(manager, *args, **options)
        found.add(manager)
        return count

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PluginManager, "discover", discover_once)
        yield


@pytest.fixture(scope="module", autouse=True)
def what_stays_is_left_out_of_collections() -> Iterator[None]:
    """Freeze what a file's windows left imported and cached: napari collects at each removal."""
    yield
    gc.collect()
    gc.freeze()


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
        # Qt may have destroyed the widget already.
        with suppress(RuntimeError):
            each.widget.close()
        each.annotator.close()


@pytest.fixture(scope="module")
def starter(tmp_path_factory: Any) -> Any:
    """The engine that ships, loaded once."""
    from napari_sam2_openvino._session.engines import Sam2Engine

    patch = pytest.MonkeyPatch()
    patch.setenv("NAPARI_SAM2_HOME", str(tmp_path_factory.mktemp("starter")))
    yield Sam2Engine("starter")
    patch.undo()


@pytest.fixture
def window(open_window: Callable[..., Window]) -> Window:
    """Return a window with a flat image, its embedding ready."""
    image = np.random.default_rng(0).integers(0, 4000, (120, 160)).astype(np.uint16)
    window = open_window(image)
    window.settle()
    return window
