"""OpenVINO that fails on purpose, below a real model."""

import threading
from types import TracebackType
from typing import Any, Self

import numpy as np

from napari_sam2_openvino._session.engines import Sam2Engine


class FaultyRequests:
    """While it is entered, a graph of an engine raises, hangs or gives what is no number.

    Parameters
    ----------
    engine : Sam2Engine
    action : {"encode the image", "decode the prompts"}
        What fails.
    """

    def __init__(self, engine: Sam2Engine, action: str) -> None:
        model = engine._model
        self._graph: Any = (
            model._image_encoder if action == "encode the image" else model._mask_decoder
        )
        self._real = self._graph._request
        self._error: str | None = None
        self._value: float | None = None
        self._is_hung = False
        self.hangs = threading.Event()
        self.n_failed = 0
        self.n_cancelled = 0

    def __enter__(self) -> Self:
        self._graph._request = self
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._graph._request = self._real

    def raises(self, message: str) -> None:
        """Let each run fail."""
        self._error = message

    def gives(self, value: float) -> None:
        """Let each result hold one value among the numbers."""
        self._value = value

    def hang(self) -> None:
        """Let no run end, not even when it is cancelled."""
        self._is_hung = True

    def start_async(self, inputs: Any, share_inputs: bool) -> None:
        if self._error is not None:
            self.n_failed += 1
            raise RuntimeError(f"Exception from src/inference.cpp:1:\n\n{self._error}\n")
        if self._is_hung:
            self.hangs.set()
            return
        self._real.start_async(inputs, share_inputs=share_inputs)

    def wait_for(self, milliseconds: int) -> bool:
        if self._is_hung:
            # As long as it is told, but for the test's sake no longer than this.
            threading.Event().wait(min(milliseconds, 50) / 1000)
            return False
        return bool(self._real.wait_for(milliseconds))

    def cancel(self) -> None:
        self.n_cancelled += 1

    def set_tensor(self, name: str, tensor: Any) -> None:
        self._real.set_tensor(name, tensor)

    def get_tensor(self, name: str) -> Any:
        tensor = self._real.get_tensor(name)
        if self._value is None:
            return tensor
        self.n_failed += name in {"image_embed", "low_res_masks"}
        changed = np.array(tensor.data)
        changed.flat[changed.size // 2] = self._value
        return _Tensor(changed)


class _Tensor:
    def __init__(self, data: Any) -> None:
        self.data = data
