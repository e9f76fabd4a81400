"""What sliders ask for is answered with the newest values, outside the main thread."""

from typing import Any

import numpy as np
import pytest
from tests.drawn_candidates import HW, candidates_of, disc, random_discs

from napari_sam2_openvino._session.sifting import Sifted, Sifter, Wish, objects_to_commit
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.labels_from_candidates import labels_from_candidates
from napari_sam2_openvino.core.object_parameters import CandidateFilter, LabelsParameters

LABELS = LabelsParameters()


class Later:
    """A runner whose jobs are done when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[Any] = []

    def __call__(self, job: Any, on_done: Any, on_error: Any) -> None:
        self.waiting.append((job, on_done, on_error))

    def work(self) -> None:
        job, on_done, on_error = self.waiting.pop(0)
        try:
            value = job()
        except Exception as error:
            on_error(error)
        else:
            on_done(value)


@pytest.fixture
def runner() -> Later:
    return Later()


@pytest.fixture
def sifter(runner: Later) -> Sifter:
    return Sifter(runner)


def heard(sifter: Sifter) -> list[Sifted]:
    answers: list[Sifted] = []
    sifter.sifted.connect(answers.append)
    return answers


def test_only_the_newest_of_the_waiting_wishes_is_answered(sifter: Sifter, runner: Later) -> None:
    answers, found = heard(sifter), random_discs(0)
    for thresh in (0.5, 0.6, 0.7, 0.8):
        sifter.ask(Wish(found, CandidateFilter(thresh, 0), LABELS))
    assert len(runner.waiting) == 1
    assert sifter.is_busy
    runner.work()
    runner.work()
    assert not runner.waiting
    assert not sifter.is_busy
    assert [each.wish.criteria.pred_iou_thresh for each in answers] == [0.5, 0.8]


def test_an_answer_for_another_plane_is_dropped(sifter: Sifter, runner: Later) -> None:
    answers, here, there = heard(sifter), random_discs(0), random_discs(1)
    sifter.ask(Wish(here, CandidateFilter(0, 0), LABELS))
    sifter.ask(Wish(there, CandidateFilter(0, 0), LABELS))
    runner.work()
    assert answers == []
    runner.work()
    assert [each.wish.candidates for each in answers] == [there]
    sifter.ask(Wish(here, CandidateFilter(0, 0), LABELS))
    sifter.ask(None)
    runner.work()
    assert len(answers) == 1


@pytest.mark.parametrize("seed", range(3))
def test_what_is_shown_is_what_the_functions_of_the_core_give(
    sifter: Sifter, runner: Later, seed: int
) -> None:
    answers, found = heard(sifter), random_discs(seed)
    existing = np.where(disc(60, 80, 25), 300, 0)
    for thresh in (0.9, 0.5, 0.7):
        criteria = CandidateFilter(thresh, 0.75, max_overlap=0.6)
        sifter.ask(Wish(found, criteria, LABELS, lambda: existing))
        runner.work()
        expected = labels_from_candidates(found.filter(criteria), LABELS, existing)
        shown = answers[-1].shown
        assert np.array_equal(shown.labels > 0, (expected.labels > 0) & (existing == 0))
        assert np.array_equal(shown.areas, expected.areas)
        assert np.array_equal(shown.ids > 0, expected.ids > 0)


def test_an_object_keeps_its_label_at_other_thresholds(sifter: Sifter, runner: Later) -> None:
    answers = heard(sifter)
    found = candidates_of([disc(30, 30, 9), disc(80, 90, 12), disc(30, 120, 9)], [0.6, 0.9, 0.8])
    for thresh in (0.5, 0.85):
        sifter.ask(Wish(found, CandidateFilter(thresh, 0), LABELS))
        runner.work()
    assert answers[0].shown.labels[80, 90] == answers[1].shown.labels[80, 90] > 0
    assert answers[1].shown.labels[30, 30] == 0


def test_objects_are_committed_from_top_to_bottom_as_they_are_shown(
    sifter: Sifter, runner: Later
) -> None:
    answers = heard(sifter)
    cell, nucleus, other = disc(80, 90, 20), disc(80, 90, 6), disc(20, 30, 9)
    found = candidates_of([cell, nucleus, other], [0.9, 0.8, 0.7])
    existing = np.zeros(HW, np.uint8)
    existing[:16] = 4
    sifter.ask(Wish(found, CandidateFilter(0, 0), LABELS, lambda: existing))
    runner.work()
    objects = objects_to_commit(answers[-1])
    assert [each.obj_id for each in objects] == [1, 2, 3]
    expected = [other & (existing == 0), cell & ~nucleus, nucleus]
    for each, mask in zip(objects, expected, strict=True):
        (row, column), (height, width) = each.mask.origin, each.mask.mask.shape
        assert np.array_equal(mask[row : row + height, column : column + width], each.mask.mask)
        assert each.mask.mask.sum() == mask.sum()
        assert set(each.measures) >= {"stability_score", "solidity", "centroid-0", "point-x"}
    assert [each.iou_prediction for each in objects] == pytest.approx([0.7, 0.9, 0.8])


def test_labels_that_cannot_be_read_are_told_and_the_next_wish_is_answered(
    sifter: Sifter, runner: Later
) -> None:
    answers, errors = heard(sifter), []
    sifter.failed.connect(errors.append)

    def broken() -> Any:
        raise InputError("The labels cannot be read.")

    found = random_discs(0)
    sifter.ask(Wish(found, CandidateFilter(0, 0), LABELS, broken))
    runner.work()
    assert [str(each) for each in errors] == ["The labels cannot be read."]
    sifter.ask(Wish(found, CandidateFilter(0, 0), LABELS))
    runner.work()
    assert len(answers) == 1
    sifter.ask(Wish(found, CandidateFilter(0.7, 0), LABELS))
    sifter.close()
    runner.work()
    assert len(answers) == 1
