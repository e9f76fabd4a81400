"""Tiles cover a plane, and what is no larger than the halo lies whole in one."""

import numpy as np
import pytest

from napari_sam2_openvino.core.crops import EDGE_TOLERANCE
from napari_sam2_openvino.core.object_parameters import TilingParameters
from napari_sam2_openvino.core.regions import Region, choose_region
from napari_sam2_openvino.core.tiling import HALO, LARGEST_STEP, plan_tiles

SIDE = 256
PLANES = [(513, 513), (700, 2000), (2000, 300), (1025, 1511), (3000, 2999)]


def tiles_of(hw, **options):
    return plan_tiles(hw, SIDE, TilingParameters(**options))


@pytest.mark.parametrize("hw", [(1, 1), (256, 256), (512, 100), (512, 512)])
def test_what_one_encode_resolves_is_searched_whole_in_the_region_of_prompts(hw):
    (tile,) = tiles_of(hw)
    assert tile.region == Region.whole(hw) == choose_region(hw, SIDE, None)
    assert len(tile.points(16)) == 16 * max(1, round(16 * min(hw) / max(hw)))


def test_a_large_plane_is_searched_whole_if_tiles_are_off():
    (tile,) = tiles_of((2048, 1000), use_tiles=False)
    assert tile.region == Region.whole((2048, 1000), 8)
    assert tile.region == choose_region((2048, 1000), SIDE, (0, 0, 2047, 999))


@pytest.mark.parametrize("hw", PLANES)
@pytest.mark.parametrize("tile_size", [0, 128, 700])
def test_the_cores_of_each_level_cover_the_plane_once(hw, tile_size):
    tiles = tiles_of(hw, tile_size=tile_size)
    rng = np.random.default_rng(0)
    points = np.vstack([rng.uniform(0, np.array(hw) - 1e-6, (400, 2)), [[0, 0], np.array(hw) - 1]])
    for level in range(max(tile.level for tile in tiles) + 1):
        cores = np.array([tile.core for tile in tiles if tile.level == level])
        x0, y0, x1, y1 = cores.T
        y, x = points[:, :1], points[:, 1:]
        assert (((x >= x0) & (x < x1) & (y >= y0) & (y < y1)).sum(axis=1) == 1).all()
        assert ((x1 - x0) * (y1 - y0)).sum() == pytest.approx(hw[0] * hw[1])


@pytest.mark.parametrize("hw", PLANES)
def test_an_object_a_little_smaller_than_the_halo_lies_whole_in_the_tile_of_each_point(hw):
    for tile in tiles_of(hw):
        region, (x0, y0, x1, y1) = tile.region, tile.core
        halo = HALO * max(SIDE * 2**tile.level if max(region.hw) < max(hw) else 0, 0)
        bottom, right = region.row + region.height, region.column + region.width
        for edge, core, end in (
            (region.row, y0, 0),
            (region.column, x0, 0),
            (-bottom, -y1, -hw[0]),
            (-right, -x1, -hw[1]),
        ):
            assert core - edge >= halo or edge == end
        assert region.row >= 0
        assert region.column >= 0
        assert bottom <= hw[0]
        assert right <= hw[1]


@pytest.mark.parametrize("hw", PLANES)
def test_each_level_looks_for_what_the_finer_one_cannot_see_whole(hw):
    tiles = tiles_of(hw)
    finest = {tile.least_side for tile in tiles if tile.level == 0}
    assert finest == {0}
    for tile in tiles:
        if tile.level:
            assert 0 < tile.least_side <= HALO * SIDE * 2 ** (tile.level - 1) - EDGE_TOLERANCE
    assert tiles[-1].region.hw == hw
    assert [tile.level for tile in tiles] == sorted(tile.level for tile in tiles)


def test_no_tile_is_larger_than_memory_allows():
    tiles = tiles_of((30_000, 20_000))
    assert max(tile.region.step for tile in tiles) == LARGEST_STEP
    assert max(max(tile.region.hw) for tile in tiles) < SIDE * LARGEST_STEP + LARGEST_STEP


@pytest.mark.parametrize("hw", PLANES)
def test_tiles_begin_on_pixels_that_are_read(hw):
    for tile in tiles_of(hw):
        assert tile.region.row % tile.region.step == 0
        assert tile.region.column % tile.region.step == 0


@pytest.mark.parametrize("hw", PLANES)
def test_points_are_as_dense_at_seams_as_elsewhere_and_each_is_asked_once(hw):
    tiles = tiles_of(hw)
    for level in range(tiles[-1].level + 1):
        points = []
        for tile in (each for each in tiles if each.level == level):
            own = tile.points(16)
            assert own.min() > 0
            assert own.max() < 1
            points.append(own * tile.region.hw[::-1] + (tile.region.column, tile.region.row))
        y, x = (np.unique(np.vstack(points)[:, axis].round(6)) for axis in (1, 0))
        assert len(y) * len(x) == len(np.vstack(points))
        spacing = next(each.side for each in tiles if each.level == level) / 16
        for places, length in ((y, hw[0]), (x, hw[1])):
            gaps = np.diff(np.concatenate([[-places[0]], places, [2 * length - places[-1]]]))
            assert gaps == pytest.approx(gaps[0])
            assert gaps[0] == pytest.approx(spacing, rel=0.07) or len(places) < 8
