"""Planes of real images, no window: which one is in view, and its pixels."""

from typing import Any

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from napari_sam2_openvino import _planes
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.types import PlaneIndex

FLAT = PlaneIndex((None, None))


def stack_viewer(order: tuple[int, ...], z: int = 3) -> tuple[ViewerModel, Image]:
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((7, 60, 80), np.uint16), name="stack", scale=(3, 0.5, 0.5))
    viewer.dims.order = order
    viewer.dims.set_point(0, z * 3)
    return viewer, image


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (2, 0, 1), (2, 1, 0)])
def test_pixels_are_those_that_napari_shows(order: tuple[int, ...]) -> None:
    viewer = ViewerModel()
    data = np.arange(5 * 6 * 7, dtype=np.uint16).reshape(5, 6, 7)
    image = viewer.add_image(data, scale=(3, 1, 0.5))
    viewer.dims.order = order
    viewer.dims.set_point(order[0], image.data_to_world((2, 2, 2))[order[0]])
    plane = _planes.plane_in_view(viewer, image)
    shown = np.asarray(image._slice.image.view)
    np.testing.assert_array_equal(_planes.read_plane(_planes.image_data(image), plane), shown)


def test_one_plane_of_a_lazy_image_is_read() -> None:
    read: list[Any] = []

    def block(block_info: Any = None) -> Any:
        read.append(block_info[None]["chunk-location"][0])
        return np.full((1, 8, 8), block_info[None]["chunk-location"][0], np.uint8)

    data = da.map_blocks(block, chunks=((1,) * 9, 8, 8), dtype=np.uint8, meta=np.zeros((0, 0, 0)))
    pixels = _planes.read_plane(data, PlaneIndex((4, None, None)))
    assert pixels.shape == (8, 8)
    assert read == [4]


def test_rgb_and_multiscale_images_are_read_at_full_resolution() -> None:
    rgb = Image(np.zeros((5, 30, 40, 3), np.uint8), rgb=True)
    plane = PlaneIndex((2, None, None))
    assert _planes.image_shape(rgb) == (5, 30, 40)
    assert _planes.read_plane(rgb.data, plane).shape == (30, 40, 3)
    assert _planes.read_plane(rgb.data, PlaneIndex((2, None, None), True)).shape == (40, 30, 3)
    levels = [np.zeros((64, 48)), np.zeros((32, 24))]
    multiscale = Image(levels, multiscale=True)
    assert _planes.image_shape(multiscale) == (64, 48)
    assert _planes.read_plane(_planes.image_data(multiscale), FLAT).shape == (64, 48)


def test_views_without_a_plane_of_the_image_are_refused() -> None:
    viewer, image = stack_viewer((0, 1, 2))
    viewer.add_points([[60, 1, 1]])
    viewer.dims.set_point(0, 60)
    with pytest.raises(InputError, match="has no plane here"):
        _planes.plane_in_view(viewer, image)
    viewer.dims.ndisplay = 3
    with pytest.raises(InputError, match="from 3D to 2D"):
        _planes.plane_in_view(viewer, image)


def test_a_plane_at_an_angle_is_refused() -> None:
    viewer, image = stack_viewer((0, 1, 2))
    image.rotate = (0, 30, 0)
    with pytest.raises(InputError, match="at an angle"):
        _planes.plane_in_view(viewer, image)


def test_an_axis_that_the_image_lacks_is_refused() -> None:
    viewer, _ = stack_viewer((1, 0, 2))
    flat = viewer.add_image(np.zeros((60, 80)), name="flat")
    with pytest.raises(InputError, match="an axis that flat does not have"):
        _planes.plane_in_view(viewer, flat)


def test_other_units_are_refused() -> None:
    viewer = ViewerModel()
    viewer.add_image(np.zeros((8, 8)), name="a", units=("nm", "nm"))
    image = viewer.add_image(np.zeros((8, 8)), name="b", units=("um", "um"))
    images = [each for each in (image, viewer.layers["a"]) if each.units != viewer.layers.units]
    assert images
    with pytest.raises(InputError, match="same units"):
        _planes.plane_in_view(viewer, images[0])
