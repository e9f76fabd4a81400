"""Drive the plugin with a real mouse and take the pictures of the documentation.

Needs a display: ``xvfb-run -a -s "-screen 0 1600x1200x24" python scripts/screenshots.py``.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import napari
import numpy as np
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_sam2_openvino._sample_data import example_prompts

PLUGIN = "napari-sam2-openvino"
IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
ANSWER_SECONDS = 60.0


def wait(seconds: float, is_there: Callable[[], bool] = lambda: False) -> bool:
    """Keep the window alive until something is there or the time is up; return whether it is."""
    end = perf_counter() + seconds
    while not is_there() and perf_counter() < end:
        QApplication.processEvents()
        sleep(0.005)
    return is_there()


class User:
    """Clicks and presses keys on the canvas of a viewer, in world coordinates."""

    def __init__(self, viewer: napari.Viewer, widget: Any) -> None:
        self.viewer = viewer
        self.widget = widget
        self.session = widget.annotator.session
        # No public way leads to the canvas.
        self._canvas = viewer.window._qt_viewer.canvas.native

    def click(self, y: float, x: float) -> None:
        """Click, and wait for the mask."""
        QTest.mouseClick(self._canvas, Qt.MouseButton.LeftButton, pos=self._at(y, x))
        self._wait_for_mask()

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press, move and release, and wait for the mask."""
        QTest.mousePress(self._canvas, Qt.MouseButton.LeftButton, pos=self._at(*start))
        for way in np.linspace(0, 1, 8):
            y, x = (1 - way) * np.array(start) + way * np.array(end)
            QTest.mouseMove(self._canvas, self._at(y, x))
            wait(0.02)
        QTest.mouseRelease(self._canvas, Qt.MouseButton.LeftButton, pos=self._at(*end))
        self._wait_for_mask()

    def press(self, key: Qt.Key) -> None:
        """Press a key while the canvas has the focus."""
        QTest.keyClick(self._canvas, key)
        wait(0.2)

    def _at(self, y: float, x: float) -> QPoint:
        camera = self.viewer.scene.camera
        centre = np.array([self._canvas.height(), self._canvas.width()]) / 2
        row, column = (np.array([y, x]) - camera.center[-2:]) * camera.zoom + centre
        return QPoint(round(column), round(row))

    def _wait_for_mask(self) -> None:
        wait(0.1)
        if not wait(ANSWER_SECONDS, lambda: self.session.current_object is not None):
            sys.exit(
                f"There was no mask after {ANSWER_SECONDS} s: {self.widget.status_label.text()}"
            )
        wait(0.1)


def open_sample(key: str) -> User:
    """Open napari on a sample with the widget docked."""
    viewer = napari.Viewer(title="napari")
    viewer.window.resize(1280, 860)
    image, *_ = viewer.open_sample(PLUGIN, key)
    _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "SAM 2 Segment")
    viewer.canvas.overlays.scale_bar.visible = True
    viewer.layers.selection.active = image
    wait(0.5)
    viewer.reset_view()
    wait(0.5)
    return User(viewer, widget)


def segment(folder: Path) -> None:
    """Take ``segment.png``: objects that were committed, and one with its prompts and outline."""
    user = open_sample("nuclei")
    viewer, widget = user.viewer, user.widget
    scale = viewer.layers["nuclei"].scale
    truth = viewer.layers["nuclei ground truth"].data
    prompts = example_prompts(truth, count=8)
    last, *earlier = prompts
    widget.points_button.click()
    wait(1.0)
    for obj_id in earlier:
        user.click(*prompts[obj_id].point_coords[0, ::-1] * scale)
        user.press(Qt.Key.Key_W)
    user.click(*prompts[last].point_coords[0, ::-1] * scale)
    user.press(Qt.Key.Key_Q)
    rows, columns = np.nonzero(truth == last)
    lowest = rows.argmax()
    user.click(*np.array([rows[lowest] + 15, columns[lowest]]) * scale)
    wait(0.5)
    save(viewer, folder / "segment.png")
    viewer.close()


def save(viewer: napari.Viewer, path: Path) -> None:
    """Save a picture of the whole window."""
    path.parent.mkdir(parents=True, exist_ok=True)
    viewer.screenshot(str(path), canvas_only=False, flash=False)
    print(path)


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=IMAGES, help="default: %(default)s")
    segment(parser.parse_args().folder)


if __name__ == "__main__":
    main()
