import numpy as np
import pytest

from napari_sam2_openvino.core.masks import (
    fill_holes,
    fill_holes_and_remove_sprinkles,
    fill_holes_in_logits,
    innermost_point,
    remove_specks,
    smooth,
)


def ring_and_speck():
    logits = np.full((1, 12, 12), -1, np.float32)
    logits[0, 2:8, 2:8] = 1
    logits[0, 4:6, 4:6] = -1  # a hole of 4 pixels
    logits[0, 10, 10] = logits[0, 11, 11] = 1  # a speck of 2 pixels, connected by a corner
    return logits


def test_small_holes_are_filled_and_specks_removed():
    cleaned = fill_holes_and_remove_sprinkles(ring_and_speck(), 0.0, 4, 2)
    assert (cleaned[0, 4:6, 4:6] == 10).all()
    assert cleaned[0, 10, 10] == cleaned[0, 11, 11] == -10
    assert (cleaned[0, 2:4, 2:8] == 1).all()


def test_larger_ones_stay():
    logits = ring_and_speck()
    # Corners connect: as two specks of one pixel each they would go.
    np.testing.assert_array_equal(fill_holes_and_remove_sprinkles(logits, 0.0, 3, 1), logits)


def test_values_are_relative_to_the_threshold():
    logits = ring_and_speck() + 2
    cleaned = fill_holes_and_remove_sprinkles(logits, 2.0, 4, 2)
    assert (cleaned[0, 4:6, 4:6] == 12).all()
    assert cleaned[0, 10, 10] == -8


def test_nothing_asked_returns_the_same_logits():
    logits = ring_and_speck()
    assert fill_holes_and_remove_sprinkles(logits, 0.0, 0, 0) is logits


def test_holes_are_filled_without_removing_specks_and_the_other_way_round():
    logits = ring_and_speck()
    filled = fill_holes_and_remove_sprinkles(logits, 0.0, 4, 0)
    assert (filled[0, 4:6, 4:6] == 10).all()
    assert filled[0, 10, 10] == 1
    cleaned = fill_holes_and_remove_sprinkles(logits, 0.0, 0, 2)
    assert (cleaned[0, 4:6, 4:6] == -1).all()
    assert cleaned[0, 10, 10] == -10
    np.testing.assert_array_equal(logits, ring_and_speck())


def test_an_area_of_less_than_a_pixel_cleans_nothing():
    logits = ring_and_speck()
    np.testing.assert_array_equal(fill_holes_and_remove_sprinkles(logits, 0.0, 0.5, 0.5), logits)


def test_one_pixel_is_enough_of_either():
    logits = np.full((1, 9, 9), -1, np.float32)
    logits[0, 1:4, 1:4] = 1
    logits[0, 2, 2], logits[0, 6, 6] = -1, 1
    assert fill_holes_and_remove_sprinkles(logits, 0.0, 1, 0)[0, 2, 2] == 10
    assert fill_holes_and_remove_sprinkles(logits, 0.0, 0, 1)[0, 6, 6] == -10


def test_a_logit_at_the_threshold_is_background():
    logits = ring_and_speck()
    logits[0, 4:6, 4:6] = 0
    assert (fill_holes_and_remove_sprinkles(logits, 0.0, 4, 0)[0, 4:6, 4:6] == 10).all()


def test_each_mask_is_cleaned_by_itself():
    logits = np.concatenate([ring_and_speck(), np.full((1, 12, 12), -1, np.float32)])
    cleaned = fill_holes_and_remove_sprinkles(logits, 0.0, 4, 2)
    np.testing.assert_array_equal(cleaned[1], logits[1])
    np.testing.assert_array_equal(cleaned[:1], fill_holes_and_remove_sprinkles(logits[:1], 0, 4, 2))


def test_holes_of_a_video_get_a_logit_just_above_the_threshold():
    logits = ring_and_speck()[0]
    logits[4, 4] = 0
    np.testing.assert_array_equal(fill_holes_in_logits(logits, 3), logits)
    filled = fill_holes_in_logits(logits, 4)
    assert (filled[4:6, 4:6] == np.float32(0.1)).all()
    assert filled.dtype == np.float32
    filled[4:6, 4:6] = logits[4:6, 4:6]
    np.testing.assert_array_equal(filled, logits)


def test_no_area_leaves_the_logits_of_a_video_as_they_are():
    logits = ring_and_speck()[0]
    assert fill_holes_in_logits(logits, 0) is logits
    assert fill_holes_in_logits(logits, -1) is logits
    assert fill_holes_in_logits(logits, 1) is not logits


def drawn(*rows):
    return np.array([[character == "#" for character in row] for row in rows])


def test_a_hole_is_filled_up_to_its_area():
    mask = drawn("#####", "#.###", "##.##", "#####")
    # The two pixels touch by a corner, so they are one hole.
    np.testing.assert_array_equal(fill_holes(mask, 1), mask)
    assert fill_holes(mask, 2).all()
    assert fill_holes(mask, 2).dtype == bool


def test_background_that_reaches_the_edge_is_no_hole():
    mask = drawn("###.##", "###.##", "######", "##.###", "######")
    expected = drawn("###.##", "###.##", "######", "######", "######")
    np.testing.assert_array_equal(fill_holes(mask, 100), expected)


def test_what_touches_no_edge_but_by_a_corner_is_open_too():
    mask = drawn("####", "#.##", "##.#", "###.")
    np.testing.assert_array_equal(fill_holes(mask, 100), mask)


def test_a_cut_without_the_object_has_no_holes():
    empty = np.zeros((3, 4), bool)
    np.testing.assert_array_equal(fill_holes(empty, 100), empty)


def test_specks_go_up_to_their_area_and_the_largest_piece_stays():
    mask = drawn("###...", "###..#", "....#.", "......", "#.....")
    without_one = drawn("###...", "###..#", "....#.", "......", "......")
    np.testing.assert_array_equal(remove_specks(mask, 0), mask)
    np.testing.assert_array_equal(remove_specks(mask, 1), without_one)
    largest = drawn("###...", "###...", "......", "......", "......")
    np.testing.assert_array_equal(remove_specks(mask, 2), largest)
    np.testing.assert_array_equal(remove_specks(mask, 100), largest)


def test_of_equal_pieces_the_first_stays():
    np.testing.assert_array_equal(remove_specks(drawn("#.#.#"), 5), drawn("#...."))
    empty = np.zeros((2, 3), bool)
    np.testing.assert_array_equal(remove_specks(empty, 5), empty)


@pytest.mark.parametrize("radius", [1, 2, 5])
def test_smoothing_is_a_majority_under_a_gaussian_of_half_the_radius(radius):
    mask = np.random.default_rng(radius).random((30, 40)) < 0.5
    offsets = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (offsets / (radius / 2)) ** 2)
    weights /= weights.sum()
    padded = np.pad(mask.astype(float), radius, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2 * radius + 1,) * 2)
    share = np.einsum("yxij,i,j->yx", windows, weights, weights)
    smoothed = smooth(mask, radius)
    # float32 may round what is as good as half to either side.
    clear = np.abs(share - 0.5) > 1e-4
    np.testing.assert_array_equal(smoothed[clear], (share > 0.5)[clear])
    assert clear.mean() > 0.99


def test_half_of_the_surroundings_are_not_enough():
    stripe = np.zeros((9, 9), bool)
    stripe[:, 4] = True
    assert not smooth(stripe, 4).any()
    assert smooth(np.ones((4, 4), bool), 3).all()
    assert smooth(stripe, 4).dtype == bool


def test_the_innermost_point_is_farthest_from_the_edge():
    mask = np.zeros((20, 30), bool)
    mask[5:12, 11:24] = True
    mask[15, 2] = True
    # Depth 4 along the middle row: the first of equal ones.
    x, y = innermost_point(mask)
    assert (x, y) == (14, 8)
    assert innermost_point(mask).dtype == np.float32


def test_the_border_of_the_array_is_an_edge():
    np.testing.assert_array_equal(innermost_point(np.ones((5, 7), bool)), [2, 2])
    np.testing.assert_array_equal(innermost_point(np.ones((1, 1), bool)), [0, 0])
    corner = np.zeros((6, 6), bool)
    corner[3:, 3:] = True
    np.testing.assert_array_equal(innermost_point(corner), [4, 4])
