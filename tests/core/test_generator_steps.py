"""The automatic mask generator step by step: crops, reports and suppression, without a network."""

from inspect import signature
from types import SimpleNamespace

import numpy as np
import pytest
from tests.drawn_candidates import candidates_of, rectangle

from napari_sam2_openvino.core import automatic_mask_generator as amg
from napari_sam2_openvino.core.automatic_mask_generator import (
    SAM2AutomaticMaskGenerator,
    generate_candidates,
)
from napari_sam2_openvino.core.candidates import Candidates
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.parameters import GeneratorParameters
from napari_sam2_openvino.core.quick_search import GoodEnough

HW = (100, 200)
IMAGE = np.random.default_rng(0).integers(0, 256, (*HW, 3), dtype=np.uint8)


class Encoder:
    """Keeps what it is given to encode."""

    def __init__(self):
        self.images = []
        self.cancelled = []

    def encode(self, pixels, *, cancelled):
        assert pixels.flags.c_contiguous
        self.images.append(pixels)
        self.cancelled.append(cancelled)
        return SimpleNamespace(image_hw=pixels.shape[:2])


class Search:
    """Finds a square at each point, two overlapping ones in the whole image."""

    made: list["Search"]

    def __init__(self, model, embedding, crop, image_hw, parameters, cancelled, good_enough):
        self.model, self.embedding, self.crop, self.image_hw = model, embedding, crop, image_hw
        self.parameters, self.cancelled, self.good_enough = parameters, cancelled, good_enough
        self.made.append(self)

    def run(self, grid, report):
        self.grid = grid
        yield report(1)
        yield report(len(grid))
        return self.found()

    def found(self):
        x, y = self.crop.x0 + 10, self.crop.y0 + 10
        masks = [rectangle(y, x, 20, 20, HW), rectangle(y + 1, x, 20, 20, HW)]
        masks.append(rectangle(y + 8, x, 20, 20, HW))
        return candidates_of(masks, [0.8, 0.9, 0.7], crops=[self.crop.box] * 3)


@pytest.fixture(autouse=True)
def searches(monkeypatch):
    made = []
    monkeypatch.setattr(Search, "made", made, raising=False)
    monkeypatch.setattr(amg, "CropSearch", Search)
    return made


def followed(job):
    reports = []
    while True:
        try:
            reports.append(next(job))
        except StopIteration as stop:
            return reports, stop.value


def test_one_crop_is_the_image_and_is_told_of_without_a_number(searches):
    encoder, parameters = Encoder(), GeneratorParameters(points_per_side=4)
    reports, found = followed(generate_candidates(encoder, IMAGE, parameters))
    assert [(each.stage, each.detail) for each in reports] == [
        ("Encoding", ""),
        ("Searching", "1 of 16 points"),
        ("Searching", "16 of 16 points"),
    ]
    # An encode counts as much as 80 points.
    np.testing.assert_allclose([each.done for each in reports], [0, 81 / 96, 1])
    np.testing.assert_array_equal(encoder.images[0], IMAGE)
    (search,) = searches
    assert search.model is encoder
    assert search.embedding.image_hw == search.image_hw == HW
    assert search.parameters is parameters
    assert search.good_enough is None
    assert len(search.grid) == 16
    assert not search.cancelled()
    assert isinstance(found, Candidates)


def test_duplicates_go_best_first_unless_they_are_kept_for_later():
    parameters = GeneratorParameters(points_per_side=2, box_nms_thresh=0.7)
    # Squares at 10 and 11 overlap by nine tenths, 11 and 18 by half.
    _, found = followed(generate_candidates(Encoder(), IMAGE, parameters))
    np.testing.assert_allclose(found.iou_predictions, [0.9, 0.7])
    _, every = followed(generate_candidates(Encoder(), IMAGE, parameters, suppress=False))
    np.testing.assert_allclose(every.iou_predictions, [0.8, 0.9, 0.7])


def test_each_crop_is_encoded_searched_and_counted(searches):
    encoder = Encoder()
    parameters = GeneratorParameters(
        points_per_side=4, crop_n_layers=1, crop_n_points_downscale_factor=2
    )
    reports, _ = followed(generate_candidates(encoder, IMAGE, parameters))
    assert [len(each.grid) for each in searches] == [16, 4, 4, 4, 4]
    for image, search in zip(encoder.images, searches, strict=True):
        crop = search.crop
        np.testing.assert_array_equal(image, IMAGE[crop.y0 : crop.y1, crop.x0 : crop.x1])
        assert search.image_hw == HW
    stages = [f"{what} in crop {number} of 5" for number in range(1, 6) for what in ("E", "S", "S")]
    short = [each.stage.replace("Encoding", "E").replace("Searching", "S") for each in reports]
    assert short == stages
    total = 96 + 4 * 84
    before = [0, *(96 + 84 * number for number in range(4))]
    expected = [
        (start + step) / total
        for start, last in zip(before, [16, 4, 4, 4, 4], strict=True)
        for step in (0, 81, 80 + last)
    ]
    np.testing.assert_allclose([each.done for each in reports], expected)


def test_between_crops_the_smaller_one_wins(searches):
    parameters = GeneratorParameters(points_per_side=2, crop_n_layers=1, crop_nms_thresh=0.7)
    _, found = followed(generate_candidates(Encoder(), IMAGE, parameters))
    whole, corner = searches[0].crop, searches[1].crop
    assert whole.box == (0, 0, HW[1], HW[0])
    assert (corner.x0, corner.y0) == (0, 0)
    # Four crops with two squares each; those of the whole image are those of its first corner.
    assert len(found) == 8
    assert tuple(map(float, whole.box)) not in set(map(tuple, found.crop_boxes.tolist()))
    _, every = followed(generate_candidates(Encoder(), IMAGE, parameters, suppress=False))
    assert len(every) == 15
    np.testing.assert_array_equal(every.crop_boxes[:3], [whole.box] * 3)


def test_a_single_crop_is_not_compared_with_itself_between_crops():
    parameters = GeneratorParameters(points_per_side=2, box_nms_thresh=0.7, crop_nms_thresh=0.1)
    _, found = followed(generate_candidates(Encoder(), IMAGE, parameters))
    assert len(found) == 2


def test_an_embedding_serves_the_whole_image_only(searches):
    encoder, given = Encoder(), SimpleNamespace(image_hw=HW)
    parameters = GeneratorParameters(points_per_side=2, crop_n_layers=1)
    reports, _ = followed(generate_candidates(encoder, IMAGE, parameters, embedding=given))
    assert searches[0].embedding is given
    assert len(encoder.images) == 4
    assert reports[0].stage == "Searching in crop 1 of 5"
    assert not any(each.embedding is given for each in searches[1:])


def test_cancel_and_the_measure_of_a_quick_search_are_passed_on(searches):
    encoder, good_enough = Encoder(), GoodEnough(0.5, 0.6)

    def cancelled():
        return False

    job = generate_candidates(
        encoder, IMAGE, GeneratorParameters(), cancelled=cancelled, good_enough=good_enough
    )
    followed(job)
    assert encoder.cancelled == [cancelled]
    assert searches[0].cancelled is cancelled
    assert searches[0].good_enough is good_enough


@pytest.mark.parametrize(
    "image",
    [
        IMAGE.astype(np.float32),
        IMAGE[..., 0],
        IMAGE[..., :2],
        IMAGE[:0],
        np.zeros((2, *HW, 3), np.uint8),
    ],
)
def test_what_is_no_rgb_image_is_refused(image):
    with pytest.raises(InputError, match="make it with to_rgb"):
        next(generate_candidates(Encoder(), image, GeneratorParameters()))


def test_an_embedding_of_another_size_is_refused():
    other = SimpleNamespace(image_hw=HW[::-1])
    with pytest.raises(InputError, match="100 x 200 pixels, but is of one of 200 x 100"):
        next(generate_candidates(Encoder(), IMAGE, GeneratorParameters(), embedding=other))


def test_defaults_are_those_of_sam2():
    defaults = {
        name: parameter.default
        for name, parameter in signature(SAM2AutomaticMaskGenerator).parameters.items()
        if name != "model"
    }
    assert defaults == {
        "points_per_side": 32,
        "points_per_batch": 64,
        "pred_iou_thresh": 0.8,
        "stability_score_thresh": 0.95,
        "stability_score_offset": 1.0,
        "mask_threshold": 0.0,
        "box_nms_thresh": 0.7,
        "crop_n_layers": 0,
        "crop_nms_thresh": 0.7,
        "crop_overlap_ratio": 512 / 1500,
        "crop_n_points_downscale_factor": 1,
        "point_grids": None,
        "min_mask_region_area": 0,
        "output_mode": "binary_mask",
        "use_m2m": False,
        "multimask_output": True,
    }


def test_the_class_passes_on_every_parameter_and_grid(searches):
    options = {
        "points_per_batch": 3,
        "pred_iou_thresh": 0.1,
        "stability_score_thresh": 0.2,
        "stability_score_offset": 0.3,
        "mask_threshold": 0.4,
        "box_nms_thresh": 0.5,
        "crop_n_layers": 1,
        "crop_nms_thresh": 0.6,
        "crop_overlap_ratio": 0.25,
        "crop_n_points_downscale_factor": 2,
        "min_mask_region_area": 7,
        "use_m2m": True,
        "multimask_output": False,
    }
    grids = [np.array([[0.5, 0.5], [0.1, 0.2]]), np.array([[0.3, 0.4]])]
    encoder = Encoder()
    generator = SAM2AutomaticMaskGenerator(
        encoder, None, point_grids=grids, output_mode="coco_rle", **options
    )
    assert generator.parameters == GeneratorParameters(points_per_side=32, **options)
    reports = []

    def cancelled():
        return False

    found = generator.candidates(IMAGE, cancelled=cancelled, on_progress=reports.append)
    assert len(found) > 0
    assert [len(each.grid) for each in searches] == [2, 1, 1, 1, 1]
    assert set(encoder.cancelled) == {cancelled}
    assert (reports[0].done, reports[-1].done) == (0, 1)
    records = generator.generate(IMAGE, cancelled=cancelled)
    assert all(isinstance(each["segmentation"]["counts"], str) for each in records)
    assert len(records) == len(found)
    assert set(encoder.cancelled) == {cancelled}


def test_the_class_makes_its_own_grid(searches):
    generator = SAM2AutomaticMaskGenerator(Encoder(), 5)
    assert generator.parameters.points_per_side == 5
    assert [len(grid) for grid in generator.point_grids] == [25]
    assert generator.output_mode == "binary_mask"
    (record, *_) = generator.generate(IMAGE[..., 0])
    assert record["segmentation"].dtype == bool
    assert len(searches[0].grid) == 25


@pytest.mark.parametrize("options", [{}, {"points_per_side": 3, "point_grids": [np.zeros((1, 2))]}])
def test_either_a_side_or_grids(options):
    with pytest.raises(InputError, match="Exactly one of points_per_side and point_grids"):
        SAM2AutomaticMaskGenerator(Encoder(), **{"points_per_side": None} | options)


def test_an_output_mode_that_is_not_known_is_refused():
    with pytest.raises(InputError, match="output_mode"):
        SAM2AutomaticMaskGenerator(Encoder(), output_mode="png")
