"""Parts of planes, read from real array-likes: the same pixels whatever they are kept in."""

import tracemalloc

import dask.array as da
import numpy as np
import pytest
import zarr

from napari_sam2_openvino.core import reading
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.reading import ImageArrays, read_region, sample_plane
from napari_sam2_openvino.core.regions import Region
from napari_sam2_openvino.core.types import PlaneIndex

RNG = np.random.default_rng(0)
FLAT = PlaneIndex((None, None))


class Named:
    """What xarray's arrays have in common with arrays: basic indexing that gives its like."""

    def __init__(self, values):
        self._values = values
        self.shape, self.dtype = values.shape, values.dtype

    def __getitem__(self, index):
        return Named(self._values[index])

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self._values, dtype)


def read_only(values):
    values = values.copy()
    values.flags.writeable = False
    return values


def zarr_array(values, chunks=None):
    array = zarr.create_array(
        {}, shape=values.shape, dtype=values.dtype, chunks=chunks or values.shape
    )
    array[:] = values
    return array


def memmap(values, folder):
    array = np.memmap(folder / "pixels", values.dtype, "w+", shape=values.shape)
    array[:] = values
    return array


KEEP = {
    "numpy": lambda values, _: values,
    "fortran": lambda values, _: np.asfortranarray(values),
    "negative strides": lambda values, _: np.ascontiguousarray(values[::-1, ::-1])[::-1, ::-1],
    "read-only": lambda values, _: read_only(values),
    "memmap": memmap,
    "dask": lambda values, _: da.from_array(values, chunks=37),
    "zarr": lambda values, _: zarr_array(values, tuple(min(41, n) for n in values.shape)),
    "named": lambda values, _: Named(values),
}


@pytest.mark.parametrize("keep", KEEP.values(), ids=KEEP)
@pytest.mark.parametrize("step", [1, 3])
def test_it_does_not_matter_what_an_image_is_kept_in(keep, step, tmp_path):
    values = RNG.integers(0, 60_000, (120, 90)).astype(np.uint16)
    image = ImageArrays([keep(values, tmp_path)], "key")
    region = Region(12, 20, 60, 51, step)
    expected = read_region(ImageArrays([values], "key"), FLAT, region)
    np.testing.assert_array_equal(read_region(image, FLAT, region), expected)
    assert expected.shape == (60 // step, 51 // step)


@pytest.mark.parametrize(
    "dtype", [bool, "u1", "i1", ">u2", "<i2", ">i4", "u8", "f2", ">f4", "f8", "g"]
)
def test_every_real_dtype_is_averaged_as_numbers(dtype):
    values = (RNG.random((64, 48)) * 100).astype(dtype)
    averaged = read_region(ImageArrays([values], "key"), FLAT, Region(8, 4, 48, 40, 4))
    blocks = values[8:56, 4:44].astype(float).reshape(12, 4, 10, 4)
    np.testing.assert_allclose(averaged, blocks.mean(axis=(1, 3)), rtol=1e-5, atol=1e-6)


def test_large_integers_stay_apart():
    values = np.full((8, 8), 2**31 - 9, np.int32)
    values[:, 4:] += 8
    averaged = read_region(ImageArrays([values], "key"), FLAT, Region.whole((8, 8), 4))
    np.testing.assert_array_equal(averaged, [[2**31 - 9, 2**31 - 1]] * 2)


def test_an_extent_that_is_no_multiple_of_the_step_keeps_its_edges():
    ramp = np.tile(np.arange(101, dtype=np.float32), (7, 1))
    averaged = read_region(ImageArrays([ramp], "key"), FLAT, Region.whole((7, 101), 4))
    assert averaged.shape == (2, 26)
    # The mean of a ramp over [a, b) is (a + b - 1) / 2 where pixels are whole or cut evenly.
    edges = np.linspace(0, 101, 27)
    np.testing.assert_allclose(averaged[0], (edges[:-1] + edges[1:] - 1) / 2, atol=0.1)
    np.testing.assert_allclose(averaged.mean(), ramp.mean(), rtol=1e-6)


@pytest.mark.parametrize("block_values", [1, 100, 3000])
@pytest.mark.parametrize("colours", [(), (3,)])
def test_blocks_change_nothing(block_values, colours, monkeypatch):
    values = RNG.random((200, 60, *colours), np.float32)
    chunks = (13, 17, *colours)
    image = ImageArrays([zarr_array(values, chunks)], "key", is_rgb=bool(colours))
    region = Region(5, 3, 190, 55, 7)
    expected = read_region(image, FLAT, region)
    monkeypatch.setattr(reading, "BLOCK_VALUES", block_values)
    np.testing.assert_allclose(read_region(image, FLAT, region), expected, rtol=1e-6)


def test_no_chunk_of_a_large_region_is_read_twice():
    seen = []

    def block(block_info=None):
        seen.append(block_info[None]["chunk-location"])
        return np.ones((600, 600), np.uint8)

    chunks = (600,) * 20, (600,) * 20
    data = da.map_blocks(block, chunks=chunks, dtype=np.uint8, meta=np.ones((0, 0), np.uint8))
    tracemalloc.start()
    pixels = read_region(ImageArrays([data], "key"), FLAT, Region(300, 300, 11_400, 11_400, 19))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert pixels.shape == (600, 600)
    np.testing.assert_allclose(pixels, 1, rtol=1e-6)
    assert len(seen) == len(set(seen)) == 400
    # All of it would be 130 MB, and twice that as numbers to add up.
    assert peak < 70e6


def test_the_coarsest_level_that_is_fine_enough_is_read():
    full = RNG.integers(0, 255, (6, 256, 192)).astype(np.uint16)
    half = full.reshape(3, 2, 128, 2, 96, 2).mean(axis=(1, 3, 5)).astype(np.float32) + 1000
    quarter = np.full((3, 64, 48), 5000, np.float32)
    image = ImageArrays([full, half, quarter], "key")
    plane = PlaneIndex((5, None, None))
    fine = read_region(image, plane, Region(64, 32, 128, 128, 1))
    np.testing.assert_array_equal(fine, full[5, 64:192, 32:160])
    assert fine.dtype == np.uint16
    np.testing.assert_array_equal(
        read_region(image, plane, Region(64, 32, 128, 128, 2)), half[2, 32:96, 16:80]
    )
    between = read_region(image, plane, Region(64, 32, 126, 126, 3))
    assert between.shape == (42, 42)
    assert 1000 < between.mean() < 1255
    assert (read_region(image, plane, Region(64, 32, 128, 128, 4)) == 5000).all()
    assert read_region(image, plane, Region.whole((256, 192), 64)).shape == (4, 3)


def test_levels_that_round_up_still_fit():
    full = np.tile(np.linspace(0, 100, 101, dtype=np.float32), (101, 1))
    coarse = np.tile(np.linspace(0, 100, 51, dtype=np.float32), (51, 1))
    image = ImageArrays([full, coarse], "key")
    for region in (Region.whole((101, 101), 2), Region(40, 40, 61, 61, 2)):
        pixels = read_region(image, FLAT, region)
        assert pixels.shape == (-(-region.height // 2), -(-region.width // 2))
        centre = region.column + (region.width - 1) / 2
        assert pixels.mean() == pytest.approx(centre, abs=1)


@pytest.mark.parametrize("step", [1, 2])
def test_transposed_planes_and_colours(step):
    values = RNG.integers(0, 255, (4, 40, 32, 4)).astype(np.uint8)
    image = ImageArrays([values], "key", is_rgb=True)
    assert image.shape == (4, 40, 32)
    region = Region(2, 6, 20, 30, step)
    pixels = read_region(image, PlaneIndex((3, None, None), transposed=True), region)
    seen = values[3].swapaxes(0, 1)[2:22, 6:36, :3].astype(float)
    expected = seen.reshape(20 // step, step, 30 // step, step, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(pixels, expected, rtol=1e-6)


def test_small_planes_are_sampled_whole_and_large_ones_alike_wherever_they_are_kept(tmp_path):
    small = RNG.integers(0, 255, (50, 60)).astype(np.uint8)
    (sample,) = sample_plane(ImageArrays([small], "key"), FLAT, 3000)
    np.testing.assert_array_equal(sample, small)
    large = RNG.integers(0, 255, (700, 900)).astype(np.uint8)
    expected = sample_plane(ImageArrays([large], "key"), FLAT, 300_000)
    assert len(expected) == 4
    assert {part.shape for part in expected} == {(256, 256)}
    for keep in KEEP.values():
        found = sample_plane(ImageArrays([keep(large, tmp_path)], "key"), FLAT, 300_000)
        np.testing.assert_array_equal(found, expected)
    thin = np.zeros((20, 50_000), np.uint8)
    assert all(part.shape == (20, 256) for part in sample_plane(ImageArrays([thin], 0), FLAT, 1000))


@pytest.mark.parametrize("error", [OSError("gone"), RuntimeError("bad chunk"), KeyError("c/0/0")])
def test_whatever_goes_wrong_while_reading_is_one_sentence(error):
    class Broken:
        shape, dtype = (8, 8), np.dtype(np.uint8)

        def __getitem__(self, _index):
            raise error

    with pytest.raises(InputError, match=r"The plane cannot be read \(.*check that its file"):
        read_region(ImageArrays([Broken()], "key"), FLAT, Region.whole((8, 8)))


def test_a_damaged_zarr_is_one_sentence(tmp_path):
    array = zarr.create_array(tmp_path / "a.zarr", shape=(64, 64), dtype=np.uint16, chunks=(32, 32))
    array[:] = RNG.integers(0, 9999, (64, 64))
    for chunk in (tmp_path / "a.zarr" / "c").rglob("*"):
        if chunk.is_file():
            chunk.write_bytes(b"damaged")
    with pytest.raises(InputError, match="cannot be read"):
        read_region(ImageArrays([array], "key"), FLAT, Region.whole((64, 64)))
