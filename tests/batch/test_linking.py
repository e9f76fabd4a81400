"""Objects through planes: one id each, over gaps, by the best assignment, and resumed."""

import itertools

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from tests.batch.test_resume import IDENTITY

from napari_sam2_openvino._files.labels_store import LabelsStore
from napari_sam2_openvino.batch.axes import name_axes
from napari_sam2_openvino.batch.journal import Journal
from napari_sam2_openvino.batch.linking import (
    _assign,
    _overlaps,
    _Plane,
    decide_links,
    link_series,
    linked_plane,
)
from napari_sam2_openvino.batch.parameters import LinkParameters
from napari_sam2_openvino.core.errors import InputError


def link(planes, folder, letters="zyx", n_steps=None, **parameters):
    """Link planes of labels, and return them; end after some steps as a kill does."""
    planes = np.asarray(planes, np.uint32)
    axes = name_axes(planes.shape, "", letters)
    path = folder / "planes.zarr"
    if not path.exists():
        store = LabelsStore.create(path, axes.labels_shape, axes.labels_letters)
        Journal(folder / "job").begin(IDENTITY)
        for number in range(axes.n_planes):
            store.write(axes.position(number), planes[axes.position(number)])
    store, journal = LabelsStore(path), Journal(folder / "job")
    options = LinkParameters(**{"link": "z", **parameters})
    series = link_series(axes, options.link, range(axes.n_planes))
    for _ in itertools.islice(decide_links(store, series, axes, journal, options), n_steps):
        pass
    if n_steps is not None:
        return None
    result = np.zeros_like(planes)
    for number in range(axes.n_planes):
        place = axes.position(number)
        result[place] = linked_plane(store.read(place), journal, number)
    return result


def plane(*boxes, side=40):
    """Draw boxes (first row, first column, rows, columns), labelled 1, 2, ..."""
    labels = np.zeros((side, side), np.uint32)
    for number, (row, column, height, width) in enumerate(boxes, start=1):
        labels[row : row + height, column : column + width] = number
    return labels


A, B = (2, 2, 10, 10), (20, 20, 10, 10)


def test_an_object_keeps_its_id_whatever_its_labels(tmp_path):
    linked = link([plane(A, B), plane(B, A), plane(B)], tmp_path)
    assert linked[0][5, 5] == linked[1][5, 5] == 1
    assert linked[0][25, 25] == linked[1][25, 25] == linked[2][25, 25] == 2
    assert (linked > 0).sum() == (np.asarray([plane(A, B), plane(B, A), plane(B)]) > 0).sum()


def test_what_does_not_overlap_enough_is_new(tmp_path):
    moved = (2, 8, 10, 10)
    linked = link([plane(A), plane(moved)], tmp_path, link_min_iou=0.3)
    assert set(np.unique(linked)) == {0, 1, 2}


@pytest.mark.parametrize(("max_gap", "n_ids"), [(0, 2), (1, 2), (2, 1)])
def test_a_gap_is_closed_if_it_is_not_too_long(max_gap, n_ids, tmp_path):
    linked = link([plane(A), plane(), plane(), plane(A)], tmp_path, link_max_gap=max_gap)
    assert linked.max() == n_ids


def test_an_object_that_went_on_is_not_taken_up_again_behind_a_gap(tmp_path):
    # The object goes on at its place; a second one appears where it overlaps the older plane only.
    wide, narrow, beside = (2, 2, 10, 20), (2, 2, 10, 10), (2, 12, 10, 10)
    linked = link([plane(wide), plane(narrow), plane(narrow, beside)], tmp_path, link_max_gap=3)
    assert linked[0][5, 5] == linked[1][5, 5] == linked[2][5, 5] == 1
    assert linked[2][5, 15] == 2


def test_the_best_assignment_not_the_first(tmp_path):
    # Greedy would give the middle one to the first and leave the others alone.
    before = plane((2, 2, 10, 10), (2, 12, 10, 10))
    after = plane((2, 7, 10, 9), (2, 16, 10, 8))
    linked = link([before, after], tmp_path, link_min_iou=0.1)
    assert linked[1][5, 8] == linked[0][5, 5]
    assert linked[1][5, 18] == linked[0][5, 15]


def test_assignment_by_parts_is_that_of_the_whole_matrix():
    rng = np.random.default_rng(0)
    for _ in range(20):
        first, second = (rng.integers(0, 30, (25, 25)).astype(np.uint32) for _ in range(2))
        pairs, ious = _overlaps(first, second)
        whole = np.zeros((30, 30))
        whole[tuple(pairs)] = ious
        best = whole[linear_sum_assignment(whole, maximize=True)].sum()
        free = np.ones(30, bool)
        before = _Plane(second, np.arange(30, dtype=np.uint32))
        matches = _assign(first, before, free, set(), 1e-9)
        assert len({one for one, _ in matches}) == len({two for _, two in matches}) == len(matches)
        assert sum(whole[match] for match in matches) == pytest.approx(best)


def test_time_is_linked_apart_for_each_z(tmp_path):
    planes = [[plane(A), plane(B)], [plane(A), plane(A, B)]]
    linked = link(planes, tmp_path, "tzyx", link="t")
    assert linked[0, 0, 5, 5] == linked[1, 0, 5, 5]
    assert linked[0, 1, 25, 25] == linked[1, 1, 25, 25]
    assert len(np.unique(linked)) == 4


@pytest.mark.parametrize("n_steps", [1, 3, 5])
def test_linking_goes_on_where_it_was(n_steps, tmp_path):
    rng = np.random.default_rng(3)
    planes = [
        plane(*((*rng.integers(0, 30, 2), 9, 9) for _ in range(rng.integers(0, 6))))
        for _ in range(8)
    ]
    (tmp_path / "whole").mkdir()
    whole = link(planes, tmp_path / "whole", link_max_gap=2)
    link(planes, tmp_path, n_steps=n_steps, link_max_gap=2)
    np.testing.assert_array_equal(link(planes, tmp_path, link_max_gap=2), whole)


def test_an_axis_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be linked along t"):
        link([plane(A)], tmp_path, link="t")
