"""Known masks carried through planes: passes, ends, what is cleared away, what is left alone."""

from dataclasses import replace

import numpy as np
import pytest
from tests.core.test_video_predictor import discs

from napari_sam2_openvino.core.errors import InputError, JobCancelledError
from napari_sam2_openvino.core.marks import MaskCut
from napari_sam2_openvino.core.propagation import KnownMask, Propagation, propagate_masks
from napari_sam2_openvino.core.video_state import read_planes
from napari_sam2_openvino.core.volume_parameters import VolumeParameters

HW = (96, 128)
RADII = (0, 14, 16, 18, 16, 14, 0, 0)


def disc(radius=18, centre=(50, 62)):
    rows, columns = np.mgrid[: HW[0], : HW[1]]
    return MaskCut(np.hypot(rows - centre[0], columns - centre[1]) < radius)


def carry(model, planes, known, **options):
    """Return what was found of each object, by plane, in order."""
    options = {"first": 0, "last": len(planes) - 1, **options}
    propagation = Propagation(read_planes(planes), known, **options)
    found = []
    for plane in propagate_masks(model, propagation):
        if plane is not None:
            areas = {each.obj_id: each.mask.area for each in plane.objects}
            found.append((plane.frame_idx, areas))
    return found


@pytest.fixture(params=["projection", "memory"])
def model(request, starter_model):
    return (
        starter_model if request.param == "projection" else request.getfixturevalue("micro_model")
    )


def test_both_passes_and_where_they_end(starter_model):
    found = carry(starter_model, discs(RADII), [KnownMask(1, 3, disc())])
    assert [at for at, _ in found] == [3, 4, 5, 6, 2, 1, 0]
    assert [areas[1] > 0 for _, areas in found] == [True, True, True, False, True, True, False]
    assert found[0][1][1] == disc().mask.sum()


def test_all_planes_of_the_range_if_asked_and_none_beyond(model):
    known = [KnownMask(1, 3, disc())]
    found = carry(model, discs(RADII), known, first=1, last=5, until_it_ends=False)
    assert [at for at, _ in found] == [3, 4, 5, 2, 1]


def test_what_was_found_earlier_is_cleared_beyond_the_end(starter_model):
    known = [KnownMask(1, 3, disc())]
    found = carry(starter_model, discs(RADII), known, earlier={1: frozenset({1, 7})})
    assert [at for at, _ in found] == [3, 4, 5, 6, 7, 2, 1, 0]
    assert found[4] == (7, {1: 0})


def test_a_range_without_prompts_is_reached_from_them(starter_model):
    found = carry(starter_model, discs(RADII), [KnownMask(1, 3, disc())], first=5, last=6)
    assert [(at, areas[1] > 0) for at, areas in found] == [(5, True), (6, False)]


def test_objects_are_taken_up_where_they_are_known_next(starter_model):
    known = [KnownMask(1, 2, disc()), KnownMask(2, 4, disc(16)), KnownMask(3, 3, disc(18))]
    found = carry(starter_model, discs((18,) * 6), known, direction="forward", start=3)
    # The first object is not known at the start: what lies behind says nothing.
    assert [set(areas) for _, areas in found] == [{3}, {2, 3}, {2, 3}]
    with pytest.raises(InputError, match="in this direction"):
        carry(starter_model, discs((18,) * 6), known[:1], direction="forward", start=3)


def test_objects_share_no_pixel_and_known_ones_come_first(starter_model):
    known = [KnownMask(1, 0, disc(18)), KnownMask(2, 0, disc(18, (50, 72)))]
    propagation = Propagation(read_planes(discs((18, 18))), known, 0, 1)
    planes = [each for each in propagate_masks(starter_model, propagation) if each is not None]
    for plane in planes:
        masks = [each.mask.mask(HW) for each in plane.objects]
        assert not (masks[0] & masks[1]).any()
    assert planes[0].objects[1].mask.area == known[1].mask.mask.sum()


def test_a_stack_of_one_plane_and_the_last_plane(model):
    assert carry(model, discs((18,)), [KnownMask(4, 0, disc())]) == [(0, {4: disc().mask.sum()})]
    found = carry(model, discs((18,) * 3), [KnownMask(4, 2, disc())], until_it_ends=False)
    assert [at for at, _ in found] == [2, 1, 0]


def test_at_the_border(starter_model):
    centre = (2, 3)
    planes = discs((24, 22, 20), centre=centre)
    found = carry(starter_model, planes, [KnownMask(1, 0, disc(24, centre))])
    assert [areas[1] > 200 for _, areas in found] == [True, True, True]


def test_empty_planes_cost_no_encode_beyond_the_first(starter_model):
    propagation = Propagation(
        read_planes(discs((18, *(0,) * 6))), [KnownMask(1, 0, disc())], 0, 6, until_it_ends=False
    )
    loads = []

    def counted(source):
        def load(region):
            loads.append(source)
            return source.load(region)

        return replace(source, load=load)

    planes = [counted(each) for each in propagation.planes]
    list(propagate_masks(starter_model, replace(propagation, planes=planes)))
    assert len(loads) == 2


def test_it_is_cancelled_between_batches(starter_model):
    asked = []
    propagation = Propagation(read_planes(discs((18,) * 6)), [KnownMask(1, 0, disc())], 0, 5)
    steps = propagate_masks(starter_model, propagation, cancelled=lambda: len(asked) > 0)
    next(each for each in steps if each is not None)
    asked.append(True)
    with pytest.raises(JobCancelledError):
        list(steps)


def test_memory_is_refused_where_there_is_none(starter_model):
    with pytest.raises(InputError, match="memory"):
        carry(
            starter_model,
            discs((18,) * 2),
            [KnownMask(1, 0, disc())],
            parameters=VolumeParameters(method="memory"),
        )


def test_nothing_known_and_a_wrong_range_are_refused():
    planes = read_planes(discs((18,) * 3))
    with pytest.raises(InputError, match="draw one"):
        Propagation(planes, [], 0, 2)
    with pytest.raises(InputError, match="0 to 2"):
        Propagation(planes, [KnownMask(1, 0, disc())], 0, 3)
