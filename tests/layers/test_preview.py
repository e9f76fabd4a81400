"""Outlines in real layers, without a window."""

from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_sam2_openvino._layers import outlines as outlines_module
from napari_sam2_openvino._layers.coordinates import plane_hw
from napari_sam2_openvino._layers.outlines import Outline, draw_outlines
from napari_sam2_openvino._layers.preview import is_preview, new_preview_layer, show_drawing
from napari_sam2_openvino.core.plane_box import Box
from napari_sam2_openvino.core.types import PlaneIndex

FLAT = PlaneIndex((None, None))


def make_image(shape: tuple[int, ...] = (600, 800), **place: Any) -> Image:
    return Image(np.zeros(shape, np.uint8), name="cells", **place)


def square(side: int) -> np.ndarray:
    outline = np.ones((side, side), np.uint8)
    outline[2:-2, 2:-2] = 0
    return outline


def outline_of(kind: Any, pixels: np.ndarray, origin: tuple[int, int]) -> Outline:
    rows, columns = np.nonzero(pixels)
    place = np.array([rows + origin[0], columns + origin[1]], np.int32)
    ends = origin[0] + pixels.shape[0], origin[1] + pixels.shape[1]
    return Outline(kind, place, Box(*origin, *ends))


def show_outlines(
    preview: Labels, image: Image, plane: PlaneIndex, parts: list[tuple[Any, Any, Any]]
) -> None:
    outlines = [outline_of(*each) for each in parts]
    show_drawing(preview, image, plane, draw_outlines(outlines, plane_hw(image, plane)))


def shown(preview: Any, image: Image) -> np.ndarray:
    """Return the colours of the preview on the pixels of the image."""
    colors = np.zeros((*image.data.shape, 4))
    for index in np.argwhere(preview.data):
        place = np.round(image.world_to_data(preview.data_to_world(index))).astype(int)
        colors[tuple(place)] = preview.colormap.map(preview.data[tuple(index)])
    return colors


def test_each_kind_has_a_colour_and_dashes_of_its_own() -> None:
    image = make_image((60, 80), scale=(2, 0.5), translate=(3, 4))
    preview = new_preview_layer(image)
    outline = square(20)
    colors, parts = {}, {}
    for kind in ("current", "other", "hover"):
        show_outlines(preview, image, FLAT, [(kind, outline, (10, 30))])
        pixels = shown(preview, image)
        drawn = pixels[..., 3] > 0
        whole = np.zeros((60, 80), bool)
        whole[10:30, 30:50] = outline
        assert (drawn <= whole).all()
        parts[kind] = drawn.sum() / whole.sum()
        (colors[kind],) = {tuple(color) for color in pixels[drawn].tolist()}
    assert len(set(colors.values())) == 3
    assert parts["current"] == 1
    assert 0.55 < parts["other"] < 0.8
    assert 0.35 < parts["hover"] < 0.6


def test_the_current_object_lies_on_top_whatever_the_order() -> None:
    image = make_image((60, 80))
    preview = new_preview_layer(image)
    outline = square(20)
    both = [("current", outline, (10, 30)), ("other", outline, (10, 30))]
    seen = []
    for outlines in (both, both[::-1], both[:1]):
        show_outlines(preview, image, FLAT, outlines)
        seen.append(shown(preview, image))
    np.testing.assert_array_equal(seen[0], seen[1])
    np.testing.assert_array_equal(seen[0], seen[2])


def test_objects_that_touch_do_not_hide_each_other() -> None:
    image = make_image((60, 80))
    preview = new_preview_layer(image)
    ring = square(20)
    # The box of the second covers a part of the first, but is empty there.
    show_outlines(preview, image, FLAT, [("current", ring, (5, 5)), ("current", ring, (15, 15))])
    drawn = shown(preview, image)[..., 3] > 0
    expected = np.zeros((60, 80), bool)
    expected[5:25, 5:25] |= ring > 0
    expected[15:35, 15:35] |= ring > 0
    np.testing.assert_array_equal(drawn, expected)


def test_what_is_added_to_a_drawing_gives_the_same_as_all_at_once() -> None:
    rng = np.random.default_rng(0)
    kinds = ("current", "other", "hover")
    all_of_them = [
        outline_of(kinds[number % 3], rng.random((30, 40)) < 0.5, tuple(rng.integers(0, 60, 2)))
        for number in range(9)
    ]
    expected = draw_outlines(all_of_them, (100, 100))
    drawing = draw_outlines(all_of_them[:4], (100, 100))
    for n_drawn in (7, 9, 9):
        drawing = draw_outlines(all_of_them[:n_drawn], (100, 100), drawing)
    assert drawing.origin == expected.origin
    np.testing.assert_array_equal(drawing.pixels, expected.pixels)
    # What has gone, or is of another kind, is not seen any more.
    fewer = [outline_of("other", np.ones((3, 3)), (90, 90)), *all_of_them[2:]]
    drawing = draw_outlines(fewer, (100, 100), drawing)
    np.testing.assert_array_equal(drawing.pixels, draw_outlines(fewer, (100, 100)).pixels)


def test_a_drawing_is_not_changed_by_what_is_added() -> None:
    first = outline_of("other", square(20), (5, 5))
    drawing = draw_outlines([first], (100, 100))
    before = drawing.pixels.copy()
    draw_outlines([first, outline_of("current", square(10), (8, 8))], (100, 100), drawing)
    np.testing.assert_array_equal(drawing.pixels, before)


def test_objects_far_apart_are_drawn_coarser_in_the_right_place(monkeypatch: Any) -> None:
    monkeypatch.setattr(outlines_module, "MOST_PIXELS", 100)
    image = make_image(scale=(2, 0.5), translate=(3, 4))
    preview = new_preview_layer(image)
    first, last = np.ones((3, 3), np.uint8), np.ones((9, 9), np.uint8)
    show_outlines(preview, image, FLAT, [("current", first, (0, 0)), ("current", last, (590, 780))])
    assert max(preview.data.shape) <= 100
    drawn = np.argwhere(preview.data)
    places = image.world_to_data(preview.data_to_world(drawn[-1]))
    # Of 8 pixels each, to half of which it is exact.
    np.testing.assert_allclose(places, (598, 788), atol=8)
    places = image.world_to_data(preview.data_to_world(drawn[0]))
    np.testing.assert_allclose(places, (3.5, 3.5))


def test_dashes_stay_where_they_are_while_an_object_grows() -> None:
    image = make_image((60, 80))
    preview = new_preview_layer(image)
    top = np.zeros((20, 30), np.uint8)
    top[-1] = 1
    show_outlines(preview, image, FLAT, [("other", top, (10, 10))])
    before = shown(preview, image)[29]
    show_outlines(preview, image, FLAT, [("other", top[7:, 5:], (17, 15))])
    after = shown(preview, image)[29]
    np.testing.assert_array_equal(before[15:40], after[15:40])


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2)])
def test_outlines_lie_on_the_plane_in_view(order: tuple[int, ...]) -> None:
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((7, 60, 80), np.uint8), scale=(3, 0.5, 0.5))
    viewer.dims.order = order
    hidden = order[0]
    index: list[int | None] = [None] * 3
    index[hidden] = 2
    plane = PlaneIndex(tuple(index), transposed=order[1] > order[2])
    preview = new_preview_layer(image)
    outlines = [("current", np.ones((1, 1), np.uint8), (2, 1)), ("other", square(4), (0, 3))]
    show_outlines(preview, image, plane, outlines)
    (at,) = np.argwhere(preview.data == preview.data.max())
    row, column = plane.displayed
    expected = [value or 0 for value in plane.index]
    expected[row], expected[column] = 2, 1
    np.testing.assert_allclose(preview.data_to_world(at), image.data_to_world(expected))


def test_nothing_is_shown_without_outlines() -> None:
    image = make_image((60, 80))
    preview = new_preview_layer(image)
    show_outlines(preview, image, FLAT, [("current", square(20), (10, 30))])
    assert preview.data.any()
    show_outlines(preview, image, FLAT, [("current", np.zeros((0, 0)), (0, 0))])
    assert not preview.data.any()
    assert is_preview(preview)
    assert not is_preview(image)
