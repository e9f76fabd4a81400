"""From an open image to a committed object by keys alone, in a real window with the starter."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QComboBox, QWidget

import napari_sam2_openvino
from napari_sam2_openvino._qt.segment_widget import SegmentWidget

SHIFT, CTRL = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier
NONE = Qt.KeyboardModifier.NoModifier
ROWS, COLUMNS = np.mgrid[:120, :160]
DISC = (ROWS - 40) ** 2 + (COLUMNS - 110) ** 2 <= 15**2


class Keyboard:
    """Presses keys, which go to whatever has the focus."""

    def __init__(self, qtbot: Any) -> None:
        self.qtbot = qtbot

    @property
    def focus(self) -> QWidget:
        focus = QApplication.focusWidget()
        assert focus is not None
        return focus

    def press(self, key: Qt.Key, modifier: Qt.KeyboardModifier = NONE, times: int = 1) -> None:
        for _ in range(times):
            QTest.keyClick(self.focus, key, modifier)
            self.qtbot.wait(5)

    def walk_to(self, is_there: Callable[[QWidget], bool]) -> None:
        """Press Tab until the focus is where it should be."""
        for _ in range(150):
            if is_there(self.focus):
                return
            self.press(Qt.Key.Key_Tab)
        raise AssertionError("Tab does not lead there")


def test_from_the_palette_to_a_committed_object(
    make_napari_viewer: Any, qtbot: Any, sam2_home: Path
) -> None:
    starter = Path(napari_sam2_openvino.__file__).with_name("starter")
    shutil.copytree(starter, sam2_home / "models" / "mine")
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1200, 900)
    viewer.add_image(np.where(DISC, 200, 30).astype(np.uint8), name="cells")
    viewer.window._qt_window.activateWindow()
    qtbot.waitUntil(lambda: QApplication.focusWidget() is not None, timeout=5000)
    keyboard = Keyboard(qtbot)

    keyboard.press(Qt.Key.Key_P, CTRL | SHIFT)
    qtbot.wait(200)
    QTest.keyClicks(keyboard.focus, "SAM 2 Segment")
    qtbot.wait(200)
    keyboard.press(Qt.Key.Key_Return)
    (widget,) = (each for each in viewer.window.dock_widgets.values())
    assert isinstance(widget, SegmentWidget)
    annotator = widget.annotator

    def settle() -> None:
        qtbot.wait(60)
        qtbot.waitUntil(
            lambda: not annotator.session.is_busy and annotator.session.is_settled, timeout=60_000
        )

    combo = widget.choices.model_combo.native
    qtbot.waitUntil(lambda: "mine" in widget.choices.models, timeout=10_000)
    settle()
    keyboard.walk_to(lambda focus: isinstance(focus, QComboBox) and combo.isAncestorOf(focus))
    before = annotator.session.model_name
    keyboard.press(Qt.Key.Key_Up)
    if annotator.session.model_name == before:
        keyboard.press(Qt.Key.Key_Down)
    assert annotator.session.model_name != before
    settle()

    canvas = viewer.window._qt_viewer.canvas.native
    keyboard.walk_to(lambda focus: focus is canvas)
    keyboard.press(Qt.Key.Key_X, SHIFT)
    settle()
    assert "Arrow keys" in widget.status_label.text()
    (point,) = annotator.drafting.layers.points.data
    np.testing.assert_allclose(point, [60, 80], atol=1)
    keyboard.press(Qt.Key.Key_Up, times=4)
    keyboard.press(Qt.Key.Key_Right, times=5)
    keyboard.press(Qt.Key.Key_Left, SHIFT)
    settle()
    assert DISC[tuple(np.round(annotator.drafting.layers.points.data[0]).astype(int))]
    assert annotator.session.answer(annotator.focus).mask.mask.any()

    keyboard.press(Qt.Key.Key_W)
    settle()
    qtbot.waitUntil(lambda: annotator.target is not None, timeout=10_000)
    found = annotator.target.data == 1
    assert (found & DISC).sum() / (found | DISC).sum() > 0.9
    # Arrows are the sliders' again.
    assert "Left" not in {str(key) for key in viewer.layers.selection.active.keymap}


@pytest.fixture
def placed(open_window: Callable[..., Any]) -> Any:
    window = open_window(np.zeros((4, 60, 80), np.uint8))
    window.show_plane(1)
    window.settle()
    window.do("place_point")
    window.settle()
    return window


def test_a_point_is_put_in_the_middle_and_moved_as_far_as_the_image_goes(placed: Any) -> None:
    assert placed.layers.points.data.tolist() == [[1, 30, 40]]
    placed.press("Shift+Right")
    placed.press("Up")
    placed.settle()
    assert placed.clicks == [(41, 27)]
    for _ in range(60):
        placed.press("Right")
    placed.settle()
    assert placed.clicks == [(79, 27)]
    placed.do("undo")
    placed.settle()
    assert len(placed.layers.points.data) == 1


def test_polarity_counts_for_the_next_point_and_takes_the_arrows_away(placed: Any) -> None:
    placed.do("toggle_polarity")
    assert "Left" not in {str(key) for key in placed.layers.points.keymap}
    placed.do("place_point")
    placed.press("Left")
    placed.settle()
    assert placed.marks == [("point", [(40, 30)], True), ("point", [(37, 30)], False)]


@pytest.mark.parametrize(
    "leave",
    [
        lambda window: window.press("Escape"),
        lambda window: window.show_plane(2),
        lambda window: window.do("commit"),
        lambda window: window.do("next_object"),
        lambda window: window.annotator.set_image(None),
        lambda window: window.viewer.layers.remove(window.layers.points),
        lambda window: window.annotator.close(),
    ],
)
def test_arrows_are_given_back(placed: Any, leave: Callable[[Any], None]) -> None:
    points = placed.layers.points
    assert {"Left", "Shift+Left", "Escape"} <= {str(key) for key in points.keymap}
    leave(placed)
    placed.qtbot.wait(100)
    assert not {"Left", "Shift+Up", "Escape"} & {str(key) for key in points.keymap}


def test_a_view_in_3d_is_told_of(placed: Any) -> None:
    placed.viewer.dims.ndisplay = 3
    placed.qtbot.wait(100)
    placed.do("place_point")
    assert "2D" in placed.status
    assert len(placed.layers.points.data) == 1
