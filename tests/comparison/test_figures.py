"""The rule of the advice."""

import math
from dataclasses import replace

import pytest

from napari_sam2_openvino.comparison.figures import MaskFigures, SideFigures, advise
from napari_sam2_openvino.core.model_folder import Differences

NAN = float("nan")
SOUND = MaskFigures(0.99, 0.99, 0.99, 0.95, 0.9, 0.0, 0.8)
A = SideFigures(
    name="model",
    weights="f16",
    device="CPU",
    precision="bf16",
    size=100,
    peak_memory=None,
    encode_seconds=1.0,
    decode_seconds=0.1,
    cosines=(1.0, 1.0, 1.0),
    masks=SOUND,
    iou_prediction_change=0.0,
    differences=Differences(0, 0, 0, 1),
)
B = replace(A, name="small", size=50, encode_seconds=0.5)


def judged(reference_truth=0.8, *, a=A, **masks):
    return advise(a, replace(B, masks=replace(SOUND, **masks)), reference_truth)


def test_equal_masks_and_half_the_time_are_worth_it():
    advice = judged()
    assert advice.use_b
    assert advice.sentence == (
        "Use small: its masks have a mean IoU of 0.990 with those of model in f32, an image takes "
        "50 % of the time and the files 50 % of the space."
    )


@pytest.mark.parametrize(
    ("masks", "said"),
    [
        ({"mean": 0.969}, "mean IoU of 0.969"),
        ({"mean": NAN}, "mean IoU of nan"),
        ({"lost": 0.03}, "loses 3 % of the masks"),
        ({"truth": 0.785}, "loses 0.015 of IoU with the ground truth"),
    ],
)
def test_other_masks_are_not(masks, said):
    advice = judged(**masks)
    assert not advice.use_b
    assert advice.sentence.startswith("Keep model: small is not worth it, ")
    assert said in advice.sentence


def test_without_ground_truth_masks_alone_count():
    assert judged(NAN, truth=NAN).use_b


def test_an_original_that_strays_as_far_is_no_reason_to_keep_it():
    original = replace(A, masks=replace(SOUND, mean=0.92, lost=0.05, truth=0.77))
    assert judged(a=original, mean=0.95, lost=0.04, truth=0.78).use_b
    assert not judged(a=original, mean=0.9, lost=0.04, truth=0.78).use_b


@pytest.mark.parametrize(
    ("size", "seconds", "is_worth_it"),
    [
        (100, 0.8, False),
        (70, 0.8, False),
        (65, 1.05, True),
        (50, 1.2, False),
        (100, 0.7, True),
        (120, 0.5, True),
    ],
)
def test_something_must_be_gained(size, seconds, is_worth_it):
    advice = advise(A, replace(B, size=size, encode_seconds=seconds), 0.8)
    assert advice.use_b == is_worth_it
    if not is_worth_it:
        assert "gains too little" in advice.sentence


def test_a_not_finite_figure_is_never_advised():
    assert not math.isnan(A.masks.mean)
    assert not judged(mean=NAN, lost=NAN).use_b
