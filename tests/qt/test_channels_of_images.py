"""Channels are chosen of each image by itself, and are still chosen when it is come back to."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from napari.layers import Image
from tests.driven_window import Window

from napari_sam2_openvino.core.parameters import Normalization

RNG = np.random.default_rng(6)


@pytest.fixture
def window(open_window: Callable[..., Window]) -> Window:
    """Return a window with two more layers, on the first image."""
    window = open_window(RNG.integers(0, 200, (3, 60, 80)).astype(np.uint8))
    for name in ("green", "blue"):
        window.viewer.add_image(RNG.integers(0, 200, (3, 60, 80)).astype(np.uint8), name=name)
    window.annotator.set_image(layer(window, "cells"))
    window.settle()
    return window


def layer(window: Window, name: str) -> Image:
    found = window.viewer.layers[name]
    assert isinstance(found, Image)
    return found


def look_at_another(window: Window, name: str = "blue") -> None:
    window.annotator.set_image(layer(window, name))
    window.settle()


def come_back(window: Window) -> Any:
    """Go back to the first image, and return what its panel shows."""
    window.annotator.set_image(layer(window, "cells"))
    window.settle()
    return window.widget.prompts_tab.image_panel.channels


def test_layers_are_still_its_channels(window: Window) -> None:
    view, layers = window.annotator.view, (layer(window, "cells"), layer(window, "green"))
    view.set_channels(layers, as_grey=True)
    window.click(0, 30, 40)
    window.settle()
    n_decoded = len(window.engine.decoded)
    look_at_another(window)
    assert view.layers == (layer(window, "blue"),)
    assert not view.view.as_grey
    shown = come_back(window)
    assert view.layers == layers
    assert view.view.as_grey
    assert (shown.kind, shown.layers, shown.as_grey) == ("layers", (*layers, None), True)
    assert len(window.engine.decoded) == n_decoded


def test_entries_along_an_axis_are_still_its_channels(window: Window) -> None:
    window.annotator.view.set_channels(axis=0, indices=(2, 0))
    look_at_another(window)
    assert window.annotator.view.view.axis is None
    shown = come_back(window)
    view = window.annotator.view.view
    assert (view.axis, view.indices) == (0, (2, 0))
    assert (shown.axis, shown.indices) == (0, (2, 0, None))


def test_layers_that_were_removed_meanwhile_are_left_out(window: Window) -> None:
    cells, green = layer(window, "cells"), layer(window, "green")
    window.annotator.view.set_channels((cells, green))
    look_at_another(window)
    window.viewer.layers.remove(green)
    come_back(window)
    assert window.annotator.view.layers == (cells,)
    window.annotator.view.set_channels((layer(window, "blue"),))
    window.annotator.set_image(None)
    window.viewer.layers.remove(layer(window, "blue"))
    come_back(window)
    assert window.annotator.view.others == ()


def test_intensities_are_those_of_all_images_but_the_contrast_that_was_taken(
    window: Window,
) -> None:
    view = window.annotator.view
    view.set_normalization(Normalization(mode="as displayed"))
    taken = view.view.displayed
    look_at_another(window)
    layer(window, "cells").contrast_limits = (0, 50)
    come_back(window)
    assert view.view.displayed == taken
    look_at_another(window)
    view.set_normalization(Normalization(mode="minimum to maximum"))
    come_back(window)
    assert view.normalization.mode == "minimum to maximum"
