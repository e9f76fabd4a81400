"""Every object of a plane is found, whatever size both have, and none is cut at a seam."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from tests.drawn_candidates import candidates_of, disc, rectangle
from tests.exact_model import ExactModel, numbered

from napari_sam2_openvino.core.all_objects import (
    _Search,
    default_parameters,
    find_objects,
    kept_thresholds,
)
from napari_sam2_openvino.core.automatic_mask_generator import generate_candidates
from napari_sam2_openvino.core.candidates import Candidates
from napari_sam2_openvino.core.embeddings import EmbeddingCache
from napari_sam2_openvino.core.errors import JobCancelledError
from napari_sam2_openvino.core.labels_from_candidates import labels_from_candidates
from napari_sam2_openvino.core.object_parameters import (
    AllObjectsParameters,
    CandidateFilter,
    TilingParameters,
)
from napari_sam2_openvino.core.parameters import GeneratorParameters
from napari_sam2_openvino.core.planes import make_plane_source
from napari_sam2_openvino.core.reading import ImageArrays
from napari_sam2_openvino.core.tiling import plan_tiles
from napari_sam2_openvino.core.types import PlaneIndex

# An outline between two logits of the exact model is as blurred as they are far apart.
PARAMETERS = AllObjectsParameters(
    GeneratorParameters(points_per_side=16), CandidateFilter(0.8, 0.5)
)


def run(model, source, parameters=PARAMETERS, **options):
    """Return what is found, and the reports on the way."""
    job, reports = find_objects(model, source, parameters, **options), []
    while True:
        try:
            reports.append(next(job))
        except StopIteration as stop:
            return stop.value, reports


def plane_of(image):
    arrays = ImageArrays((image,), "image", is_rgb=image.ndim == 3)
    return make_plane_source([arrays], PlaneIndex((None, None)))


def scatter(hw, radii, seed=0, gap=4, tries=4000):
    """Return labels of discs that do not touch."""
    rng, labels, count = np.random.default_rng(seed), np.zeros(hw, np.int32), 0
    for radius in sorted(np.repeat(radii, tries // len(radii)), reverse=True):
        y, x = rng.uniform(radius + 1, np.array(hw) - radius - 1)
        rows, columns = (
            slice(max(0, int(c - radius - gap)), int(c + radius + gap + 2)) for c in (y, x)
        )
        window = labels[rows, columns]
        if not window[disc(y - rows.start, x - columns.start, radius + gap, window.shape)].any():
            count += 1
            window[disc(y - rows.start, x - columns.start, radius, window.shape)] = count
    return labels


def judge(found, truth):
    """Return how many objects are missed, and how many labels are cut, merged or of nothing."""
    labels = labels_from_candidates(found).labels
    shared = np.zeros((truth.max() + 1, labels.max() + 1), int)
    np.add.at(shared, (truth.ravel(), labels.ravel()), 1)
    union = shared.sum(axis=1)[:, None] + shared.sum(axis=0) - shared
    iou = (shared / np.maximum(1, union))[1:, 1:]
    return int((iou.max(axis=1, initial=0) < 0.75).sum()), int((iou.max(axis=0) < 0.75).sum())


def seams(hw, image_size=256):
    """Return a mask of the pixels at the edges of tiles and of their cores inside the plane."""
    mask = np.zeros(hw, bool)
    for tile in plan_tiles(hw, image_size, TilingParameters()):
        region = tile.region
        rows = region.row, region.row + region.height - 1, int(tile.core[1])
        columns = region.column, region.column + region.width - 1, int(tile.core[0])
        mask[[row for row in rows if 0 < row < hw[0] - 1]] = True
        mask[:, [column for column in columns if 0 < column < hw[1] - 1]] = True
    return mask


@pytest.mark.parametrize("radii", [(12, 16, 20), (14, 60, 110)])
def test_no_object_is_cut_at_a_seam(radii):
    hw = (900, 1100)
    truth = scatter(hw, radii)
    across = np.unique(truth[seams(hw)])
    assert len(across) > 0.6 * truth.max()
    model = ExactModel()
    found, _ = run(model, numbered(truth))
    assert len(model.encoded) == len(plan_tiles(hw, 256, PARAMETERS.tiling)) > 40
    assert judge(found, truth) == (0, 0)
    assert labels_from_candidates(found).n_objects == truth.max()


def test_objects_that_touch_stay_apart_across_seams():
    hw = (700, 700)
    rows, columns = np.indices(hw)
    # Cells of 35 x 28 pixels, wall to wall: every seam runs through many of them.
    truth = 1 + rows // 35 * 25 + columns // 28
    model = ExactModel()
    # Finer than a model's, so that each outline is its own.
    model.mask_input_size = 256
    found, _ = run(model, numbered(truth))
    assert judge(found, truth) == (0, 0)


def test_tiles_can_be_turned_off_and_made_smaller():
    truth = scatter((900, 900), (14, 20))
    one = replace(PARAMETERS, tiling=TilingParameters(use_tiles=False))
    model = ExactModel()
    run(model, numbered(truth), one)
    assert model.encoded == [(300, 300)]
    small = replace(PARAMETERS, tiling=TilingParameters(tile_size=128))
    model = ExactModel()
    found, _ = run(model, numbered(truth), small)
    assert model.encoded[0] == (128, 128)
    assert judge(found, truth) == (0, 0)


def test_the_embedding_of_a_whole_plane_is_shared_and_those_of_tiles_are_dropped():
    cache, model = EmbeddingCache(), ExactModel()
    small = numbered(scatter((300, 300), (14,)))
    run(model, small, embeddings=cache)
    run(model, small, embeddings=cache)
    assert len(model.encoded) == len(cache) == 1
    large = numbered(scatter((600, 600), (14,)))
    run(model, large, embeddings=cache)
    assert len(cache) == 1


def test_memory_follows_the_objects_and_not_the_plane():
    parameters = AllObjectsParameters(GeneratorParameters(points_per_side=4))
    peaks = []
    for side in (1024, 3072):
        truth = np.zeros((side, side), np.uint8)
        truth[100:160, 100:160] = 1
        source = numbered(truth)
        tracemalloc.start()
        run(ExactModel(), source, parameters)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # Nine times the pixels: what is read at once is a tile, what is kept one object.
    assert peaks[1] < 2 * peaks[0] < 200e6


def test_progress_grows_and_a_cancel_ends_the_search():
    source = numbered(scatter((900, 900), (14,)))
    _, reports = run(ExactModel(), source)
    shares = [report.done for report in reports]
    assert shares == sorted(shares)
    assert 0 == shares[0] < shares[-1] <= 1
    assert reports[-1].stage.startswith("Tile ")
    n_asked = 0

    def cancelled():
        nonlocal n_asked
        n_asked += 1
        return n_asked > 40

    model = ExactModel()
    with pytest.raises(JobCancelledError):
        run(model, source, cancelled=cancelled)
    assert 0 < len(model.encoded) < 40


def test_the_defaults_are_the_models_own_or_sam2s():
    model = ExactModel()
    assert default_parameters(model) == AllObjectsParameters()
    model.info.all_objects = PARAMETERS
    assert default_parameters(model) is PARAMETERS
    truth = numbered(scatter((300, 300), (20,)))
    run(model, truth, None)
    assert model.n_points == 16 * 16


def same(one: Candidates, other: Candidates) -> bool:
    names = ("boxes", "iou_predictions", "stability_scores", "point_coords", "areas")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


CRITERIA = (
    CandidateFilter(0.4, 0.7, box_nms_thresh=0.5),
    CandidateFilter(0.5, 0.8, min_area=100, max_overlap=0.4, remove_background=True),
    CandidateFilter(0.3, 0.6, max_area=3000, box_nms_thresh=0.8, exclude_border=True),
)


@pytest.fixture(scope="module")
def coins():
    from skimage import data

    return data.coins()


def test_of_duplicates_in_a_tile_the_one_that_passes_is_kept():
    """The first has the higher score, but is too blurred at the thresholds in force."""
    masks = [rectangle(10, 10, 40, 40), rectangle(10, 10, 40, 41), rectangle(60, 90, 30, 30)]
    found = candidates_of(masks, [0.95, 0.9, 0.5], [0.4, 0.9, 0.9])
    search = _Search(ExactModel(), None, PARAMETERS, True, lambda: False, None)
    (tile, *_) = plan_tiles(found.image_hw, 256, PARAMETERS.tiling)
    kept = search.worth_keeping(found, tile)
    assert kept.iou_predictions.tolist() == pytest.approx([0.9, 0.5])
    assert len(kept.filter(PARAMETERS.filter)) == 1
    # Where none passes, or both do, the score decides.
    for stability in (0.4, 0.9):
        equal = candidates_of(masks[:2], [0.95, 0.9], [stability, stability])
        assert search.worth_keeping(equal, tile).iou_predictions.tolist() == pytest.approx([0.95])


@pytest.mark.parametrize("crop_n_layers", [0, 1])
def test_kept_candidates_filtered_are_a_direct_run(starter_model, coins, crop_n_layers):
    generator = GeneratorParameters(points_per_side=8, crop_n_layers=crop_n_layers)
    lowest = CandidateFilter(0.3, 0.6)
    kept, _ = run(
        starter_model, plane_of(coins), AllObjectsParameters(generator, lowest), keep=True
    )
    assert kept.iou_predictions.min() > kept_thresholds(lowest).pred_iou_thresh == 0.15
    for criteria in CRITERIA:
        direct, _ = run(starter_model, plane_of(coins), AllObjectsParameters(generator, criteria))
        assert same(kept.filter(criteria), direct)
        assert len(kept) > len(direct) > 10


def test_with_sam2s_criteria_it_is_what_sam2s_generator_finds(starter_model, coins):
    generator = GeneratorParameters(
        points_per_side=8,
        crop_n_layers=1,
        pred_iou_thresh=0.4,
        stability_score_thresh=0.7,
        box_nms_thresh=0.4,
        crop_nms_thresh=0.3,
    )
    from napari_sam2_openvino.core.normalize import to_rgb

    job = generate_candidates(starter_model, to_rgb(coins), generator)
    while True:
        try:
            next(job)
        except StopIteration as stop:
            expected = stop.value
            break
    criteria = CandidateFilter(0.4, 0.7, box_nms_thresh=0.4, crop_nms_thresh=0.3)
    found, _ = run(starter_model, plane_of(coins), AllObjectsParameters(generator, criteria))
    order, other = (np.lexsort((*each.boxes.T, each.iou_predictions)) for each in (expected, found))
    assert same(expected.take(order), found.take(other))
    assert len(found) > 10


@pytest.mark.slow
def test_the_starter_cuts_no_object_at_a_seam(starter_model):
    side = starter_model.image_size
    hw = (round(2.15 * side), round(1.37 * side))
    radii = tuple(round(side * share) for share in (0.047, 0.059, 0.07))
    truth = scatter(hw, radii, seed=3, gap=8)
    noise = np.random.default_rng(0).normal(0, 4, hw)
    image = gaussian_filter(40 + 120.0 * (truth > 0), 1.5) + noise
    parameters = AllObjectsParameters(
        GeneratorParameters(points_per_side=16),
        CandidateFilter(0.3, 0.6, box_nms_thresh=0.4, max_overlap=0.5, remove_background=True),
    )
    found, _ = run(starter_model, plane_of(image.clip(0, 255).astype(np.uint8)), parameters)
    labels = labels_from_candidates(found).labels
    areas = np.bincount(truth.ravel())
    is_found, n_cut = np.zeros(len(areas), bool), 0
    for number in range(1, labels.max() + 1):
        own = labels == number
        shared = np.bincount(truth[own], minlength=len(areas))
        best = 1 + shared[1:].argmax()
        iou = shared[best] / (areas[best] + own.sum() - shared[best])
        is_found[best] |= iou >= 0.75
        # Half of an object, and nothing but it, that ends on a seam.
        is_part = shared[best] > 0.9 * own.sum() and iou < 0.75
        n_cut += is_part and ends_on(own, seams(hw, side))
    assert truth.max() > 60
    assert n_cut == 0
    # The model misses some objects, but those that a seam crosses no more often than others.
    crossed = np.zeros(len(areas), bool)
    crossed[np.unique(truth[seams(hw, side)])] = True
    assert is_found[1:].mean() > 0.8
    assert is_found[crossed][1:].mean() > is_found[~crossed].mean() - 0.1


def ends_on(mask, lines):
    """Return whether a mask's first or last row or column is one of some lines."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return bool(
        lines[rows[[0, -1]]].all(axis=1).any() or lines[:, columns[[0, -1]]].all(axis=0).any()
    )
