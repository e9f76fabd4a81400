"""Ids, drafts and what there is to decode, without napari."""

import numpy as np
import pytest

from napari_sam2_openvino._session.objects import FOR_ALL, Draft, Objects
from napari_sam2_openvino.core.marks import Mark, MaskCut
from napari_sam2_openvino.core.types import PlaneIndex

PLANE = PlaneIndex((3, None, None))
OTHER = PlaneIndex((4, None, None))


def click(x: float, y: float, *, positive: bool = True) -> Mark:
    return Mark("point", ((x, y),), positive)


def test_an_id_is_never_given_out_twice() -> None:
    objects = Objects()
    ids = [objects.current]
    for _ in range(3):
        objects = objects.next()
        ids.append(objects.current)
    objects = objects.without({ids[-1]}, PLANE)
    ids.append(objects.current)
    objects = objects.select(2).seen({40}).next()
    ids.append(objects.current)
    assert ids == [1, 2, 3, 4, 5, 41]


def test_another_object_stays_current_when_one_is_done_with() -> None:
    objects = Objects().next().without({1}, PLANE)
    assert objects.current == 2


def test_marks_for_all_come_before_those_of_each_object() -> None:
    marks = {FOR_ALL: (click(1, 1, positive=False),), 1: (click(2, 2),), 2: (click(3, 3),)}
    prompts = Objects().prompts(marks, PLANE)
    assert [mark.vertices[0] for mark in prompts[1].marks] == [(1, 1), (2, 2)]
    assert [mark.vertices[0] for mark in prompts[2].marks] == [(1, 1), (3, 3)]


def test_an_object_without_a_positive_mark_is_not_decoded() -> None:
    marks = {FOR_ALL: (click(1, 1, positive=False),), 1: (click(2, 2, positive=False),)}
    assert Objects().prompts(marks, PLANE) == {}


def test_a_mask_counts_on_its_own_plane() -> None:
    mask = MaskCut(np.ones((2, 2), bool), (5, 5))
    objects = Objects().with_draft(7, PLANE, Draft(mask=mask))
    assert objects.prompts({}, PLANE)[7].mask is mask
    assert objects.prompts({}, OTHER) == {}


def test_what_is_done_with_is_forgotten_whichever_way_round_the_plane_is_seen() -> None:
    turned = PlaneIndex(PLANE.index, transposed=True)
    objects = Objects().choose(1, PLANE, 1, 2).choose(1, OTHER, 1, 2).without({1}, turned)
    assert list(objects.drafts) == [(1, OTHER)]


def test_a_choice_drops_those_of_later_stages() -> None:
    objects = Objects().choose(1, PLANE, 1, 2).choose(1, PLANE, 3, 1).choose(1, PLANE, 2, 3)
    assert objects.draft(1, PLANE).choices == ((1, 2), (2, 3))
    assert objects.draft(1, OTHER).choices == ()


@pytest.mark.parametrize("current", [1, 5])
def test_renumbering_keeps_what_is_known(current: int) -> None:
    draft = Draft(choices=((1, 2),))
    objects = Objects(current, 5, {(1, PLANE): draft}).renumber({1: 9})
    assert objects.draft(9, PLANE) is draft
    assert objects.draft(1, PLANE).choices == ()
    assert objects.current == (9 if current == 1 else 5)
    assert objects.next().current == 10


def test_what_was_chosen_goes_with_the_marks_of_the_plane_a_mask_stays() -> None:
    mask = MaskCut(np.ones((2, 2), bool), (0, 0))
    drafts = {
        (1, PLANE): Draft(choices=((0, 2),)),
        (1, OTHER): Draft(choices=((0, 2),)),
        (2, PLANE): Draft(choices=((0, 1),)),
        (3, PLANE.turned): Draft(choices=((0, 1),)),
        (4, PLANE): Draft(choices=((0, 1),), mask=mask),
        (5, PLANE): Draft(),
    }
    objects = Objects(drafts=drafts)
    kept = objects.drawn({2}, PLANE).drafts
    assert kept.keys() == drafts.keys() - {(1, PLANE), (3, PLANE.turned)}
    assert objects.drawn({1, 2, 3}, PLANE) is objects
