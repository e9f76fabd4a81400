"""Real layers, no window: what the user drew, where it is, and what is written."""

from typing import Any

import dask.array as da
import numpy as np
import pytest
import zarr
from napari.components import ViewerModel
from napari.layers import Image, Labels, Points

from napari_sam2_openvino import _coordinates, _label_parts, _layers, _planes, _targets
from napari_sam2_openvino.core.errors import InputError, JobCancelledError
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


def test_a_new_labels_layer_fits_its_image() -> None:
    for place in PLACES:
        image = make_image(**place)
        assert _targets.fit_problem(_targets.new_labels_layer(image), image) is None


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Labels(np.zeros((60, 81), int)), "has shape 60 x 81, but cells has 60 x 80"),
        (lambda: Labels(np.zeros((60, 80), int), scale=(2, 1)), "lies elsewhere"),
        (lambda: Labels(np.zeros((60, 80), int), units=("nm", "nm")), "different units"),
        (lambda: Labels(da.zeros((60, 80), dtype=int)), "dask"),
        (lambda: Labels([np.zeros((60, 80), int), np.zeros((30, 40), int)]), "multiscale"),
        (lambda: Labels(np.zeros((60, 80), int), visible=False), "is hidden"),
        (lambda: Labels(np.broadcast_to(np.zeros((1, 1), int), (60, 80))), "read-only"),
    ],
)
def test_layers_that_cannot_be_written_are_refused(make: Any, words: str) -> None:
    problem = _targets.fit_problem(make(), make_image())
    assert problem is not None
    assert words in problem
    assert problem.endswith("choose another layer or a new one.")


def zarr_array(shape: tuple[int, ...]) -> Any:
    return zarr.create_array({}, shape=shape, dtype=np.uint16, chunks=(1, 32, 32))


@pytest.mark.parametrize("make_data", [lambda shape: np.zeros(shape, np.uint16), zarr_array])
@pytest.mark.parametrize("transposed", [False, True])
def test_commit_writes_the_object_and_undo_restores_every_bit(
    make_data: Any, transposed: bool
) -> None:
    labels = Labels(make_data((3, 60, 80)))
    labels.data[1, 10:14, 20:24] = 7
    before = np.array(labels.data[:])
    mask = np.zeros((6, 9), bool)
    mask[1:, 2:] = True
    plane = PlaneIndex((1, None, None), transposed=transposed)
    origin = (18, 9) if transposed else (9, 18)
    count = _targets.commit_mask(labels, mask, 8, plane, origin=origin)
    expected = before.copy()
    shown = expected[1].T if transposed else expected[1]
    window = shown[origin[0] : origin[0] + 6, origin[1] : origin[1] + 9]
    window[mask & (window == 0)] = 8
    np.testing.assert_array_equal(labels.data[:], expected)
    assert count == (expected == 8).sum() > 0
    labels.undo()
    np.testing.assert_array_equal(labels.data[:], before)


def test_commit_leaves_what_belongs_to_an_object() -> None:
    labels = Labels(np.full((8, 8), 3, np.uint8))
    assert _targets.commit_mask(labels, np.ones((2, 2), bool), 4, FLAT) == 0
    assert (labels.data == 3).all()


def test_commit_does_not_paint_other_dimensions_of_the_label_tools() -> None:
    labels = Labels(np.zeros((3, 8, 8), np.uint16))
    _targets.commit_mask(labels, np.ones((2, 2), bool), 1, PlaneIndex((2, None, None)))
    assert labels.data.sum(axis=(1, 2)).tolist() == [0, 0, 4]


def test_ids_that_do_not_fit_are_refused_and_nothing_is_written() -> None:
    labels = Labels(np.zeros((8, 8), np.uint8))
    with pytest.raises(InputError, match="from 1 to 255"):
        _targets.commit_mask(labels, np.ones((2, 2), bool), 256, FLAT)
    assert not labels.data.any()


@pytest.mark.parametrize("dtype", [np.int32, np.uint16])
def test_nothing_is_written_to_a_hidden_layer_until_it_is_shown(dtype: Any) -> None:
    labels = Labels(np.zeros((3, 60, 80), dtype), visible=False)
    mask, plane = np.ones((4, 4), bool), PlaneIndex((1, None, None))
    with pytest.raises(InputError, match="is hidden"):
        _targets.commit_mask(labels, mask, 300, plane, origin=(9, 18))
    assert not labels.data.any()
    labels.visible = True
    assert _targets.commit_mask(labels, mask, 300, plane, origin=(9, 18)) == 16
    labels.undo()
    assert not labels.data.any()


def test_the_largest_label_is_found_plane_by_plane() -> None:
    data = zarr_array((3, 60, 80))
    assert _targets.largest_label(data) == 0
    data[2, 5, 5] = 41
    assert _targets.largest_label(data) == 41


def test_the_search_for_the_largest_label_ends_when_told_to(monkeypatch: Any) -> None:
    monkeypatch.setattr(_label_parts, "PART_PIXELS", 100)
    data = np.zeros((40, 50), np.uint16)
    data[33, 7] = 41
    assert _targets.largest_label(data) == 41
    answers = iter([False, False, True])
    with pytest.raises(JobCancelledError):
        _targets.largest_label(data, lambda: next(answers))


def test_labels_whose_file_is_gone_are_one_sentence() -> None:
    class Gone:
        shape, ndim = (8, 8), 2

        def __getitem__(self, _index: Any) -> Any:
            raise OSError("no such file")

    with pytest.raises(InputError, match=r"cannot be read \(no such file\)"):
        _targets.largest_label(Gone())


def test_only_what_is_in_memory_is_looked_at_before_a_write() -> None:
    plane = PlaneIndex((1, None, None))
    for data, expected in ((np.zeros((3, 8, 8), int), 7), (zarr_array((3, 8, 8)), 0)):
        data[1, 2, 3], data[0, 0, 0] = 7, 9
        assert _targets.largest_in_memory(Labels(data), plane) == expected
