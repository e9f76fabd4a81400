"""Which calls of SAM 2 the marks of one object become."""

import numpy as np
import pytest

from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.marks import Mark, MaskCut, ObjectPrompts
from napari_sam2_openvino.core.object_masks import mask_logits
from napari_sam2_openvino.core.prompt_building import SCRIBBLE_MAX_POINTS, build_stages
from napari_sam2_openvino.core.regions import Region

REGION = Region(row=100, column=200, height=80, width=160)
SIZE = 64
GRID = SIZE // 4


def point(x, y, is_positive=True):
    return Mark("point", ((x, y),), is_positive)


def box(x0, y0, x1, y1):
    return Mark("box", ((x0, y0), (x1, y1)))


def stages_of(*marks, mask=None):
    return build_stages(ObjectPrompts(marks, mask), REGION, SIZE)


def labels_of(stages):
    return [stage.point_labels.tolist() for stage in stages]


def test_each_click_after_the_first_is_a_stage_with_all_points_so_far():
    stages = stages_of(point(210, 110), point(220, 120, False), point(230, 130))
    assert labels_of(stages) == [[1], [1, 0], [1, 0, 1]]
    np.testing.assert_array_equal(stages[-1].point_coords, [[10, 10], [20, 20], [30, 30]])
    assert stages[0].is_ambiguous
    assert all(stage.mask_input is None and stage.box is None for stage in stages)


def test_negative_clicks_before_the_first_positive_one_share_its_stage():
    negative = point(220, 120, False)
    assert labels_of(stages_of(negative, negative, point(210, 110), negative)) == [
        [0, 0, 1],
        [0, 0, 1, 0],
    ]


@pytest.mark.parametrize("end_of_box", [(260, 150), (210, 110)])
def test_clicks_beside_a_box_correct_it(end_of_box):
    stages = stages_of(
        point(300, 170, False), box(230, 130, *end_of_box), point(240, 140), point(215, 115, False)
    )
    assert labels_of(stages) == [[0], [0, 1], [0, 1, 0]]
    (x0, x1), (y0, y1) = sorted((30, end_of_box[0] - 200)), sorted((30, end_of_box[1] - 100))
    for stage in stages:
        np.testing.assert_array_equal(stage.box, [x0, y0, x1, y1])


def test_a_box_alone_is_one_stage_without_points():
    (stage,) = stages_of(box(210, 110, 230, 130))
    assert stage.point_coords.shape == (0, 2)


def test_there_is_one_box_around_all_boxes_and_lassos():
    ellipse = Mark("ellipse", ((250, 130), (290, 130), (290, 150), (250, 150)))
    stages = stages_of(box(210, 140, 230, 160), ellipse)
    np.testing.assert_allclose(stages[0].box, [10, 30, 90, 60], atol=1e-4)


def test_the_box_of_a_turned_ellipse_is_its_own_not_that_of_its_corners():
    diamond = ((250, 120), (270, 140), (250, 160), (230, 140))
    (stage,) = stages_of(Mark("ellipse", diamond))
    half = 20 / np.sqrt(2)
    np.testing.assert_allclose(stage.box, [50 - half, 40 - half, 50 + half, 40 + half], atol=0.1)


def test_a_lasso_is_a_mask_prompt_too():
    (stage,) = stages_of(
        Mark("polygon", ((219.5, 119.5), (299.5, 119.5), (299.5, 159.5), (219.5, 159.5)))
    )
    assert stage.mask_input.shape == (1, GRID, GRID)
    # x from 20 to 100 of 160 pixels, y from 20 to 60 of 80, on a grid of 16.
    inside = np.zeros((GRID, GRID), bool)
    inside[4:12, 2:10] = True
    np.testing.assert_array_equal(stage.mask_input[0], np.where(inside, 10, -10))


def test_the_mask_of_a_lasso_agrees_with_that_of_its_pixels():
    rows, columns = np.ogrid[:80, :160]
    disc = (rows - 40) ** 2 + (columns - 60) ** 2 <= 30**2
    expected = mask_logits(MaskCut(disc, (100, 200)), REGION, GRID)
    (stage,) = stages_of(Mark("ellipse", ((230, 110), (290, 110), (290, 170), (230, 170))))
    assert ((stage.mask_input > 0) == (expected > 0)).mean() > 0.98


def test_a_lasso_smaller_than_the_grid_is_only_a_box():
    (stage,) = stages_of(Mark("polygon", ((210, 110), (210.1, 110), (210.1, 110.1))))
    assert stage.box is not None
    assert stage.mask_input is None


def test_a_scribble_is_points_in_the_middle_of_equal_parts():
    # 140 pixels of 160 are 56 of the model's 64: two parts.
    (stage,) = stages_of(Mark("path", ((210, 110), (250, 110), (350, 110))))
    np.testing.assert_allclose(stage.point_coords, [[45, 10], [115, 10]])
    assert stage.point_labels.tolist() == [1, 1]


def test_a_scribble_has_a_sign_and_a_limit():
    zigzag = tuple((210 + 140 * (number % 2), 110 + number) for number in range(20))
    (stage,) = stages_of(Mark("path", zigzag, is_positive=False), box(210, 110, 230, 130))
    assert stage.point_labels.tolist() == [0] * SCRIBBLE_MAX_POINTS


def test_a_scribble_without_length_is_a_point():
    (stage,) = stages_of(Mark("path", ((210, 110), (210, 110))))
    np.testing.assert_array_equal(stage.point_coords, [[10, 10]])


def test_a_positive_scribble_makes_clicks_corrections():
    stages = stages_of(Mark("path", ((210, 110), (211, 110))), point(220, 120))
    assert labels_of(stages) == [[1], [1, 1]]


def test_negative_points_outside_the_region_are_left_out():
    stages = stages_of(point(10, 10, False), point(210, 110), point(500, 110, False))
    assert labels_of(stages) == [[1], [1]]


def test_what_says_nothing_about_the_place_is_refused():
    with pytest.raises(InputError, match="say where it is"):
        stages_of(point(210, 110, False))


def test_a_mask_without_pixels_is_no_prompt():
    empty = MaskCut(np.zeros((0, 0), bool))
    with pytest.raises(InputError, match="say where it is"):
        stages_of(mask=empty)
    assert labels_of(stages_of(point(210, 110), point(220, 110), mask=empty)) == [[1], [1, 1]]


def test_a_mask_to_refine_stays_in_every_stage_with_its_box():
    mask = MaskCut(np.pad(np.ones((20, 40), bool), ((3, 0), (0, 5))), (117, 220))
    stages = stages_of(point(205, 105, False), point(290, 130), mask=mask)
    assert labels_of(stages) == [[], [0], [0, 1]]
    for stage in stages:
        np.testing.assert_array_equal(stage.box, [19.5, 19.5, 59.5, 39.5])
        np.testing.assert_array_equal(stage.mask_input, mask_logits(mask, REGION, GRID))


def test_the_box_goes_around_lassos_and_mask_together():
    lasso = Mark("polygon", ((210, 110), (220, 110), (220, 170)))
    mask = MaskCut(np.ones((1, 1), bool), (120, 300))
    (stage,) = stages_of(lasso, mask=mask)
    np.testing.assert_array_equal(stage.box, [10, 10, 100.5, 70])
    assert stage.mask_input.max() > -10


def test_a_box_without_area_is_refused():
    with pytest.raises(InputError, match="draw it larger"):
        stages_of(Mark("polygon", ((210, 110), (230, 110), (220, 110))))
