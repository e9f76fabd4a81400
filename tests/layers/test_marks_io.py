"""Marks into real prompt layers and back, without a window."""

from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Points, Shapes
from tests.layers.places import PLACES, write_marks

from napari_sam2_openvino._layers import coordinates, drawing, layer_edits, marks_io
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.marks import Mark
from napari_sam2_openvino.core.types import PlaneIndex

FLAT = PlaneIndex((None, None))
PLANES = [
    PlaneIndex((3, None, None)),
    PlaneIndex((3, None, None), transposed=True),
    PlaneIndex((None, 3, None)),
    PlaneIndex((None, None, 3), transposed=True),
]
# Coordinates that float32 holds.
MARKS = (
    Mark("box", ((3.125, 4.0), (20.0, 30.5))),
    Mark("ellipse", ((1.0, 1.0), (9.0, 1.0), (9.0, 9.5), (1.0, 9.5))),
    Mark("polygon", ((1.0, 1.0), (9.0, 1.0), (5.0, 9.25))),
    Mark("path", ((1.0, 1.0), (9.0, 1.0), (5.0, 9.25)), is_positive=False),
    Mark("path", ((1.0, 2.0), (9.0, 1.0))),
    Mark("point", ((3.5, 4.25),)),
    Mark("point", ((7.75, 4.5),), is_positive=False),
)


def make_image(shape: tuple[int, ...] = (60, 80), **place: Any) -> Image:
    return Image(np.zeros(shape, np.uint16), name="cells", **place)


def make_layers(image: Image) -> tuple[Points, Shapes]:
    return drawing.new_points_layer(image), drawing.new_shapes_layer(image)


def corners(y0: float, x0: float, y1: float, x1: float, *lead: float) -> list[list[float]]:
    return [[*lead, y, x] for y, x in ((y0, x0), (y0, x1), (y1, x1), (y1, x0))]


@pytest.mark.parametrize("place", PLACES)
def test_a_click_at_y_x_is_pixel_x_y_wherever_the_image_lies(place: dict[str, Any]) -> None:
    image = make_image(**place)
    points, shapes = make_layers(image)
    points.add((12, 34))
    shapes.add_rectangles(corners(10, 20, 30, 50))
    shapes.add_paths([[1, 2], [5, 9], [30, 7]])
    (marks,) = marks_io.read_marks(points, shapes, image, FLAT).values()
    assert marks == (
        Mark("box", ((20, 10), (50, 30))),
        Mark("path", ((2, 1), (9, 5), (7, 30))),
        Mark("point", ((34, 12),)),
    )


@pytest.mark.parametrize("plane", PLANES)
def test_marks_are_read_as_they_were_written(plane: PlaneIndex) -> None:
    image = make_image((60, 60, 80), scale=(2, 0.3, 0.3), rotate=(0, 0, 20), translate=(1, 2, 3))
    points, shapes = make_layers(image)
    write_marks(points, shapes, image, plane, 2, MARKS)
    write_marks(points, shapes, image, plane, 0, MARKS[6:])
    assert marks_io.read_marks(points, shapes, image, plane) == {2: MARKS, 0: MARKS[6:]}
    assert marks_io.objects_with_prompts(points, shapes, image, plane) == {plane: {0, 2}}
    index = tuple(4 if value == 3 else value for value in plane.index)
    assert marks_io.read_marks(points, shapes, image, PlaneIndex(index)) == {}


def test_writing_leaves_what_the_next_prompt_will_be_and_no_selection() -> None:
    image = make_image()
    layers = make_layers(image)
    for layer in layers:
        drawing.set_current_object(layer, 4)
        drawing.set_polarity(layer, drawing.NEGATIVE)
    write_marks(*layers, image, FLAT, 2, MARKS)
    for layer in layers:
        assert (drawing.current_object(layer), drawing.polarity(layer)) == (4, "negative")
        assert not layer.selected_data
    layers[0].add((5, 6))
    assert marks_io.read_marks(*layers, image, FLAT)[4] == (Mark("point", ((6, 5),), False),)


def test_marks_need_their_layers() -> None:
    image = make_image()
    points, shapes = make_layers(image)
    with pytest.raises(ValueError, match="layer was not given"):
        write_marks(points, None, image, FLAT, 1, MARKS)
    with pytest.raises(ValueError, match="layer was not given"):
        write_marks(None, shapes, image, FLAT, 1, MARKS)


def test_objects_are_told_apart_and_keep_their_order() -> None:
    image = make_image()
    points, shapes = make_layers(image)
    for obj_id, coords in ((2, (1, 1)), (1, (2, 2)), (2, (3, 3))):
        drawing.set_current_object(points, obj_id)
        points.add(coords)
    found = marks_io.read_marks(points, shapes, image, FLAT)
    clicked = {key: [mark.vertices[0] for mark in marks] for key, marks in found.items()}
    assert clicked == {2: [(1, 1), (3, 3)], 1: [(2, 2)]}


def test_boxes_and_lassos_are_positive_and_scribbles_have_a_sign() -> None:
    image = make_image()
    _, shapes = make_layers(image)
    drawing.set_polarity(shapes, drawing.NEGATIVE)
    shapes.add_rectangles(corners(1, 1, 20, 20))
    shapes.add_polygons(corners(1, 1, 20, 20))
    shapes.add_ellipses(corners(1, 1, 20, 20))
    shapes.add_lines([[1, 1], [20, 20]])
    (marks,) = marks_io.read_marks(None, shapes, image, FLAT).values()
    assert [(mark.kind, mark.is_positive) for mark in marks] == [
        ("box", True),
        ("polygon", True),
        ("ellipse", True),
        ("path", False),
    ]


def test_traces_of_clicks_do_not_count() -> None:
    image = make_image()
    _, shapes = make_layers(image)
    shapes.add([corners(5, 5, 6.5, 6.5)] * 2, shape_type=["rectangle", "ellipse"])
    shapes.add([[[1, 1], [2, 2]]], shape_type="line")
    assert marks_io.read_marks(None, shapes, image, FLAT) == {}
    assert marks_io.objects_with_prompts(None, shapes, image, FLAT) == {}
    # A scribble may be as thin as it likes.
    shapes.add([[[1, 1], [1, 9]]], shape_type="line")
    assert len(marks_io.read_marks(None, shapes, image, FLAT)[1]) == 1


def draw(shapes: Shapes, vertices: Any, shape_type: str) -> None:
    """Begin a shape as napari does when the user draws it."""
    shapes.add(np.array(vertices, float), shape_type=shape_type, gui=True)


@pytest.mark.parametrize("shape_type", ["path", "polygon"])
def test_a_shape_that_is_drawn_click_by_click_counts_when_it_is_there(shape_type: str) -> None:
    image = make_image()
    _, shapes = make_layers(image)
    shapes.add_rectangles(corners(1, 1, 20, 20))
    draw(shapes, corners(5, 5, 40, 40), shape_type)
    assert drawing.is_drawing(shapes)
    (marks,) = marks_io.read_marks(None, shapes, image, FLAT).values()
    assert [mark.kind for mark in marks] == ["box"]
    shapes._is_creating, shapes._moving_value, shapes._mode = True, (1, 4), "add_path"
    shapes._finish_drawing()
    assert not drawing.is_drawing(shapes)
    (marks,) = marks_io.read_marks(None, shapes, image, FLAT).values()
    assert [mark.kind for mark in marks] == ["box", shape_type]


def test_a_box_counts_while_it_is_dragged() -> None:
    image = make_image()
    _, shapes = make_layers(image)
    draw(shapes, corners(5, 5, 40, 40), "rectangle")
    assert len(marks_io.read_marks(None, shapes, image, FLAT)[1]) == 1


@pytest.mark.parametrize("scale", [1, 0.25])
def test_a_click_on_a_large_image_seen_from_afar_leaves_no_box(scale: float) -> None:
    image = make_image((20_000, 20_000), scale=(scale, scale))
    _, shapes = make_layers(image)
    # World units for each pixel of the screen.
    shapes.scale_factor = 20 * scale
    draw(shapes, corners(5000, 5000, 5050, 5050), "rectangle")
    shapes._is_creating, shapes._moving_value = True, (0, 4)
    shapes._finish_drawing()
    assert marks_io.read_marks(None, shapes, image, FLAT) == {}
    # Seen from near it can be made a box, and a small box is one.
    shapes.scale_factor = scale
    shapes.add_rectangles(corners(5000, 5000, 5030, 5030))
    assert len(marks_io.read_marks(None, shapes, image, FLAT)[1]) == 1
    shapes.data = [corners(5000, 5000, 5080, 5080), shapes.data[1]]
    assert len(marks_io.read_marks(None, shapes, image, FLAT)[1]) == 2


def test_boxes_and_scribbles_are_cut_to_the_image_and_lassos_are_not() -> None:
    image = make_image()
    _, shapes = make_layers(image)
    shapes.add_rectangles(corners(-10, -10, 30, 200))
    shapes.add_paths([[-10, 5], [30, 200]])
    shapes.add_polygons([[-10, 5], [30, 200], [50, 5]])
    (marks,) = marks_io.read_marks(None, shapes, image, FLAT).values()
    assert [mark.vertices for mark in marks] == [
        ((-0.5, -0.5), (79.5, 30)),
        ((5, -0.5), (79.5, 30)),
        ((5, -10), (200, 30), (5, 50)),
    ]


@pytest.mark.parametrize(
    ("shape_type", "words"), [("rectangle", "box"), ("path", "scribble"), ("ellipse", "lasso")]
)
def test_shapes_outside_the_image_are_refused(shape_type: str, words: str) -> None:
    image = make_image()
    _, shapes = make_layers(image)
    shapes.add([corners(-30, 5, -10, 30)], shape_type=shape_type)
    with pytest.raises(InputError, match=f"The {words} lies outside the image of 80 x 60 pixels"):
        marks_io.read_marks(None, shapes, image, FLAT)


def test_points_that_cannot_be_used_are_refused_in_a_sentence() -> None:
    image = make_image()

    def read(features: Any, coords: Any = (10, 10)) -> Any:
        points = Points([coords], features=features)
        return marks_io.read_marks(points, None, image, FLAT)

    ours = {"prompt": ["positive"], "obj_id": [1]}
    with pytest.raises(InputError, match="x 90, y 10 is outside the image of 80 x 60 pixels"):
        read(ours, (10, 90))
    with pytest.raises(InputError, match="'positive' or 'negative', but is 'maybe'"):
        read(ours | {"prompt": ["maybe"]})
    with pytest.raises(InputError, match="lacks the feature 'prompt'"):
        read({"obj_id": [1]})
    with pytest.raises(InputError, match="lacks the feature 'obj_id'"):
        read({"prompt": ["positive"]})
    for wrong in (0, -1, 1.5, "two", None):
        with pytest.raises(InputError, match=f"obj_id of 1 or more.* but has {wrong!r}"):
            read(ours | {"obj_id": [wrong]})
    assert set(read({"prompt": ["negative"], "obj_id": [0]})) == {0}
    assert set(read(ours | {"obj_id": ["7"]})) == {7}


def test_prompts_that_cannot_be_used_are_left_out_alone_and_noted() -> None:
    image = make_image()
    points, shapes = make_layers(image)
    points.add([[10, 10], [10, 90], [20, 20], [30, 30], [40, 40]])
    features = points.features.copy()
    features.loc[2, "prompt"], features.loc[3, "obj_id"] = "maybe", 0
    points.features = features
    shapes.add_rectangles(corners(-30, 5, -10, 30))
    shapes.add_rectangles(corners(10, 20, 30, 50))
    shapes.add_ellipses(corners(10, 90, 30, 120))
    shapes.add_paths([[1, 2], [5, 9]])
    left_out: marks_io.LeftOut = set()
    (marks,) = marks_io.read_marks(points, shapes, image, FLAT, left_out).values()
    assert [(each.kind, each.vertices[0]) for each in marks] == [
        ("box", (20, 10)),
        ("path", (2, 1)),
        ("point", (10, 10)),
        ("point", (40, 40)),
    ]
    names = points.name, shapes.name
    assert left_out == {
        *((names[0], row) for row in (1, 2, 3)),
        *((names[1], row) for row in (0, 2)),
    }


def test_a_layer_without_our_features_is_left_out() -> None:
    points = Points([[10, 10], [20, 20]], name="mine", features={"obj_id": [1, 1]})
    left_out: marks_io.LeftOut = set()
    assert marks_io.read_marks(points, None, make_image(), FLAT, left_out) == {}
    assert left_out == {("mine", 0), ("mine", 1)}


def test_what_cannot_be_used_on_another_plane_does_not_matter() -> None:
    image = make_image((5, 60, 80))
    features = {"prompt": ["positive", "?"], "obj_id": [1, 1]}
    points = Points([[2, 1, 1], [3, 1, 1]], features=features)
    assert len(marks_io.read_marks(points, None, image, PlaneIndex((2, None, None)))[1]) == 1


def test_a_layer_with_other_axes_is_refused() -> None:
    points = Points([[1, 1]], features={"prompt": ["positive"], "obj_id": [1]})
    with pytest.raises(InputError, match="has 2 axes, but cells has 3"):
        marks_io.read_marks(points, None, make_image((5, 60, 80)), PlaneIndex((2, None, None)))


def test_planes_with_prompts_are_found_for_any_order_of_axes() -> None:
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((4, 7, 60, 80), np.uint8), scale=(1, 3, 0.5, 0.5))
    points, shapes = make_layers(image)
    points.add([[0, 3, 10, 20], [0, 3.4, 11, 21], [1, 2, 12, 22]])
    shapes.add_rectangles(corners(10, 20, 30, 50, 3, 6))
    # Not on one plane.
    shapes.add_rectangles([[0, 1, 1, 1], [0, 1, 1, 20], [0, 2, 20, 20], [0, 2, 20, 1]])
    drawing.set_current_object(points, 2)
    points.add([[1, 2, 13, 22]])
    found = marks_io.objects_with_prompts(
        points, shapes, image, PlaneIndex((0, 0, None, None), transposed=True)
    )
    assert found == {
        PlaneIndex((0, 3, None, None), True): {1},
        PlaneIndex((1, 2, None, None), True): {1, 2},
        PlaneIndex((3, 6, None, None), True): {1},
    }
    for plane, objects in found.items():
        assert set(marks_io.read_marks(points, shapes, image, plane)) == objects
    across = marks_io.objects_with_prompts(points, None, image, PlaneIndex((None, None, 10, 20)))
    assert set(across) == {
        PlaneIndex((None, None, y, x)) for y, x in ((10, 20), (11, 21), (12, 22), (13, 22))
    }


def test_an_object_is_removed_on_a_plane_or_everywhere() -> None:
    image = make_image((5, 60, 80))
    points, shapes = make_layers(image)
    planes = [PlaneIndex((z, None, None)) for z in (1, 2)]
    for plane in planes:
        for obj_id in (1, 2):
            write_marks(points, shapes, image, plane, obj_id, MARKS)
    points.selected_data = {0, 5, 7}
    shapes.selected_data = {0, 5, 19}
    assert layer_edits.remove_object(points, shapes, image, {2}, planes[0]) == len(MARKS)
    assert marks_io.read_marks(points, shapes, image, planes[0]) == {1: MARKS}
    assert marks_io.read_marks(points, shapes, image, planes[1]) == {1: MARKS, 2: MARKS}
    assert layer_edits.remove_object(points, shapes, image, {1}) == 2 * len(MARKS)
    assert marks_io.read_marks(points, shapes, image, planes[1]) == {2: MARKS}
    assert layer_edits.remove_object(points, shapes, image, {9}) == 0
    assert not points.selected_data
    assert not shapes.selected_data


def test_a_shape_across_planes_lies_on_none() -> None:
    image = make_image((5, 60, 80))
    points, shapes = make_layers(image)
    shapes.add_paths([[1, 2, 2], [2, 20, 20], [1, 30, 30]])
    for z in (1, 2):
        plane = PlaneIndex((z, None, None))
        assert marks_io.read_marks(points, shapes, image, plane) == {}
        assert layer_edits.remove_object(points, shapes, image, {1}, plane) == 0
    assert layer_edits.remove_object(points, shapes, image, {1}) == 1


def test_objects_get_other_numbers_and_so_does_the_next_prompt() -> None:
    image = make_image()
    points, shapes = make_layers(image)
    for obj_id in (0, 1, 2):
        write_marks(points, shapes, image, FLAT, obj_id, MARKS[5 if obj_id else 6 :])
    layer_edits.renumber(points, shapes, {1: 2, 2: 7})
    assert sorted(marks_io.read_marks(points, shapes, image, FLAT)) == [0, 2, 7]
    assert drawing.current_object(points) == drawing.current_object(shapes) == 2


def test_several_changes_are_one_event() -> None:
    image = make_image()
    points, shapes = make_layers(image)
    for layer in (points, shapes):
        seen: list[str] = []
        layer.events.data.connect(lambda event, seen=seen: seen.append(event.action.value))
        layer.events.features.connect(lambda event, seen=seen: seen.append(event.type))
        kind = MARKS[:5] if layer is shapes else MARKS[5:]
        write_marks(points, shapes, image, FLAT, 1, kind)
        assert seen == ["changed", "features"]


def test_prompts_can_be_removed_while_a_polygon_is_drawn() -> None:
    image = make_image()
    points, shapes = make_layers(image)
    shapes.mode = "add_polygon"
    draw(shapes, corners(5, 5, 40, 40), "polygon")
    shapes._is_creating, shapes._moving_value = True, (0, 4)
    layer_edits.remove_object(points, shapes, image, {1})
    assert shapes.nshapes == 0
    assert shapes.mode == "add_polygon"
    shapes.add_rectangles(corners(1, 1, 20, 20))
    assert len(marks_io.read_marks(points, shapes, image, FLAT)[1]) == 1


def test_layers_are_placed_with_one_matrix_each(monkeypatch: Any) -> None:
    image = make_image((5, 60, 80), scale=(3, 0.5, 0.5))
    points, shapes = make_layers(image)
    plane = PlaneIndex((3, None, None))
    write_marks(points, shapes, image, plane, 1, MARKS * 30)
    matrices: list[Any] = []
    real = coordinates.affine_matrix
    monkeypatch.setattr(
        coordinates, "affine_matrix", lambda layer: matrices.append(layer) or real(layer)
    )
    assert len(marks_io.read_marks(points, shapes, image, plane)[1]) == 30 * len(MARKS)
    assert len(matrices) == 4
