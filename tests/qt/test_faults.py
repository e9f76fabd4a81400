"""OpenVINO fails below a window: a sentence, and the next click is answered."""

from typing import Any

import numpy as np
import pytest
from tests.openvino_faults import FaultyRequests

from napari_sam2_openvino._session.engines import Sam2Engine
from napari_sam2_openvino._session.jobs import State


@pytest.fixture(scope="module")
def engine() -> Sam2Engine:
    return Sam2Engine("starter")


@pytest.fixture
def starter_window(engine: Sam2Engine, open_window: Any, monkeypatch: Any) -> Any:
    shown: list[str] = []
    monkeypatch.setattr("napari_sam2_openvino._qt.feedback.show_error", shown.append)
    rows, columns = np.mgrid[:64, :64]
    disc = np.where(np.hypot(rows - 30, columns - 30) < 14, 200, 20).astype(np.uint8)
    window = open_window(disc, load_engine=lambda _name: engine)
    window.shown = shown
    window.settle()
    return window


@pytest.mark.parametrize("fault", ["raises", "NaN"])
def test_a_fault_is_a_sentence_and_the_next_click_is_answered(
    starter_window: Any, engine: Sam2Engine, fault: str
) -> None:
    window = starter_window
    with FaultyRequests(engine, "decode the prompts") as faults:
        if fault == "raises":
            faults.raises("out of memory")
        else:
            faults.gives(np.nan)
        window.click(30, 30)
        window.wait(lambda: window.session.state is State.FAILED)
    assert "OpenVINO could not decode the prompts" in window.status
    assert len(window.shown) == 1
    window.click(31, 31)
    window.settle()
    assert window.answer is not None
    assert window.answer.mask.mask.any()
    assert len(window.shown) == 1


def test_a_decode_that_hangs_is_left_by_cancel(starter_window: Any, engine: Sam2Engine) -> None:
    window = starter_window
    with FaultyRequests(engine, "decode the prompts") as faults:
        faults.hang()
        window.click(30, 30)
        window.wait(faults.hangs.is_set)
        # The window answers meanwhile.
        window.widget.cancel_button.click()
        window.wait(lambda: faults.n_cancelled == 1 and not window.session.is_busy)
    assert window.status.startswith("Cancelled")
    window.click(31, 31)
    window.settle()
    assert window.answer is not None
