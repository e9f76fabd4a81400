import numpy as np
import pytest

from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.normalize import to_rgb

RNG = np.random.default_rng(0)


def test_uint8_rgb_is_unchanged():
    image = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(to_rgb(image), image)


def test_alpha_is_dropped_and_grey_repeated():
    image = RNG.integers(0, 256, (5, 7, 4), dtype=np.uint8)
    np.testing.assert_array_equal(to_rgb(image), image[..., :3])
    grey = to_rgb(image[..., 0])
    for channel in range(3):
        np.testing.assert_array_equal(grey[..., channel], image[..., 0])


@pytest.mark.parametrize(
    "dtype", [np.uint16, np.int16, np.uint32, np.int64, np.float16, np.float32, np.float64, ">u2"]
)
def test_other_types_are_stretched_between_the_percentiles(dtype):
    image = np.arange(100 * 100).reshape(100, 100).astype(dtype)
    rgb = to_rgb(image)
    low, high = np.percentile(image, (0.5, 99.5))
    expected = np.clip((image.astype(float) - float(low)) / (float(high) - float(low)), 0, 1) * 255
    np.testing.assert_allclose(rgb[..., 0], expected, atol=0.51)


def test_limits_apply_to_any_type():
    image = np.array([[0, 100], [150, 255]], np.uint8)
    np.testing.assert_array_equal(
        to_rgb(image, limits=(100, 200))[..., 0], np.array([[0, 0], [128, 255]])
    )


def test_nan_and_infinity_do_not_spoil_the_rest():
    image = np.linspace(0, 1, 10_000, dtype=np.float32).reshape(100, 100)
    clean = to_rgb(image)
    image[0, :3] = [np.nan, np.inf, -np.inf]
    rgb = to_rgb(image)
    assert rgb[0, :3, 0].tolist() == [0, 255, 0]
    np.testing.assert_allclose(rgb[1:].astype(int), clean[1:], atol=1)


def test_constant_and_bool_images():
    assert (to_rgb(np.full((4, 4), 7.5)) == 0).all()
    np.testing.assert_array_equal(to_rgb(np.eye(3, dtype=bool))[..., 0], np.eye(3) * 255)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 4), complex), "real numbers, but has dtype complex128"),
        (np.zeros((4, 4, 2)), r"\(H, W, 3\).*but has shape \(4, 4, 2\)"),
        (np.zeros((2, 4, 4, 3)), r"has shape \(2, 4, 4, 3\)"),
        (np.zeros((0, 4)), "must have pixels"),
        (np.full((4, 4), np.nan), "every pixel is NaN"),
        (np.array([["a"]]), "real numbers"),
    ],
)
def test_unusable_images_are_refused_in_one_sentence(image, message):
    with pytest.raises(InputError, match=message):
        to_rgb(image)


@pytest.mark.parametrize("limits", [(2, 1), (0, np.nan)])
def test_unusable_limits_are_refused(limits):
    with pytest.raises(InputError, match="lower first"):
        to_rgb(np.zeros((4, 4)), limits=limits)
