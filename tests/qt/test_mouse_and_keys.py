"""Real mouse and key events on the canvas of a visible window."""

from typing import Any

import numpy as np
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest


def canvas_point(viewer: Any, y: float, x: float) -> QPoint:
    """Return where on the canvas a world point is seen."""
    native = viewer.window._qt_viewer.canvas.native
    camera = viewer.scene.camera
    _, cy, cx = camera.center
    return QPoint(
        round((x - cx) * camera.zoom + native.width() / 2),
        round((y - cy) * camera.zoom + native.height() / 2),
    )


def test_click_drag_and_keys_make_objects(open_window: Any) -> None:
    window = open_window(np.zeros((120, 160), np.uint8), show=True)
    window.viewer.window.resize(1000, 700)
    window.settle()
    window.qtbot.wait(300)
    native = window.viewer.window._qt_viewer.canvas.native
    left = Qt.MouseButton.LeftButton

    def at(y: float, x: float) -> QPoint:
        return canvas_point(window.viewer, y, x)

    window.widget.prompts_tab.prompts_panel.buttons["draw_points"].click()
    window.qtbot.wait(300)
    QTest.mouseClick(native, left, pos=at(40, 50))
    window.settle()
    np.testing.assert_allclose(window.clicks, [(50, 40)], atol=1)
    QTest.keyClick(native, Qt.Key.Key_Q)
    QTest.mouseClick(native, left, pos=at(60, 70))
    window.settle()
    assert [sign for _, _, sign in window.marks] == [True, False]
    QTest.keyClick(native, Qt.Key.Key_W)
    window.settle()
    data = window.viewer.layers["cells objects"].data
    assert data[40, 50] == 1

    window.widget.prompts_tab.prompts_panel.buttons["draw_box"].click()
    window.qtbot.wait(300)
    QTest.mousePress(native, left, pos=at(70, 90))
    for step in np.linspace(0, 1, 5):
        QTest.mouseMove(native, at(70 + 30 * step, 90 + 40 * step))
        window.qtbot.wait(10)
    QTest.mouseRelease(native, left, pos=at(100, 130))
    window.settle()
    # While another one is dragged, U takes back that one alone.
    QTest.mousePress(native, left, pos=at(20, 20))
    for step in np.linspace(0, 1, 5):
        QTest.mouseMove(native, at(20 + 30 * step, 20 + 40 * step))
        window.qtbot.wait(10)
    QTest.keyClick(native, Qt.Key.Key_U)
    QTest.mouseMove(native, at(55, 65))
    QTest.mouseRelease(native, left, pos=at(60, 70))
    window.settle()
    assert len(window.layers.shapes.data) == 1
    (box,) = window.answer.prompts.marks
    assert box.kind == "box"
    np.testing.assert_allclose(box.vertices, [(90, 70), (130, 100)], atol=1)
    QTest.keyClick(native, Qt.Key.Key_J)
    window.settle()
    assert len(window.layers.shapes.data) == 0
    assert data.max() == 1
    assert window.engine.n_encodes == 1
