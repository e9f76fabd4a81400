"""The rule that says which pixels a commit changes."""

import numpy as np
import pytest

from napari_sam2_openvino.core.commit import changed_pixels, commit_to_plane
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.marks import MaskCut

BEFORE = np.array([[0, 0, 2, 2], [3, 3, 2, 0]], np.uint16)
MASK = np.array([[0, 1, 1, 0], [0, 1, 0, 1]], bool)


def commit(mode, **options):
    plane = BEFORE.copy()
    n_pixels = commit_to_plane(plane, MaskCut(MASK), 3, mode, **options)
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
    assert commit("keep existing", replace=False) == [[0, 3, 2, 2], [3, 3, 2, 3]]


@pytest.mark.parametrize("mode", ["keep existing", "overwrite", "only where empty"])
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
