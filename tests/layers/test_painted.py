"""What real Labels layers say of edits, and which planes that is about."""

from typing import Any

import numpy as np
import pytest
from napari.layers import Labels

from napari_sam2_openvino._layers.painted import painted_planes
from napari_sam2_openvino.core.types import PlaneIndex

PLANES = [
    *(PlaneIndex((number, None, None)) for number in range(5)),
    PlaneIndex((None, 3, None)),
    PlaneIndex((None, 15, None)),
]


@pytest.fixture
def labels() -> Labels:
    return Labels(np.zeros((5, 20, 30), np.uint16))


def numbers(labels: Labels, edit: Any) -> list[int]:
    """Return which of the planes an edit has touched."""
    items: list[Any] = []
    labels.events.paint.connect(lambda event: items.append(event.value))
    edit()
    (item,) = items
    touched = painted_planes(item, PLANES)
    return [number for number, plane in enumerate(PLANES) if plane in touched]


def test_a_stroke_is_about_its_plane_and_those_across_it(labels: Labels) -> None:
    labels.brush_size = 2
    assert numbers(labels, lambda: labels.paint((2, 14, 5), 1)) == [2, 6]


def test_a_stroke_of_several_steps_is_about_all_that_they_touched(labels: Labels) -> None:
    def draw() -> None:
        with labels.block_history():
            for number in (1, 3):
                labels.paint((number, 14, 5), 1)

    # Those in between may be, and the one that lies across.
    assert {1, 3} <= {*numbers(labels, draw)} <= {1, 2, 3, 6}


def test_a_brush_in_three_dimensions_is_about_all_planes_of_its_ball(labels: Labels) -> None:
    labels.n_edit_dimensions = 3
    labels.brush_size = 3
    assert {1, 2, 3} <= {*numbers(labels, lambda: labels.paint((2, 10, 5), 1))} <= {0, 1, 2, 3, 4}


def test_pixels_that_are_set_are_about_theirs(labels: Labels) -> None:
    pixels = (np.array([4, 4]), np.array([3, 9]), np.array([0, 1]))
    assert numbers(labels, lambda: labels.data_setitem(pixels, 1)) == [4, 5]


def test_to_fill_is_about_the_plane(labels: Labels) -> None:
    assert 1 in numbers(labels, lambda: labels.fill((1, 3, 3), 2))


@pytest.mark.parametrize("item", [None, [], [3], [()], [((np.array([0]),), 0, 1)]])
def test_what_is_not_known_is_about_all_planes(item: Any) -> None:
    assert painted_planes(item, PLANES) == PLANES
