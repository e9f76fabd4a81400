"""Prompts as values, and back into real layers."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from napari.layers import Image, Points, Shapes
from tests.layers.places import write_marks

from napari_sam2_openvino._layers import drawing, layer_edits, snapshots
from napari_sam2_openvino._session.history import PromptHistory
from napari_sam2_openvino.core.marks import Mark
from napari_sam2_openvino.core.types import PlaneIndex

PLANE = PlaneIndex((1, None, None))
SQUARE = [[1, y, x] for y, x in ((2, 3), (2, 30), (25, 30), (25, 3))]


@pytest.fixture
def image() -> Image:
    return Image(np.zeros((3, 60, 80), np.uint16), name="cells", scale=(2, 0.5, 0.5))


@pytest.fixture
def layers(image: Image) -> tuple[Points, Shapes]:
    return drawing.new_points_layer(image), drawing.new_shapes_layer(image)


def whole(layer: Points | Shapes) -> Any:
    """Return everything of a layer that a snapshot promises to bring back."""
    return (
        [each.tobytes() + str((each.dtype, each.shape)).encode() for each in layer.data],
        list(layer.shape_type) if isinstance(layer, Shapes) else None,
        layer.features.to_dict("list"),
        layer.features.dtypes.to_dict(),
        layer.feature_defaults.to_dict("list"),
    )


def random_edit(rng: np.random.Generator, image: Image, points: Points, shapes: Shapes) -> None:
    what = rng.integers(9)
    y, x = rng.uniform(1, 50, 2)
    if what == 0:
        drawing.set_current_object(points, int(rng.integers(1, 5)))
        drawing.set_current_object(shapes, int(rng.integers(1, 5)))
    elif what == 1:
        drawing.set_polarity(points, str(rng.choice(["positive", "negative"])))
    elif what in (2, 3):
        points.add((rng.integers(3), y, x))
    elif what == 4:
        corners = np.array(SQUARE, float) * rng.uniform(0.5, 1, 3)
        shapes.add(corners, shape_type=str(rng.choice(["rectangle", "ellipse", "path", "polygon"])))
    elif what == 5 and len(points.data):
        points.selected_data = {int(rng.integers(len(points.data)))}
        points.remove_selected()
    elif what == 6 and shapes.nshapes:
        shapes.selected_data = {int(rng.integers(shapes.nshapes))}
        shapes.remove_selected()
    elif what == 7 and len(points.data):
        moved = points.data.copy()
        moved[0, 1:] = y, x
        points.data = moved
        points.selected_data = {0}
    else:
        layer_edits.remove_object(points, shapes, image, {int(rng.integers(1, 5))})


def test_undo_of_everything_returns_to_the_start_and_redo_to_the_end(
    image: Image, layers: tuple[Points, Shapes]
) -> None:
    rng = np.random.default_rng(0)
    points, shapes = layers
    write_marks(points, shapes, image, PLANE, 3, [Mark("point", ((5.0, 6.0),))])
    history: PromptHistory[snapshots.PromptSnapshot] = PromptHistory()
    history.record(snapshots.snapshot(points, shapes))
    seen = [(whole(points), whole(shapes))]
    for _ in range(100):
        random_edit(rng, image, points, shapes)
        if history.record(snapshots.snapshot(points, shapes)):
            seen.append((whole(points), whole(shapes)))
    assert len(seen) > 50
    for expected in seen[-2::-1]:
        state = history.undo()
        assert state is not None
        snapshots.restore(points, shapes, state)
        assert (whole(points), whole(shapes)) == expected
    assert history.undo() is None
    for expected in seen[1:]:
        state = history.redo()
        assert state is not None
        snapshots.restore(points, shapes, state)
        assert (whole(points), whole(shapes)) == expected


def test_what_the_next_prompt_would_be_is_no_edit(layers: tuple[Points, Shapes]) -> None:
    points, shapes = layers
    before = snapshots.snapshot(points, shapes)
    drawing.set_polarity(points, drawing.NEGATIVE)
    drawing.set_current_object(shapes, 7)
    assert snapshots.snapshot(points, shapes) == before
    points.add((1, 2, 3))
    assert snapshots.snapshot(points, shapes) != before


@pytest.mark.parametrize("change", ["move", "polarity", "object", "kind"])
def test_every_change_of_a_prompt_is_one(layers: tuple[Points, Shapes], change: str) -> None:
    points, shapes = layers
    points.add((1, 2, 3))
    shapes.add_rectangles(SQUARE)
    before = snapshots.snapshot(points, shapes)
    if change == "move":
        points.data = points.data + np.array([0, 0.25, 0])
    elif change == "kind":
        shapes.shape_type = "ellipse"
    else:
        name, value = ("prompt", "negative") if change == "polarity" else ("obj_id", 4)
        points.features = points.features.assign(**{name: [value]})
    assert snapshots.snapshot(points, shapes) != before


def test_a_snapshot_is_a_copy(layers: tuple[Points, Shapes]) -> None:
    points, shapes = layers
    points.add((1, 2, 3))
    shapes.add_rectangles(SQUARE)
    taken = snapshots.snapshot(points, shapes)
    points.data[0, 1] = 40
    shapes.data[0][:] = 9
    points.features.loc[0, "prompt"] = "negative"
    assert taken.points is not None
    assert taken.shapes is not None
    assert taken.points.data[0].tolist() == [1, 2, 3]
    assert taken.shapes.data[0].tolist() == SQUARE
    assert taken.points.features["prompt"].tolist() == ["positive"]


def test_each_layer_tells_once_that_it_changed(layers: tuple[Points, Shapes]) -> None:
    points, shapes = layers
    empty = snapshots.snapshot(points, shapes)
    points.add([[1, 2, 3], [1, 5, 6]])
    shapes.add_rectangles(SQUARE)
    full = snapshots.snapshot(points, shapes)
    for layer in layers:
        seen: list[str] = []
        layer.events.data.connect(lambda event, seen=seen: seen.append(event.action.value))
        layer.events.features.connect(lambda event, seen=seen: seen.append(event.type))
        for state in (empty, full):
            snapshots.restore(points, shapes, state)
            assert seen == ["changed", "features"]
            seen.clear()


def test_a_layer_that_needs_no_change_is_left_alone(layers: tuple[Points, Shapes]) -> None:
    points, shapes = layers
    points.add((1, 2, 3))
    shapes.add_rectangles(SQUARE)
    before = snapshots.snapshot(points, shapes)
    points.add((1, 7, 7))
    seen: list[Any] = []
    shapes.events.data.connect(seen.append)
    snapshots.restore(points, shapes, before)
    assert len(points.data) == 1
    assert not seen


def test_nothing_that_is_gone_stays_selected(layers: tuple[Points, Shapes]) -> None:
    points, shapes = layers
    before = snapshots.snapshot(points, shapes)
    points.add([[1, 2, 3], [1, 5, 6]])
    shapes.add_rectangles(SQUARE)
    points.selected_data = {0, 1}
    shapes.selected_data = {0}
    snapshots.restore(points, shapes, before)
    assert not points.selected_data
    assert not shapes.selected_data
    points.add((1, 7, 7))
    points.remove_selected()
    assert len(points.data) == 0


def test_layers_that_came_later_are_emptied_and_others_left_out(
    layers: tuple[Points, Shapes],
) -> None:
    points, shapes = layers
    before = snapshots.snapshot(None, shapes)
    assert (before.has_points, before.has_shapes) == (False, False)
    points.add((1, 2, 3))
    shapes.add_rectangles(SQUARE)
    after = snapshots.snapshot(points, shapes)
    assert (after.has_points, after.has_shapes) == (True, True)
    snapshots.restore(points, shapes, before)
    assert len(points.data) == shapes.nshapes == 0
    snapshots.restore(None, shapes, after)
    assert shapes.nshapes == 1


def test_prompts_look_as_before(layers: tuple[Points, Shapes]) -> None:
    points, shapes = layers
    for obj_id, polarity in ((1, "positive"), (2, "negative"), (0, "negative")):
        for layer in layers:
            drawing.set_current_object(layer, obj_id)
            drawing.set_polarity(layer, polarity)
        points.add((1, 10, obj_id))
        shapes.add_paths([[1, 2, 3], [1, 20, 30]])
    for layer in layers:
        drawing.set_current_object(layer, 2)
    drawing.show_prompts(points, shapes, 2)
    look = [str(each) for each in points.symbol], points.face_color, shapes.edge_color
    state = snapshots.snapshot(points, shapes)
    layer_edits.remove_object(points, shapes, Image(np.zeros((3, 60, 80))), {0, 1, 2})
    snapshots.restore(points, shapes, state)
    assert [str(each) for each in points.symbol] == look[0]
    np.testing.assert_allclose(points.face_color, look[1])
    np.testing.assert_allclose(shapes.edge_color, look[2])


def test_a_polygon_that_is_being_drawn_is_left_out(layers: tuple[Points, Shapes]) -> None:
    points, shapes = layers
    shapes.add_rectangles(SQUARE)
    before = snapshots.snapshot(points, shapes)
    shapes.mode = "add_polygon"
    shapes.add(np.array(SQUARE, float), shape_type="path", gui=True)
    shapes._is_creating, shapes._moving_value = True, (1, 4)
    assert snapshots.snapshot(points, shapes) == before
    snapshots.restore(points, shapes, before)
    assert shapes.nshapes == 1
    assert not drawing.is_drawing(shapes)


def test_columns_that_the_user_adds_and_removes_do_no_harm(layers: tuple[Points, Shapes]) -> None:
    points, shapes = layers
    points.add((1, 2, 3))
    before = snapshots.snapshot(points, shapes)
    points.features = points.features.assign(note=["mine"])
    with_note = snapshots.snapshot(points, shapes)
    assert with_note != before
    for state, columns in ((before, 2), (with_note, 3)):
        snapshots.restore(points, shapes, state)
        assert points.features.shape == (1, columns)
    points.features = pd.DataFrame(index=range(1))
    snapshots.restore(points, shapes, before)
    assert list(points.features) == ["prompt", "obj_id"]


def test_thousands_of_points_are_kept_in_one_piece(image: Image) -> None:
    points = drawing.new_points_layer(image)
    points.add(np.random.default_rng(0).uniform(0, 60, (1000, 3)))
    first = snapshots.snapshot(points, None)
    points.add([1, 2, 3])
    second = snapshots.snapshot(points, None)
    assert first.points is not None
    assert second.points is not None
    assert isinstance(first.points.data, np.ndarray)
    assert first.points.same_until(second.points) == 1000
    assert first != second


def test_prompts_of_objects_with_other_ids_are_otherwise_the_same(
    layers: tuple[Points, Shapes],
) -> None:
    points, shapes = layers
    points.add([[1, 5, 5], [1, 6, 6]])
    points.features = points.features.assign(obj_id=[1, 2])
    shapes.add_rectangles(SQUARE)
    taken = snapshots.snapshot(points, shapes)
    moved = taken.renumbered({1: 2, 2: 3})
    assert moved != taken == moved.renumbered({2: 1, 3: 2})
    snapshots.restore(points, shapes, moved)
    assert points.features["obj_id"].tolist() == [2, 3]
    assert shapes.features["obj_id"].tolist() == [2]
    assert points.features["obj_id"].dtype == np.int64
