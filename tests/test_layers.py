"""Real layers, no window: what the user drew, where it is, and what is written."""

from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Points, Shapes

from napari_sam2_openvino import _coordinates, _layers, _planes
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.types import PlaneIndex

ANGLE = np.deg2rad(30)
ROTATED = np.array([[np.cos(ANGLE), -np.sin(ANGLE)], [np.sin(ANGLE), np.cos(ANGLE)]])
PLACES: list[dict[str, Any]] = [
    {},
    {"scale": (0.25, 0.5)},
    {"translate": (100, -7)},
    {"rotate": 30},
    {"shear": [0.3]},
    {"affine": np.block([[ROTATED * 2, np.array([[5], [6]])], [np.zeros((1, 2)), 1]])},
    {"scale": (2, 3), "translate": (1, 2), "rotate": 20, "units": ("nm", "nm")},
]
FLAT = PlaneIndex((None, None))


def make_image(shape: tuple[int, ...] = (60, 80), **place: Any) -> Image:
    return Image(np.zeros(shape, np.uint16), name="cells", **place)


def points_of(image: Image, *coords: tuple[float, ...], negative: int = 0) -> Points:
    points = _layers.new_points_layer(image)
    for index, coord in enumerate(coords):
        is_negative = index >= len(coords) - negative
        _layers.set_polarity(points, _layers.NEGATIVE if is_negative else _layers.POSITIVE)
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


@pytest.mark.parametrize("place", PLACES)
def test_a_click_at_y_x_is_pixel_x_y_wherever_the_image_lies(place: dict[str, Any]) -> None:
    image = make_image(**place)
    points = points_of(image, (12, 34), (40, 5), negative=1)
    prompts = _layers.prompts_from_layers(points, None, image, FLAT)
    np.testing.assert_allclose(prompts.point_coords, [[34, 12], [5, 40]], atol=1e-4)
    assert prompts.point_labels.tolist() == [1, 0]


@pytest.mark.parametrize("place", PLACES)
def test_a_box_is_xyxy_wherever_the_image_lies(place: dict[str, Any]) -> None:
    image = make_image(**place)
    boxes = _layers.new_boxes_layer(image)
    boxes.add_rectangles(box_vertices(10, 20, 30, 50))
    prompts = _layers.prompts_from_layers(None, boxes, image, FLAT)
    np.testing.assert_allclose(prompts.box, [20, 10, 50, 30], atol=1e-4)


def test_prompts_of_a_layer_that_lies_elsewhere_go_by_way_of_the_world() -> None:
    image = make_image(scale=(2, 2), translate=(10, 20))
    points = Points([[30, 60]], features={"prompt": ["positive"]})
    prompts = _layers.prompts_from_layers(points, None, image, FLAT)
    np.testing.assert_allclose(prompts.point_coords, [[20, 10]])


def test_the_newest_box_counts_and_traces_of_clicks_do_not() -> None:
    image = make_image()
    boxes = _layers.new_boxes_layer(image)
    boxes.add_rectangles(box_vertices(1, 1, 20, 20))
    boxes.add_rectangles(box_vertices(10, 20, 30, 50))
    boxes.add_rectangles(box_vertices(5, 5, 6.5, 6.5))
    boxes.add_polygons(box_vertices(0, 0, 50, 50))
    prompts = _layers.prompts_from_layers(None, boxes, image, FLAT)
    assert prompts.box is not None
    assert prompts.box.tolist() == [20, 10, 50, 30]


def test_a_box_is_cut_to_the_image() -> None:
    image = make_image()
    boxes = _layers.new_boxes_layer(image)
    boxes.add_rectangles(box_vertices(-10, -10, 30, 200))
    prompts = _layers.prompts_from_layers(None, boxes, image, FLAT)
    assert prompts.box is not None
    assert prompts.box.tolist() == [-0.5, -0.5, 79.5, 30]


def test_what_cannot_be_used_is_refused_in_a_sentence() -> None:
    image = make_image()
    with pytest.raises(InputError, match=r"x 90, y 10 is outside the image of 80 x 60 pixels"):
        _layers.prompts_from_layers(points_of(image, (10, 90)), None, image, FLAT)
    boxes = _layers.new_boxes_layer(image)
    boxes.add_rectangles(box_vertices(-30, -30, -10, -10))
    with pytest.raises(InputError, match="box lies outside"):
        _layers.prompts_from_layers(None, boxes, image, FLAT)
    points = points_of(image, (10, 10))
    points.features = {"prompt": ["maybe"]}
    with pytest.raises(InputError, match="'positive' or 'negative', but is 'maybe'"):
        _layers.prompts_from_layers(points, None, image, FLAT)
    with pytest.raises(InputError, match="lacks the feature"):
        _layers.prompts_from_layers(Points([[1, 1]]), None, image, FLAT)


def test_only_prompts_on_the_plane_in_view_count() -> None:
    viewer, image = stack_viewer((0, 1, 2))
    plane = _planes.plane_in_view(viewer, image)
    assert plane == PlaneIndex((3, None, None))
    points = points_of(image, (3, 10, 20), (3.4, 11, 21), (2, 12, 22), (4, 13, 23))
    boxes = _layers.new_boxes_layer(image)
    boxes.add_rectangles(box_vertices(10, 20, 30, 50, 3))
    boxes.add_rectangles(box_vertices(1, 2, 30, 50, 4))
    prompts = _layers.prompts_from_layers(points, boxes, image, plane)
    assert prompts.point_coords.tolist() == [[20, 10], [21, 11]]
    assert prompts.box is not None
    assert prompts.box.tolist() == [20, 10, 50, 30]
    assert _layers.on_plane(points, image, plane) == [0, 1]
    assert _layers.on_plane(boxes, image, plane) == [0]


def test_many_prompts_are_placed_at_once(monkeypatch: Any) -> None:
    viewer, image = stack_viewer((0, 1, 2))
    plane = _planes.plane_in_view(viewer, image)
    points = Points(np.tile([3.0, 10, 20], (300, 1)), scale=image.scale)
    boxes = _layers.new_boxes_layer(image)
    # Traces of clicks, which do not count, are looked at all the same.
    boxes.add([box_vertices(1, 1, 2, 2, 3)] * 30, shape_type="rectangle")
    boxes.add([box_vertices(10, 20, 30, 50, 4)], shape_type="rectangle")
    matrices: list[Any] = []
    affine_matrix = _coordinates.affine_matrix
    monkeypatch.setattr(
        _coordinates, "affine_matrix", lambda layer: matrices.append(layer) or affine_matrix(layer)
    )
    assert _layers.on_plane(points, image, plane) == list(range(300))
    assert _layers.on_plane(boxes, image, plane) == list(range(30))
    assert _layers.prompts_from_layers(None, boxes, image, plane).box is None
    assert len(matrices) == 6


def test_transposed_axes_swap_x_and_y() -> None:
    viewer, image = stack_viewer((0, 2, 1))
    plane = _planes.plane_in_view(viewer, image)
    assert plane == PlaneIndex((3, None, None), transposed=True)
    boxes = _layers.new_boxes_layer(image)
    boxes.add_rectangles(box_vertices(10, 20, 30, 50, 3))
    points = points_of(image, (3, 10, 20))
    prompts = _layers.prompts_from_layers(points, boxes, image, plane)
    assert prompts.point_coords.tolist() == [[10, 20]]
    assert prompts.box is not None
    assert prompts.box.tolist() == [10, 20, 30, 50]


def test_polarity_has_a_colour_and_a_symbol_and_touches_the_next_point_only() -> None:
    points = points_of(make_image(), (1, 1))
    _layers.set_polarity(points, _layers.NEGATIVE)
    points.add((2, 2))
    assert points.features["prompt"].tolist() == ["positive", "negative"]
    assert [str(symbol) for symbol in points.symbol] == ["disc", "x"]
    assert not np.allclose(points.face_color[0], points.face_color[1])
    points.features = {"prompt": ["negative", "negative"]}
    _layers.show_polarity(points)
    assert [str(symbol) for symbol in points.symbol] == ["x", "x"]
    np.testing.assert_allclose(points.face_color[0], points.face_color[1])


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2)])
@pytest.mark.parametrize("rotate", [0, 25])
def test_the_preview_lies_on_the_object(order: tuple[int, ...], rotate: float) -> None:
    viewer, image = stack_viewer(order)
    if rotate and order[0] == 0:
        image.rotate = (0, 0, rotate)
    viewer.dims.set_point(order[0], image.data_to_world((3, 3, 3))[order[0]])
    plane = _planes.plane_in_view(viewer, image)
    preview = _layers.new_preview_layer(image)
    outline = np.zeros((4, 6), np.uint8)
    outline[1, 2] = 1
    _layers.show_preview(preview, image, plane, outline, (2, 1))
    (index,) = np.argwhere(preview.data)
    row, column = plane.displayed
    expected = [value or 0 for value in plane.index]
    expected[row], expected[column] = 2 + 1, 1 + 2
    np.testing.assert_allclose(preview.data_to_world(index), image.data_to_world(expected))
    assert preview.units == image.units
    _layers.hide_preview(preview)
    assert not preview.data.any()


def make_layers(image: Image) -> tuple[Points, Shapes]:
    return _layers.new_points_layer(image), _layers.new_shapes_layer(image)


def add_prompts(points: Points, shapes: Shapes) -> None:
    """Add a point and a scribble of objects 1 (positive), 2 (negative) and for all (negative)."""
    for obj_id, polarity in ((1, "positive"), (2, "negative"), (_layers.FOR_ALL, "negative")):
        for layer in (points, shapes):
            _layers.set_current_object(layer, obj_id)
            _layers.set_polarity(layer, polarity)
        points.add((5, 5 + obj_id))
        shapes.add_paths([[1, 2], [20, 30]])


def test_the_next_prompt_belongs_to_the_current_object() -> None:
    points, shapes = make_layers(make_image())
    add_prompts(points, shapes)
    for layer in (points, shapes):
        assert layer.features["obj_id"].tolist() == [1, 2, 0]
        assert layer.features["prompt"].tolist() == ["positive", "negative", "negative"]
        assert layer.features["obj_id"].dtype == int
        assert (_layers.current_object(layer), _layers.polarity(layer)) == (0, "negative")


def test_other_objects_are_dimmed_and_marks_for_all_are_not() -> None:
    points, shapes = make_layers(make_image())
    add_prompts(points, shapes)
    _layers.show_prompts(points, shapes, 2)
    for colors in (points.face_color, shapes.edge_color):
        np.testing.assert_allclose(colors[:, 3], [_layers.DIMMED, 1, 1], atol=0.01)
        assert not np.allclose(colors[0, :3], colors[1, :3])
        np.testing.assert_allclose(colors[1], colors[2])
    _layers.show_prompts(points, shapes)
    assert (points.face_color[:, 3] == 1).all()


def test_the_polarity_has_a_second_cue() -> None:
    points, shapes = make_layers(make_image())
    add_prompts(points, shapes)
    _layers.show_prompts(points, shapes, 2)
    assert [str(symbol) for symbol in points.symbol] == ["disc", "x", "square"]
    positive, negative, for_all = shapes.edge_width
    assert positive == 2 * negative == 2 * for_all
    shapes.features = shapes.features.assign(prompt="positive")
    _layers.show_prompts(points, shapes, 2)
    assert shapes.edge_width == [positive] * 3


def test_boxes_look_positive_whatever_their_feature_says() -> None:
    _, shapes = make_layers(make_image())
    shapes.add_rectangles(box_vertices(1, 1, 20, 20))
    positive = shapes.edge_color.copy()
    shapes.features = shapes.features.assign(prompt="negative")
    _layers.show_prompts(None, shapes, 1)
    np.testing.assert_allclose(shapes.edge_color, positive, atol=0.01)


def test_nothing_is_set_that_is_as_it_should_be() -> None:
    points, shapes = make_layers(make_image())
    add_prompts(points, shapes)
    _layers.show_prompts(points, shapes, 2)
    seen: list[Any] = []
    for name in ("symbol", "face_color", "border_color"):
        points.events[name].connect(seen.append)
    shapes.events.edge_color.connect(seen.append)
    _layers.show_prompts(points, shapes, 2)
    assert not seen


def test_choosing_what_is_chosen_leaves_a_point_selected() -> None:
    points, _ = make_layers(make_image())
    points.add((5, 5))
    points.selected_data = {0}
    _layers.set_current_object(points, 1)
    assert points.selected_data == {0}
    _layers.set_current_object(points, 2)
    assert points.features["obj_id"].tolist() == [1]


def test_a_point_that_is_selected_says_the_object_and_the_sign() -> None:
    points, shapes = make_layers(make_image())
    add_prompts(points, shapes)
    points.selected_data = {0}
    assert (_layers.current_object(points), _layers.polarity(points)) == (1, "positive")


def test_what_an_aborted_polygon_leaves_is_tidied_up() -> None:
    points, shapes = make_layers(make_image())
    for count in (0, 1):
        assert shapes.nshapes == count
        shapes.mode = "add_polygon"
        shapes.add(np.array([[3.0, 4], [3, 4]]), shape_type="path", gui=True)
        shapes._is_creating, shapes._moving_value = True, (count, 1)
        shapes._finish_drawing()
        _layers.set_current_object(shapes, 6 + count)
        _layers.show_prompts(points, shapes, 6 + count)
        assert len(shapes.features) == len(shapes.edge_color) == count
        shapes.add_rectangles(box_vertices(1, 1, 20, 20))
        assert shapes.features["obj_id"].tolist()[-1] == 6 + count
        assert len(shapes.edge_color) == count + 1


def test_a_layer_whose_features_were_taken_away_does_no_harm() -> None:
    points, shapes = make_layers(make_image())
    add_prompts(points, shapes)
    for layer in (points, shapes):
        layer.features = {}
        _layers.set_current_object(layer, 3)
        assert _layers.current_object(layer) == 1
    _layers.show_prompts(points, shapes, 1)
