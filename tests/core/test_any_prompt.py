"""Whatever prompts are given, they are answered with masks or refused in one sentence."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_sam2_openvino import SAM2ImagePredictor, SAM2VideoPredictor
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.types import MAX_COORDINATE

IMAGE = np.random.default_rng(0).integers(0, 255, (48, 80), np.uint8)
INSIDE = [[20, 30]]


@pytest.fixture(scope="module")
def predictor(starter_model):
    predictor = SAM2ImagePredictor(starter_model)
    predictor.set_image(IMAGE)
    return predictor


USED = {
    "outside": ([[1e4, -1e4]], [1]),
    "as far as it goes": ([[1e9, -1e9]], [1]),
    "on the border": ([[0, 0], [80, 48], [79.5, 47.5], [-0.5, -0.5]], [1] * 4),
    "duplicated": (INSIDE * 5, [1] * 5),
    "contradicting": (INSIDE * 2, [1, 0]),
    "a thousand": (np.random.default_rng(1).random((1000, 2)) * 48, np.arange(1000) % 2),
    "only background": (INSIDE, [0]),
    "none": (np.zeros((0, 2)), []),
    "bool labels": (INSIDE, [True]),
    "padding": (INSIDE * 2, [1, -1]),
}


@pytest.mark.parametrize("name", USED)
def test_strange_points_are_answered(name, predictor):
    masks, scores, logits = predictor.predict(*USED[name])
    assert masks.shape == (3, 48, 80)
    assert np.isfinite(scores).all()
    assert np.isfinite(logits).all()
    # The same once more, and others are not changed by it.
    again, _, _ = predictor.predict(*USED[name])
    assert (again == masks).all()


REFUSED = {
    "NaN": ({"point_coords": [[np.nan, 1]], "point_labels": [1]}, "finite numbers"),
    "infinite": ({"point_coords": [[np.inf, 1]], "point_labels": [1]}, "finite numbers"),
    "beyond float32": ({"point_coords": [[1e300, 1]], "point_labels": [1]}, "finite numbers"),
    "far too large": ({"point_coords": [[2e9, 1]], "point_labels": [1]}, "no image is as large"),
    "text": ({"point_coords": [["a", "b"]], "point_labels": [1]}, "array of numbers"),
    "ragged": ({"point_coords": [[1, 2], [3]], "point_labels": [1, 1]}, "array of numbers"),
    "complex": ({"point_coords": [[1j, 2]], "point_labels": [1]}, "array of numbers"),
    "missing": ({"point_coords": [[None, 2]], "point_labels": [1]}, "finite numbers"),
    "NaN label": ({"point_coords": INSIDE, "point_labels": [np.nan]}, "finite numbers"),
    "text label": ({"point_coords": INSIDE, "point_labels": ["a"]}, "array of numbers"),
    "half a label": ({"point_coords": INSIDE, "point_labels": [0.5]}, "must be 1 .* or 0"),
    "label 7": ({"point_coords": INSIDE, "point_labels": [7]}, "must be 1 .* or 0"),
    "NaN box": ({"box": [np.nan, 0, 1, 1]}, "finite numbers"),
    "far too large box": ({"box": [0, 0, 1e30, 1e30]}, "no image is as large"),
    "text mask": ({"mask_input": "x"}, "array of numbers"),
    "NaN mask": ({"mask_input": np.full((1, 128, 128), np.nan)}, "finite numbers"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_prompt_is_refused_in_a_sentence(name, predictor):
    prompts, words = REFUSED[name]
    with pytest.raises(InputError, match=words):
        predictor.predict(**prompts)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    points=st.lists(
        st.tuples(st.floats(), st.floats(), st.sampled_from([0, 1])), min_size=1, max_size=4
    ),
    box=st.none() | st.tuples(*[st.floats()] * 4),
)
def test_any_numbers_are_answered_or_refused(points, box, predictor):
    coords, labels = [each[:2] for each in points], [each[2] for each in points]
    values = np.array([*coords, *([] if box is None else np.reshape(box, (2, 2)))])
    if not (np.abs(values) <= MAX_COORDINATE).all():
        with pytest.raises(InputError, match=r"finite numbers|no image is as large"):
            predictor.predict(coords, labels, box=box)
        return
    masks, scores, _ = predictor.predict(coords, labels, box=box)
    assert masks.shape == (3, 48, 80)
    assert np.isfinite(scores).all()


def test_boxes_of_no_area_turned_round_or_outside_are_answered(predictor):
    boxes = [[10, 10, 10, 10], [50, 40, 10, 10], [1000, 1000, 2000, 2000], [-1e9, -1e9, 1e9, 1e9]]
    masks, scores, _ = predictor.predict(box=boxes, multimask_output=False)
    assert masks.shape == (4, 1, 48, 80)
    assert np.isfinite(scores).all()


def test_a_video_refuses_the_same(starter_model):
    predictor = SAM2VideoPredictor(starter_model)
    state = predictor.init_state(IMAGE[None])
    for prompts in (
        {"points": [[np.nan, 1]], "labels": [1]},
        {"points": [["a", "b"]], "labels": [1]},
        {"points": INSIDE, "labels": [np.nan]},
        {"box": [0, 0, 1e30, 1]},
    ):
        with pytest.raises(InputError):
            predictor.add_new_points_or_box(state, 0, 1, **prompts)
    assert state.obj_ids == ()
