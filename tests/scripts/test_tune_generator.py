"""Thresholds are tuned on what is really found, and figures count what they say."""

import numpy as np
import pytest
from tests.drawn_candidates import HW, candidates_of, disc

from napari_sam2_openvino.core.candidate_filter import CandidateSieve
from napari_sam2_openvino.core.object_parameters import AllObjectsParameters, CandidateFilter

objects = pytest.importorskip("starter.objects")

LARGE, SMALL, SLIVER = disc(40, 40, 20), disc(80, 120, 10), disc(10, 150, 3)


def example(parts=None):
    labels = np.zeros(HW, np.int32)
    for number, mask in enumerate((LARGE, SMALL, SLIVER), start=1):
        labels[mask] = number
    return objects.Example("drawn", labels, labels, parts)


def test_objects_found_missed_and_labels_of_nothing_are_counted():
    labels = np.zeros(HW, np.uint8)
    labels[disc(40, 40, 18)] = 5
    labels[disc(100, 30, 9)] = 7
    judged = objects.judge(labels, example())
    # The sliver is not asked for.
    assert (judged.found, judged.missed, judged.wrong) == (1, 1, 1)
    assert judged.iou == pytest.approx(disc(40, 40, 18).sum() / LARGE.sum())
    assert judged.f1 == pytest.approx(0.5)
    labels[SLIVER] = 8
    assert objects.judge(labels, example()).wrong == 1
    parts = np.where(disc(100, 30, 9), 1, 0)
    assert objects.judge(labels, example(parts)).wrong == 0
    nothing = objects.judge(np.zeros(HW, np.uint8), example())
    assert (nothing.found, nothing.missed, nothing.f1) == (0, 2, 0)
    assert objects.judge(example().labels, example()).f1 == 1


def test_summary_is_over_objects_and_over_images():
    judgements = [objects.Judgement(8, 2, 0, 7.2), objects.Judgement(0, 1, 1, 0)]
    summary = objects.summarize(judgements)
    assert summary["objects"] == 11
    assert summary["F1"] == pytest.approx(16 / 20)
    assert summary["F1 by image"] == pytest.approx(8 / 9 / 2)
    assert summary["mean matched IoU"] == pytest.approx(0.9)
    assert (summary["precision"], summary["recall"]) == (8 / 9, 8 / 11)


def test_tuning_finds_the_threshold_between_objects_and_rubbish():
    rubbish = [disc(100, 20 + 12 * number, 5) for number in range(6)]
    found = candidates_of([LARGE, SMALL, *rubbish], [0.62, 0.58, *[0.41] * 6])
    examples = [(example(), CandidateSieve(found))]
    start = AllObjectsParameters(filter=CandidateFilter(0.3, 0.5))
    told = []
    best = objects.tune(examples, start, told.append)
    assert 0.41 <= best.filter.pred_iou_thresh < 0.58
    assert objects.mean_f1(examples, best) == 1 > objects.mean_f1(examples, start)
    assert best.labels == start.labels
    assert told[0].startswith("start: ")


def test_no_image_of_tuning_is_held_out():
    first = next(iter(objects.training_examples(1)))
    assert int(first.name.split()[-1]) >= objects.FIRST_TRAINING_SEED
    held_out = next(iter(objects.held_out_examples("easy", 1)))
    assert int(held_out.name.split()[-1]) < objects.FIRST_TRAINING_SEED
