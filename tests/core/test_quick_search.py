"""The quick search for every object: which points it leaves out, and what it still finds."""

from dataclasses import replace

import numpy as np
import pytest

from napari_sam2_openvino.core.automatic_mask_generator import generate_candidates
from napari_sam2_openvino.core.candidates import Candidates
from napari_sam2_openvino.core.crops import Crop
from napari_sam2_openvino.core.normalize import to_rgb
from napari_sam2_openvino.core.parameters import GeneratorParameters
from napari_sam2_openvino.core.quick_search import GoodEnough, SeenObjects, coarse_to_fine
from napari_sam2_openvino.core.rle import MaskRuns
from napari_sam2_openvino.synthetic import make_scene

GOOD = GoodEnough(0.5, 0.5)
WHOLE = Crop(0, 0, 0, 100, 100)


def square(x: int, y: int, side: int) -> MaskRuns:
    return MaskRuns.from_mask(np.ones((side, side), bool), (y, x))


def found(*masks: MaskRuns, points, ious=None, stabilities=None) -> Candidates:
    count = len(masks)
    return Candidates(
        image_hw=(100, 100),
        masks=masks,
        boxes=np.array([mask.box for mask in masks], np.float32),
        iou_predictions=np.array(ious or [0.9] * count, np.float32),
        stability_scores=np.array(stabilities or [0.9] * count, np.float32),
        point_coords=np.array(points, np.float32),
        crop_boxes=np.tile(np.array([0, 0, 100, 100], np.float32), (count, 1)),
        areas=np.array([mask.area for mask in masks]),
    )


def seen(candidates: Candidates, crop: Crop = WHOLE) -> np.ndarray:
    objects = SeenObjects(crop, GOOD)
    objects.add(candidates)
    y, x = np.mgrid[: crop.hw[0], : crop.hw[1]]
    points = np.stack([x, y], axis=-1).reshape(-1, 2).astype(np.float32)
    return ~objects.is_new(points).reshape(crop.hw)


@pytest.mark.parametrize("hw", [(32, 32), (5, 9), (1, 1), (2, 7)])
def test_each_point_of_a_grid_is_in_one_round_and_the_first_rounds_are_coarse(hw):
    y, x = np.mgrid[: hw[0], : hw[1]]
    points = np.stack([x, y], axis=-1).reshape(-1, 2) * 8.0 + 4
    rounds = coarse_to_fine(points)
    assert sorted(np.concatenate(rounds)) == list(range(len(points)))
    if hw == (32, 32):
        assert list(map(len, rounds)) == [64, 192, 768]
        coarse = np.sort(np.unique(points[rounds[0]][:, 0]))
        assert set(np.diff(coarse)) == {32}


def test_the_smallest_good_mask_of_each_point_counts():
    inner, outer, other = square(10, 20, 5), square(5, 15, 20), square(60, 60, 8)
    points = [(12, 22), (12, 22), (62, 62)]
    expected = inner.mask((100, 100)) | other.mask((100, 100))
    np.testing.assert_array_equal(seen(found(outer, inner, other, points=points)), expected)
    # Where the inner one is not good enough, the outer one is the smallest.
    for scores in ({"ious": [0.9, 0.5, 0.9]}, {"stabilities": [0.9, 0.4, 0.9]}):
        expected = outer.mask((100, 100)) | other.mask((100, 100))
        candidates = found(outer, inner, other, points=points, **scores)
        np.testing.assert_array_equal(seen(candidates), expected)


def test_what_is_large_is_taken_for_background():
    assert not seen(found(square(0, 0, 51), points=[(5, 5)])).any()
    assert seen(found(square(0, 0, 50), points=[(5, 5)])).sum() == 2500


def test_pixels_are_those_of_the_crop():
    crop = Crop(1, 40, 50, 90, 100)
    within = seen(found(square(60, 70, 10), points=[(62, 72)]), crop)
    assert within.shape == (50, 50)
    assert within[20:30, 20:30].all()
    assert within.sum() == 100


def test_of_a_large_crop_every_few_pixels_are_remembered():
    crop = Crop(0, 7, 3, 2507, 2503)
    objects = SeenObjects(crop, GOOD)
    objects.add(found(square(70, 60, 30), points=[(80, 70)]))
    y, x = np.mgrid[:200, :200]
    points = np.stack([x, y], axis=-1).reshape(-1, 2).astype(np.float32)
    within = ~objects.is_new(points).reshape(200, 200)
    rows, columns = np.nonzero(within)
    # Seen where it is, to within the three pixels that are one.
    edges = [rows.min(), rows.max(), columns.min(), columns.max()]
    np.testing.assert_allclose(edges, [57, 86, 63, 92], atol=2)
    assert within.sum() == 900


def test_points_on_the_far_edge_are_within():
    objects = SeenObjects(WHOLE, GOOD)
    assert objects.is_new(np.array([[100.0, 100.0]])).tolist() == [True]


def search(model, image, good_enough=None, **options) -> Candidates:
    parameters = GeneratorParameters(
        points_per_side=16, pred_iou_thresh=0.5, stability_score_thresh=0.5
    )
    job = generate_candidates(
        model,
        to_rgb(image),
        replace(parameters, **options),
        suppress=False,
        good_enough=good_enough,
    )
    while True:
        try:
            next(job)
        except StopIteration as stop:
            return stop.value


def rows(candidates: Candidates) -> set[tuple[float, ...]]:
    values = [candidates.point_coords, candidates.boxes, candidates.areas[:, None]]
    scores = candidates.iou_predictions[:, None].round(4)
    return set(map(tuple, np.concatenate([*values, scores], axis=1).tolist()))


@pytest.fixture(scope="module")
def image():
    return make_scene("fluorescence", seed=3, shape=(256, 256), difficulty=0.2).image


def test_it_finds_a_part_of_what_the_whole_grid_finds_and_all_objects(starter_model, image):
    every, quick = search(starter_model, image), search(starter_model, image, quick=True)
    assert rows(quick) < rows(every)
    n_every, n_quick = (len(np.unique(each.point_coords, axis=0)) for each in (every, quick))
    assert n_quick < 0.8 * n_every
    # No object that is alone among its points is lost.
    best = every.take(every.suppressed(0.3, 1)[:10])
    for index in range(len(best)):
        mask = best.masks[index].mask(best.image_hw)
        overlaps = [
            (mask & other).sum() / (mask | other).sum()
            for other in (each.mask(quick.image_hw) for each in quick.masks)
        ]
        assert max(overlaps) > 0.8


def test_the_size_of_batches_changes_nothing(starter_model, image):
    once = search(starter_model, image, quick=True)
    again = search(starter_model, image, quick=True, points_per_batch=7)
    assert rows(once) == rows(again)


def test_where_nothing_is_good_enough_nothing_is_left_out(starter_model, image):
    options = {"points_per_side": 8, "good_enough": GoodEnough(2.0, 0.0)}
    quick = rows(search(starter_model, image, quick=True, **options))
    assert quick == rows(search(starter_model, image, **options))
    assert quick
