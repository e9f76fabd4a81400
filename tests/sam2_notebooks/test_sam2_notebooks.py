"""SAM 2's own example notebooks, step by step: both sides give the same names and shapes."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from tests.reference import reference_generator, reference_predictor
from tests.reference import starter_model as build_starter
from tests.sam2_notebooks import (
    automatic_mask_generator_example,
    image_predictor_example,
    video_predictor_example,
)
from tests.video_parity import Reference, make_planes

from napari_sam2_openvino import SAM2AutomaticMaskGenerator


@pytest.fixture(scope="module")
def reference():
    return build_starter()


def picture(seed, hw):
    """Draw bright rectangles on noise."""
    random = np.random.default_rng(seed)
    image = random.integers(20, 60, (*hw, 3)).astype(np.uint8)
    for _ in range(12):
        row, column = random.integers(0, hw[0] - 40), random.integers(0, hw[1] - 60)
        image[row : row + 40, column : column + 60] = random.integers(120, 250, 3)
    return image


def described(value: Any) -> Any:
    """Return what a result is without its values: names, lengths, shapes, dtypes and types."""
    if isinstance(value, dict):
        return {key: described(each) for key, each in value.items()}
    if isinstance(value, list):
        return [described(each) for each in value]
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype.name
    return type(value).__name__


def masks_as_bool(name: str, result: Any) -> Any:
    """Make masks bool, the documented difference of images; they must be 0 and 1."""
    if isinstance(result, dict):
        return {key: masks_as_bool(key, each) for key, each in result.items()}
    if isinstance(result, list):
        return [masks_as_bool(name, each) for each in result]
    if name not in {"masks", "shown", "best_masks"}:
        return result
    assert np.isin(result, (0, 1)).all()
    return result.astype(bool)


def by_name(steps: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    return dict(steps)


def test_image_predictor(reference):
    images = picture(0, (300, 450)), picture(1, (256, 200))
    found = by_name(image_predictor_example.steps(image_predictor_example.load(), *images))
    wanted = by_name(image_predictor_example.steps(reference_predictor(reference), *images))
    assert len(found) == 9
    assert described(found) == described(masks_as_bool("", wanted))
    assert found["one click"]["masks"].shape == (3, 300, 450)
    assert found["one click"]["masks"].dtype == bool
    assert found["four boxes"]["masks"].shape == (4, 1, 300, 450)


def discs(hw):
    """Draw bright discs."""
    rows, columns = np.mgrid[: hw[0], : hw[1]]
    centres = [(row, column) for row in (40, 110) for column in (40, 100, 160)]
    image = np.full(hw, 30)
    for row, column in centres:
        image[np.hypot(rows - row, columns - column) < 20] = 200
    return np.repeat(image.astype(np.uint8)[..., None], 3, 2)


def in_short(generator_class):
    """Return a maker of generators that search few points, and keep what the starter scores low."""
    short = {"points_per_side": 6, "pred_iou_thresh": 0.3, "stability_score_thresh": 0.5}

    def make(model, **options):
        return generator_class(model, **options | short)

    return make


def test_automatic_mask_generator(reference):
    image = discs((150, 200))
    script = automatic_mask_generator_example
    ours = in_short(SAM2AutomaticMaskGenerator)
    found = by_name(script.steps(script.load(), image, ours))
    wanted = by_name(script.steps(reference, image, in_short(reference_generator)))
    assert list(found) == list(wanted) == ["defaults", "finer"]
    for name in found:
        assert len(found[name]["masks"]) == len(wanted[name]["masks"]) > 0
        ours_first, theirs_first = found[name]["masks"][0], wanted[name]["masks"][0]
        assert list(ours_first) == list(theirs_first)
        for key, value in theirs_first.items():
            assert np.shape(ours_first[key]) == np.shape(value), key
        assert ours_first["segmentation"].dtype == theirs_first["segmentation"].dtype == bool
        assert found[name]["shown"].shape == wanted[name]["shown"].shape


def test_video_predictor(reference):
    planes = make_planes(0, (120, 128), 4)
    script = video_predictor_example
    predictor = script.load()
    found = by_name(script.steps(predictor, predictor.init_state(planes)))
    theirs = Reference(reference, planes, correct_as_cond=False)
    wanted = by_name(script.steps(theirs.predictor, theirs.state))
    assert len(found) == 12
    assert described(found) == described(wanted)
    assert list(found["propagate both"]["video_segments"]) == [0, 1, 2, 3]
    assert list(found["propagate both"]["video_segments"][3]) == [2, 3]
