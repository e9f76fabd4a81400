"""ROI sets, read back by roifile."""

import sys
import zipfile

import numpy as np
import pytest
import roifile
from tests.export.scenes import (
    CORNER,
    FEATURES,
    RING,
    TWINS,
    everything,
    masks_of,
    rasterised,
    stack_of_planes,
    tricky,
    tricky_plane,
)

from napari_sam2_openvino.core.errors import MissingExtraError
from napari_sam2_openvino.core.labelled_image import LabelledImage
from napari_sam2_openvino.export.imagej import write_imagej


def rois_of(labelled, folder):
    path = folder / "rois é.zip"
    everything(write_imagej(labelled, path))
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert len(set(archive.namelist())) == len(archive.namelist())
    found = roifile.roiread(path)
    return found if isinstance(found, list) else [found]


def rings_of(roi):
    # roifile repeats the first corner of composites.
    rings = [np.asarray(ring) for ring in roi.coordinates(multi=True)]
    return [ring[:-1] if np.array_equal(ring[0], ring[-1]) else ring for ring in rings]


def test_rois_are_the_masks_whatever_their_form(tmp_path):
    masks = masks_of(tricky_plane())
    rois = rois_of(tricky(), tmp_path)
    assert [int(roi.name) for roi in rois] == list(masks)
    for roi, mask in zip(rois, masks.values(), strict=True):
        assert np.array_equal(rasterised(rings_of(roi)), mask)
        rows, columns = np.nonzero(mask)
        box = rows.min(), columns.min(), rows.max() + 1, columns.max() + 1
        assert (roi.top, roi.left) == box[:2]
        if roi.composite:
            assert (roi.bottom, roi.right) == box[2:]
            # The last ring is closed (java.awt.geom.PathIterator.SEG_CLOSE).
            assert roi.multi_coordinates[-1] == 4
    kinds = {int(roi.name): roi.composite for roi in rois}
    assert [kinds[each] for each in (RING, TWINS, CORNER)] == [True, True, False]


def test_rois_lie_on_their_slice_and_frame(tmp_path):
    rois = rois_of(LabelledImage(stack_of_planes(), "TZYX"), tmp_path)
    places = {(roi.t_position, roi.z_position, roi.c_position) for roi in rois}
    assert places == {(1, 1, 0), (1, 2, 0), (2, 1, 0), (2, 3, 0)}
    assert "t0002-z0001-70001" in {roi.name for roi in rois}
    rois = rois_of(LabelledImage(stack_of_planes()[0], "ZYX"), tmp_path)
    assert {(roi.position, roi.z_position) for roi in rois} == {(1, 0), (2, 0)}


def test_classes_are_groups(tmp_path):
    rois = {int(roi.name): roi for roi in rois_of(tricky(features=FEATURES), tmp_path)}
    assert (rois[RING].group, rois[RING].properties) == (1, {"class": "débris"})
    assert (rois[CORNER].group, rois[CORNER].properties) == (3, {"class": "nucleus"})
    assert rois[TWINS].group == 0


def test_objects_far_out_in_large_images_keep_their_place(tmp_path):
    labels = np.zeros((4, 70_010), np.uint8)
    labels[1:3, 40_000:40_005] = 1
    labels[1:3, 70_000:70_005] = 2
    rois = rois_of(LabelledImage(labels), tmp_path)
    for roi, start in zip(rois, (40_000, 70_000), strict=True):
        (ring,) = rings_of(roi)
        assert ring.min(axis=0).tolist() == [start, 1]
        assert ring.max(axis=0).tolist() == [start + 5, 3]


def test_it_is_said_which_package_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "roifile", None)
    with pytest.raises(MissingExtraError, match=r"napari-sam2-openvino\[export\]"):
        everything(write_imagej(tricky(), tmp_path / "rois.zip"))
    assert list(tmp_path.iterdir()) == []
