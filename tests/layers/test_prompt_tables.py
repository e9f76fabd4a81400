"""Prompts of layers as tables for batches."""

import numpy as np
import pandas as pd
import pytest
from napari.layers import Image, Points, Shapes

from napari_sam2_openvino._layers.prompt_tables import prompt_table
from napari_sam2_openvino.batch.axes import Axes
from napari_sam2_openvino.batch.prompt_table import read_prompts
from napari_sam2_openvino.core.errors import InputError

STACK = Image(np.zeros((5, 40, 60)), scale=(2, 0.5, 0.5), translate=(4, 1, 1))
AXES = Axes("ZYX", (5, 40, 60))
FEATURES = pd.DataFrame({"obj_id": [3, 3, 0], "prompt": ["positive", "negative", "negative"]})


def marks_of(table):
    found = read_prompts(table, "stack", AXES)
    return [(each.obj_id, each.position, each.prompts.marks[0]) for each in found]


def test_points_are_x_and_y_in_pixels_of_the_image():
    # Drawn on another grid: what counts is where they lie in the world.
    places = np.array([[1, 10, 20], [2, 11, 21], [3, 12, 22]])
    world = places * np.array([2, 0.5, 0.5]) + np.array([4, 1, 1])
    points = Points(world, features=FEATURES)
    found = marks_of(prompt_table(points, "ZYX", STACK))
    assert [mark.vertices for *_, mark in found] == [((20, 10),), ((21, 11),), ((22, 12),)]
    assert [obj_id for obj_id, *_ in found] == [3, 3, 0]
    assert [mark.is_positive for *_, mark in found] == [True, False, False]
    assert [position for _, position, _ in found] == [(None,)] * 3
    found = marks_of(prompt_table(points, "ZYX", STACK, own_planes=True))
    assert [position for _, position, _ in found] == [(1,), (2,), (3,)]


@pytest.mark.parametrize("place", [(20, 10), (1, 20, 10)])
def test_x_and_y_are_those_of_the_image_where_x_comes_first(place):
    table = prompt_table(Points([place]), "ZXY")
    assert table[["x", "y"]].to_numpy().tolist() == [[20, 10]]


@pytest.mark.parametrize("ndim", [2, 3])
def test_rectangles_are_boxes_each_an_object(ndim):
    corners = np.array([[5, 8], [5, 30], [15, 30], [15, 8]], float)
    lead = np.full((4, ndim - 2), 4.0)
    boxes = [np.hstack([lead, corners + step]) for step in (0, 1)]
    found = marks_of(prompt_table(Shapes(boxes, shape_type="rectangle", ndim=ndim), "ZYX"))
    assert [mark.vertices for *_, mark in found] == [((8, 5), (30, 15)), ((9, 6), (31, 16))]
    assert [obj_id for obj_id, *_ in found] == [1, 2]


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (Points(ndim=3, name="mine"), "mine is empty"),
        (Points([[1, 2, 3, 4]], name="mine"), "mine has 4 axes"),
        (Shapes([[[0, 0], [5, 5]]], shape_type="line", name="mine"), r"others \(line\)"),
    ],
)
def test_what_a_batch_cannot_use_is_refused(layer, said):
    with pytest.raises(InputError, match=said):
        prompt_table(layer, "ZYX")
