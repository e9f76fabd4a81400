"""Labels and what is known of them: checked at birth, read plane by plane."""

import numpy as np
import pandas as pd
import pytest
from tests.export.scenes import FEATURES, RING, masks_of, stack_of_planes, tricky_plane

from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.labelled_image import LabelledImage, objects_of_plane
from napari_sam2_openvino.core.units import short_unit, symbol


class Lazy:
    """Notes what is read."""

    def __init__(self, labels):
        self._labels = labels
        self.shape, self.dtype = labels.shape, labels.dtype
        self.read = []

    def __getitem__(self, place):
        self.read.append(place)
        return self._labels[place]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.uint32, np.int64, np.uint64])
def test_objects_of_a_plane_are_cut_out_whatever_their_ids(dtype):
    labels = (tricky_plane(np.uint64) % np.uint64(min(np.iinfo(dtype).max, 2**32))).astype(dtype)
    if np.iinfo(dtype).max > 2**40:
        labels[labels == RING] = 2**40
    found = {each.obj_id: each.cut for each in objects_of_plane(labels)}
    masks = masks_of(labels)
    assert list(found) == sorted(masks)
    for obj_id, cut in found.items():
        mask = np.zeros(labels.shape, bool)
        (row, column), (height, width) = cut.origin, cut.mask.shape
        mask[row : row + height, column : column + width] = cut.mask
        assert np.array_equal(mask, masks[obj_id])
        assert all(edge.any() for side in (cut.mask, cut.mask.T) for edge in side[[0, -1]])


def test_large_ids_without_background_are_all_objects():
    labels = np.full((3, 4), 2**33)
    labels[0] = 2**34
    assert [each.obj_id for each in objects_of_plane(labels)] == [2**33, 2**34]
    assert objects_of_plane(np.zeros((3, 4), np.int64)) == []


def test_each_plane_is_read_once_and_only_when_its_turn_comes():
    lazy = Lazy(stack_of_planes())
    walk = LabelledImage(lazy).objects("Writing")
    assert lazy.read == []
    next(walk)
    assert lazy.read == [(0, 0)]
    reports = [progress for progress, _ in walk]
    assert lazy.read == [(t, z) for t in range(2) for z in range(3)]
    assert reports[-1].done == 1
    assert reports[-1].detail == "plane 6 of 6"


def test_many_objects_of_a_plane_come_in_groups():
    labels = np.arange(1, 401).reshape(20, 20)
    groups = list(LabelledImage(labels).objects("Writing"))
    assert [len(objects) for _, objects in groups] == [64] * 6 + [16]
    shares = [progress.done for progress, _ in groups]
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_features_are_found_by_label_with_and_without_an_index():
    features = LabelledImage(tricky_plane(), features=FEATURES).features_by_label()
    assert features.class_name(RING, {}) == "débris"
    assert features.attributes(RING, {}) == {"comment": "", "checked": False}
    assert features.attributes(77, {}) == {}
    rows = pd.DataFrame({"class_name": ["none", "one", "two"]}, index=[5, 5, 5])
    features = LabelledImage(tricky_plane(), features=rows).features_by_label()
    assert [features.class_name(number, {}) for number in range(4)] == ["none", "one", "two", ""]


def test_only_what_the_window_keeps_for_itself_is_left_out():
    rows = pd.DataFrame({"index": [3], "area": 7, "plane": "z=1", "prompts": "points"})
    features = LabelledImage(tricky_plane(), features=rows).features_by_label()
    assert features.attributes(3, {}) == {"area": 7, "plane": "z=1", "prompts": "points"}
    rows = rows.assign(model="starter", iou_prediction=0.5, size=2)
    features = LabelledImage(tricky_plane(), features=rows).features_by_label()
    assert features.attributes(3, {}) == {"model": "starter", "iou_prediction": 0.5, "size": 2}


def test_of_two_rows_of_an_object_none_is_taken():
    rows = pd.DataFrame({"index": [3, "x", 3], "class_name": ["old", "lost", "new"]})
    with pytest.raises(InputError, match="label 3 has several"):
        LabelledImage(tricky_plane(), features=rows).features_by_label()


def test_rows_of_time_points_are_told_apart():
    rows = pd.DataFrame({"index": [3, 3, 4], "t": [0, 1, 1], "area": 0, "size": [10, 20, 30]})
    labels = np.zeros((2, 5, 4, 4), int)
    labelled = LabelledImage(labels, "TZYX", features=rows)
    features = labelled.features_by_label()
    sizes = [features.attributes(3, labelled.indices((t, 4))) for t in range(2)]
    assert sizes == [{"area": 0, "size": 10}, {"area": 0, "size": 20}]
    assert features.attributes(4, {"t": 0}) == {}
    # Without such an axis they are rows of one object.
    with pytest.raises(InputError, match="label 3 has several"):
        LabelledImage(labels[0], "ZYX", features=rows).features_by_label()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"labels": np.zeros((3, 4))}, "whole numbers"),
        ({"labels": np.zeros(4, int)}, "2 to 5 axes"),
        ({"labels": np.zeros((1,) * 6, int)}, "2 to 5 axes"),
        ({"axes": "XY"}, "end with YX"),
        ({"axes": "ZYX"}, "2 different letters"),
        ({"scale": (1,)}, "2 sizes of a pixel"),
        ({"scale": (1, 0)}, "must be positive"),
        ({"scale": (1, float("nan"))}, "must be positive"),
        ({"units": ("um",)}, "2 units"),
        ({"units": ("um", "parsec")}, "'parsec'"),
        ({"image": np.zeros((40, 51))}, "the labels have 40 x 50"),
        ({"shown": (1,)}, r"no plane \(1,\)"),
        ({"labels": np.zeros((2, 4, 4), int), "shown": (2,)}, r"no plane \(2,\)"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_sentence(options, said):
    options = {"labels": tricky_plane(), **options}
    with pytest.raises(InputError, match=said):
        LabelledImage(**options)


def test_negative_labels_are_refused_when_they_are_read():
    labels = tricky_plane(np.int32)
    labels[0, 0] = -1
    with pytest.raises(InputError, match="-1 is among them"):
        LabelledImage(labels).read(())


def test_spacing_is_in_one_unit_or_in_pixels():
    labelled = LabelledImage(
        stack_of_planes()[0], "ZYX", (2, 500, 0.25), ("micron", "nanometers", "µm")
    )
    assert labelled.spacing("ZYX") == (pytest.approx((2, 0.5, 0.25)), "um")
    assert LabelledImage(tricky_plane(), scale=(3, 3)).spacing("YX") == ((1, 1), "")


@pytest.mark.parametrize(
    ("name", "short"),
    [
        *((name, "um") for name in ("um", "µm", "μm", "Micrometer", "microns", "\\u00B5m")),
        *((name, "") for name in ("", "pixel", "px")),
        ("nanometre", "nm"),
        ("sec", "s"),
        ("Å", "A"),
    ],
)
def test_units_by_any_name(name, short):
    assert short_unit(name) == short
    assert short_unit(symbol(short)) == short
