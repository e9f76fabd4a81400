"""The strip of planes: where a click goes, and what is painted where."""

from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QColor
from superqt.utils import qimage_to_array

from napari_sam2_openvino._qt.plane_strip import (
    OBJECTS_COLOR,
    PROMPTS_COLOR,
    READY_COLOR,
    PlaneStates,
    PlaneStrip,
)

WIDTH = 308
OBJECTS_ROW, PROMPTS_ROW, READY_ROW = 7, 16, 24


@pytest.fixture
def strip(qtbot: Any) -> PlaneStrip:
    strip = PlaneStrip()
    qtbot.addWidget(strip)
    strip.resize(WIDTH, 30)
    strip.show()
    qtbot.waitExposed(strip)
    return strip


def painted(strip: PlaneStrip) -> np.ndarray:
    return qimage_to_array(strip.grab().toImage())[..., :3]


def is_color(pixels: np.ndarray, color: QColor) -> np.ndarray:
    wanted = np.array([color.red(), color.green(), color.blue()])
    return (np.abs(pixels.astype(int) - wanted) <= 6).all(axis=-1)


@pytest.mark.parametrize("n_planes", [1, 2, 7, 300, 10_000])
def test_every_plane_of_the_strip_can_be_reached_and_none_beyond(
    strip: PlaneStrip, n_planes: int
) -> None:
    strip.set_states(PlaneStates(n_planes))
    reached = [strip.plane_at(x) for x in range(-5, WIDTH + 5)]
    assert reached == sorted(reached)
    assert (reached[0], reached[-1]) == (0, n_planes - 1)
    if n_planes <= 300:
        assert set(reached) == set(range(n_planes))


def test_a_click_and_a_drag_tell_each_plane_once(strip: PlaneStrip, qtbot: Any) -> None:
    strip.set_states(PlaneStates(10))
    clicked: list[int] = []
    strip.plane_clicked.connect(clicked.append)
    qtbot.mousePress(strip, Qt.MouseButton.LeftButton, pos=QPoint(4 + 45, 15))
    assert clicked == [1]
    # While the pointer moves without a button nothing is told.
    qtbot.mouseRelease(strip, Qt.MouseButton.LeftButton, pos=QPoint(49, 15))
    qtbot.mouseMove(strip, QPoint(200, 15))
    assert clicked == [1]
    qtbot.mousePress(strip, Qt.MouseButton.RightButton, pos=QPoint(280, 15))
    assert clicked == [1]


def test_each_kind_has_its_place_and_its_colour(strip: PlaneStrip) -> None:
    # Ten cells of 30 pixels; the middle of cell n lies at 4 + 30 n + 15.
    strip.set_states(
        PlaneStates(
            10,
            current=9,
            ready=frozenset({0, 1}),
            with_prompts=frozenset({3}),
            with_objects=frozenset({5}),
        )
    )
    pixels = painted(strip)
    middles = 4 + 30 * np.arange(10) + 15
    ready = is_color(pixels[READY_ROW, middles], READY_COLOR)
    prompts = is_color(pixels[PROMPTS_ROW, middles], PROMPTS_COLOR)
    objects = is_color(pixels[OBJECTS_ROW, middles], OBJECTS_COLOR)
    assert set(np.flatnonzero(ready)) == {0, 1}
    assert set(np.flatnonzero(prompts)) == {3}
    assert set(np.flatnonzero(objects)) == {5}


def test_the_plane_in_view_is_framed(strip: PlaneStrip) -> None:
    strip.set_states(PlaneStates(10, current=2))
    before = painted(strip)
    strip.set_states(PlaneStates(10, current=7))
    changed = (before != painted(strip)).any(axis=(0, 2))
    columns = np.flatnonzero(changed)
    assert set(((columns - 4) // 30).clip(0, 9)) <= {1, 2, 3, 6, 7, 8}
    assert changed[4 + 2 * 30 : 4 + 3 * 30].mean() > 0.5


def test_of_ten_thousand_planes_one_alone_is_seen(strip: PlaneStrip) -> None:
    strip.set_states(PlaneStates(10_000, ready=frozenset({5000})))
    empty = PlaneStrip()
    empty.resize(strip.size())
    empty.set_states(PlaneStates(10_000))
    changed = (painted(strip) != painted(empty)).any(axis=-1)
    rows, columns = np.nonzero(changed)
    assert {*rows} <= set(range(21, 28))
    assert len(set(columns)) in (1, 2)
    assert abs(columns.mean() - WIDTH / 2) < 2
    empty.deleteLater()


def test_planes_that_are_no_longer_there_are_left_out(strip: PlaneStrip) -> None:
    strip.set_states(PlaneStates(3, current=5, ready=frozenset({-1, 1, 3, 900})))
    pixels = painted(strip)
    middles = 4 + 100 * np.arange(3) + 50
    ready = is_color(pixels[READY_ROW, middles], READY_COLOR)
    assert list(ready) == [False, True, False]


def test_the_tooltip_says_what_there_is(strip: PlaneStrip) -> None:
    states = PlaneStates(5, 2, ready=frozenset({2}), with_prompts=frozenset({2}), axis="z")
    strip.set_states(states)
    assert strip.accessibleDescription().startswith("z 2 of 5: in view, encoded, prompts.")
