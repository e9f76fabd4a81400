"""The window stays usable: what our callbacks cost the main thread, and what imports cost."""

import gc
import inspect
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from statistics import median
from typing import Any

import numpy as np
import pytest
from napari.components.layerlist import LayerList
from napari.layers import Labels, Points, Shapes

from napari_sam2_openvino._qt.all_objects_tab import AllObjectsTab
from napari_sam2_openvino._qt.annotator import Annotator
from napari_sam2_openvino._qt.carrier import Carrier
from napari_sam2_openvino._qt.drafting import Drafting
from napari_sam2_openvino._qt.finder import Finder
from napari_sam2_openvino._qt.object_list import ObjectList
from napari_sam2_openvino._qt.plane_overview import PlaneOverview
from napari_sam2_openvino._qt.prompt_layers import PromptLayers
from napari_sam2_openvino._qt.segment_widget import SegmentWidget
from napari_sam2_openvino._qt.session_files import SessionFiles
from napari_sam2_openvino._qt.volume_tab import VolumeTab
from napari_sam2_openvino._session.engines import Sam2Engine
from napari_sam2_openvino.core.propagation_parameters import ScopeParameters

LIMIT_SECONDS = 0.05
# What the yardstick takes on a computer with nothing else to do.
YARDSTICK_SECONDS = 0.02
SIDE = 2048


class Stopwatch:
    """Processor time of the main thread in our callbacks, less what napari takes to add a layer.

    Processor time, and the shortest of several, because other work on the computer must not fail
    the test. It slows ours down all the same, through the caches and the core that they share, and
    so does a slow computer: the limit grows with what napari takes for edits of its own, measured
    in between.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self._in_napari = 0.0
        self._yardstick: list[float] = []

    def clear(self) -> None:
        self.seconds.clear()
        self._yardstick.clear()

    def look_at_the_computer(self) -> None:
        start = time.thread_time()
        labels = Labels(np.zeros((SIDE, SIDE), np.uint16))
        labels.data_setitem(tuple(np.indices((SIDE // 4, SIDE // 4)).reshape(2, -1)), 1)
        points = Points(np.zeros((2, 2)))
        points.remove([0])
        shapes = Shapes(np.array([[0, 0], [0, 1], [1, 1], [1, 0]]))
        shapes.remove([0])
        self._yardstick.append(time.thread_time() - start)

    def too_slow(self, *but: str) -> dict[str, float]:
        """Return the callbacks that never stayed within the limit, with their shortest time."""
        limit = LIMIT_SECONDS * max(1.0, median(self._yardstick) / YARDSTICK_SECONDS)
        shortest = {name: min(times) for name, times in self.seconds.items() if name not in but}
        return {name: seconds for name, seconds in shortest.items() if seconds > limit}

    def watch(self, owner: type, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        original = getattr(owner, name)
        n_parameters = len(inspect.signature(original).parameters)

        def timed(*args: Any, **kwargs: Any) -> Any:
            # Qt's clicked sends whether a button is checked to whoever takes it.
            args = args[:n_parameters]
            assert threading.current_thread() is threading.main_thread()
            start, napari_before = time.thread_time(), self._in_napari
            try:
                return original(*args, **kwargs)
            finally:
                spent = time.thread_time() - start - (self._in_napari - napari_before)
                self.seconds[f"{owner.__name__}.{name}"].append(spent)

        monkeypatch.setattr(owner, name, timed)

    def leave_out(self, owner: type, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        original = getattr(owner, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.thread_time()
            try:
                return original(*args, **kwargs)
            finally:
                self._in_napari += time.thread_time() - start

        monkeypatch.setattr(owner, name, timed)


@pytest.fixture
def stopwatch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stopwatch]:
    stopwatch = Stopwatch()
    for owner in (
        AllObjectsTab,
        Annotator,
        Carrier,
        Drafting,
        Finder,
        ObjectList,
        PlaneOverview,
        PromptLayers,
        SegmentWidget,
        SessionFiles,
        VolumeTab,
    ):
        for name, value in vars(owner).items():
            is_callback = name.startswith(("_on_", "_show")) or not name.startswith("_")
            if is_callback and callable(value) and not isinstance(value, type):
                stopwatch.watch(owner, name, monkeypatch)
    stopwatch.leave_out(LayerList, "insert", monkeypatch)
    # It takes as long as there are objects of any test, in whichever callback it comes.
    gc.collect()
    gc.disable()
    yield stopwatch
    gc.enable()


def test_no_callback_of_ours_holds_the_main_thread(stopwatch: Stopwatch, open_window: Any) -> None:
    stack = np.random.default_rng(0).integers(0, 4000, (4, SIDE, SIDE)).astype(np.uint16)
    window = open_window(stack, radius=150)
    window.settle()
    for step in range(4):
        if step == 1:
            # Making layers is napari's business, and happens once.
            stopwatch.clear()
        stopwatch.look_at_the_computer()
        window.show_plane(step)
        window.settle()
        window.click(step, 900, 800)
        window.settle()
        window.draw_box(700, 600, 1200, 1100, step)
        window.settle()
        window.press("Q")
        window.click(step, 950, 850)
        window.settle()
        points = window.layers.points
        points.data = points.data + np.array([0, 1, 0])
        window.settle()
        stopwatch.look_at_the_computer()
        window.do("commit")
        window.settle()
        window.click(step, 300, 300)
        window.press("J")
        window.settle()
    assert len(np.unique(window.viewer.layers["cells objects"].data)) == 1 + 4
    assert stopwatch.too_slow() == {}
    assert "Annotator._on_answers" in stopwatch.seconds


def test_what_was_found_is_shown_filtered_and_committed_without_holding_it(
    stopwatch: Stopwatch, open_window: Any
) -> None:
    image = np.zeros((SIDE, SIDE), np.uint8)
    for number, place in enumerate(np.ndindex(14, 14)):
        row, column = 140 * place[0] + 10, 140 * place[1] + 10
        image[row : row + 60 + number // 4, column : column + 60 + number // 4] = 255
    window = open_window(image)
    window.settle()
    tab, finder = window.widget.all_objects_tab, window.widget.finder
    window.do("find_objects")
    window.wait(lambda: finder.n_objects > 50)
    # Making layers is napari's business, and happens once.
    stopwatch.clear()
    for value in (0.6, 0.3, 0.7, 0.4, 0.5, 0.8, 0.45):
        stopwatch.look_at_the_computer()
        before = finder.sifted
        tab.filter_form.entries["pred_iou_thresh"].value = value
        window.wait(lambda before=before: finder.sifted is not before)
    window.do("commit_found")
    window.wait(lambda: window.labels is not None and window.labels.data.any())
    # To make a layer and to write many objects are single calls of napari.
    in_napari = "Finder._on_measured", "ObjectList._on_committed", "Annotator._on_committed"
    assert stopwatch.too_slow(*in_napari) == {}
    assert "Finder._on_sifted" in stopwatch.seconds


def test_objects_go_through_planes_and_back_without_holding_it(
    stopwatch: Stopwatch, open_window: Any
) -> None:
    plane = np.zeros((SIDE, SIDE), np.uint16)
    for number, (row, column) in enumerate(np.ndindex(6, 6), start=1):
        plane[300 * row + 100 :, 300 * column + 100 :][:150, :150] = number
    image = np.stack([np.where(plane, 200, 30).astype(np.uint8)] * 5)
    window = open_window(image, load_engine=Sam2Engine)
    labels = np.zeros_like(image, np.uint16)
    labels[0] = plane
    target = window.viewer.add_labels(labels, name="labels")
    window.annotator.set_target(target)
    window.wait(lambda: window.session.engine is not None)
    window.show_plane(0)
    window.settle()
    stopwatch.look_at_the_computer()
    carrier = window.widget.carrier
    carrier.scope = ScopeParameters("all of this plane")
    window.do("propagate")
    # Looked at while it grows.
    window.show_plane(2)
    window.wait(lambda: not carrier.is_running)
    assert np.count_nonzero(labels.any(axis=(1, 2))) == 5
    window.do("take_back_propagation")
    window.wait(lambda: not carrier.is_running)
    assert np.array_equal(labels.any(axis=(1, 2)), [True, *(False,) * 4])
    stopwatch.look_at_the_computer()
    assert stopwatch.too_slow() == {}
    assert len(stopwatch.seconds["Carrier._on_written"]) == 5


def test_importing_the_widget_brings_in_neither_torch_nor_openvino() -> None:
    program = (
        "import sys, napari_sam2_openvino._qt.segment_widget\n"
        "print([name for name in ('torch', 'openvino', 'sam2') if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
