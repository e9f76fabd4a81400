import numpy as np

from napari_sam2_openvino.core.masks import fill_holes_and_remove_sprinkles


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
