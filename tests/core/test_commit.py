"""The rule that says which pixels a commit changes."""

from typing import get_args

import numpy as np
import pytest

from napari_sam2_openvino.core.commit import (
    CommitMode,
    changed_pixels,
    commit_to_plane,
)
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.marks import MaskCut
from napari_sam2_openvino.core.plane_box import Box

MODES = get_args(CommitMode)
BEFORE = np.array([[0, 0, 2, 2], [3, 3, 2, 0]], np.uint16)
MASK = np.array([[0, 1, 1, 0], [0, 1, 0, 1]], bool)


def commit(mode):
    plane = BEFORE.copy()
    n_pixels = commit_to_plane(plane, MaskCut(MASK), 3, mode)
    assert n_pixels == (plane == 3).sum()
    return plane.tolist()


def test_existing_objects_are_kept():
    assert commit("keep existing") == [[0, 3, 2, 2], [0, 3, 2, 3]]


def test_overwriting_takes_pixels_of_others():
    assert commit("overwrite") == [[0, 3, 3, 2], [0, 3, 2, 3]]


def test_only_where_empty_changes_nothing_at_all_if_it_meets_another_object():
    assert commit("only where empty") == BEFORE.tolist()


def test_only_where_empty_writes_whole_objects():
    plane = np.where(BEFORE == 2, 0, BEFORE)
    commit_to_plane(plane, MaskCut(MASK), 3, "only where empty")
    assert plane.tolist() == [[0, 3, 3, 0], [0, 3, 0, 3]]


def test_old_pixels_stay_when_nothing_is_to_be_replaced():
    changes = changed_pixels(BEFORE, MASK, 3, replace=False)
    assert not changes.erased.any()
    assert changes.belonging.tolist() == [[0, 1, 0, 0], [1, 1, 0, 1]]


@pytest.mark.parametrize("seed", range(20))
def test_to_know_where_the_old_pixels_are_changes_nothing_but_the_time(seed):
    rng = np.random.default_rng(seed)
    whole, known = np.zeros((2, 30, 40), np.uint8)
    boxes = {}
    for _ in range(12):
        obj_id, mode = int(rng.integers(1, 4)), str(rng.choice(MODES))
        (row, column), hw = rng.integers(0, 20, 2), rng.integers(0, 10, 2)
        cut = MaskCut(rng.random(hw) < 0.7, (int(row), int(column)))
        n_pixels = commit_to_plane(whole, cut, obj_id, mode)
        before = boxes.get(obj_id, Box())
        assert commit_to_plane(known, cut, obj_id, mode, replaced=before) == n_pixels
        boxes[obj_id] = Box.around([before, Box.of(cut)])
        np.testing.assert_array_equal(known, whole)


@pytest.mark.parametrize("mode", MODES)
def test_to_commit_again_changes_nothing(mode):
    plane = BEFORE.copy()
    commit_to_plane(plane, MaskCut(MASK), 3, mode)
    changes = changed_pixels(plane, plane == 3, 3, mode)
    assert not changes.written.any()
    assert not changes.erased.any()


def test_a_cut_lies_where_its_origin_says():
    plane = np.zeros((4, 5), np.uint8)
    assert commit_to_plane(plane, MaskCut(np.ones((2, 1), bool), (1, 3)), 7) == 2
    assert np.argwhere(plane == 7).tolist() == [[1, 3], [2, 3]]
    assert commit_to_plane(plane, MaskCut(np.zeros((0, 0), bool)), 7) == 0
    assert not plane.any()


def test_ids_that_do_not_fit_and_unknown_modes_are_refused():
    with pytest.raises(InputError, match="from 1 to 255"):
        commit_to_plane(np.zeros((2, 2), np.uint8), MaskCut(np.ones((1, 1), bool)), 256)
    with pytest.raises(InputError, match="keep existing, overwrite"):
        changed_pixels(BEFORE, MASK, 3, "gently")
