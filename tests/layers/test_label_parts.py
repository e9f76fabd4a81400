"""What masks are known by, read from arrays of every kind."""

from typing import Any

import numpy as np
import pytest
import zarr

from napari_sam2_openvino._layers import label_parts
from napari_sam2_openvino._layers.label_parts import (
    cut_objects,
    mask_print,
    object_areas,
    object_prints,
)
from napari_sam2_openvino.core.types import PlaneIndex

PLANE = PlaneIndex((1, None, None))


def blobs() -> Any:
    labels = np.random.default_rng(0).integers(0, 5, (3, 20, 30)).astype(np.uint16)
    labels[:, 4:9, 4:9] = 70
    return labels


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.int64])
def test_areas_and_digests_are_those_of_each_mask(dtype: Any) -> None:
    labels = blobs().astype(dtype)
    # Too large, and too small, to be counted by a table.
    labels[labels == 1] = np.iinfo(dtype).max
    labels[labels == 2] = -1 if dtype is not np.uint16 else 2
    prints = object_prints(labels, PLANE)
    assert {key: each.area for key, each in prints.items()} == object_areas(labels, PLANE)
    cuts = cut_objects(labels, list(prints), PLANE)
    assert prints == {key: mask_print(cut, PLANE, labels.shape) for key, cut in cuts.items()}
    assert len({each.digest for each in prints.values()}) == len(prints)


def test_an_empty_plane_has_none() -> None:
    assert object_prints(np.zeros((3, 4), np.uint8), PlaneIndex((None, None))) == {}


def test_prints_are_the_same_in_parts_and_whichever_way_round_a_plane_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    labels = blobs()
    prints = object_prints(labels, PLANE)
    assert object_prints(labels, PLANE.turned) == prints
    cut = cut_objects(labels, [70], PLANE.turned)[70]
    assert mask_print(cut, PLANE.turned, labels.shape) == prints[70]
    stored = zarr.create_array({}, shape=labels.shape, dtype=np.uint16, chunks=(1, 8, 8))
    stored[:] = labels
    monkeypatch.setattr(label_parts, "PART_PIXELS", 64)
    monkeypatch.setattr(label_parts, "_COUNTED_PIXELS", 7)
    for data in (labels, stored):
        assert object_prints(data, PLANE) == prints
        assert object_prints(data, PLANE.turned) == prints


def test_a_mask_that_moved_by_a_pixel_has_another_digest() -> None:
    labels = np.zeros((20, 30), np.uint8)
    labels[3:6, 3:6] = 1
    plane = PlaneIndex((None, None))
    before = object_prints(labels, plane)[1]
    for axis in (0, 1):
        after = object_prints(np.roll(labels, 1, axis), plane)[1]
        assert after.area == before.area
        assert after.digest != before.digest
