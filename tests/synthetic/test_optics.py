from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from napari_sam2_openvino.synthetic.noise import linear_weights, smooth_noise
from napari_sam2_openvino.synthetic.optics import blur, borders, per_object, relief
from napari_sam2_openvino.synthetic.placement import Layout


@pytest.mark.parametrize("sigma", [0.8, 3.0, 4.5, 12.0, 20.0])
def test_blur_is_a_gaussian_however_wide(sigma: float) -> None:
    image = np.zeros((230, 221), np.float32)
    image[80:130, 90:140] = 1
    expected = ndimage.gaussian_filter(image, sigma)
    np.testing.assert_allclose(blur(image, sigma), expected, atol=0.05)


def test_borders_lie_between_labels() -> None:
    labels = np.array([[1, 1, 2], [1, 1, 2], [0, 0, 0]], np.int32)
    np.testing.assert_array_equal(borders(labels), [[0, 1, 0], [1, 1, 1], [0, 0, 0]])


def test_relief_is_brightest_where_the_surface_rises_towards_the_light() -> None:
    ramp = np.tile(np.arange(12, dtype=np.float32), (10, 1))
    np.testing.assert_allclose(relief(ramp, 0.0)[:, 1:-1], 1, rtol=1e-5)
    np.testing.assert_allclose(relief(ramp, np.pi)[:, 1:-1], -1, rtol=1e-5)
    np.testing.assert_allclose(relief(ramp, np.pi / 2)[:, 1:-1], 0, atol=1e-5)


@pytest.mark.parametrize("scale", [2.0, 8.0, (3.0, 12.0)])
def test_noise_is_standardised_and_as_coarse_as_asked(scale: float | tuple[float, float]) -> None:
    noise = smooth_noise(np.random.default_rng(0), (160, 200), scale)
    assert noise.shape == (160, 200)
    assert noise.dtype == np.float32
    assert noise.mean() == pytest.approx(0, abs=1e-3)
    assert noise.std() == pytest.approx(1, abs=1e-3)
    for axis, step in enumerate(scale if isinstance(scale, tuple) else (scale, scale)):
        lag = round(step)
        moved = np.roll(noise, lag, axis=axis)
        inner = (slice(20, None), slice(20, None))
        near = np.corrcoef(noise[inner].ravel(), moved[inner].ravel())[0, 1]
        far = np.corrcoef(noise.ravel(), np.roll(noise, 5 * lag, axis=axis).ravel())[0, 1]
        assert 0.2 < near < 0.8
        assert abs(far) < 0.2


def test_linear_weights_interpolate_and_stop_at_the_ends() -> None:
    weights = linear_weights(np.array([-1.0, 0.0, 0.25, 2.0, 7.0]), 3)
    values = weights @ np.array([10.0, 20.0, 40.0])
    np.testing.assert_allclose(values, [10, 10, 12.5, 40, 40])


def test_objects_keep_their_values_where_others_are_missing() -> None:
    labels = np.array([[0, 1, 2, 3]], np.int32)
    layout = Layout(labels, labels.astype(np.float32), labels > 9, np.ones(4, np.float32))
    without = replace(layout, labels=np.array([[0, 1, 2, 0]], np.int32))
    first, second = (np.random.default_rng(0) for _ in range(2))
    for _ in range(2):
        values, fewer = per_object(first, layout, 1.0, 2.0), per_object(second, without, 1.0, 2.0)
        np.testing.assert_array_equal(values[0, :3], fewer[0, :3])
        assert values[0, 0] == 0
        assert len(np.unique(values)) == 4
