import numpy as np
import pytest

from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.types import MaskPrediction, PlaneIndex, Prompts


def test_prompts_are_converted_to_their_types():
    prompts = Prompts([[1, 2]], [1], box=[0, 0, 5, 5])
    assert prompts.point_coords.dtype == np.float32
    assert prompts.point_labels.dtype == np.int32
    assert prompts.box.dtype == np.float32


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"point_coords": [[1, 2]], "point_labels": []}, "each of the 1 points"),
        ({"point_coords": np.ones((2, 3)), "point_labels": [1, 1, 1]}, r"shape \(n, 2\)"),
        ({"point_coords": [[1, 2]], "point_labels": [2]}, "contains \\[2\\]"),
        ({"point_coords": [[np.nan, 2]], "point_labels": [1]}, "point_coords must be finite"),
        ({"box": [5, 0, 0, 5]}, "x0 < x1"),
        ({"box": [0, 0, 5]}, "shape \\(3,\\)"),
        ({"mask_input": np.zeros((4, 4))}, "shape \\(1, h, w\\)"),
    ],
)
def test_unusable_prompts_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        Prompts(**arguments)


def test_background_points_alone_are_empty():
    assert Prompts().is_empty
    assert Prompts([[1, 2]], [0]).is_empty
    assert not Prompts([[1, 2]], [1]).is_empty
    assert not Prompts(box=[0, 0, 1, 1]).is_empty


def test_only_a_single_click_is_ambiguous():
    assert Prompts([[1, 2]], [1]).is_ambiguous
    assert not Prompts([[1, 2], [3, 4]], [1, 0]).is_ambiguous
    assert not Prompts([[1, 2]], [1], box=[0, 0, 5, 5]).is_ambiguous


def test_digest_tells_content_apart():
    click = Prompts([[1, 2]], [1])
    assert click.digest() == Prompts([[1, 2]], [1]).digest()
    others = [
        Prompts([[2, 1]], [1]),
        Prompts([[1, 2]], [0]),
        Prompts([[1, 2]], [1], box=[0, 0, 5, 5]),
        Prompts(box=[0, 0, 5, 5]),
        Prompts(),
    ]
    assert len({click.digest(), *(other.digest() for other in others)}) == 6


def test_the_best_mask_has_the_highest_score():
    prediction = MaskPrediction(
        np.zeros((3, 2, 2), bool), np.array([0.1, 0.9, 0.5], np.float32), np.zeros((3, 1, 1))
    )
    assert prediction.best == 1
    with pytest.raises(InputError, match="same number"):
        MaskPrediction(np.zeros((3, 2, 2), bool), np.zeros(2), np.zeros((3, 1, 1)))


def test_planes_name_their_displayed_axes():
    assert PlaneIndex((4, None, None)).displayed == (1, 2)
    assert PlaneIndex((None, 4, None), transposed=True).displayed == (2, 0)
    with pytest.raises(InputError, match="exactly two displayed axes"):
        PlaneIndex((None, None, None))
