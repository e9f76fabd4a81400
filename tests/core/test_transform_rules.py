"""The pure functions by rule, without PyTorch: layouts, choices and borders."""

import numpy as np
import pytest

from napari_sam2_openvino.core import transforms
from napari_sam2_openvino.core.model_folder import ModelConfig

CONFIG = ModelConfig(architecture="test", image_size=64, hidden_dim=32)
NO_FALLBACK = ModelConfig(
    architecture="test", image_size=64, hidden_dim=32, dynamic_multimask_via_stability=False
)
# As torchvision's weights of ImageNet have them.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def test_an_image_of_the_models_size_is_only_normalized():
    rgb = np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    expected = ((rgb / 255 - MEAN) / STD).transpose(2, 0, 1)[None]
    encoded = transforms.preprocess(rgb, 6)
    assert encoded.dtype == np.float32
    np.testing.assert_allclose(encoded, expected, atol=1e-5)


def test_an_image_is_stretched_to_a_square_by_a_triangle():
    rgb = np.zeros((2, 4, 3), np.uint8)
    rgb[:, 2:] = 255
    encoded = transforms.preprocess(rgb, 2)
    # Half as wide: weights 3 : 3 : 1 of the columns that a pixel feels, at the border.
    share = np.array([1 / 7, 6 / 7])
    for channel in range(3):
        row = (share - MEAN[channel]) / STD[channel]
        np.testing.assert_allclose(encoded[0, channel], [row, row], atol=1e-5)


@pytest.mark.parametrize("multimask_output", [False, True])
def test_scores_go_with_their_masks(multimask_output):
    logits = np.random.default_rng(1).normal(size=(5, 4, 8, 8)).astype(np.float32)
    logits[:2, 0] = np.where(logits[:2, 0] > 0, 9, -9)
    scores = np.random.default_rng(2).permutation(20).reshape(5, 4).astype(np.float32)
    masks, chosen = transforms.select_masks(
        logits, scores, multimask_output=multimask_output, config=CONFIG
    )
    assert masks.shape == (5, 3 if multimask_output else 1, 8, 8)
    assert chosen.shape == masks.shape[:2]
    for row in range(5):
        for mask, score in zip(masks[row], chosen[row], strict=True):
            number = int(np.flatnonzero(scores[row] == score)[0])
            np.testing.assert_array_equal(mask, logits[row, number])
            if not multimask_output:
                assert number == (0 if row < 2 else 1 + np.argmax(scores[row, 1:]))


def test_to_model_space_scales_x_by_width_and_y_by_height():
    coords = np.array([[[30, 10], [60, 20]]], np.float32)
    scaled = transforms.to_model_space(coords, (20, 60), 256)
    np.testing.assert_array_equal(scaled, [[[128, 128], [256, 256]]])
    np.testing.assert_array_equal(
        transforms.to_model_space(np.array([[0.5, 0.25]], np.float32), None, 256), [[128, 64]]
    )


def test_tokens_of_points_end_with_one_that_is_not_a_point():
    coords, labels = transforms.build_tokens(
        np.array([[[1, 2], [3, 4]]], np.float32), np.array([[1, 0]], np.int32), None
    )
    np.testing.assert_array_equal(coords, [[[1, 2], [3, 4], [0, 0]]])
    np.testing.assert_array_equal(labels, [[1, 0, -1]])


def test_tokens_of_boxes_come_before_points():
    coords, labels = transforms.build_tokens(
        np.array([[[5, 6]], [[7, 8]]], np.float32),
        np.array([[1], [1]], np.int32),
        np.array([[[0, 1], [2, 3]], [[4, 5], [6, 7]]], np.float32),
    )
    np.testing.assert_array_equal(labels, [[2, 3, 1, -1]] * 2)
    np.testing.assert_array_equal(coords[1], [[4, 5], [6, 7], [7, 8], [0, 0]])


def test_without_points_and_boxes_there_is_no_token():
    coords, labels = transforms.build_tokens(None, None, None)
    assert coords.shape == (1, 0, 2)
    assert labels.shape == (1, 0)
    assert labels.dtype == np.int32


def test_stability_of_an_empty_mask_is_one():
    assert transforms.stability_scores(np.full((1, 4, 4), -9, np.float32), 0.05) == 1


def test_blank_tokens_are_two_that_are_not_a_point():
    coords, labels = transforms.blank_tokens(3)
    np.testing.assert_array_equal(coords, np.zeros((3, 2, 2)))
    np.testing.assert_array_equal(labels, [[-1, -1]] * 3)
    assert (coords.dtype, labels.dtype) == (np.float32, np.int32)


def test_the_best_of_three_is_never_the_first_mask():
    scores = np.array([[0.9, 0.1, 0.3, 0.2], [0.9, 0.5, 0.3, 0.2], [0, 0, 0, 1]], np.float32)
    np.testing.assert_array_equal(transforms.best_of_three(scores), [2, 1, 3])


def logits_of_stability(n_between, n_inside):
    logits = np.full((1, 4, 10, 10), -5, np.float32)
    logits[0, 0].flat[:n_between] = 0
    logits[0, 0].flat[n_between : n_between + n_inside] = 5
    return logits


def test_a_mask_is_unstable_below_the_threshold_only():
    scores = np.array([[0.9, 0.1, 0.3, 0.2]], np.float32)
    # 0.98 as a float32, exactly: 49 of 50.
    at_it, below = logits_of_stability(1, 49), logits_of_stability(2, 48)
    np.testing.assert_array_equal(transforms.single_token(at_it, scores, CONFIG), [0])
    np.testing.assert_array_equal(transforms.single_token(below, scores, CONFIG), [2])
    np.testing.assert_array_equal(transforms.single_token(below, scores, NO_FALLBACK), [0])


def test_stability_compares_strictly_on_both_sides_of_zero():
    logits = np.array([[[2, 1.5, 1, 0, -1, -1.5, -2]], [[9, 9, 9, -9, -9, -9, -9]]], np.float32)
    # Over 1: two. Over -1: four.
    np.testing.assert_array_equal(transforms.stability_scores(logits, 1.0), [0.5, 1])
    assert transforms.stability_scores(logits, 1.0).dtype == np.float32


def test_a_mask_that_is_there_only_at_the_lower_threshold_has_no_stability():
    logits = np.zeros((1, 1, 1), np.float32)
    np.testing.assert_array_equal(transforms.stability_scores(logits, 0.05), [0])


def test_points_without_labels_are_no_tokens():
    coords, labels = transforms.build_tokens(np.zeros((1, 2, 2), np.float32), None, None)
    assert coords.shape == (1, 0, 2)
    assert labels.shape == (1, 0)


def test_tokens_of_boxes_alone():
    boxes = np.array([[[0, 1], [2, 3]], [[4, 5], [6, 7]]], np.float32)
    coords, labels = transforms.build_tokens(None, None, boxes)
    np.testing.assert_array_equal(coords[:, :2], boxes)
    np.testing.assert_array_equal(coords[:, 2:], np.zeros((2, 1, 2)))
    np.testing.assert_array_equal(labels, [[2, 3, -1]] * 2)
    assert (coords.dtype, labels.dtype) == (np.float32, np.int32)


def test_coordinates_become_float32():
    whole = np.array([[10, 20]])
    assert transforms.to_model_space(whole, (20, 60), 64).dtype == np.float32
    assert transforms.to_model_space(whole, None, 64).dtype == np.float32
