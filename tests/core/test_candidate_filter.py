"""Stored candidates become objects at any thresholds."""

import numpy as np
import pytest
from tests.drawn_candidates import HW, candidates_of, disc, random_discs, rectangle

from napari_sam2_openvino.core.boxes import suppress_boxes
from napari_sam2_openvino.core.candidate_filter import CandidateSieve, filter_candidates
from napari_sam2_openvino.core.candidates import Candidates
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.object_parameters import CandidateFilter

KEEP_ALL = CandidateFilter(0, 0, box_nms_thresh=1, crop_nms_thresh=1)
CRITERIA = (
    KEEP_ALL,
    CandidateFilter(0.6, 0.8),
    CandidateFilter(0, 0, min_area=100, max_area=1200, box_nms_thresh=0.3, crop_nms_thresh=0.2),
    CandidateFilter(0.55, 0.75, max_overlap=0.5, exclude_border=True),
    CandidateFilter(0, 0, box_nms_thresh=0.9, max_overlap=0.2, remove_background=True),
    CandidateFilter(0, 0, box_nms_thresh=1, crop_nms_thresh=1, remove_background=True),
)


def same(one: Candidates, other: Candidates) -> bool:
    names = ("boxes", "iou_predictions", "stability_scores", "point_coords", "crop_boxes", "areas")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


@pytest.mark.parametrize("criteria", CRITERIA)
@pytest.mark.parametrize("seed", range(4))
def test_to_filter_twice_is_to_filter_once_and_order_does_not_matter(criteria, seed):
    found = random_discs(seed)
    once = found.filter(criteria)
    assert same(once.filter(criteria), once)
    shuffled = found.take(np.random.default_rng(seed).permutation(len(found)))
    assert same(shuffled.filter(criteria), once)
    assert 0 < len(once) < len(found) or criteria.box_nms_thresh == 1


@pytest.mark.parametrize("seed", range(4))
def test_a_sieve_gives_at_each_set_of_thresholds_what_a_new_one_gives(seed):
    found = random_discs(seed)
    sieve = CandidateSieve(found)
    for criteria in (*CRITERIA, *reversed(CRITERIA)):
        assert same(found.take(sieve.indices(criteria)), filter_candidates(found, criteria))


@pytest.mark.parametrize("thresh", [0, 0.3, 0.7, 1])
def test_duplicates_go_as_in_sam2(thresh):
    found = random_discs(5, 200).take(np.arange(150))
    one_crop = Candidates(
        found.image_hw,
        found.masks,
        found.boxes,
        np.random.default_rng(0).permutation(150).astype(np.float32) / 150,
        found.stability_scores,
        found.point_coords,
        np.tile(np.float32([0, 0, 160, 120]), (150, 1)),
        found.areas,
    )
    kept = CandidateSieve(one_crop).indices(CandidateFilter(0, 0, box_nms_thresh=thresh))
    expected = suppress_boxes(one_crop.boxes, one_crop.iou_predictions, thresh)
    assert kept.tolist() == expected.tolist()


def test_between_crops_the_smaller_wins_as_in_suppressed():
    found = random_discs(7, 120)
    # Without ties, for which the order of the grid would have to be known.
    scores = np.random.default_rng(1).permutation(len(found)).astype(np.float32) / len(found)
    found = Candidates(
        found.image_hw,
        found.masks,
        found.boxes,
        scores,
        found.stability_scores,
        found.point_coords,
        found.crop_boxes,
        found.areas,
    )
    # As SAM 2 runs crops: larger ones first, then from left to right.
    x0, y0, x1, y1 = found.crop_boxes.T
    by_crop = found.take(np.lexsort((x0, -(x1 - x0) * (y1 - y0))))
    kept = CandidateSieve(by_crop).indices(
        CandidateFilter(0, 0, box_nms_thresh=0.4, crop_nms_thresh=0.2)
    )
    assert sorted(kept.tolist()) == sorted(by_crop.suppressed(0.4, 0.2).tolist())


def test_scores_are_compared_as_sam2_compares_them():
    masks = [rectangle(10 * number, 5, 5, 5) for number in range(4)]
    found = candidates_of(masks, [0.7, 0.71, 0.9, 0.9], [1, 0.94, 0.95, 1])
    kept = found.filter(CandidateFilter(0.7, 0.95))
    # A predicted IoU of 0.7 is not higher than 0.7; a stability of 0.95 is enough.
    assert sorted(kept.point_coords[:, 1].tolist()) == [22, 32]
    assert len(found.filter(CandidateFilter(0, 0))) == 4


def test_a_mask_that_is_too_large_does_not_displace_what_is_inside_it():
    masks = [rectangle(10, 10, 40, 40), rectangle(12, 12, 37, 37)]
    found = candidates_of(masks, [0.9, 0.8])
    assert found.filter(CandidateFilter(0, 0)).areas.tolist() == [1600]
    assert found.filter(CandidateFilter(0, 0, max_area=1500)).areas.tolist() == [1369]
    assert found.filter(CandidateFilter(0, 0, min_area=1601)).areas.tolist() == []


def test_of_masks_that_overlap_the_better_one_stays():
    nucleus, cell, group = disc(40, 40, 6), disc(40, 40, 20), rectangle(20, 20, 40, 110)
    far = disc(100, 130, 8)
    found = candidates_of([nucleus, cell, group, far], [0.8, 0.9, 0.7, 0.6])
    assert len(found.filter(CandidateFilter(0, 0))) == 4
    kept = found.filter(CandidateFilter(0, 0, max_overlap=0.5))
    assert kept.iou_predictions.tolist() == pytest.approx([0.9, 0.6])


def test_how_much_two_masks_share_counts_and_not_their_boxes():
    rows, columns = np.indices(HW)
    stripe = np.abs(rows - columns) < 3
    other = stripe[:, ::-1]
    found = candidates_of([stripe, other], [0.9, 0.8])
    shared = (stripe & other).sum() / min(stripe.sum(), other.sum())
    for max_overlap, n_kept in ((shared - 0.01, 1), (shared + 0.01, 2)):
        criteria = CandidateFilter(0, 0, box_nms_thresh=1, max_overlap=float(max_overlap))
        assert len(found.filter(criteria)) == n_kept


def test_objects_at_the_border_are_left_out_when_it_is_known_which_objects_there_are():
    at_border, inside = rectangle(0, 30, 20, 20), rectangle(1, 30, 19, 20)
    found = candidates_of([at_border, inside, disc(60, 60, 9)], [0.9, 0.8, 0.7])
    # The worse one inside does not take the place of the one at the border.
    kept = found.filter(CandidateFilter(0, 0, exclude_border=True))
    assert kept.iou_predictions.tolist() == pytest.approx([0.7])
    edges = [rectangle(119, 5, 1, 3), rectangle(5, 0, 3, 1), rectangle(5, 159, 3, 1)]
    found = candidates_of(edges, [0.9, 0.8, 0.7])
    assert len(found.filter(CandidateFilter(0, 0, exclude_border=True))) == 0


def net(n_meshes: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return a mask with holes, and masks in them."""
    body, meshes = rectangle(20, 20, 60, 120), []
    for number in range(n_meshes):
        body &= ~disc(50, 35 + 30 * number, 10)
        meshes.append(disc(50, 35 + 30 * number, 9))
    return body, meshes


@pytest.mark.parametrize(
    "background",
    [
        pytest.param(rectangle(5, 5, 110, 150), id="most of the image"),
        pytest.param(rectangle(100, 0, 20, 160), id="three borders"),
        pytest.param(net(3)[0], id="a net around others"),
    ],
)
def test_background_is_left_out(background):
    objects = net(3)[1]
    found = candidates_of([background, *objects], [0.99, 0.9, 0.9, 0.9])
    assert len(found.filter(CandidateFilter(0, 0))) == 4
    kept = found.filter(CandidateFilter(0, 0, remove_background=True))
    assert kept.iou_predictions.tolist() == pytest.approx([0.9, 0.9, 0.9])


def test_what_surrounds_one_or_two_or_lies_over_others_is_no_background():
    body, meshes = net(2)
    found = candidates_of([body, *meshes], [0.99, 0.9, 0.9])
    assert len(found.filter(CandidateFilter(0, 0, remove_background=True))) == 3
    whole, parts = rectangle(20, 20, 60, 120), net(3)[1]
    found = candidates_of([whole, *parts], [0.99, 0.9, 0.9, 0.9])
    assert len(found.filter(CandidateFilter(0, 0, remove_background=True))) == 4


def test_nothing_is_filtered_to_nothing():
    assert len(Candidates.none(HW).filter(CandidateFilter(remove_background=True))) == 0


def test_limits_that_cross_are_refused_in_a_sentence():
    with pytest.raises(InputError, match="largest area must not be below"):
        CandidateFilter(min_area=20, max_area=10)
    with pytest.raises(InputError, match="Overlap must be between"):
        CandidateFilter(max_overlap=1.5)
