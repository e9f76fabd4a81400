"""Each pixel has one label, by a rule that can be read."""

import numpy as np
import pytest
from tests.drawn_candidates import HW, candidates_of, disc, random_discs, rectangle

from napari_sam2_openvino.core.candidates import Candidates
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.labels_from_candidates import labels_from_candidates
from napari_sam2_openvino.core.object_parameters import LabelsParameters

NUCLEUS, CELL = disc(50, 60, 8), disc(50, 60, 20)


def at(found, index):
    """Return the pixels of a candidate."""
    return found.labels == found.ids[index]


@pytest.mark.parametrize(
    ("rule", "cell_wins"),
    [("small over large", False), ("large over small", True), ("high score over low", True)],
)
def test_whose_shared_pixels_are(rule, cell_wins):
    found = labels_from_candidates(
        candidates_of([NUCLEUS, CELL], [0.8, 0.9]), LabelsParameters(rule, min_visible=0)
    )
    if cell_wins:
        # Nothing of the nucleus is left, and what has no pixel is no object.
        assert found.ids.tolist() == [0, 1]
        assert np.array_equal(at(found, 1), CELL)
    else:
        assert np.array_equal(at(found, 0), NUCLEUS)
        assert np.array_equal(at(found, 1), CELL & ~NUCLEUS)
        assert found.areas.tolist() == [NUCLEUS.sum(), (CELL & ~NUCLEUS).sum()]


@pytest.mark.parametrize("rule", ["small over large", "high score over low", "large over small"])
@pytest.mark.parametrize("seed", range(3))
def test_every_pixel_is_the_strongest_candidates(rule, seed):
    candidates = random_discs(seed, 25)
    found = labels_from_candidates(candidates, LabelsParameters(rule, min_visible=0))
    areas, scores = candidates.areas, candidates.iou_predictions
    for row, column in np.random.default_rng(seed).integers(0, HW, (400, 2)):
        there = [i for i, mask in enumerate(candidates.masks) if mask.mask(HW)[row, column]]
        label = found.labels[row, column]
        if not there:
            assert label == 0
            continue
        own = int(np.flatnonzero(found.ids == label)[0])
        assert own in there
        if rule == "small over large":
            assert areas[own] == areas[there].min()
        elif rule == "large over small":
            assert areas[own] == areas[there].max()
        else:
            assert scores[own] == scores[there].max()


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_candidates_does_not_matter(seed):
    candidates = random_discs(seed)
    existing = np.where(disc(30, 30, 25), 7, 0)
    order = np.random.default_rng(seed).permutation(len(candidates))
    one = labels_from_candidates(candidates, existing=existing)
    other = labels_from_candidates(candidates.take(order), existing=existing)
    assert np.array_equal(one.labels, other.labels)
    assert np.array_equal(one.ids[order], other.ids)
    assert np.array_equal(one.areas[order], other.areas)
    assert 0 < one.n_objects < len(candidates)


@pytest.mark.parametrize("seed", range(3))
def test_areas_are_those_of_the_labels(seed):
    found = labels_from_candidates(random_discs(seed), LabelsParameters(min_visible=0.4))
    counts = np.bincount(found.labels.ravel(), minlength=int(found.ids.max()) + 1)
    assert np.array_equal(found.areas, np.where(found.ids > 0, counts[found.ids], 0))
    assert found.n_objects == found.labels.max()


def test_existing_objects_stay_and_slivers_around_them_are_left_out():
    existing = np.zeros(HW, np.int32)
    existing[disc(50, 60, 19)] = 900
    candidates = candidates_of([CELL, disc(50, 100, 20), disc(90, 30, 5)], [0.9, 0.9, 0.9])
    found = labels_from_candidates(candidates, existing=existing)
    assert np.array_equal(found.labels[existing > 0], existing[existing > 0])
    assert found.ids.tolist() == [0, 901, 902]
    # What is left of the one that touches the existing object is its own.
    assert np.array_equal(at(found, 1), disc(50, 100, 20))
    assert found.labels.dtype == np.uint16
    assert (found.labels[CELL & ~disc(50, 60, 19) & ~disc(50, 100, 20)] == 0).all()


def test_what_was_covered_by_one_that_is_left_out_is_given_to_those_below():
    hidden_by = rectangle(40, 40, 20, 9)
    small, large = rectangle(40, 40, 20, 10), rectangle(30, 30, 60, 60)
    existing = hidden_by.astype(np.uint8)
    found = labels_from_candidates(candidates_of([small, large], [0.9, 0.8]), existing=existing)
    assert found.ids.tolist() == [0, 2]
    assert np.array_equal(at(found, 1), large & ~hidden_by)


def test_ids_go_from_top_to_bottom():
    masks = [rectangle(50, 5, 9, 9), rectangle(10, 80, 9, 9), rectangle(10, 20, 9, 9)]
    found = labels_from_candidates(candidates_of(masks, [0.9, 0.8, 0.7]))
    assert found.ids.tolist() == [3, 2, 1]


def test_the_type_of_the_labels_fits():
    many = candidates_of(
        [rectangle(2 * (n // 70), 2 * (n % 70), 1, 1) for n in range(300)], [1] * 300
    )
    assert labels_from_candidates(many.take(np.arange(255))).labels.dtype == np.uint8
    assert labels_from_candidates(many).labels.dtype == np.uint16
    above = labels_from_candidates(many, existing=rectangle(119, 159, 1, 1) * np.uint32(65_400))
    assert above.labels.dtype == np.uint32
    assert above.labels.max() == 65_700


def test_nothing_gives_the_existing_labels():
    existing = disc(50, 50, 9) * 3
    assert np.array_equal(
        labels_from_candidates(Candidates.none(HW), None, existing).labels, existing
    )
    assert not labels_from_candidates(Candidates.none(HW)).labels.any()


def test_labels_of_another_plane_are_refused():
    candidates = candidates_of([CELL], [0.9])
    with pytest.raises(InputError, match="integers of shape 120 x 160"):
        labels_from_candidates(candidates, existing=np.zeros((10, 10), int))
    with pytest.raises(InputError, match="type float64"):
        labels_from_candidates(candidates, existing=np.zeros(HW))
    with pytest.raises(InputError, match="must not be negative"):
        labels_from_candidates(candidates, existing=np.full(HW, -1))
