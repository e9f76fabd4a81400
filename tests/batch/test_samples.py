"""A few planes of images, as the network sees them."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_sam2_openvino.batch.images import stack_image
from napari_sam2_openvino.batch.samples import LabelledStack, sample_planes


def numbered(n_planes, shape=(30, 40)):
    """Make a stack whose planes are as bright as their number."""
    return np.arange(n_planes, dtype=np.uint8)[:, None, None] * np.ones((1, *shape), np.uint8)


def numbers_of(stacks, most, image_size=512):
    return [int(plane.rgb.max()) for plane in sample_planes(stacks, most, image_size)]


def of(*arrays):
    return [LabelledStack(stack_image(array, "ZYX")) for array in arrays]


@pytest.mark.parametrize(
    ("counts", "most", "expected"),
    [
        ((10,), 4, [0, 3, 6, 9]),
        ((3,), 8, [0, 1, 2]),
        ((10,), 1, [0]),
        # What short ones leave goes to the longer one, whatever their order.
        ((9, 1, 2), 6, [0, 4, 8, 0, 0, 1]),
        ((1,) * 5, 2, [0, 0]),
    ],
)
def test_planes_are_at_even_steps_and_as_many_of_each(counts, most, expected):
    assert numbers_of(of(*(numbered(count) for count in counts)), most) == expected


def test_of_large_planes_the_middle_is_read_with_its_labels():
    image = np.zeros((1, 100, 30), np.uint8)
    image[:, 30:70] = 200
    (plane,) = sample_planes([LabelledStack(stack_image(image, "ZYX"), image)], 1, 20)
    assert plane.rgb.shape == (40, 30, 3)
    assert (plane.rgb == 200).all()
    np.testing.assert_array_equal(plane.labels, image[0, 30:70])


def test_files_are_read_as_the_engine_reads_them(tmp_path: Path):
    path = tmp_path / "células.tif"
    tifffile.imwrite(path, numbered(5).astype(np.uint16), metadata={"axes": "ZYX"})
    planes = list(sample_planes([LabelledStack(stack_image(path))], 2, 512))
    assert [plane.rgb.dtype for plane in planes] == [np.uint8, np.uint8]
    assert planes[0].rgb.shape == (30, 40, 3)


def test_colours_stay_and_of_many_channels_the_first_is_read():
    rgb = np.zeros((20, 24, 3), np.uint8)
    rgb[..., 1] = 90
    (plane,) = sample_planes([LabelledStack(stack_image(rgb, "YXS"))], 4, 512)
    np.testing.assert_array_equal(plane.rgb, rgb)
    channels = numbered(5)
    channels[0] = 77
    (plane,) = sample_planes([LabelledStack(stack_image(channels, "CYX"))], 4, 512)
    assert (plane.rgb == 77).all()
