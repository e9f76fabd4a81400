"""What comes out of a propagation, as labels and masks."""

import numpy as np

from napari_sam2_openvino.core.video_state import FramePrediction, read_planes


def prediction(logits, hw=(45, 70)):
    obj_ids = tuple(range(5, 5 + len(logits)))
    return FramePrediction(2, obj_ids, logits, np.ones(len(logits), np.float32), hw)


def test_labels_are_of_the_highest_logit_where_objects_overlap():
    logits = np.random.default_rng(0).normal(-0.5, 2, (4, 16, 16)).astype(np.float32)
    found = prediction(logits)
    wanted = np.where(
        found.masks.any(axis=0), np.array(found.obj_ids)[found.mask_logits.argmax(axis=0)], 0
    )
    overlaps = np.count_nonzero(found.masks.sum(axis=0) > 1)
    assert overlaps > 100
    np.testing.assert_array_equal(found.labels, wanted)


def test_labels_of_no_object():
    found = prediction(np.full((1, 16, 16), -1024, np.float32))
    assert found.labels.dtype == np.uint32
    assert not found.labels.any()


def test_planes_of_one_volume_are_told_apart():
    volume = np.zeros((3, 8, 8), np.uint8)
    assert len({source.key for source in read_planes(volume)}) == 3
    other = np.zeros((3, 8, 8), np.uint8)
    assert not {each.key for each in read_planes(volume)} & {
        each.key for each in read_planes(other)
    }
