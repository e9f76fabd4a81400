import numpy as np
import pytest

from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.normalize import (
    ChannelView,
    Stretch,
    compose_rgb,
    measure_stretch,
    to_eight_bits,
    to_rgb,
)
from napari_sam2_openvino.core.parameters import Normalization

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


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.int32, np.float16, np.float64])
def test_a_few_pixels_on_an_even_ground_are_seen(dtype):
    image = np.full((100, 100), 7, dtype)
    image[5, 5:9] = [27, 47, 67, 107]
    assert to_rgb(image)[5, 4:9, 0].tolist() == [0, 51, 102, 153, 255]
    if image.dtype.kind == "f":
        image[0, :3] = [np.nan, np.inf, -np.inf]
        assert measure_stretch([image], Normalization()) == Stretch(7, 107)


def test_the_few_pixels_of_a_whole_stack_are_pooled():
    planes = [np.zeros((50, 50), np.uint16) for _ in range(3)]
    planes[0][3, 3], planes[2][3, 3] = 50, 200
    assert measure_stretch(planes, Normalization()) == Stretch(0, 200)


def test_constant_and_bool_images():
    assert (to_rgb(np.full((4, 4), 7, np.uint16)) == 0).all()
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


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, ">u2", ">i2"])
def test_looking_values_up_equals_computing_them(dtype):
    info = np.iinfo(dtype)
    image = RNG.integers(info.min, info.max + 1, (300, 300)).astype(dtype)
    image[0, :2] = info.min, info.max
    for stretch in (Stretch(-70.5, 900), Stretch(1000, 1000), Stretch(-4e4, 7e4, gamma=0.4)):
        rows = [to_eight_bits(row, stretch) for row in image]
        np.testing.assert_array_equal(to_eight_bits(image, stretch), rows)


def test_gamma_acts_between_the_limits():
    image = np.array([[-5.0, 0, 25, 50, 100, 400]])
    seen = to_eight_bits(image, Stretch(0, 100, gamma=2))
    assert seen.tolist() == [[0, 0, 16, 64, 255, 255]]


def test_halves_of_opposite_sign_are_measured():
    image = np.tile(np.array([-60_000, 60_000], np.float16), (10, 5))
    stretch = measure_stretch([image], Normalization("percentiles", 50, 60))
    assert -60_000 <= stretch.low <= stretch.high <= 60_000
    assert to_rgb(image)[0, :2, 0].tolist() == [0, 255]


@pytest.mark.parametrize("dtype", ["u1", "i2", ">u4", "f2", "f8"])
def test_modes_measure_what_they_say(dtype):
    image = RNG.integers(3, 99, (40, 50)).astype(dtype)
    low, high = np.percentile(image.astype(float), (10, 80))
    found = measure_stretch([image[:10], image[10:]], Normalization("percentiles", 10, 80))
    assert (found.low, found.high) == pytest.approx((low, high))
    if image.dtype.kind == "f":
        image[0, :3] = [np.nan, np.inf, -np.inf]
    found = measure_stretch([image], Normalization("minimum to maximum"))
    finite = image[np.isfinite(image)]
    assert found == Stretch(float(finite.min()), float(finite.max()))


def test_automatic_leaves_eight_bits_alone_and_the_others_do_not():
    image = RNG.integers(100, 120, (30, 30), dtype=np.uint8)
    assert measure_stretch([image], Normalization()) is None
    assert to_eight_bits(image, None) is image
    # Averaged pixels of such an image are fractions.
    assert to_eight_bits(np.array([0.4, 99.6, 255.0], np.float32), None).tolist() == [0, 100, 255]
    stretch = measure_stretch([image], Normalization("minimum to maximum"))
    assert np.ptp(to_eight_bits(image, stretch)) == 255


def test_channels_become_colours_or_one_grey():
    one, two, three = RNG.integers(0, 256, (3, 4, 5), dtype=np.uint8)
    np.testing.assert_array_equal(compose_rgb([one]), np.stack([one] * 3, axis=-1))
    np.testing.assert_array_equal(compose_rgb([one, two])[..., :2], np.stack([one, two], axis=-1))
    assert not compose_rgb([one, two])[..., 2].any()
    np.testing.assert_array_equal(
        compose_rgb([one, two, three]), np.stack([one, two, three], axis=-1)
    )
    brightest = np.stack([one, two, three]).max(axis=0)
    np.testing.assert_array_equal(
        compose_rgb([one, two, three], as_grey=True), np.stack([brightest] * 3, axis=-1)
    )
    rgb = RNG.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    np.testing.assert_array_equal(
        compose_rgb([rgb], as_grey=True), np.stack([rgb.max(axis=-1)] * 3, axis=-1)
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"indices": (0,)}, "need the axis"),
        ({"axis": 0}, "0 are chosen"),
        ({"axis": 0, "indices": (0, 1, 2, 3)}, "4 are chosen"),
    ],
)
def test_channels_that_make_no_sense_are_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        ChannelView(**arguments)


@pytest.mark.parametrize("arguments", [(0, np.inf), (1, 0), (0, 1, 0), (0, 1, np.nan)])
def test_stretches_that_make_no_sense_are_refused(arguments):
    with pytest.raises(InputError, match="must be"):
        Stretch(*arguments)


@pytest.mark.parametrize("dtype", ["u2", "i2", ">u2", ">i2"])
def test_percentiles_from_a_histogram_are_those_of_numpy_to_the_bit(dtype):
    info = np.iinfo(dtype)
    for _ in range(200):
        low, high = sorted(int(value) for value in RNG.integers(info.min, info.max, 2))
        values = RNG.integers(low, high + 1, RNG.integers(1, 300)).astype(dtype)
        percentiles = RNG.choice([0.0, 0.5, *RNG.uniform(1, 49, 3)]), RNG.choice([50.0, 99.5, 100])
        found = measure_stretch([values], Normalization("percentiles", *percentiles))
        assert (found.low, found.high) == tuple(np.percentile(values, percentiles))
