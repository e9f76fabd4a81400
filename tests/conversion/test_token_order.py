"""Orders of tokens, by the positions that they put where."""

import numpy as np
import pytest

from napari_sam2_openvino.conversion.token_order import TokenOrder, joined


def positions(order, height, width):
    """Return (y, x) of each token, as its steps count them."""
    index = np.indices([step.length for step in order.steps])
    found = {"y": 0, "x": 0}
    for step, count in zip(order.steps, index, strict=True):
        found[step.axis] = found[step.axis] + step.stride * count
    places = np.stack([np.ravel(found["y"]), np.ravel(found["x"])], axis=1)
    assert sorted(map(tuple, places)) == [(y, x) for y in range(height) for x in range(width)]
    return places


SIZES = [(16, 16, 8), (8, 12, 4), (28, 14, 14), (7, 21, 7), (6, 6, 6), (8, 8, 1)]


@pytest.mark.parametrize(("height", "width", "side"), SIZES, ids=str)
def test_tokens_of_a_window_stand_together(height, width, side):
    places = positions(TokenOrder.windows(height, width, side), height, width)
    windows = (places // side).reshape(-1, side**2, 2)
    assert (windows == windows[:, :1]).all()
    rows = windows[:, 0, 0] * (width // side) + windows[:, 0, 1]
    np.testing.assert_array_equal(rows, np.arange(len(rows)))


@pytest.mark.parametrize(("height", "width", "side"), [(16, 16, 8), (12, 8, 4), (28, 14, 14)])
def test_pools_stand_equally_far_apart_and_leave_windows(height, width, side):
    order = TokenOrder.windows(height, width, side)
    runs = positions(order, height, width).reshape(-1, 4, order.run, 2)
    np.testing.assert_array_equal(runs // 2, np.broadcast_to(runs[:, :1] // 2, runs.shape))
    left = runs[:, 0].reshape(-1, 2) // 2
    np.testing.assert_array_equal(left, positions(order.pooled(), height // 2, width // 2))
    assert order.pooled() == TokenOrder.windows(height // 2, width // 2, side // 2)


@pytest.mark.parametrize("order", [TokenOrder.rows(8, 8), TokenOrder.windows(7, 7, 7)], ids=str)
def test_rows_cannot_be_pooled_in_runs(order):
    assert order.run is None


@pytest.mark.parametrize("side", [2, 4, 8])
def test_moves_lead_from_each_order_to_each(side):
    orders = [TokenOrder.rows(16, 8), *(TokenOrder.windows(16, 8, n) for n in (1, 4, side))]
    for order in orders:
        for other in orders:
            shape, axes = order.move(other)
            places = positions(order, 16, 8).reshape(*shape, 2)
            moved = places.transpose(*axes, len(shape)).reshape(-1, 2)
            np.testing.assert_array_equal(moved, positions(other, 16, 8))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 4), (2, 1)])
def test_axes_of_one_token_move_as_well(height, width):
    rows = TokenOrder.rows(height, width)
    windows = TokenOrder.windows(2 * height, 2 * width, 2).pooled()
    for order, other in ((rows, windows), (windows, rows)):
        shape, axes = order.move(other)
        assert np.prod(shape, dtype=int) == height * width
        assert axes == tuple(range(len(shape)))


@pytest.mark.parametrize(
    ("shape", "axes", "few"),
    [
        ((2, 3, 4), (0, 1, 2), ([24], [0])),
        ((2, 3, 4), (2, 0, 1), ([6, 4], [1, 0])),
        ((2, 1, 4), (2, 1, 0), ([2, 4], [1, 0])),
        ((2, 1, 4), (0, 2, 1), ([8], [0])),
        ((2, 3, 4, 5), (0, 2, 1, 3), ([2, 3, 4, 5], [0, 2, 1, 3])),
    ],
)
def test_axes_that_stay_neighbours_are_joined(shape, axes, few):
    assert joined(shape, axes) == few
    array = np.arange(np.prod(shape))
    few_shape, few_axes = few
    np.testing.assert_array_equal(
        array.reshape(few_shape).transpose(few_axes).ravel(),
        array.reshape(shape).transpose(axes).ravel(),
    )
