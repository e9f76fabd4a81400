"""Shapes that are drawn with real mouse events, with each of napari's tools."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from napari.layers import Shapes
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from napari_sam2_openvino._layers import drawing, marks_io, snapshots
from napari_sam2_openvino.core.types import PlaneIndex

LEFT = Qt.MouseButton.LeftButton
PLANE = PlaneIndex((None, None))
# napari drops a freehand lasso that it simplifies to a triangle.
CORNERS = ((20, 30), (25, 110), (80, 100), (75, 40))


class Canvas:
    """A visible viewer with an image and our shapes layer."""

    def __init__(self, viewer: Any, qtbot: Any) -> None:
        self.viewer, self.qtbot = viewer, qtbot
        viewer.window.resize(1000, 700)
        self.image = viewer.add_image(np.zeros((120, 160), np.uint8), name="cells")
        self.shapes: Shapes = drawing.new_shapes_layer(self.image)
        viewer.add_layer(self.shapes)
        viewer.layers.selection.active = self.shapes
        qtbot.wait(300)
        self.native = viewer.window._qt_viewer.canvas.native

    def at(self, y: float, x: float) -> QPoint:
        camera = self.viewer.scene.camera
        _, cy, cx = camera.center
        return QPoint(
            round((x - cx) * camera.zoom + self.native.width() / 2),
            round((y - cy) * camera.zoom + self.native.height() / 2),
        )

    def click(self, y: float, x: float) -> None:
        QTest.mouseMove(self.native, self.at(y, x))
        self.qtbot.wait(30)
        QTest.mouseClick(self.native, LEFT, pos=self.at(y, x))
        self.qtbot.wait(30)

    def double_click(self, y: float, x: float) -> None:
        QTest.mouseDClick(self.native, LEFT, pos=self.at(y, x))
        self.qtbot.wait(30)

    def press(self, places: Iterable[tuple[float, float]]) -> tuple[float, float]:
        """Press at the first place and move along the others."""
        first, *others = places
        QTest.mouseMove(self.native, self.at(*first))
        self.qtbot.wait(30)
        QTest.mousePress(self.native, LEFT, pos=self.at(*first))
        for start, end in zip([first, *others[:-1]], others, strict=True):
            for y, x in np.linspace(start, end, 8)[1:]:
                QTest.mouseMove(self.native, self.at(y, x))
                self.qtbot.wait(10)
        return others[-1]

    def drag(self, places: Iterable[tuple[float, float]]) -> None:
        last = self.press(places)
        QTest.mouseRelease(self.native, LEFT, pos=self.at(*last))
        self.qtbot.wait(30)

    def kinds(self) -> list[str]:
        marks = marks_io.read_marks(None, self.shapes, self.image, PLANE)
        return [mark.kind for each in marks.values() for mark in each]


@pytest.fixture
def canvas(make_napari_viewer: Any, qtbot: Any) -> Canvas:
    return Canvas(make_napari_viewer(show=True), qtbot)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("add_rectangle", "box"),
        ("add_ellipse", "ellipse"),
        ("add_line", "path"),
        ("add_path", "path"),
        ("add_polygon_lasso", "polygon"),
    ],
)
def test_what_is_dragged_is_a_mark_of_its_kind(canvas: Canvas, mode: str, kind: str) -> None:
    canvas.shapes.mode = mode
    canvas.drag(CORNERS)
    assert canvas.kinds() == [kind]
    assert not drawing.is_drawing(canvas.shapes)


@pytest.mark.parametrize("mode", ["add_path", "add_polygon_lasso"])
def test_what_is_drawn_freely_counts_when_it_is_finished(canvas: Canvas, mode: str) -> None:
    canvas.shapes.mode = mode
    last = canvas.press(CORNERS)
    assert canvas.shapes.nshapes == 1
    assert canvas.kinds() == []
    assert snapshots.snapshot(None, canvas.shapes).has_shapes is False
    QTest.mouseRelease(canvas.native, LEFT, pos=canvas.at(*last))
    canvas.qtbot.wait(30)
    assert len(canvas.kinds()) == 1


@pytest.mark.parametrize(("mode", "kind"), [("add_polygon", "polygon"), ("add_polyline", "path")])
def test_what_is_clicked_counts_when_it_is_finished(canvas: Canvas, mode: str, kind: str) -> None:
    canvas.shapes.mode = mode
    for place in CORNERS:
        canvas.click(*place)
    assert canvas.shapes.nshapes == 1
    assert canvas.kinds() == []
    canvas.double_click(*CORNERS[-1])
    assert canvas.kinds() == [kind]


@pytest.mark.parametrize(
    ("mode", "zoom"), [("add_rectangle", 0.1), ("add_ellipse", 5), ("add_line", 0.1)]
)
def test_a_click_with_a_shape_tool_leaves_no_mark(canvas: Canvas, mode: str, zoom: float) -> None:
    canvas.viewer.scene.camera.zoom = zoom
    canvas.qtbot.wait(50)
    canvas.shapes.mode = mode
    canvas.click(60, 70)
    assert canvas.shapes.nshapes == 1
    assert canvas.kinds() == []
    assert not drawing.is_drawing(canvas.shapes)


def test_an_aborted_polygon_leaves_nothing_that_a_later_shape_could_take(canvas: Canvas) -> None:
    canvas.shapes.mode = "add_polygon"
    canvas.click(*CORNERS[0])
    QTest.keyClick(canvas.native, Qt.Key.Key_Escape)
    canvas.qtbot.wait(30)
    assert canvas.shapes.nshapes == 0
    drawing.show_prompts(None, canvas.shapes, 1)
    drawing.set_current_object(canvas.shapes, 4)
    canvas.shapes.mode = "add_rectangle"
    canvas.drag(CORNERS)
    assert set(marks_io.read_marks(None, canvas.shapes, canvas.image, PLANE)) == {4}
    assert len(canvas.shapes.features) == len(canvas.shapes.edge_color) == 1
    canvas.viewer.dims.ndisplay = 3
    canvas.viewer.dims.ndisplay = 2


def test_undo_while_a_polygon_is_drawn_ends_it(canvas: Canvas) -> None:
    canvas.shapes.mode = "add_rectangle"
    empty = snapshots.snapshot(None, canvas.shapes)
    canvas.drag(CORNERS)
    canvas.shapes.mode = "add_polygon"
    for place in CORNERS:
        canvas.click(*place)
    snapshots.restore(None, canvas.shapes, empty)
    assert canvas.shapes.nshapes == 0
    for place in CORNERS:
        canvas.click(*place)
    canvas.double_click(*CORNERS[-1])
    assert canvas.kinds() == ["polygon"]
