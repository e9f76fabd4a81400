"""Run lengths, held against pycocotools and SAM 2's own."""

import numpy as np
import pytest
from pycocotools import mask as coco

from napari_sam2_openvino.core.rle import MaskRuns, compressed_counts

PLANE_HW = (37, 53)


def some_masks() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    masks = [rng.random(PLANE_HW) < share for share in (0.02, 0.5, 0.98)]
    masks.append(np.ones(PLANE_HW, bool))
    for rows, columns in (
        (slice(3, 9), slice(4, 30)),
        (slice(None), slice(7, 12)),
        (slice(36, None), slice(None)),
        (slice(0, 1), slice(0, 1)),
        (slice(36, None), slice(52, None)),
    ):
        box = np.zeros(PLANE_HW, bool)
        box[rows, columns] = True
        masks += [box, ~box]
    return masks


@pytest.fixture(params=range(len(some_masks())))
def mask(request):
    return some_masks()[request.param]


def test_a_mask_survives_its_runs(mask):
    runs = MaskRuns.from_mask(mask)
    assert np.array_equal(runs.mask(PLANE_HW), mask)
    assert runs.area == mask.sum()


def test_a_window_of_a_mask_is_placed_in_the_plane(mask):
    window = mask[5:30, 10:50]
    expected = np.zeros(PLANE_HW, bool)
    expected[5:30, 10:50] = window
    assert np.array_equal(MaskRuns.from_mask(window, (5, 10)).mask(PLANE_HW), expected)


def test_the_cut_is_as_small_as_the_object(mask):
    runs = MaskRuns.from_mask(mask)
    cut = runs.cut()
    assert cut.mask.any(axis=0)[[0, -1]].all()
    assert cut.mask.any(axis=1)[[0, -1]].all()
    x0, y0, x1, y1 = runs.box
    assert cut.origin == (y0, x0)
    assert cut.mask.shape == (y1 - y0 + 1, x1 - x0 + 1)


def test_runs_of_the_plane_are_those_of_sam2(mask):
    import torch
    from tests.reference import declare_torchvision_operators

    declare_torchvision_operators()
    from sam2.utils.amg import mask_to_rle_pytorch

    expected = mask_to_rle_pytorch(torch.from_numpy(mask)[None])[0]
    assert MaskRuns.from_mask(mask).plane_counts(PLANE_HW).tolist() == expected["counts"]


def test_the_compressed_form_is_that_of_pycocotools(mask):
    counts = MaskRuns.from_mask(mask).plane_counts(PLANE_HW)
    encoded = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert compressed_counts(counts) == encoded["counts"].decode()


def test_large_counts_are_compressed_as_pycocotools_does():
    counts = np.array([3, 1, 2_000_000, 31, 16, 15, 47, 2_000_000, 3, 999_999, 32])
    plane = {"counts": counts.tolist(), "size": [int(counts.sum()), 1]}
    expected = coco.frPyObjects(plane, *plane["size"])["counts"].decode()
    assert compressed_counts(counts) == expected


def test_an_empty_mask_has_no_cut():
    runs = MaskRuns.from_mask(np.zeros(PLANE_HW, bool))
    assert runs.area == 0
    assert runs.box == (0, 0, 0, 0)
    assert runs.cut().mask.shape == (0, 0)
    assert runs.plane_counts(PLANE_HW).tolist() == [37 * 53]
    assert not runs.mask(PLANE_HW).any()
