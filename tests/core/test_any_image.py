"""Whatever real numbers an image holds, and however it lies in memory, the network sees 8 bits."""

import dask.array as da
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_sam2_openvino import SAM2ImagePredictor
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.normalize import to_rgb
from napari_sam2_openvino.core.planes import make_plane_source
from napari_sam2_openvino.core.reading import ImageArrays
from napari_sam2_openvino.core.regions import Region
from napari_sam2_openvino.core.types import PlaneIndex

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


@pytest.mark.parametrize(
    ("dark", "bright"),
    [(-1.7e308, 1.7e308), (0, 5e-324), (-1.7e308, -1.6e308), (0, 1), (1e-310, 2e-310)],
)
def test_doubles_at_their_limits_are_still_dark_and_bright(dark, bright):
    image = np.tile([dark, bright], (8, 8)).astype(np.float64)
    image[0, 0] = np.nan
    rgb = to_rgb(image)
    assert (rgb[1:, ::2] == 0).all()
    assert (rgb[:, 1::2] == 255).all()
    assert rgb[0, 0, 0] == 0


def test_one_pixel_far_beyond_the_others_changes_nothing():
    image = np.random.default_rng(0).random((40, 40))
    other = image.copy()
    image[0, 0], other[0, 0] = 1.0, 1.7e308
    assert (to_rgb(image, limits=(0, 0.9)) == to_rgb(other, limits=(0, 0.9))).all()


@pytest.mark.parametrize("hw", [(1, 1), (1, 10_000), (10_000, 1)])
@pytest.mark.parametrize("dtype", ["u1", "<u2", "<f4"])
def test_any_size_is_segmented(hw, dtype, starter_model):
    predictor = SAM2ImagePredictor(starter_model)
    predictor.set_image(np.ones(hw, dtype))
    masks, scores, _ = predictor.predict([[0, 0]], [1])
    assert masks.shape == (3, *hw)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("hw", [(1, 1), (1, 10_000), (30_000, 30_000)])
def test_a_lazy_plane_of_any_size_is_read_in_parts(hw):
    lazy = da.ones(hw, np.uint16, chunks=2048) * da.arange(hw[1], dtype=np.uint16, chunks=2048)
    source = make_plane_source([ImageArrays([lazy], "lazy")], PlaneIndex((None, None)))
    assert source.hw == hw
    corner = Region(max(0, hw[0] - 64), max(0, hw[1] - 64), min(64, hw[0]), min(64, hw[1]), 1)
    pixels = source.load(corner)
    assert pixels.shape == (corner.height, corner.width, 3)
    assert pixels.dtype == np.uint8


def _zarr(version):
    def keep(array, folder):
        kept = zarr.create_array(
            folder / "image.zarr", shape=array.shape, dtype=array.dtype, zarr_format=version
        )
        kept[...] = array
        return kept

    return keep


def _memmap(array, folder):
    np.save(folder / "image.npy", array)
    return np.load(folder / "image.npy", mmap_mode="r")


def _frozen(array, _):
    array = array.copy()
    array.flags.writeable = False
    return array


KEPT = {
    "Fortran order": lambda array, _: np.asfortranarray(array),
    "negative strides": lambda array, _: array[::-1, ::-1].copy()[::-1, ::-1],
    "read-only": _frozen,
    "memmap": _memmap,
    "dask": lambda array, _: da.from_array(array, chunks=7),
    "zarr v2": _zarr(2),
    "zarr v3": _zarr(3),
}


@pytest.mark.parametrize("kept", KEPT)
@pytest.mark.parametrize("step", [1, 3])
def test_a_plane_of_a_5d_image_is_the_same_whatever_it_is_kept_in(kept, step, tmp_path):
    array = np.random.default_rng(1).integers(0, 4000, (2, 3, 2, 24, 31)).astype(np.uint16)
    plane = PlaneIndex((1, 2, 0, None, None))
    region = Region(0, 0, 24, 31, step)
    wanted = make_plane_source([ImageArrays([array], "numpy")], plane).load(region)
    image = KEPT[kept](array, tmp_path)
    found = make_plane_source([ImageArrays([image], kept)], plane).load(region)
    assert (found == wanted).all()
