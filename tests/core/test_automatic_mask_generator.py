"""The automatic mask generator against SAM 2's own, and what it promises beside it."""

import time

import numpy as np
import pytest
import torch
from tests.amg_parity import compare_records
from tests.parity import make_image
from tests.reference import reference_generator
from tests.reference import starter_model as starter_reference

from napari_sam2_openvino import SAM2AutomaticMaskGenerator
from napari_sam2_openvino.core.automatic_mask_generator import generate_candidates
from napari_sam2_openvino.core.candidates import Candidates
from napari_sam2_openvino.core.errors import InputError, JobCancelledError
from napari_sam2_openvino.core.normalize import to_rgb
from napari_sam2_openvino.core.parameters import GeneratorParameters
from napari_sam2_openvino.synthetic import make_scene

IMAGE = make_image(np.random.default_rng(1), (70, 110), grey=False)
# Thresholds that a third of the micro model's masks pass. They are random and all over the image,
# so that most have the same box: suppression would leave one.
LOOSE = {
    "points_per_side": 7,
    "pred_iou_thresh": 0.6,
    "stability_score_thresh": 0.7,
    "box_nms_thresh": 1.0,
    "crop_nms_thresh": 1.0,
}
GRID = np.random.default_rng(2).uniform(0, 1, (30, 2))


@pytest.fixture
def generator_of(micro_model):
    return lambda **options: SAM2AutomaticMaskGenerator(micro_model, **LOOSE | options)


def finish(job) -> Candidates:
    while True:
        try:
            next(job)
        except StopIteration as stop:
            return stop.value


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"pred_iou_thresh": 0.0},
        {"use_m2m": True},
        {"multimask_output": False},
        {"multimask_output": False, "use_m2m": True},
        {"points_per_batch": 5},
        {"mask_threshold": 2.0, "stability_score_offset": 0.5},
        {"crop_n_layers": 1, "points_per_side": 4},
        {"crop_n_layers": 2, "crop_n_points_downscale_factor": 2, "crop_overlap_ratio": 0.2},
        {"points_per_side": None, "point_grids": [GRID]},
        {"points_per_side": None, "point_grids": [GRID[:9], GRID[9:]], "crop_n_layers": 1},
    ],
    ids=",".join,
)
def test_masks_are_those_of_pytorch(generator_of, micro_reference_model, options):
    expected = reference_generator(micro_reference_model, **LOOSE | options).generate(IMAGE)
    found = generator_of(**options).generate(IMAGE)
    comparison = compare_records(expected, found)
    assert len(expected) > 5
    assert comparison.passed, comparison
    for record in found:
        rows, columns = np.nonzero(record["segmentation"])
        corner = np.array([columns.min(), rows.min()])
        size = np.array([columns.max(), rows.max()]) - corner
        assert record["area"] == len(rows)
        assert record["bbox"] == [*corner, *size]
        assert set(record) == set(expected[0])


@pytest.mark.parametrize("seed", range(3))
def test_the_starter_finds_what_pytorch_finds(starter_model, seed):
    image = to_rgb(make_scene("fluorescence", seed=seed, shape=(200, 260)).image)
    options = {"points_per_side": 6, "pred_iou_thresh": 0.5, "stability_score_thresh": 0.7}
    options["crop_n_layers"] = seed % 2
    expected = reference_generator(starter_reference(), **options).generate(image)
    comparison = compare_records(
        expected, SAM2AutomaticMaskGenerator(starter_model, **options).generate(image)
    )
    assert len(expected) > 5
    assert comparison.passed, comparison


@pytest.mark.parametrize("output_mode", ["uncompressed_rle", "coco_rle"])
def test_run_lengths_are_those_that_sam2_makes_of_the_masks(generator_of, output_mode):
    from sam2.utils.amg import coco_encode_rle, mask_to_rle_pytorch

    masks = [record["segmentation"] for record in generator_of().generate(IMAGE)]
    expected = mask_to_rle_pytorch(torch.from_numpy(np.stack(masks)))
    if output_mode == "coco_rle":
        expected = [coco_encode_rle(rle) for rle in expected]
    found = generator_of(output_mode=output_mode).generate(IMAGE)
    assert [record["segmentation"] for record in found] == expected


def test_small_regions_are_cleaned_as_sam2_does_on_a_gpu(
    generator_of, micro_reference_model, monkeypatch
):
    def components(mask):
        from skimage.measure import label

        labels = np.stack([label(each, connectivity=2) for each in mask[:, 0].numpy()])
        areas = np.stack([np.bincount(each.ravel())[each] * (each > 0) for each in labels])
        return torch.from_numpy(labels)[:, None], torch.from_numpy(areas)[:, None]

    monkeypatch.setattr("sam2.utils.misc.get_connected_components", components)
    options = {"min_mask_region_area": 6, "mask_threshold": 1.0}
    expected = reference_generator(micro_reference_model, **LOOSE | options).generate(IMAGE)
    found = generator_of(**options).generate(IMAGE)
    assert compare_records(expected, found).passed
    uncleaned = generator_of(mask_threshold=1.0).generate(IMAGE)
    assert not compare_records(uncleaned, found).passed


def test_without_thresholds_only_empty_masks_are_missing(generator_of, micro_reference_model):
    options = {"pred_iou_thresh": 0.0, "stability_score_thresh": 0.0, "box_nms_thresh": 1.0}
    options["mask_threshold"] = 30.0
    expected = reference_generator(micro_reference_model, **LOOSE | options).generate(IMAGE)
    found = generator_of(**options).generate(IMAGE)
    filled = [record for record in expected if record["area"]]
    assert len(filled) < len(expected) == 3 * 49
    assert [record["bbox"] for record in found] == [record["bbox"] for record in filled]


def test_candidates_that_are_suppressed_later_are_the_same(micro_model):
    parameters = GeneratorParameters(**LOOSE | {"box_nms_thresh": 0.9}, crop_n_layers=1)
    at_once = finish(generate_candidates(micro_model, IMAGE, parameters))
    every = finish(generate_candidates(micro_model, IMAGE, parameters, suppress=False))
    later = every.take(every.suppressed(parameters.box_nms_thresh, parameters.crop_nms_thresh))
    assert len(every) > len(later)
    assert np.array_equal(at_once.boxes, later.boxes)
    assert np.array_equal(at_once.areas, later.areas)


def test_an_embedding_that_is_given_is_not_made_again(micro_model, monkeypatch):
    parameters = GeneratorParameters(**LOOSE)
    expected = finish(generate_candidates(micro_model, IMAGE, parameters))
    embedding = micro_model.encode(IMAGE)
    monkeypatch.setattr(micro_model, "encode", None)
    found = finish(generate_candidates(micro_model, IMAGE, parameters, embedding=embedding))
    assert np.array_equal(found.boxes, expected.boxes)
    with pytest.raises(InputError, match="is of one of 70 x 110: encode this image"):
        next(generate_candidates(micro_model, IMAGE[:60], parameters, embedding=embedding))


def test_progress_rises_to_the_end(micro_model):
    parameters = GeneratorParameters(**LOOSE, crop_n_layers=1)
    reports = list(generate_candidates(micro_model, IMAGE, parameters))
    shares = [report.done for report in reports]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0, 1)
    assert reports[0].stage == "Encoding in crop 1 of 5"
    assert reports[-1].detail == "49 of 49 points"


@pytest.mark.parametrize("use_m2m", [False, True])
def test_a_search_ends_at_the_next_batch_once_cancelled(micro_model, use_m2m):
    flags = iter([False] * 3)
    parameters = GeneratorParameters(**LOOSE, use_m2m=use_m2m)
    embedding = micro_model.encode(IMAGE)
    job = generate_candidates(
        micro_model, IMAGE, parameters, embedding=embedding, cancelled=lambda: next(flags, True)
    )
    reports = []
    with pytest.raises(JobCancelledError, match="search for objects was cancelled"):
        reports.extend(job)
    assert len(reports) < 4


def test_grey_images_and_other_types_are_taken(generator_of):
    grey = make_image(np.random.default_rng(1), (70, 110), grey=True)
    expected = generator_of().generate(grey)
    found = generator_of().generate(grey[..., 0])
    assert [record["bbox"] for record in found] == [record["bbox"] for record in expected]


def test_an_image_of_one_pixel_has_crops_too(generator_of):
    found = generator_of(crop_n_layers=2, stability_score_thresh=0.0).generate(
        np.full((1, 1, 3), 200, np.uint8)
    )
    assert all(record["area"] == 1 for record in found)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"points_per_side": None}, "Exactly one of points_per_side and point_grids"),
        ({"point_grids": [GRID]}, "Exactly one of points_per_side and point_grids"),
        ({"points_per_side": 0}, "Points per side must be between 1 and"),
        ({"pred_iou_thresh": 1.5}, "Predicted IoU must be between 0 and 1, but is 1.5"),
        ({"stability_score_offset": -1.0}, "Stability offset must be between 0"),
        ({"crop_n_layers": -1}, "Crop layers must be between 0 and"),
        ({"output_mode": "png"}, "output_mode must be one of"),
        (
            {"crop_n_layers": 2, "crop_n_points_downscale_factor": 4},
            "Layer 2 of the crops would have no points",
        ),
        (
            {"points_per_side": None, "point_grids": [GRID], "crop_n_layers": 1},
            "point_grids must hold 2 arrays",
        ),
        ({"points_per_side": None, "point_grids": [GRID[:, 0]]}, r"must have shape \(n, 2\)"),
        ({"points_per_side": None, "point_grids": [300 * GRID]}, "must be between 0 and 1"),
    ],
)
def test_bad_parameters_are_refused_in_a_sentence(generator_of, options, sentence):
    with pytest.raises(InputError, match=sentence):
        generator_of(**options)


def test_an_image_that_is_not_rgb_is_refused(micro_model):
    with pytest.raises(InputError, match="make it with to_rgb"):
        next(generate_candidates(micro_model, IMAGE[..., 0], GeneratorParameters()))


def test_memory_does_not_hold_masks_at_full_size(micro_model):
    import tracemalloc

    side = 3000
    image = np.repeat(np.repeat(IMAGE, 43, axis=0), 28, axis=1)[:side, :side]
    embedding = micro_model.encode(image)
    parameters = GeneratorParameters(**LOOSE | {"points_per_side": 5, "pred_iou_thresh": 0.0})
    tracemalloc.start()
    found = finish(generate_candidates(micro_model, image, parameters, embedding=embedding))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    logits_of_one_mask = 4 * image.shape[0] * image.shape[1]
    assert len(found) > 10
    assert peak < 3 * logits_of_one_mask


def test_a_search_that_is_closed_leaves_no_thread_at_work(micro_model):
    side = 3000
    image = np.zeros((side, side, 3), np.uint8)
    parameters = GeneratorParameters(points_per_side=9, pred_iou_thresh=0.0)
    job = generate_candidates(micro_model, image, parameters, embedding=micro_model.encode(image))
    next(job)
    started = time.perf_counter()
    job.close()
    assert time.perf_counter() - started < 1
