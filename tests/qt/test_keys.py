"""Keys of two widgets in one viewer, of their layers, and of widgets that are gone."""

from typing import Any

import numpy as np
import pytest

from napari_sam2_openvino._qt.keys import Keys

VERBS = ("Q", "Shift+U", "Alt+1")


class Widget:
    """Notes which of its keys were pressed."""

    def __init__(self, *owners: Any) -> None:
        self.pressed: list[str] = []
        self.keys = Keys({key: lambda key=key: self.pressed.append(key) for key in VERBS})
        for owner in owners:
            self.keys.bind(owner)


def bound(owner: Any) -> dict[str, Any]:
    return {str(key): call for key, call in owner.keymap.items() if str(key) in VERBS}


@pytest.fixture
def viewer(make_napari_viewer: Any) -> Any:
    return make_napari_viewer()


@pytest.mark.parametrize("first_goes_first", [True, False])
@pytest.mark.parametrize("proxy", [True, False])
def test_of_two_widgets_one_is_closed_and_the_other_keeps_its_keys(
    viewer: Any, first_goes_first: bool, proxy: bool
) -> None:
    from napari.utils._proxies import PublicOnlyProxy

    def mine(_viewer: Any) -> None:
        raise AssertionError

    viewer.bind_key("Q", mine)
    seen_by_plugin = PublicOnlyProxy(viewer) if proxy else viewer
    gone, stays = Widget(seen_by_plugin), Widget(seen_by_plugin)
    if not first_goes_first:
        gone, stays = stays, gone
    gone.keys.release(seen_by_plugin)
    for key in VERBS:
        bound(viewer)[key](viewer)
    assert (gone.pressed, stays.pressed) == ([], list(VERBS))
    stays.keys.release(seen_by_plugin)
    assert bound(viewer) == {"Q": mine}


def test_a_binding_that_came_later_is_left_alone(viewer: Any) -> None:
    widget = Widget(viewer)

    def theirs(_viewer: Any) -> None:
        raise AssertionError

    viewer.bind_key("Shift+U", theirs, overwrite=True)
    widget.keys.release(viewer)
    assert bound(viewer) == {"Shift+U": theirs}


def test_a_layer_gives_its_keys_back_on_its_own(viewer: Any) -> None:
    points, shapes = viewer.add_points(), viewer.add_shapes()
    widget = Widget(viewer, points, shapes)
    assert [set(bound(owner)) for owner in (viewer, points, shapes)] == [set(VERBS)] * 3
    still_down = bound(points)["Q"]
    widget.keys.release(points)
    assert [len(bound(owner)) for owner in (viewer, points, shapes)] == [3, 0, 3]
    still_down(points)
    assert widget.pressed == []


@pytest.fixture
def closed(open_window: Any) -> Any:
    """A window whose widget was used and closed, and whose layers are still there."""
    window = open_window(np.zeros((60, 80), np.uint8))
    window.settle()
    window.click(30, 40)
    window.draw_box(10, 10, 20, 20)
    window.settle()
    window.left_over = [window.layers.points, window.layers.shapes, window.viewer]
    assert all(owner.keymap for owner in window.left_over)
    window.annotator.close()
    return window


def test_layers_that_are_left_over_have_no_keys(closed: Any) -> None:
    assert [dict(owner.keymap) for owner in closed.left_over] == [{}, {}, {}]


def test_after_close_no_key_does_anything(open_window: Any) -> None:
    window = open_window(np.zeros((60, 80), np.uint8))
    window.settle()
    window.click(30, 40)
    window.settle()
    pressed = list(window.viewer.keymap.values())
    assert len(pressed) > 20
    points = window.layers.points
    n_layers = len(window.viewer.layers)
    window.widget.close()
    n_left = len(window.viewer.layers)
    # As by keys that are still down.
    for call in pressed:
        call(window.viewer)
    assert len(window.viewer.layers) == n_left <= n_layers
    assert len(points.data) == 1
