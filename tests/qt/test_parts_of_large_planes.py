"""Planes that are encoded in parts: an object stays in its part, also while others are in view."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.driven_window import Window

from napari_sam2_openvino._qt.carry_sources import gather, stack_in_view
from napari_sam2_openvino.core.propagation_parameters import ScopeParameters
from napari_sam2_openvino.core.regions import Region
from napari_sam2_openvino.core.session_file import read_session

STACK = np.random.default_rng(0).integers(0, 4000, (3, 300, 300)).astype(np.uint16)
ALL = (0.0, 0.0, 300.0, 300.0)
CLOSE = (80.0, 80.0, 130.0, 130.0)


class Screen:
    """Which part of the image is on it."""

    def __init__(self) -> None:
        self.visible = CLOSE


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    screen = Screen()
    monkeypatch.setattr(
        "napari_sam2_openvino._qt.annotator.visible_part", lambda *_: screen.visible
    )
    return screen


@pytest.fixture
def window(open_window: Callable[..., Window], screen: Screen) -> Window:
    """Return a window with an object that was drawn on the first plane, the second in view."""
    window = open_window(STACK, image_size=32, radius=6)
    draw(window, 100, 100)
    window.show_plane(1)
    window.settle()
    screen.visible = ALL
    return window


def draw(window: Window, y: float, x: float) -> None:
    window.show_plane(0)
    window.settle()
    window.click(0, y, x)
    window.settle()


def region_of(window: Window) -> Region:
    """Return where the object of the first plane is decoded."""
    window.show_plane(0)
    window.settle()
    region: Region = window.answer.region
    return region


def save(window: Window, path: Path) -> Region | None:
    window.widget.files.save(path)
    window.wait(path.exists)
    (record,) = read_session(path).objects
    return record.region


def test_a_session_that_is_saved_on_another_plane_gives_the_same_masks(
    open_window: Callable[..., Window], window: Window, tmp_path: Path
) -> None:
    path = tmp_path / "session.json"
    saved = save(window, path)
    opened = open_window(STACK, image_size=32, radius=6)
    opened.show_plane(0)
    opened.settle()
    opened.widget.files.open(path)
    opened.wait(lambda: opened.status == "The session is open.")
    assert saved is not None
    assert saved.step == 1
    assert region_of(opened) == saved == region_of(window)


def test_what_is_saved_is_where_the_prompts_of_now_were_decoded(
    window: Window, tmp_path: Path
) -> None:
    first = region_of(window)
    window.click(0, 240, 240)
    window.settle()
    second = region_of(window)
    assert second != first
    window.show_plane(1)
    window.settle()
    assert save(window, tmp_path / "second.json") == second
    window.do("undo")
    window.settle()
    assert save(window, tmp_path / "first.json") == first


def test_objects_of_other_planes_are_carried_as_they_were_seen(window: Window) -> None:
    annotator = window.annotator
    stack = stack_in_view(annotator, 0)
    assert stack is not None
    (carried,) = gather(annotator, stack, ScopeParameters(), None).prompted
    assert (carried.obj_id, carried.frame_idx) == (1, 0)
    assert carried.region is not None
    assert carried.region.step == 1
    assert carried.region == region_of(window)


def test_a_window_that_is_opened_again_decodes_objects_where_they_were(
    open_widget: Callable[[Window], Window], window: Window, tmp_path: Path
) -> None:
    before = save(window, tmp_path / "before.json")
    window.viewer.window.remove_dock_widget(window.widget)
    window.qtbot.wait(50)
    again = open_widget(window)
    again.settle()
    assert save(again, tmp_path / "again.json") == before is not None
    assert region_of(again) == before
