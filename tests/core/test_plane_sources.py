"""What the network sees of a plane, from real arrays."""

import dask.array as da
import numpy as np
import pytest
import zarr

from napari_sam2_openvino.core import planes
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.normalize import ChannelView, Stretch, to_rgb
from napari_sam2_openvino.core.parameters import Normalization
from napari_sam2_openvino.core.planes import StretchCache, make_plane_source
from napari_sam2_openvino.core.reading import ImageArrays
from napari_sam2_openvino.core.regions import Region
from napari_sam2_openvino.core.types import PlaneIndex

RNG = np.random.default_rng(0)
FLAT = PlaneIndex((None, None))
STACK = RNG.integers(0, 4000, (5, 60, 50)).astype(np.uint16) + 500 * np.arange(
    5, dtype=np.uint16
).reshape(5, 1, 1)


def arrays(values, key="key", **more):
    return ImageArrays([values], key, **more)


def see(images, plane=FLAT, view=None, region=None):
    source = make_plane_source(images, plane, view)
    return source.load(region or Region.whole(source.hw))


@pytest.mark.parametrize("dtype", [bool, "u1", "i1", "u2", ">i4", "f2", "f4", "f8"])
@pytest.mark.parametrize("colours", [(), (3,), (4,)])
def test_automatic_is_the_rule_of_to_rgb(dtype, colours):
    values = (RNG.random((40, 50, *colours)) * 120).astype(dtype)
    image = arrays(values, is_rgb=bool(colours))
    np.testing.assert_array_equal(see([image]), to_rgb(values))
    turned = see([image], PlaneIndex((None, None), transposed=True))
    np.testing.assert_array_equal(turned, to_rgb(values.swapaxes(0, 1)))


@pytest.mark.parametrize("mode", ["automatic", "percentiles", "minimum to maximum"])
def test_a_region_is_as_bright_as_in_the_plane(mode):
    view = ChannelView(Normalization(mode, 2, 97))
    image = arrays(STACK)
    plane = PlaneIndex((3, None, None))
    whole = see([image], plane, view)
    part = see([image], plane, view, Region(10, 20, 32, 16))
    np.testing.assert_array_equal(part, whole[10:42, 20:36])
    coarse = see([image], plane, view, Region(8, 0, 48, 48, 4))
    mean = whole[8:56, :48, 0].astype(float).reshape(12, 4, 12, 4).mean(axis=(1, 3))
    # Values that the stretch cuts off are averaged before and not after.
    np.testing.assert_allclose(coarse[..., 0], mean, atol=6)


def test_modes_stretch_each_plane_by_itself():
    image = arrays(STACK)
    for number in range(5):
        view = ChannelView(Normalization("minimum to maximum"))
        seen = see([image], PlaneIndex((number, None, None)), view)
        values = STACK[number].astype(float)
        expected = (values - values.min()) / np.ptp(values) * 255
        np.testing.assert_allclose(seen[..., 0], expected, atol=0.51)


@pytest.mark.parametrize("mode", ["automatic", "percentiles", "minimum to maximum"])
def test_a_stack_is_equally_bright_everywhere_and_is_measured_once(mode):
    read = []

    def block(block_info=None):
        number = block_info[None]["chunk-location"][0]
        read.append(number)
        return STACK[number : number + 1]

    data = da.map_blocks(block, chunks=((1,) * 5, 60, 50), dtype=np.uint16, meta=STACK[:0])
    view = ChannelView(Normalization(mode, whole_stack=True))
    measured = StretchCache()
    seen = []
    for number in range(5):
        plane = PlaneIndex((number, None, None), transposed=number == 4)
        source = make_plane_source([arrays(data)], plane, view, measured)
        pixels = source.load(Region.whole(source.hw))[..., 0]
        seen.append(pixels.T if plane.transposed else pixels)
    if mode == "minimum to maximum":
        low, high = STACK.min(), STACK.max()
    else:
        low, high = np.percentile(STACK, (0.5, 99.5))
    expected = np.clip((STACK - float(low)) / float(high - low), 0, 1) * 255
    np.testing.assert_allclose(seen, expected, atol=0.51)
    assert sorted(read) == sorted([*range(5), *range(5)])


def test_large_stacks_are_sampled(monkeypatch):
    monkeypatch.setattr(planes, "STACK_PIXELS", 16 * 128 * 128)
    data = zarr.create_array({}, shape=(40, 3, 300, 200), dtype=np.float32, chunks=(1, 1, 300, 200))
    values = RNG.normal(100, 10, (40, 1, 300, 200)).astype(np.float32)
    data[:] = values + np.arange(3).reshape(1, 3, 1, 1) * 1000
    view = ChannelView(Normalization(whole_stack=True), axis=1, indices=(2, 0))
    seen = see([arrays(data)], PlaneIndex((7, 1, None, None)), view)
    # A channel's stack holds that channel only.
    for channel in (0, 1):
        assert 100 < seen[..., channel].mean() < 156
    assert not seen[..., 2].any()


def test_layers_and_channels_along_an_axis_are_the_same_to_the_network():
    values = RNG.integers(0, 999, (4, 3, 30, 40)).astype(np.uint16)
    plane = PlaneIndex((2, None, None))
    view = ChannelView(Normalization("percentiles", 1, 99))
    layers = [arrays(values[:, number], key=number) for number in (2, 0, 1)]
    expected = see(layers, plane, view)
    along = ChannelView(view.normalization, axis=1, indices=(2, 0, 1))
    for channel in range(3):
        found = see([arrays(values)], PlaneIndex((2, channel, None, None)), along)
        np.testing.assert_array_equal(found, expected)
    for number, channel in enumerate((2, 0, 1)):
        alone = see([arrays(values[:, channel])], plane, view)
        np.testing.assert_array_equal(expected[..., number], alone[..., 0])
    grey = see(layers, plane, ChannelView(view.normalization, as_grey=True))
    np.testing.assert_array_equal(grey[..., 1], expected.max(axis=-1))


def test_as_displayed_uses_the_limits_that_it_was_given():
    displayed = Stretch(100, 2000, 0.5), Stretch(0, 10_000)
    view = ChannelView(Normalization("as displayed"), displayed=displayed)
    layers = [arrays(STACK[0], 0), arrays(STACK[1], 1)]
    seen = see(layers, view=view)
    first = np.clip((STACK[0] - 100.0) / 1900, 0, 1) ** 0.5 * 255
    np.testing.assert_allclose(seen[..., 0], first, atol=0.51)
    np.testing.assert_allclose(seen[..., 1], STACK[1] / 10_000 * 255, atol=0.51)
    with pytest.raises(InputError, match="choose this again"):
        see(layers, view=ChannelView(Normalization("as displayed")))


def test_keys_tell_apart_what_looks_different_and_nothing_else():
    plane = PlaneIndex((1, None, None))
    image = arrays(STACK)

    def key(images=(image,), plane=plane, **view):
        return make_plane_source(list(images), plane, ChannelView(**view)).key

    assert key() == key() == make_plane_source([arrays(STACK)], plane).key
    different = {
        key(),
        key(plane=PlaneIndex((2, None, None))),
        key(plane=PlaneIndex((1, None, None), transposed=True)),
        key(images=[arrays(STACK, "newer")]),
        key(images=[image, arrays(STACK, "other")]),
        key(as_grey=True),
        key(normalization=Normalization("percentiles")),
        key(displayed=(Stretch(0, 1),)),
    }
    assert len(different) == 8
    # Of channels along an axis, it does not matter which one the slider is at.
    assert key(axis=0, indices=(1, 2)) == key(
        plane=PlaneIndex((4, None, None)), axis=0, indices=(1, 2)
    )


@pytest.mark.parametrize(
    ("images", "plane", "view", "words"),
    [
        ([], FLAT, {}, "1 to 3 images"),
        ([arrays(np.zeros((8, 8)), n) for n in range(4)], FLAT, {}, "not 4"),
        ([arrays(np.zeros((8, 8))), arrays(np.zeros((8, 9)))], FLAT, {}, "8 x 9, but .* 8 x 8"),
        (
            [arrays(np.zeros((8, 8))), arrays(np.zeros((8, 8, 3)), is_rgb=True, name="photo")],
            FLAT,
            {},
            "photo is an RGB image already",
        ),
        ([arrays(np.zeros((8, 8), complex))], FLAT, {}, "real numbers, but has dtype complex128"),
        ([arrays(np.zeros((8, 8), object))], FLAT, {}, "real numbers, but has dtype object"),
        ([arrays(np.zeros((0, 8)))], FLAT, {}, "must have pixels"),
        ([arrays(np.zeros((8, 8)))], PlaneIndex((0, None, None)), {}, "has 3 axes, but"),
        ([arrays(STACK)], PlaneIndex((5, None, None)), {}, "has no plane"),
        ([arrays(STACK)], PlaneIndex((0, None, None)), {"axis": 1, "indices": (0,)}, "displayed"),
        ([arrays(STACK)], PlaneIndex((0, None, None)), {"axis": 3, "indices": (0,)}, "not there"),
        (
            [arrays(STACK)],
            PlaneIndex((0, None, None)),
            {"axis": 0, "indices": (1, 9)},
            "no channel 9",
        ),
        ([arrays(STACK)] * 2, PlaneIndex((0, None, None)), {"axis": 0, "indices": (1,)}, "both"),
        (
            [arrays(np.zeros((5, 8, 8, 3)), is_rgb=True)],
            PlaneIndex((0, None, None)),
            {"axis": 0, "indices": (1,)},
            "RGB image already",
        ),
    ],
)
def test_what_does_not_go_together_is_refused_in_a_sentence(images, plane, view, words):
    with pytest.raises(InputError, match=words):
        make_plane_source(images, plane, ChannelView(**view))


def test_a_plane_without_numbers_is_one_sentence_unless_the_stack_has_some():
    values = np.full((3, 20, 20), np.nan, np.float32)
    values[0] = RNG.random((20, 20))
    empty = PlaneIndex((1, None, None))
    with pytest.raises(InputError, match="every pixel is NaN"):
        see([arrays(values)], empty)
    view = ChannelView(Normalization(whole_stack=True))
    assert not see([arrays(values)], empty, view).any()


def test_large_planes_are_measured_by_a_sample_whatever_is_read(monkeypatch):
    monkeypatch.setattr(planes, "WHOLE_PIXELS", 50_000)
    values = RNG.normal(1000, 100, (600, 700))
    image = arrays(values)
    whole = see([image])
    np.testing.assert_array_equal(
        see([image], region=Region(100, 50, 99, 98)), whole[100:199, 50:148]
    )
    np.testing.assert_allclose(whole, to_rgb(values), atol=12)
