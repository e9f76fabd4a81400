"""Planes of real images, no window: which one is in view, and its pixels."""

from typing import Any

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from napari_sam2_openvino._layers import planes
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.normalize import ChannelView, Stretch, to_rgb
from napari_sam2_openvino.core.parameters import Normalization
from napari_sam2_openvino.core.regions import Region
from napari_sam2_openvino.core.types import PlaneIndex

RNG = np.random.default_rng(0)
AS_DISPLAYED = ChannelView(Normalization("as displayed"))
FLAT = PlaneIndex((None, None))


def stack_viewer(order: tuple[int, ...], z: int = 3) -> tuple[ViewerModel, Image]:
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((7, 60, 80), np.uint16), name="stack", scale=(3, 0.5, 0.5))
    viewer.dims.order = order
    viewer.dims.set_point(0, z * 3)
    return viewer, image


def test_one_plane_of_a_lazy_image_is_read() -> None:
    read: list[Any] = []

    def block(block_info: Any = None) -> Any:
        read.append(block_info[None]["chunk-location"][0])
        return np.full((1, 8, 8), block_info[None]["chunk-location"][0], np.uint8)

    data = da.map_blocks(block, chunks=((1,) * 9, 8, 8), dtype=np.uint8, meta=np.zeros((0, 0, 0)))
    image = Image(data, contrast_limits=(0, 9), visible=False)
    read.clear()
    assert (see([image], PlaneIndex((4, None, None))) == 4).all()
    assert read == [4]


def test_shapes_are_those_of_full_resolution_without_colours() -> None:
    pixels = RNG.integers(0, 255, (5, 30, 40, 4)).astype(np.uint8)
    rgb = Image(pixels, rgb=True)
    assert planes.image_shape(rgb) == (5, 30, 40)
    np.testing.assert_array_equal(see([rgb], PlaneIndex((2, None, None))), pixels[2, ..., :3])
    levels = [np.zeros((64, 48)), np.zeros((32, 24))]
    multiscale = Image(levels, multiscale=True)
    assert planes.image_shape(multiscale) == (64, 48)
    assert planes.image_data(multiscale).shape == (64, 48)


def test_views_without_a_plane_of_the_image_are_refused() -> None:
    viewer, image = stack_viewer((0, 1, 2))
    viewer.add_points([[60, 1, 1]])
    viewer.dims.set_point(0, 60)
    with pytest.raises(InputError, match="has no plane here"):
        planes.plane_in_view(viewer, image)
    viewer.dims.ndisplay = 3
    with pytest.raises(InputError, match="from 3D to 2D"):
        planes.plane_in_view(viewer, image)


def test_a_plane_at_an_angle_is_refused() -> None:
    viewer, image = stack_viewer((0, 1, 2))
    image.rotate = (0, 30, 0)
    with pytest.raises(InputError, match="at an angle"):
        planes.plane_in_view(viewer, image)


def test_an_axis_that_the_image_lacks_is_refused() -> None:
    viewer, _ = stack_viewer((1, 0, 2))
    flat = viewer.add_image(np.zeros((60, 80)), name="flat")
    with pytest.raises(InputError, match="an axis that flat does not have"):
        planes.plane_in_view(viewer, flat)


def test_other_units_are_refused() -> None:
    viewer = ViewerModel()
    viewer.add_image(np.zeros((8, 8)), name="a", units=("nm", "nm"))
    image = viewer.add_image(np.zeros((8, 8)), name="b", units=("um", "um"))
    images = [each for each in (image, viewer.layers["a"]) if each.units != viewer.layers.units]
    assert images
    with pytest.raises(InputError, match="same units"):
        planes.plane_in_view(viewer, images[0])


def see(images: list[Image], plane: PlaneIndex, view: ChannelView | None = None) -> Any:
    source = planes.plane_source(images, plane, view)
    return source.load(Region.whole(source.hw))


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (2, 0, 1), (2, 1, 0)])
def test_the_network_sees_the_plane_that_napari_shows(order: tuple[int, ...]) -> None:
    viewer = ViewerModel()
    data = RNG.integers(0, 60_000, (5, 6, 7)).astype(np.uint16)
    image = viewer.add_image(data, scale=(3, 1, 0.5))
    viewer.dims.order = order
    viewer.dims.set_point(order[0], image.data_to_world((2, 2, 2))[order[0]])
    plane = planes.plane_in_view(viewer, image)
    np.testing.assert_array_equal(see([image], plane), to_rgb(image._slice.image.view))


@pytest.mark.parametrize("gamma", [1.0, 0.4, 1.8])
def test_as_displayed_is_as_bright_as_napari_shows_it(gamma: float) -> None:
    # napari's thumbnail is its own picture of a layer; of 32 x 32 pixels it is exact.
    data = RNG.integers(0, 5000, (32, 32)).astype(np.uint16)
    image = Image(data, contrast_limits=(700, 4100), gamma=gamma)
    view = planes.with_shown_limits(AS_DISPLAYED, [image])
    assert view.displayed == (Stretch(700, 4100, gamma),)
    shown = image.thumbnail[..., :3].astype(int)
    np.testing.assert_allclose(see([image], FLAT, view), shown, atol=1)


def test_a_new_contrast_is_noticed_and_changes_nothing_by_itself() -> None:
    images = [Image(RNG.random((8, 8)), contrast_limits=(0, 1)) for _ in range(2)]
    view = planes.with_shown_limits(AS_DISPLAYED, images)
    assert not planes.has_new_contrast(view, images)
    before = see(images, FLAT, view)
    key = planes.plane_source(images, FLAT, view).key
    images[1].contrast_limits = (0.2, 0.5)
    assert planes.has_new_contrast(view, images)
    assert not planes.has_new_contrast(ChannelView(), images)
    np.testing.assert_array_equal(see(images, FLAT, view), before)
    assert planes.plane_source(images, FLAT, view).key == key
    newer = planes.with_shown_limits(view, images)
    assert not planes.has_new_contrast(newer, images)
    assert (see(images, FLAT, newer) != before).any()
    images[1].gamma = 0.5
    assert planes.has_new_contrast(newer, images)


def test_channels_along_an_axis_are_as_bright_as_their_layer() -> None:
    image = Image(RNG.random((3, 8, 8)), contrast_limits=(0.1, 0.7))
    along = ChannelView(AS_DISPLAYED.normalization, axis=0, indices=(2, 1))
    view = planes.with_shown_limits(along, [image])
    assert view.displayed == (Stretch(0.1, 0.7),) * 2
    assert see([image], PlaneIndex((0, None, None)), view).shape == (8, 8, 3)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"scale": (2, 2)}, "lies elsewhere"),
        ({"translate": (0, 1)}, "lies elsewhere"),
        ({"units": ("nm", "nm")}, "different units"),
    ],
)
def test_layers_that_do_not_lie_on_each_other_are_no_channels(
    more: dict[str, Any], words: str
) -> None:
    first, other = Image(np.zeros((8, 8))), Image(np.zeros((8, 8)), **more)
    with pytest.raises(InputError, match=words):
        planes.plane_source([first, other], FLAT)


def test_channels_have_one_shape_and_are_grey() -> None:
    first = Image(np.zeros((8, 8)), name="first")
    with pytest.raises(InputError, match="3 axes, but first has 2"):
        planes.plane_source([first, Image(np.zeros((2, 8, 8)))], FLAT)
    with pytest.raises(InputError, match="8 x 9, but first has 8 x 8"):
        planes.plane_source([first, Image(np.zeros((8, 9)))], FLAT)
    with pytest.raises(InputError, match="photo is an RGB image already"):
        planes.plane_source([first, Image(np.zeros((8, 8, 3)), rgb=True, name="photo")], FLAT)


def test_pixels_that_changed_have_another_key() -> None:
    first, other = Image(np.zeros((8, 8))), Image(np.zeros((8, 8)))
    keys = {
        planes.plane_source([first], FLAT).key,
        planes.plane_source([other], FLAT).key,
        planes.plane_source([first], FLAT, versions=[1]).key,
        planes.plane_source([first, other], FLAT, versions=[0, 0]).key,
        planes.plane_source([first, other], FLAT, versions=[0, 1]).key,
    }
    assert len(keys) == 5
    first.name = "renamed"
    assert planes.plane_source([first], FLAT).key in keys


def test_a_multiscale_image_is_read_from_the_level_that_fits() -> None:
    levels = [np.zeros((640, 480), np.uint8), np.full((320, 240), 9, np.uint8)]
    image = Image(levels, multiscale=True, contrast_limits=(0, 255))
    source = planes.plane_source([image], FLAT)
    assert source.hw == (640, 480)
    assert not source.load(Region(0, 0, 64, 64)).any()
    coarse = source.load(Region(0, 0, 640, 480, 2))
    assert coarse.shape == (320, 240, 3)
    assert (coarse == 9).all()


@pytest.mark.parametrize("z", [0, 4, 6])
def test_a_stack_is_gone_through_outwards(z: int) -> None:
    viewer, image = stack_viewer((0, 1, 2), z)
    plane = planes.plane_in_view(viewer, image)
    found = [other.index[0] for other in planes.stack_planes(image, plane)]
    expected = {0: [1, 2, 3, 4, 5, 6], 4: [5, 3, 6, 2, 1, 0], 6: [5, 4, 3, 2, 1, 0]}
    assert found == expected[z]
    assert planes.stack_planes(image, plane, limit=2) == [
        PlaneIndex((place, None, None)) for place in found[:2]
    ]


def test_the_axis_that_was_moved_along_comes_first() -> None:
    image = Image(np.zeros((3, 2, 4, 8, 8), np.uint8))
    plane = PlaneIndex((1, 0, 2, None, None), transposed=True)
    found = planes.stack_planes(image, plane, 2, channel_axis=1)
    assert [each.index[2] for each in found[:3]] == [3, 1, 0]
    assert {each.index[:2] for each in found[:3]} == {(1, 0)}
    assert [each.index[0] for each in found[3:]] == [2] * 4 + [0] * 4
    assert len(set(found)) == len(found) == 11
    assert all(each.transposed for each in found)
    by_time = planes.stack_planes(image, plane, 0, channel_axis=1)
    assert [each.index for each in by_time[:2]] == [(2, 0, 2, None, None), (0, 0, 2, None, None)]
    assert len(planes.stack_planes(image, plane)) == 23
    assert planes.stack_planes(Image(np.zeros((8, 8))), FLAT) == []
