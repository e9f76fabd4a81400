"""Outlines along the edges of pixels: exact, and valid as polygons."""

import numpy as np
import pytest
from tests.export.scenes import CHAIN, DIAGONAL, HW, RING, masks_of, rasterised, tricky_plane

from napari_sam2_openvino.core.marks import MaskCut
from napari_sam2_openvino.export.outlines import polygons_of, polygons_without_holes, signed_area

MASKS = {str(obj_id): mask for obj_id, mask in masks_of(tricky_plane()).items()}
_rng = np.random.default_rng(0)
MASKS |= {f"noise of {share}": _rng.random((23, 31)) < share for share in (0.2, 0.5, 0.7, 0.9)}


def rings_of(polygons):
    return [ring for polygon in polygons for ring in (polygon.exterior, *polygon.holes)]


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_polygons_cover_the_pixels_of_a_mask_and_nothing_else(mask):
    polygons = polygons_of(MaskCut(mask))
    assert np.array_equal(rasterised(rings_of(polygons), mask.shape), mask)
    assert sum(map(signed_area, rings_of(polygons))) == mask.sum()


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_rings_are_simple_turn_the_right_way_and_have_no_corner_too_many(mask):
    for polygon in polygons_of(MaskCut(mask)):
        assert signed_area(polygon.exterior) > 0
        assert all(signed_area(hole) < 0 for hole in polygon.holes)
        for ring in (polygon.exterior, *polygon.holes):
            assert len({tuple(corner) for corner in ring}) == len(ring)
            steps = np.sign(np.roll(ring, -1, axis=0) - ring)
            assert (np.abs(steps).sum(axis=1) == 1).all()
            assert (steps != np.roll(steps, 1, axis=0)).any(axis=1).all()


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_an_object_without_its_holes_is_cut_into_polygons_that_are_exact_too(mask):
    polygons = polygons_without_holes(MaskCut(mask))
    assert not any(polygon.holes for polygon in polygons)
    assert np.array_equal(rasterised(rings_of(polygons), mask.shape), mask)
    assert sum(signed_area(polygon.exterior) for polygon in polygons) == mask.sum()


def test_a_pixel_is_a_square_from_its_index_to_the_next():
    (polygon,) = polygons_of(MaskCut(np.ones((1, 1), bool), (7, 3)))
    assert sorted(map(tuple, polygon.exterior.tolist())) == [(3, 7), (3, 8), (4, 7), (4, 8)]


def test_what_meets_in_a_corner_only_is_apart_pieces_and_holes_alike():
    pieces = {
        obj_id: polygons_of(MaskCut(tricky_plane() == obj_id)) for obj_id in (DIAGONAL, CHAIN)
    }
    assert len(pieces[DIAGONAL]) == 3
    (chain,) = pieces[CHAIN]
    assert sorted(signed_area(hole) for hole in chain.holes) == [-9, -1]


def test_an_empty_mask_has_no_outline():
    assert polygons_of(MaskCut(np.zeros((3, 4), bool))) == ()
    assert polygons_without_holes(MaskCut(np.zeros((0, 0), bool))) == ()


def test_the_origin_of_a_cut_moves_holes_as_well():
    mask = tricky_plane() == RING
    window = np.s_[10:22, 5:19]
    whole, cut = polygons_of(MaskCut(mask)), polygons_of(MaskCut(mask[window], (10, 5)))
    assert np.array_equal(rasterised(rings_of(whole), HW), rasterised(rings_of(cut), HW))
    assert len(whole[0].holes) == 2
