"""What the starter answers, written down when it was converted: the same on every platform."""

from pathlib import Path

import numpy as np
import pytest

from napari_sam2_openvino import SAM2ImagePredictor

GOLDEN = Path(__file__).with_name("starter_golden.npz")
LEAST_AGREEMENT = 0.999
"""Part of the pixels; rounding differs between processors where a logit is almost 0."""


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN) as file:
        return dict(file)


@pytest.fixture(scope="module")
def predictor(golden, starter_model):
    predictor = SAM2ImagePredictor(starter_model)
    predictor.set_image(golden["image"])
    return predictor


def unpacked(golden, name, count):
    shape = (count, -1, *golden["image"].shape)
    size = count * golden[name.replace("masks", "scores")].shape[1] * golden["image"].size
    return np.unpackbits(golden[name])[:size].astype(bool).reshape(shape)


def test_clicks_give_the_masks_and_scores_that_were_written_down(golden, predictor):
    expected = unpacked(golden, "clicked_masks", len(golden["point_coords"]))
    for coords, masks, scores in zip(
        golden["point_coords"], expected, golden["clicked_scores"], strict=True
    ):
        answer, predicted, _ = predictor.predict(point_coords=coords, point_labels=[1])
        assert (answer == masks).mean() >= LEAST_AGREEMENT
        np.testing.assert_allclose(predicted, scores, atol=1e-3)


def test_boxes_give_the_masks_and_scores_that_were_written_down(golden, predictor):
    expected = unpacked(golden, "boxed_masks", len(golden["boxes"]))
    for box, masks, scores in zip(golden["boxes"], expected, golden["boxed_scores"], strict=True):
        answer, predicted, _ = predictor.predict(box=box, multimask_output=False)
        assert (answer == masks).mean() >= LEAST_AGREEMENT
        np.testing.assert_allclose(predicted, scores, atol=1e-3)


def test_the_masks_that_were_written_down_are_of_what_was_asked_for(golden):
    boxed = unpacked(golden, "boxed_masks", len(golden["boxes"]))
    for (left, top, right, bottom), mask in zip(golden["boxes"].astype(int), boxed, strict=True):
        inside = mask[0, top : bottom + 1, left : right + 1].mean()
        assert inside > 0.6
        assert mask[0].sum() < 1.4 * (right - left + 1) * (bottom - top + 1)
