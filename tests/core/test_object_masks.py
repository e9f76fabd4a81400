"""From logits to the mask of one object: what it equals, and what it costs."""

import tracemalloc

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from napari_sam2_openvino.core.marks import MaskCut
from napari_sam2_openvino.core.mask_resizing import masks_from_logits, resize_logits
from napari_sam2_openvino.core.object_masks import (
    LogitsCut,
    make_mask,
    mask_logits,
    outline,
    touches_border,
)
from napari_sam2_openvino.core.parameters import MaskOptions
from napari_sam2_openvino.core.regions import Region

DEFAULT = MaskOptions()
THRESHOLDS = [-8.0, -7.75, -1.0, 0.0, 3.5, 8.0]


def blobs(seed, size=64):
    """Logits of a few blobs, with noise far below the lowest threshold elsewhere."""
    rng = np.random.default_rng(seed)
    rows, columns = np.ogrid[:size, :size]
    logits = rng.normal(-15, 2, (size, size))
    for _ in range(3):
        row, column, radius = [*rng.uniform(0, size, 2), rng.uniform(2, 9)]
        distance = np.hypot(rows - row, columns - column)
        logits = np.maximum(logits, 12 * (1 - distance / radius) + rng.normal(0, 1, (size, size)))
    return logits.astype(np.float32)


def in_plane(cut, hw):
    plane = np.zeros(hw, bool)
    row, column = cut.origin
    plane[row : row + cut.mask.shape[0], column : column + cut.mask.shape[1]] = cut.mask
    return plane


def mask_of(pixels, options=DEFAULT):
    """Return what options make of a mask: each of its pixels is one of the logits."""
    logits = np.where(pixels, 9, -9).astype(np.float32)
    return in_plane(
        make_mask(LogitsCut.of(logits), Region.whole(logits.shape), logits.shape, options),
        logits.shape,
    )


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("hw", [(64, 64), (300, 201), (17, 500), (1, 1), (1023, 64)])
def test_masks_of_cut_logits_equal_those_of_all_at_every_threshold(seed, hw):
    logits = blobs(seed)
    cut = LogitsCut.of(logits)
    for threshold in THRESHOLDS:
        expected = resize_logits(logits[None], hw)[0] > threshold
        mask = make_mask(cut, Region.whole(hw), hw, MaskOptions(mask_threshold=threshold))
        np.testing.assert_array_equal(in_plane(mask, hw), expected)
        np.testing.assert_array_equal(masks_from_logits(logits[None], hw, threshold)[0], expected)


def test_logits_are_cut_to_the_object_and_keep_nothing_else_alive():
    logits = np.full((256, 256), -20, np.float32)
    logits[40:44, 100:103] = 5
    cut = LogitsCut.of(logits)
    assert cut.origin == (39, 99)
    assert cut.logits.shape == (6, 5)
    assert cut.nbytes == 6 * 5 * 4
    assert cut.logits.base is None


def test_a_mask_lies_where_its_region_lies():
    logits = blobs(3)
    region = Region(row=50, column=300, height=128, width=192)
    expected = make_mask(LogitsCut.of(logits), Region.whole(region.hw), region.hw, DEFAULT)
    mask = make_mask(LogitsCut.of(logits), region, (500, 600), DEFAULT)
    assert mask.origin == (expected.origin[0] + 50, expected.origin[1] + 300)
    np.testing.assert_array_equal(mask.mask, expected.mask)
    assert mask.mask[0].any()
    assert mask.mask[:, -1].any()


def test_what_is_beyond_the_plane_is_cut_off():
    region = Region(row=0, column=0, height=64, width=64)
    mask = make_mask(LogitsCut.of(np.full((64, 64), 5, np.float32)), region, (50, 40), DEFAULT)
    assert mask.mask.shape == (50, 40)


@pytest.mark.parametrize("value", [-20.0, -8.0, -3.0])
def test_nothing_above_the_threshold_is_an_empty_mask(value):
    logits = np.full((64, 64), value, np.float32)
    mask = make_mask(LogitsCut.of(logits), Region.whole((90, 90)), (90, 90), DEFAULT)
    assert mask.mask.shape == (0, 0)
    assert outline(mask, 2).shape == (2, 0)
    assert not touches_border(mask, Region(1, 1, 9, 9), (90, 90))


def test_memory_follows_the_object_not_the_plane():
    logits = np.full((256, 256), -20, np.float32)
    logits[40:44, 100:103] = 5
    cut, region = LogitsCut.of(logits), Region.whole((20_000, 20_000))
    tracemalloc.start()
    mask = make_mask(cut, region, region.hw, DEFAULT)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert mask.mask.size > 10_000
    assert peak < 40 * mask.mask.size


def with_hole_and_specks():
    pixels = np.zeros((60, 60), bool)
    pixels[10:40, 10:40] = True
    pixels[20:23, 20:23] = False  # a hole of 9 pixels
    pixels[23, 23] = False  # and one more, connected by a corner
    pixels[10, 12:14] = False  # a notch of the edge
    pixels[50, 50] = pixels[51, 51] = True  # a speck of 2 pixels, connected by a corner
    return pixels


def test_holes_up_to_the_area_are_filled_but_notches_are_not():
    pixels = with_hole_and_specks()
    np.testing.assert_array_equal(mask_of(pixels, MaskOptions(fill_holes=9)), pixels)
    filled = mask_of(pixels, MaskOptions(fill_holes=10))
    assert filled[20:24, 20:24].all()
    assert not filled[10, 12:14].any()
    assert filled.sum() == pixels.sum() + 10


def test_the_surroundings_of_a_small_object_are_no_hole():
    pixels = np.zeros((60, 60), bool)
    pixels[10:20, 10] = pixels[19, 10:20] = True
    np.testing.assert_array_equal(mask_of(pixels, MaskOptions(fill_holes=10_000)), pixels)


def test_specks_up_to_the_area_are_removed_but_never_the_largest_piece():
    pixels = with_hole_and_specks()
    np.testing.assert_array_equal(mask_of(pixels, MaskOptions(remove_specks=1)), pixels)
    cleaned = mask_of(pixels, MaskOptions(remove_specks=2))
    assert not cleaned[45:].any()
    np.testing.assert_array_equal(cleaned[:45], pixels[:45])
    np.testing.assert_array_equal(mask_of(pixels, MaskOptions(remove_specks=10_000)), cleaned)


def test_a_mask_without_its_specks_is_as_small_as_the_object():
    logits = np.where(with_hole_and_specks(), 9, -9).astype(np.float32)
    options = MaskOptions(remove_specks=5)
    cut = make_mask(LogitsCut.of(logits), Region.whole((60, 60)), (60, 60), options)
    assert cut.origin == (10, 10)
    assert cut.mask.shape == (30, 30)


def test_smoothing_takes_thin_things_away_and_keeps_the_rest():
    pixels = np.zeros((80, 80), bool)
    pixels[20:60, 20:60] = True
    pixels[40, 60:75] = True  # a thread
    smoothed = mask_of(pixels, MaskOptions(smoothing=6))
    assert not smoothed[:, 66:].any()
    assert not smoothed[20, 20]
    assert smoothed[24:56, 24:56].all()


def test_smoothing_keeps_an_object_at_the_edge_of_the_image_there():
    pixels = np.zeros((80, 80), bool)
    pixels[:40, :30] = True
    smoothed = mask_of(pixels, MaskOptions(smoothing=6))
    assert smoothed[0, :29].all()
    assert smoothed[:38, 0].all()


def test_an_outline_is_the_inner_edge():
    pixels = np.ones((9, 12), bool)
    edge = outline(MaskCut(pixels, (5, 6)), 2)
    assert edge.dtype == np.int32
    expected = np.zeros((20, 20), bool)
    expected[5:14, 6:18] = True
    expected[7:12, 8:16] = False
    np.testing.assert_array_equal(edge, np.nonzero(expected))


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        (Region(0, 0, 100, 100), False),  # all of the plane
        (Region(20, 30, 40, 40), True),  # the top edge
        (Region(10, 35, 40, 40), True),  # the left edge
        (Region(0, 0, 30, 60), True),  # the bottom edge
        (Region(0, 0, 60, 45), True),  # the right edge
        (Region(19, 34, 12, 12), False),  # a pixel away on all sides
    ],
)
def test_which_borders_count(region, expected):
    cut = MaskCut(np.ones((10, 10), bool), (20, 35))
    assert touches_border(cut, region, (100, 100)) is expected


def test_the_edges_of_the_plane_do_not_count():
    cut = MaskCut(np.ones((10, 10), bool), (0, 90))
    assert not touches_border(cut, Region(0, 50, 50, 50), (100, 100))


def test_an_empty_corner_of_the_cut_does_not_touch():
    pixels = np.eye(10, dtype=bool)
    pixels[0, 0] = False
    assert not touches_border(MaskCut(pixels, (20, 30)), Region(20, 20, 50, 50), (100, 100))


@pytest.mark.parametrize("hw", [(64, 64), (200, 90), (40, 333), (16, 5)])
@pytest.mark.parametrize("size", [16, 64])
def test_mask_prompts_equal_what_sam2_makes_of_masks(hw, size):
    rows, columns = np.ogrid[: hw[0], : hw[1]]
    pixels = np.hypot(rows / hw[0] - 0.4, columns / hw[1] - 0.7) < 0.35
    # As in SAM2Base._use_mask_as_output.
    image = torch.from_numpy(pixels.astype(np.float32) * 20 - 10)[None, None]
    expected = F.interpolate(
        image, (size, size), mode="bilinear", align_corners=False, antialias=True
    )[0].numpy()
    found = np.flatnonzero(pixels.any(axis=0))
    cut = MaskCut(pixels[:, found[0] : found[-1] + 1], (7, 11 + int(found[0])))
    region = Region(7, 11, *hw)
    np.testing.assert_allclose(mask_logits(cut, region, size), expected, atol=1e-4)


def test_the_part_of_an_object_outside_the_region_is_left_out():
    region = Region(0, 0, 64, 64)
    whole = MaskCut(np.ones((200, 40), bool), (-50, 30))
    inside = MaskCut(np.ones((64, 34), bool), (0, 30))
    np.testing.assert_array_equal(mask_logits(whole, region, 16), mask_logits(inside, region, 16))
    outside = MaskCut(np.ones((5, 5), bool), (100, 100))
    assert (mask_logits(outside, region, 16) == -10).all()
