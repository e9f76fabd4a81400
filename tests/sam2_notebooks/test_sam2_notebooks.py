"""SAM 2's own example notebooks, step by step: both sides give the same names and shapes."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from tests.reference import reference_predictor
from tests.reference import starter_model as build_starter
from tests.sam2_notebooks import (
    image_predictor_example,
    video_predictor_example,
)
from tests.video_parity import Reference, make_planes


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
