"""Run a graph whose inputs have free shapes, which a cancel must not cut off midway."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.errors import JobCancelledError
from napari_sam2_openvino.core.runtime import run

if TYPE_CHECKING:
    import openvino

Float = NDArray[np.float32]

_LOGGER = logging.getLogger(__name__)

PATIENCE_S = 0.5
"""How long a run may take to its end after it was cancelled, in seconds."""


class FreeShapesGraph:
    """A compiled graph with free shapes, and the request that runs it. One thread at a time.

    Where a run is cut off midway, some operations of the graph hold the shapes of that run and
    some those of the run before (OpenVINO 2026.4.1, CPU). A later run then fails, or gives wrong
    numbers without a word. So a run that is cancelled is waited for, and a graph whose run was cut
    off all the same, or failed, is compiled anew before it runs again. Graphs with fixed shapes
    need none of this.

    Parameters
    ----------
    compile_graph : callable
        Compiles the graph.
    """

    def __init__(self, compile_graph: "Callable[[], openvino.CompiledModel]") -> None:
        self._compile_graph = compile_graph
        self._request = compile_graph().create_infer_request()
        self._is_sound = True
        self._left: list[Any] = []

    def _renew_if_unsound(self) -> None:
        """Compile the graph anew where its last run did not end."""
        if self._is_sound:
            return
        _LOGGER.debug("A graph is compiled anew: its last run was cut off.")
        if _is_running(self._request):
            # Without a reference it would be waited for.
            self._left.append(self._request)
        self._request = self._compile_graph().create_infer_request()
        self._is_sound = True

    def _run(
        self,
        inputs: Mapping[str, NDArray[Any]],
        outputs: Sequence[str],
        action: str,
        cancelled: Callable[[], bool] | None,
    ) -> list[Float]:
        """Run the graph once; see `run`."""
        self._renew_if_unsound()
        patience = None if cancelled is None else _Patience(cancelled)
        self._is_sound = False
        arrays = run(self._request, inputs, outputs, action, patience)
        self._is_sound = True
        if patience is not None and patience.is_cancelled:
            raise JobCancelledError(f"The attempt to {action} was cancelled.")
        return arrays


class _Patience:
    """Tells that a run is cancelled only if it has not ended in some time since it was."""

    def __init__(self, cancelled: Callable[[], bool]) -> None:
        self._cancelled = cancelled
        self._since: float | None = None

    @property
    def is_cancelled(self) -> bool:
        return self._since is not None

    def __call__(self) -> bool:
        if self._since is None and self._cancelled():
            self._since = time.monotonic()
        return self._since is not None and time.monotonic() - self._since > PATIENCE_S


def _is_running(request: "openvino.InferRequest") -> bool:
    try:
        return not request.wait_for(0)
    except RuntimeError:
        # It was cancelled, or failed.
        return False
