"""Where an object of a large plane is encoded: the rules, over many planes, objects and views."""

import numpy as np
import pytest

from napari_sam2_openvino.core.regions import Region, choose_region, grow

LARGE = (20_000, 15_000)


def random_bounds(rng, plane_hw, largest=400.0):
    width, height = rng.uniform(0, largest, 2)
    x0 = rng.uniform(0, max(1.0, plane_hw[1] - 1 - width))
    y0 = rng.uniform(0, max(1.0, plane_hw[0] - 1 - height))
    return x0, y0, min(x0 + width, plane_hw[1] - 1), min(y0 + height, plane_hw[0] - 1)


def lies_in_plane(region, plane_hw):
    return (
        0 <= region.row <= region.row + region.height <= plane_hw[0]
        and 0 <= region.column <= region.column + region.width <= plane_hw[1]
    )


def read_side(region):
    return max(-(-side // region.step) for side in region.hw)


@pytest.mark.parametrize("plane_hw", [(1, 1), (100, 80), (2048, 2048), (30, 2048)])
def test_a_plane_that_one_encode_resolves_is_encoded_whole(plane_hw):
    bounds = (0, 0, plane_hw[1] - 1, plane_hw[0] - 1)
    for arguments in ((None, None), (bounds, None), (bounds, (0, 0, 10, 10))):
        assert choose_region(plane_hw, 1024, *arguments) == Region.whole(plane_hw)
    assert grow(Region.whole(plane_hw), plane_hw, 1024) is None


@pytest.mark.parametrize("plane_hw", [LARGE, (2049, 700), (700, 30_000), (3000, 3000)])
@pytest.mark.parametrize("image_size", [256, 1024])
def test_every_region_holds_its_object_and_is_cheap_to_read(plane_hw, image_size):
    rng = np.random.default_rng(1)
    for _ in range(500):
        bounds = random_bounds(rng, plane_hw, largest=rng.choice([0, 2, 50, 600, 6000]))
        y0, x0 = rng.uniform(-500, plane_hw[0]), rng.uniform(-500, plane_hw[1])
        view = (y0, x0, y0 + rng.uniform(10, 9000), x0 + rng.uniform(10, 9000))
        region = choose_region(plane_hw, image_size, bounds, view)
        assert lies_in_plane(region, plane_hw)
        assert region.column <= bounds[0] <= bounds[2] <= region.column + region.width - 1
        assert region.row <= bounds[1] <= bounds[3] <= region.row + region.height - 1
        assert read_side(region) <= 2 * image_size
        # Made again, and made again from itself.
        assert choose_region(plane_hw, image_size, bounds, view) == region
        assert choose_region(plane_hw, image_size, bounds, None, region) == region


def test_a_region_is_a_few_times_as_large_as_a_box():
    for side in (100, 400, 1000, 2500):
        region = choose_region(LARGE, 1024, (5000, 6000, 5000 + side, 6000 + side / 3))
        assert region.height == region.width == region.step * 1024
        assert region.height == 1024 or 3 <= region.height / side <= 6
    # A box as large as the plane needs all of it.
    whole = choose_region(LARGE, 1024, (10, 10, 14_000, 19_000))
    assert whole == Region.whole(LARGE, 19)


def test_a_click_goes_by_what_is_visible():
    click = (5000, 6000, 5001, 6001)
    steps = []
    for visible in (100, 1500, 3000, 9000, 20_000):
        view = (6000 - visible / 2, 5000 - visible / 2, 6000 + visible / 2, 5000 + visible / 2)
        region = choose_region(LARGE, 1024, click, view)
        assert region.height == 1024 * region.step
        steps.append(region.step)
    assert steps == [1, 1, 2, 8, 8]
    # What is not of the plane is not visible.
    past = choose_region(LARGE, 1024, click, (-1e6, 4000, 6800, 5800))
    assert past.step == 4


def test_without_an_object_what_is_visible_is_encoded():
    region = choose_region(LARGE, 1024, None, (3000, 4000, 4900, 5500))
    assert region.step == 2
    assert region.row <= 3000 + 128
    assert region.row + region.height >= 4900 - 128
    assert choose_region(LARGE, 1024, None) == Region.whole(LARGE, 19)
    assert choose_region(LARGE, 1024, None, (-50, -50, -10, -10)) == Region.whole(LARGE, 19)


def test_an_object_stays_in_its_region_while_it_fits():
    first = choose_region(LARGE, 1024, (5000, 6000, 5000, 6000), (5500, 4500, 6500, 5500))
    assert first.hw == (1024, 1024)
    further = (5000, 6000, 5200, 6100)
    for view in (None, (0, 0, *LARGE), (5990, 4990, 6010, 5010)):
        assert choose_region(LARGE, 1024, further, view, first) == first
    outside = (5000, 6000, first.column + first.width - 20, 6100)
    moved = choose_region(LARGE, 1024, outside, None, first)
    assert moved != first
    assert moved.column + moved.width - 1 >= outside[2] + 100


def test_edges_of_the_plane_need_no_margin():
    corner = (0, 0, 30, 40)
    region = choose_region(LARGE, 1024, corner)
    assert (region.row, region.column) == (0, 0)
    assert choose_region(LARGE, 1024, corner, None, region) == region
    end = (LARGE[1] - 30, LARGE[0] - 30, LARGE[1] - 1, LARGE[0] - 1)
    region = choose_region(LARGE, 1024, end)
    assert (region.row + region.height, region.column + region.width) == LARGE
    assert choose_region(LARGE, 1024, end, None, region) == region


@pytest.mark.parametrize(("visible", "most"), [(2000, 25), (2048, 25), (1100, 16)])
def test_clicks_share_regions(visible, most):
    rng = np.random.default_rng(2)
    view = (4000, 4000, 4000 + visible, 4000 + visible)
    places = rng.uniform(4000, 4000 + visible, (500, 2))
    regions = [choose_region(LARGE, 1024, (x, y, x, y), view) for x, y in places]
    assert len(set(regions)) <= most
    assert {region.hw for region in regions} == {(1024, 1024)}
    for (x, y), region in zip(places, regions, strict=True):
        inside = np.array([x - region.column, y - region.row])
        assert 0.24 * 1024 <= inside.min() <= inside.max() <= 0.76 * 1024


def test_five_hundred_clicks_on_a_plane_in_view_take_nine_encodes():
    rng = np.random.default_rng(2)
    view = (0, 0, 2048, 2048)
    clicks = rng.uniform(0, 2047, (500, 2))
    regions = {choose_region((2048, 2048), 512, (x, y, x, y), view) for x, y in clicks}
    assert len(regions) == 9
    assert {region.step for region in regions} == {2}


@pytest.mark.parametrize("plane_hw", [LARGE, (2049, 700), (700, 30_000)])
def test_regions_grow_around_themselves_to_the_whole_plane(plane_hw):
    rng = np.random.default_rng(3)
    for _ in range(100):
        bounds = random_bounds(rng, plane_hw)
        region = choose_region(plane_hw, 256, bounds)
        steps = 0
        while (larger := grow(region, plane_hw, 256)) is not None:
            assert lies_in_plane(larger, plane_hw)
            assert read_side(larger) <= 512
            assert larger.row <= region.row
            assert larger.column <= region.column
            assert larger.row + larger.height >= region.row + region.height
            assert larger.column + larger.width >= region.column + region.width
            assert max(larger.hw) > max(region.hw)
            region, steps = larger, steps + 1
        assert region.hw == plane_hw
        assert steps <= 8
