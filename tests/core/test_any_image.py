"""Whatever real numbers an image holds, and however it lies in memory, the network sees 8 bits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.normalize import to_rgb

INTEGERS = ("?", "u1", "i1", "<u2", ">u2", "<i2", ">i2", "<u4", ">i4", "<u8", ">i8")
DTYPES = (*INTEGERS, "<f2", ">f2", "<f4", ">f4", "<f8", ">f8")
IMAGES = st.sampled_from(DTYPES).flatmap(
    lambda dtype: arrays(dtype, st.tuples(st.integers(1, 6), st.integers(1, 6)))
)


@settings(max_examples=150, deadline=None)
@given(IMAGES)
def test_any_real_image_becomes_rgb_or_is_refused_in_a_sentence(image):
    if not np.isfinite(image).any():
        with pytest.raises(InputError, match="every pixel is NaN or infinite"):
            to_rgb(image)
        return
    rgb = to_rgb(image)
    assert rgb.dtype == np.uint8
    assert rgb.shape == (*image.shape, 3)
    # Brighter stays brighter.
    order = np.argsort(np.nan_to_num(image.astype(float), nan=-np.inf), axis=None, kind="stable")
    assert (np.diff(rgb[..., 0].ravel()[order].astype(int)) >= 0).all()


@settings(max_examples=60, deadline=None)
@given(IMAGES)
def test_how_an_image_lies_in_memory_changes_nothing(image):
    if not np.isfinite(image).any():
        return
    wanted = to_rgb(image)
    frozen = image.copy()
    frozen.flags.writeable = False
    for same in (np.asfortranarray(image), image[::-1, ::-1].copy()[::-1, ::-1], frozen):
        assert (to_rgb(same) == wanted).all()


@pytest.mark.parametrize("dtype", ["c8", "O", "U3", "M8[s]"])
def test_what_are_no_real_numbers_is_refused_in_a_sentence(dtype):
    with pytest.raises(InputError, match="must hold real numbers"):
        to_rgb(np.zeros((4, 4), dtype))
