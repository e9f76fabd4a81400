"""Candidates and what is done with them once the grid was run."""

import numpy as np
import pytest

from napari_sam2_openvino.core.boxes import suppress_boxes
from napari_sam2_openvino.core.candidates import Candidates
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.rle import MaskRuns

HW = (60, 80)


def candidates_of(boxes, scores, crops=None) -> Candidates:
    """Return rectangles as candidates; boxes are xyxy, the last column and row included."""
    masks = []
    for x0, y0, x1, y1 in boxes:
        mask = np.zeros(HW, bool)
        mask[y0 : y1 + 1, x0 : x1 + 1] = True
        masks.append(MaskRuns.from_mask(mask))
    count = len(masks)
    crops = [(0, 0, HW[1], HW[0])] * count if crops is None else crops
    return Candidates(
        image_hw=HW,
        masks=tuple(masks),
        boxes=np.array([mask.box for mask in masks], np.float32).reshape(-1, 4),
        iou_predictions=np.array(scores, np.float32),
        stability_scores=np.linspace(0.9, 1, count, dtype=np.float32),
        point_coords=np.array([box[:2] for box in boxes], np.float32).reshape(-1, 2),
        crop_boxes=np.array(crops, np.float32).reshape(-1, 4),
        areas=np.array([mask.area for mask in masks], np.int64),
    )


@pytest.mark.parametrize("iou_thresh", [0.0, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_suppression_is_that_of_torchvision(iou_thresh, seed):
    import torch
    from tests.reference import greedy_nms

    rng = np.random.default_rng(seed)
    corner = rng.integers(0, 40, (300, 2))
    boxes = np.hstack([corner, corner + rng.integers(0, 30, (300, 2))]).astype(np.float32)
    # Few values: many ties.
    scores = rng.integers(0, 20, 300).astype(np.float32) / 20
    expected = greedy_nms(torch.from_numpy(boxes), torch.from_numpy(scores), iou_thresh)
    assert suppress_boxes(boxes, scores, iou_thresh).tolist() == expected.tolist()


def test_the_threshold_of_suppression_is_not_rounded():
    # An IoU of exactly 0.8 rounds to a float32 above 0.8.
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 8]], np.float32)
    assert suppress_boxes(boxes, np.array([1, 0.5], np.float32), 0.8).tolist() == [0]


def test_the_better_of_two_duplicates_stays():
    found = candidates_of([(0, 0, 9, 9), (1, 0, 9, 9), (30, 30, 40, 40)], [0.8, 0.9, 0.7])
    assert found.suppressed(0.7, 0.7).tolist() == [1, 2]
    assert found.suppressed(1.0, 1.0).tolist() == [1, 0, 2]


def test_between_crops_the_smaller_crop_wins():
    whole, crop = (0, 0, 80, 60), (0, 0, 50, 40)
    boxes = [(0, 0, 9, 9), (0, 0, 9, 9), (0, 0, 9, 9)]
    found = candidates_of(boxes, [0.9, 0.7, 0.8], [whole, crop, crop])
    assert found.suppressed(0.7, 0.7).tolist() == [2]
    assert found.suppressed(0.7, 1.0).tolist() == [2, 0]


def test_take_keeps_what_belongs_together():
    found = candidates_of([(0, 0, 9, 9), (20, 5, 40, 25), (30, 30, 40, 40)], [0.8, 0.9, 0.7])
    taken = found.take([2, 0])
    assert np.array_equal(taken.boxes, found.boxes[[2, 0]])
    assert np.array_equal(taken.areas, [121, 100])
    assert taken.cut(0).origin == (30, 30)
    by_mask = found.take(found.iou_predictions > 0.75)
    assert np.array_equal(by_mask.point_coords, found.point_coords[:2])
    both = Candidates.joined([taken, by_mask, Candidates.none(HW)])
    assert np.array_equal(both.areas, [121, 100, 100, 441])
    assert len(both) == len(both.masks) == 4


def test_records_have_the_keys_of_sam2():
    found = candidates_of([(3, 5, 9, 20)], [0.8])
    record = found.records()[0]
    assert record["segmentation"].shape == HW
    assert record["segmentation"].sum() == record["area"] == 7 * 16
    assert record["bbox"] == [3, 5, 6, 15]
    assert record["crop_box"] == [0, 0, 80, 60]
    assert record["point_coords"] == [[3, 5]]
    assert set(record) == {
        *("segmentation", "area", "bbox", "predicted_iou"),
        *("point_coords", "stability_score", "crop_box"),
    }


def test_an_unknown_output_mode_is_refused():
    with pytest.raises(InputError, match="output_mode must be one of binary_mask"):
        candidates_of([], []).records("polygons")


def test_arrays_of_another_length_are_refused():
    found = candidates_of([(3, 5, 9, 20)], [0.8])
    with pytest.raises(InputError, match=r"areas must have shape \(1,\) for 1 masks"):
        Candidates(
            HW,
            found.masks,
            found.boxes,
            found.iou_predictions,
            found.stability_scores,
            found.point_coords,
            found.crop_boxes,
            np.zeros(2, np.int64),
        )
