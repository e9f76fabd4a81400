"""What models are asked: from labels, and from a grid."""

import numpy as np
import pytest

from napari_sam2_openvino import SAM2ImagePredictor
from napari_sam2_openvino.comparison.questions import (
    OBJECTS_PER_IMAGE,
    answer,
    questions_from_grid,
    questions_from_labels,
)
from napari_sam2_openvino.core.types import MaskPrediction

LOW_RES_HW = (128, 128)


def test_labels_give_a_click_inside_and_the_box_of_each_object():
    labels = np.zeros((60, 80), np.uint16)
    labels[10:30, 20:50] = 7
    labels[40:50, 60:72] = 9
    labels[55:58, 3:6] = 11
    questions = questions_from_labels(labels, LOW_RES_HW)
    assert [question.kind for question in questions] == ["point", "box"] * 2
    for question, obj_id in zip(questions, (7, 7, 9, 9), strict=True):
        np.testing.assert_array_equal(question.truth, labels == obj_id)
    ((x, y),) = questions[0].prompts.point_coords
    assert labels[int(y), int(x)] == 7
    assert 15 <= y < 25
    assert questions[1].prompts.box.tolist() == [20, 10, 49, 29]


def test_of_many_objects_some_of_all_sizes_are_asked():
    labels = np.zeros((400, 400), np.int32)
    for number in range(20):
        row, column = divmod(number, 5)
        labels[row * 90 : row * 90 + 8 + 3 * number, column * 75 : column * 75 + 20] = number + 1
    questions = questions_from_labels(labels, LOW_RES_HW)
    assert len(questions) == 2 * OBJECTS_PER_IMAGE
    areas = [question.truth.sum() for question in questions]
    assert areas == sorted(areas, reverse=True)
    assert areas[0] == (labels == 20).sum()
    assert areas[-1] == (labels == 1).sum()


def labels_with(*sides, hw=(1024, 1024)):
    """Return labels with a square of each side in pixels, one in each row of them."""
    labels = np.zeros(hw, np.int32)
    for number, side in enumerate(sides):
        labels[number * 150 : number * 150 + side, 30 : 30 + side] = number + 1
    return labels


def asked_about(labels, questions):
    return {int(labels[question.truth].max()) for question in questions}


@pytest.mark.parametrize(
    ("sides", "asked"),
    [
        # Four logits of 8 x 8 pixels are 256 pixels.
        ((40, 20, 17, 15, 8), {1, 2, 3}),
        # A tenth of the median area of 100 x 100 pixels.
        ((100, 120, 90, 110, 100, 25), {1, 2, 3, 4, 5}),
        # Only specks are asked about where there is nothing else.
        ((10, 8, 9), {1, 2, 3}),
    ],
)
def test_specks_among_labels_are_not_asked_about(sides, asked):
    labels = labels_with(*sides)
    assert asked_about(labels, questions_from_labels(labels, LOW_RES_HW)) == asked


class SpecksAndObjects:
    """Finds a speck at each click of the upper half of 480 x 480 pixels, surely; else an object."""

    def predict_prompts(self, prompts):
        ((x, y),) = prompts.point_coords.astype(int)
        is_speck = y < 240
        reach = 4 if is_speck else 20
        mask = np.zeros((1, 480, 480), bool)
        mask[0, y - reach : y + reach, x - reach : x + reach] = True
        score = np.array([0.99 if is_speck else 0.6], np.float32)
        return MaskPrediction(mask, score, np.zeros((1, 64, 64), np.float32))


def test_specks_on_a_grid_are_not_asked_about_however_sure_they_are():
    questions = questions_from_grid(SpecksAndObjects(), (480, 480))
    boxes = [question.prompts.box for question in questions if question.kind == "box"]
    assert len(boxes) == OBJECTS_PER_IMAGE
    assert all(y0 > 200 and x1 - x0 == 39 for x0, y0, x1, _ in boxes)


def test_labels_without_objects_ask_nothing():
    assert questions_from_labels(np.zeros((9, 9), np.uint8), LOW_RES_HW) == []


def test_a_grid_asks_where_the_reference_finds_something(starter_model, scene):
    predictor = SAM2ImagePredictor(starter_model)
    predictor.set_image(scene.image)
    questions = questions_from_grid(predictor, scene.labels.shape)
    clicks = [question for question in questions if question.kind == "point"]
    assert 0 < len(clicks) <= OBJECTS_PER_IMAGE
    on_objects = [
        scene.labels[int(y), int(x)] > 0 for q in clicks for x, y in q.prompts.point_coords
    ]
    assert np.mean(on_objects) > 0.5
    for click, box in zip(questions[::2], questions[1::2], strict=True):
        mask = answer(predictor, click).masks[0]
        x0, y0, x1, y1 = box.prompts.box.astype(int)
        assert mask[y0 : y1 + 1, x0 : x1 + 1].sum() == mask.sum()
        assert mask[y0].any()
        assert mask[:, x1].any()
