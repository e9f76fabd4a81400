"""What models are asked: from labels, and from a grid."""

import numpy as np

from napari_sam2_openvino import SAM2ImagePredictor
from napari_sam2_openvino.comparison.questions import (
    OBJECTS_PER_IMAGE,
    answer,
    questions_from_grid,
    questions_from_labels,
)


def test_labels_give_a_click_inside_and_the_box_of_each_object():
    labels = np.zeros((60, 80), np.uint16)
    labels[10:30, 20:50] = 7
    labels[40:50, 60:72] = 9
    labels[55:58, 3:6] = 11
    questions = questions_from_labels(labels)
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
    questions = questions_from_labels(labels)
    assert len(questions) == 2 * OBJECTS_PER_IMAGE
    areas = [question.truth.sum() for question in questions]
    assert areas == sorted(areas, reverse=True)
    assert areas[0] == (labels == 20).sum()
    assert areas[-1] == (labels == 1).sum()


def test_labels_without_objects_ask_nothing():
    assert questions_from_labels(np.zeros((9, 9), np.uint8)) == []


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
