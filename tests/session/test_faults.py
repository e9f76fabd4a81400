"""OpenVINO fails below a session: one sentence is told, and the next edit is answered."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.openvino_faults import FaultyRequests
from tests.session_bench import Planes, at_once, click

from napari_sam2_openvino._session.annotation_session import AnnotationSession
from napari_sam2_openvino._session.engines import Sam2Engine
from napari_sam2_openvino._session.jobs import State
from napari_sam2_openvino.core.errors import DeviceError

Case = tuple[AnnotationSession, Sam2Engine, list[Exception]]


@pytest.fixture(scope="module")
def engine() -> Sam2Engine:
    return Sam2Engine("starter")


@pytest.fixture
def case(engine: Sam2Engine) -> Case:
    session = AnnotationSession(at_once, lambda _name: engine)
    errors: list[Exception] = []
    session.failed.connect(errors.append)
    session.set_model("starter")
    return session, engine, errors


FAULTS: dict[str, Callable[[FaultyRequests], Any]] = {
    "raises": lambda faults: faults.raises("out of memory"),
    "NaN": lambda faults: faults.gives(np.nan),
    "infinity": lambda faults: faults.gives(np.inf),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("graph", ["encode the image", "decode the prompts"])
def test_a_session_goes_on_after_a_fault(case: Case, graph: str, fault: str) -> None:
    session, engine, errors = case
    # A plane of its own, so that it is encoded.
    plane = Planes().source(10 + 3 * list(FAULTS).index(fault) + (graph == "encode the image"))
    with FaultyRequests(engine, graph) as faults:
        FAULTS[fault](faults)
        session.request(plane, {1: click(20, 10)})
        assert faults.n_failed == 1
        assert session.state is State.FAILED
        assert session.answer(1) is None
        (error,) = errors
        assert isinstance(error, DeviceError)
        assert str(error).startswith(f"OpenVINO could not {graph} (")
        assert str(error).endswith("choose another device or precision.")
    session.request(plane, {1: click(21, 10)})
    assert session.answer(1) is not None
    assert session.is_settled
    assert len(errors) == 1
