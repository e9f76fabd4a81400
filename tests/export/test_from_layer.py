"""What is exported of a Labels layer: sizes of its pixels as they lie in the world."""

from typing import Any

import numpy as np
import pytest
from napari.layers import Labels

from napari_sam2_openvino.export.from_layer import labelled_of_layer

HALF = np.diag([0.5, 0.5, 1.0])


@pytest.mark.parametrize(
    ("placing", "sizes"),
    [
        ({"scale": (0.5, 0.25)}, (0.5, 0.25)),
        ({"affine": HALF}, (0.5, 0.5)),
        ({"scale": (0.5, 0.25), "affine": HALF}, (0.25, 0.125)),
        ({"scale": (-0.5, 0.5)}, (0.5, 0.5)),
        ({"scale": (2, 3), "rotate": 30}, (2, 3)),
        ({"scale": (2, 3), "rotate": 30, "translate": (5, 7), "affine": HALF}, (1, 1.5)),
    ],
)
def test_pixels_are_as_large_as_they_lie_in_the_world(
    placing: dict[str, Any], sizes: tuple[float, ...]
) -> None:
    layer = Labels(np.ones((6, 8), np.uint8), units=("um", "um"), **placing)
    np.testing.assert_allclose(np.linalg.norm(layer._data_to_world.linear_matrix, axis=0), sizes)
    data, about, _ = layer.as_layer_data_tuple()
    labelled = labelled_of_layer(data, about)
    np.testing.assert_allclose(labelled.scale, sizes)
    assert labelled.units == ("um", "um")


@pytest.mark.parametrize(
    "placing", [{"shear": [0.3]}, {"affine": np.array([[1, 0.2, 0], [0, 1, 0], [0, 0, 1]])}]
)
def test_pixels_that_are_no_rectangles_are_counted(placing: dict[str, Any]) -> None:
    layer = Labels(np.ones((6, 8), np.uint8), scale=(2, 2), units=("um", "um"), **placing)
    data, about, _ = layer.as_layer_data_tuple()
    labelled = labelled_of_layer(data, about)
    assert labelled.scale == (1, 1)
    assert labelled.units == ("", "")


def test_a_stack_that_is_sheared_in_its_planes_and_one_that_is_turned() -> None:
    stack = np.ones((2, 6, 8), np.uint8)
    turned = Labels(stack, scale=(4, 2, 3), rotate=(10, 20, 30), units=("um", "um", "um"))
    data, about, _ = turned.as_layer_data_tuple()
    np.testing.assert_allclose(labelled_of_layer(data, about).scale, (4, 2, 3))
    sheared = Labels(stack, scale=(4, 2, 3), shear=(0, 0, 0.5))
    data, about, _ = sheared.as_layer_data_tuple()
    assert labelled_of_layer(data, about).scale == (1, 1, 1)
