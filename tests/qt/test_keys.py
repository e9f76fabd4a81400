"""Keys of two widgets in one viewer, and of widgets that are gone."""

from typing import Any

import numpy as np
import pytest
from tests.disc_engine import DiscEngine

from napari_sam2_openvino._qt.annotator import Annotator

KEYS = {"Q", "W", "N"}


def bound(owner: Any) -> dict[str, Any]:
    return {str(key): function for key, function in owner.keymap.items() if str(key) in KEYS}


@pytest.fixture
def viewer(make_napari_viewer: Any) -> Any:
    viewer = make_napari_viewer()
    viewer.add_image(np.zeros((60, 80), np.uint8), name="cells")
    return viewer


def annotate(viewer: Any) -> Annotator:
    annotator = Annotator(viewer, DiscEngine)
    annotator.set_image(viewer.layers["cells"])
    return annotator


@pytest.mark.parametrize("first_goes_first", [True, False])
@pytest.mark.parametrize("proxy", [True, False])
def test_of_two_widgets_one_is_closed_and_the_other_keeps_its_keys(
    viewer: Any, first_goes_first: bool, proxy: bool
) -> None:
    from napari.utils._proxies import PublicOnlyProxy

    def mine(_viewer: Any) -> None:
        raise AssertionError

    viewer.bind_key("W", mine)
    seen_by_plugin = PublicOnlyProxy(viewer) if proxy else viewer
    gone, stays = annotate(seen_by_plugin), annotate(seen_by_plugin)
    if not first_goes_first:
        gone, stays = stays, gone
    gone.close()
    bound(viewer)["Q"](viewer)
    assert (gone.polarity, stays.polarity) == ("positive", "negative")
    stays.close()
    assert bound(viewer) == {"W": mine}


def test_a_binding_that_came_later_is_left_alone(viewer: Any) -> None:
    annotator = annotate(viewer)

    def theirs(_viewer: Any) -> None:
        raise AssertionError

    viewer.bind_key("W", theirs, overwrite=True)
    annotator.close()
    assert bound(viewer) == {"W": theirs}


def test_layers_that_are_left_over_have_no_keys(viewer: Any) -> None:
    annotator = annotate(viewer)
    annotator.draw_points()
    annotator.draw_box()
    layers = annotator.prompt_layers
    assert layers is not None
    left_over = [layers.points, layers.boxes]
    assert [set(bound(layer)) for layer in left_over] == [KEYS, KEYS]
    pressed = bound(layers.points)["W"]
    annotator.close()
    assert [bound(layer) for layer in left_over] == [{}, {}]
    # As by a key that is still down.
    pressed(layers.points)


def test_after_close_nothing_does_anything(viewer: Any) -> None:
    annotator = annotate(viewer)
    annotator.close()
    n_layers = len(viewer.layers)
    said: list[str] = []
    annotator.status_changed.connect(said.append)
    annotator.draw_points()
    annotator.draw_box()
    annotator.commit()
    annotator.clear()
    annotator.cancel()
    annotator.toggle_polarity()
    annotator.set_image(None)
    annotator.set_target(viewer.add_labels(np.zeros((60, 80), int)))
    assert said == []
    assert (annotator.polarity, annotator.target) == ("positive", None)
    assert len(viewer.layers) == n_layers + 1
