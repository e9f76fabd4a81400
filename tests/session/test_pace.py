import pytest

from napari_sam2_openvino._session.pace import Pace


def settle(fixed: float, each: float, pace: Pace | None = None) -> Pace:
    pace = Pace() if pace is None else pace
    for _ in range(20):
        pace.learn(pace.batch_size, fixed + each * pace.batch_size)
        pace.learn(1, fixed + each)
    return pace


@pytest.mark.parametrize(
    ("fixed", "each", "batch_size"),
    [
        pytest.param(0.001, 0.001, 16, id="fast"),
        pytest.param(0.012, 0.021, 2, id="slow"),
        pytest.param(0.0, 0.5, 1, id="very slow"),
        pytest.param(0.04, 0.005, 8, id="busy machine"),
    ],
)
def test_finds_the_batch_that_an_edit_can_wait_for(
    fixed: float, each: float, batch_size: int
) -> None:
    assert settle(fixed, each).batch_size == batch_size


def test_recovers_from_a_slow_start() -> None:
    pace = Pace()
    pace.learn(1, 2.0)
    assert settle(0.001, 0.001, pace).batch_size == 16


def test_follows_a_machine_that_becomes_busy() -> None:
    pace = settle(0.0, 0.001)
    assert settle(0.0, 0.04, pace).batch_size == 1
