"""Real layers, no window: what the user drew, where it is, and what is written."""

from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Points, Shapes

from napari_sam2_openvino._layers import drawing
from napari_sam2_openvino.core.types import PlaneIndex

FLAT = PlaneIndex((None, None))


def make_image(shape: tuple[int, ...] = (60, 80), **place: Any) -> Image:
    return Image(np.zeros(shape, np.uint16), name="cells", **place)


def points_of(image: Image, *coords: tuple[float, ...], negative: int = 0) -> Points:
    points = drawing.new_points_layer(image)
    for index, coord in enumerate(coords):
        is_negative = index >= len(coords) - negative
        drawing.set_polarity(points, drawing.NEGATIVE if is_negative else drawing.POSITIVE)
        points.add(coord)
    return points


def box_vertices(y0: float, x0: float, y1: float, x1: float, *lead: float) -> list[list[float]]:
    return [[*lead, y, x] for y, x in ((y0, x0), (y0, x1), (y1, x1), (y1, x0))]


def stack_viewer(order: tuple[int, ...], z: int = 3) -> tuple[ViewerModel, Image]:
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((7, 60, 80), np.uint16), name="stack", scale=(3, 0.5, 0.5))
    viewer.dims.order = order
    viewer.dims.set_point(0, z * 3)
    return viewer, image


def make_layers(image: Image) -> tuple[Points, Shapes]:
    return drawing.new_points_layer(image), drawing.new_shapes_layer(image)


def add_prompts(points: Points, shapes: Shapes) -> None:
    """Add a point and a scribble of objects 1 (positive), 2 (negative) and for all (negative)."""
    for obj_id, polarity in ((1, "positive"), (2, "negative"), (drawing.FOR_ALL, "negative")):
        for layer in (points, shapes):
            drawing.set_current_object(layer, obj_id)
            drawing.set_polarity(layer, polarity)
        points.add((5, 5 + obj_id))
        shapes.add_paths([[1, 2], [20, 30]])


def test_the_next_prompt_belongs_to_the_current_object() -> None:
    points, shapes = make_layers(make_image())
    add_prompts(points, shapes)
    for layer in (points, shapes):
        assert layer.features["obj_id"].tolist() == [1, 2, 0]
        assert layer.features["prompt"].tolist() == ["positive", "negative", "negative"]
        assert layer.features["obj_id"].dtype == int
        assert (drawing.current_object(layer), drawing.polarity(layer)) == (0, "negative")


def test_other_objects_are_dimmed_and_marks_for_all_are_not() -> None:
    points, shapes = make_layers(make_image())
    add_prompts(points, shapes)
    drawing.show_prompts(points, shapes, 2)
    for colors in (points.face_color, shapes.edge_color):
        np.testing.assert_allclose(colors[:, 3], [drawing.DIMMED, 1, 1], atol=0.01)
        assert not np.allclose(colors[0, :3], colors[1, :3])
        np.testing.assert_allclose(colors[1], colors[2])
    drawing.show_prompts(points, shapes)
    assert (points.face_color[:, 3] == 1).all()


def test_the_polarity_has_a_second_cue() -> None:
    points, shapes = make_layers(make_image())
    add_prompts(points, shapes)
    drawing.show_prompts(points, shapes, 2)
    assert [str(symbol) for symbol in points.symbol] == ["disc", "x", "square"]
    positive, negative, for_all = shapes.edge_width
    assert positive == 2 * negative == 2 * for_all
    shapes.features = shapes.features.assign(prompt="positive")
    drawing.show_prompts(points, shapes, 2)
    assert shapes.edge_width == [positive] * 3


def test_boxes_look_positive_whatever_their_feature_says() -> None:
    _, shapes = make_layers(make_image())
    shapes.add_rectangles(box_vertices(1, 1, 20, 20))
    positive = shapes.edge_color.copy()
    shapes.features = shapes.features.assign(prompt="negative")
    drawing.show_prompts(None, shapes, 1)
    np.testing.assert_allclose(shapes.edge_color, positive, atol=0.01)


def test_nothing_is_set_that_is_as_it_should_be() -> None:
    points, shapes = make_layers(make_image())
    add_prompts(points, shapes)
    drawing.show_prompts(points, shapes, 2)
    seen: list[Any] = []
    for name in ("symbol", "face_color", "border_color"):
        points.events[name].connect(seen.append)
    shapes.events.edge_color.connect(seen.append)
    drawing.show_prompts(points, shapes, 2)
    assert not seen


def test_choosing_what_is_chosen_leaves_a_point_selected() -> None:
    points, _ = make_layers(make_image())
    points.add((5, 5))
    points.selected_data = {0}
    drawing.set_current_object(points, 1)
    assert points.selected_data == {0}
    drawing.set_current_object(points, 2)
    assert points.features["obj_id"].tolist() == [1]


def test_a_point_that_is_selected_says_the_object_and_the_sign() -> None:
    points, shapes = make_layers(make_image())
    add_prompts(points, shapes)
    points.selected_data = {0}
    assert (drawing.current_object(points), drawing.polarity(points)) == (1, "positive")


def test_what_an_aborted_polygon_leaves_is_tidied_up() -> None:
    points, shapes = make_layers(make_image())
    for count in (0, 1):
        assert shapes.nshapes == count
        shapes.mode = "add_polygon"
        shapes.add(np.array([[3.0, 4], [3, 4]]), shape_type="path", gui=True)
        shapes._is_creating, shapes._moving_value = True, (count, 1)
        shapes._finish_drawing()
        drawing.set_current_object(shapes, 6 + count)
        drawing.show_prompts(points, shapes, 6 + count)
        assert len(shapes.features) == len(shapes.edge_color) == count
        shapes.add_rectangles(box_vertices(1, 1, 20, 20))
        assert shapes.features["obj_id"].tolist()[-1] == 6 + count
        assert len(shapes.edge_color) == count + 1


def test_a_layer_whose_features_were_taken_away_does_no_harm() -> None:
    points, shapes = make_layers(make_image())
    add_prompts(points, shapes)
    for layer in (points, shapes):
        layer.features = {}
        drawing.set_current_object(layer, 3)
        assert drawing.current_object(layer) == 1
    drawing.show_prompts(points, shapes, 1)
