"""Two viewers in one process, each with its widget; and a process that ends with both open."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.driven_window import Window

from napari_sam2_openvino.core.paths import sessions_dir

RNG = np.random.default_rng(5)


@pytest.fixture
def two(open_window: Callable[..., Window]) -> tuple[Window, Window]:
    first = open_window(RNG.integers(0, 200, (3, 60, 80)).astype(np.uint8))
    second = open_window(RNG.integers(0, 200, (90, 50)).astype(np.uint8))
    first.show_plane(0)
    for each in (first, second):
        each.settle()
    return first, second


def test_each_has_its_own_session_and_layers(two: tuple[Window, Window]) -> None:
    first, second = two
    first.click(0, 30, 40)
    second.click(70, 20)
    first.do("toggle_polarity")
    first.do("toggle_many")
    for each in two:
        each.settle()
    assert first.clicks == [(40, 30)]
    assert second.clicks == [(20, 70)]
    assert [each.annotator.drafting.polarity for each in two] == ["negative", "positive"]
    assert [len(each.layers.points.data) for each in two] == [1, 1]
    second.do("commit")
    second.settle()
    assert first.labels is None
    assert second.labels.data[70, 20] == 1
    assert second.labels in second.viewer.layers
    assert first.layers.points in first.viewer.layers


@pytest.mark.parametrize("close", ["dock", "viewer"])
@pytest.mark.parametrize("which", [0, 1])
def test_one_is_closed_in_the_middle_and_the_other_goes_on(
    two: tuple[Window, Window], which: int, close: str
) -> None:
    gone, stays = two[which], two[1 - which]
    for each in two:
        each.click(*(0,) * (each.annotator.image.ndim - 2), 20, 20)
    if close == "dock":
        gone.viewer.window.remove_dock_widget(gone.widget)
    else:
        gone.viewer.close()
    stays.settle()
    assert stays.clicks == [(20, 20)]
    stays.press("W")
    stays.settle()
    assert stays.labels.data[..., 20, 20].max() == 1
    stays.click(*(0,) * (stays.annotator.image.ndim - 2), 40, 40)
    stays.settle()
    assert stays.clicks == [(40, 40)]
    assert gone.annotator.is_closed
    assert not stays.annotator.is_closed
    gone.qtbot.wait(100)


def test_a_layer_of_both_viewers_is_drawn_on_in_each(open_window: Callable[..., Window]) -> None:
    first, second = open_window(), open_window()
    image = first.viewer.add_image(np.zeros((60, 80), np.uint8), name="shared")
    second.viewer.add_layer(image)
    for each in (first, second):
        each.settle()
        each.annotator.set_image(image)
        each.settle()
    first.click(10, 12)
    second.click(30, 40)
    for each in (first, second):
        each.settle()
    assert (first.clicks, second.clicks) == ([(12, 10)], [(40, 30)])
    first.viewer.layers.remove(image)
    second.do("commit")
    second.settle()
    assert second.labels.data[30, 40] == 1
    assert first.annotator.image is None
    assert second.annotator.image is image


SCRIPT = """
import sys
import napari, numpy as np
from qtpy.QtWidgets import QApplication

name, viewers = sys.argv[1], []
for _ in range(2):
    viewer = napari.Viewer(show=False)
    viewer.add_image(np.zeros((64, 64), np.uint8))
    _, widget = viewer.window.add_plugin_dock_widget("napari-sam2-openvino", name)
    if name == "SAM 2 Segment":
        QApplication.processEvents()
        widget.verbs["place_point"]()
    viewers.append(viewer)
QApplication.processEvents()
print("the end")
"""


@pytest.mark.parametrize(
    ("name", "n_saved"), [("SAM 2 Segment", 2), ("SAM 2 Batch", 0), ("SAM 2 Models", 0)]
)
def test_python_ends_with_docks_open_and_what_was_drawn_is_saved(
    name: str, n_saved: int, sam2_home: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, name],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.strip() == "the end"
    assert "Traceback" not in done.stderr
    assert done.returncode == 0, done.stderr
    assert sessions_dir().is_relative_to(sam2_home)
    assert len(list(sessions_dir().glob("*.json"))) == n_saved


END = """
import atexit
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QApplication, QMainWindow

class Window(QMainWindow):
    def eventFilter(self, watched, event):
        if event.type() == QEvent.Type.User:
            print("told")
        return False

def tell():
    print("tells")
    app.sendEvent(app, QEvent(QEvent.Type.User))

app = QApplication([])
window = Window()
app.installEventFilter(window)
# What is registered first is called last.
atexit.register(tell)
import napari_sam2_openvino._qt.dock
tell()
"""


def test_where_python_ends_no_window_is_told_how_another_is_destroyed() -> None:
    # PyQt crashes where it is, now and then: it depends on how many objects there are.
    done = subprocess.run(
        [sys.executable, "-c", END], check=False, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.split() == ["tells", "told", "tells"], done.stderr
    assert done.returncode == 0, done.stderr
