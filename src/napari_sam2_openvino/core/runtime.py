"""OpenVINO: compile a graph for a device, run it, cancel it.

Of the core only `devices` imports openvino too, and `graph_ops` and `attention`, which make graphs
of its operations.
"""

import locale
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.compile_cache import note_checksums, remove_damaged
from napari_sam2_openvino.core.devices import is_listed
from napari_sam2_openvino.core.errors import DeviceError, InputError, JobCancelledError

if TYPE_CHECKING:
    import openvino

Float = NDArray[np.float32]

_LOGGER = logging.getLogger(__name__)

PRECISIONS = ("auto", "f32", "bf16", "f16")
# How long an encode may go on after it was cancelled: one look at the flag.
_POLL_MS = 10
# How long a device may take to let go of what was cancelled.
_END_MS = 5000


class Runtime:
    """One OpenVINO core with the settings that all graphs of a model share.

    Parameters
    ----------
    device : str
        A device that OpenVINO lists, such as "CPU" or "GPU".
    precision : str
        "f32", "bf16", "f16", or "auto" for the device's default.
    cache_dir : Path or None
        Folder of compiled blobs; None compiles anew each time.
    threads : int, optional
        Processor threads that inference may use; None leaves it to OpenVINO.
    """

    def __init__(
        self, device: str, precision: str, cache_dir: Path | None, threads: int | None = None
    ) -> None:
        import openvino

        if precision not in PRECISIONS:
            raise InputError(
                f"precision must be one of {', '.join(PRECISIONS)}, but is {precision!r}."
            )
        self._core = openvino.Core()
        if not is_listed(device, self._core.available_devices):
            raise DeviceError(
                f"The device must be one of {', '.join(self._core.available_devices)}, "
                f"but is {device!r}."
            )
        self.device = device
        self._properties: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
        if precision != "auto":
            self._properties["INFERENCE_PRECISION_HINT"] = precision
        if threads is not None:
            if threads < 1:
                raise InputError(f"There must be at least 1 thread, but threads is {threads}.")
            self._properties["INFERENCE_NUM_THREADS"] = threads
        if cache_dir is not None:
            # OpenVINO's own key does not tell precisions apart on every device.
            self._use_cache(cache_dir / f"{device}-{precision}")

    def _use_cache(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            _LOGGER.warning("Each load compiles anew: no cache in %s (%s)", folder, error)
        else:
            remove_damaged(folder)
            self._properties["CACHE_DIR"] = str(folder)

    def compile(self, path: Path) -> "openvino.CompiledModel":
        """Compile a graph from its file.

        A graph that was just compiled and the same graph from the cache differ in bf16, by
        rounding (OpenVINO 2026.4.1): single pixels of a mask would not be the same when a session
        is opened again. So what is used has always been exported and imported.

        Raises
        ------
        DeviceError
            If OpenVINO refuses the file on this device.
        """
        compiled = self._compile(str(path), path.name, self._properties)
        if "CACHE_DIR" in self._properties:
            note_checksums(Path(self._properties["CACHE_DIR"]))
        return compiled

    def read(self, path: Path) -> "openvino.Model":
        """Read a graph from its file, to derive another one from it.

        Raises
        ------
        DeviceError
            If OpenVINO cannot read the file.
        """
        try:
            expect_points()
            return self._core.read_model(str(path))
        except RuntimeError as error:
            raise DeviceError(
                f"OpenVINO could not read {path.name} ({first_line(error)}): "
                "convert the model again."
            ) from error

    def compile_derived(
        self, graph: "openvino.Model", *, in_f32: bool = False
    ) -> "openvino.CompiledModel":
        """Compile a graph that was made in memory, in the model's precision or in f32.

        It takes a few tenths of a second, each time.

        Raises
        ------
        DeviceError
            If OpenVINO refuses it on this device.
        """
        # OpenVINO never finds a graph that was made in memory in its cache, which would only grow.
        properties = _without_cache(self._properties)
        if in_f32:
            properties["INFERENCE_PRECISION_HINT"] = "f32"
        return self._compile(graph, graph.get_friendly_name(), properties)

    def _compile(
        self, source: "str | openvino.Model", name: str, properties: dict[str, Any]
    ) -> "openvino.CompiledModel":
        try:
            expect_points()
            compiled = self._core.compile_model(source, self.device, properties)
            return self._imported(compiled, properties)
        except RuntimeError as error:
            raise DeviceError(
                f"OpenVINO could not compile {name} for {self.device} "
                f"({first_line(error)}): choose another device, or convert the model again."
            ) from error

    def _imported(
        self, compiled: "openvino.CompiledModel", used: dict[str, Any]
    ) -> "openvino.CompiledModel":
        properties = _without_cache(used)
        try:
            if "CACHE_DIR" in used and compiled.get_property("LOADED_FROM_CACHE"):
                return compiled
            return self._core.import_model(compiled.export_model(), self.device, properties)
        except RuntimeError as error:
            # Not each device can; a graph that came from the cache can not be exported again.
            _LOGGER.debug("The graph is used as it was compiled (%s)", first_line(error))
            return compiled


def expect_points() -> None:
    """Let numbers have a decimal point, for a graph that is about to be read.

    OpenVINO reads numbers in the way of the C library, to which Qt on Linux gives the user's
    language: with a decimal comma 0.5 becomes 0, and masks are wrong. Python and its packages
    expect a point anyway. It stays so, since other threads may read at the same time.
    """
    if locale.localeconv()["decimal_point"] != ".":
        locale.setlocale(locale.LC_NUMERIC, "C")


def _without_cache(properties: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if "CACHE" not in name}


def effective_precision(compiled: "openvino.CompiledModel") -> str:
    """Return the precision that the device really computes in, such as "bf16"."""
    return str(compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name())


def run(
    request: "openvino.InferRequest",
    inputs: Mapping[str, NDArray[Any]],
    outputs: Sequence[str],
    action: str,
    cancelled: Callable[[], bool] | None = None,
) -> list[Float]:
    """Run a graph once.

    Parameters
    ----------
    request : openvino.InferRequest
    inputs : mapping of str to ndarray
        Copied before it returns. OpenVINO keeps the previous value of an input that is not given.
    outputs : sequence of str
        Names.
    action : str
        What is done, such as "encode the image", for the errors' texts.
    cancelled : callable, optional
        Asked every few milliseconds; the run ends soon after it returns true.

    Returns
    -------
    list of ndarray of float32
        Copies of the outputs.

    Raises
    ------
    JobCancelledError
        If ``cancelled`` returned true.
    DeviceError
        If OpenVINO failed, or its results are no numbers.
    """
    try:
        request.start_async(inputs, share_inputs=False)
        while not request.wait_for(_POLL_MS):
            if cancelled is not None and cancelled():
                _cancel(request)
                raise JobCancelledError(f"The attempt to {action} was cancelled.")
        arrays = [request.get_tensor(name).data.astype(np.float32, copy=True) for name in outputs]
    except RuntimeError as error:
        raise failure(action, first_line(error)) from error
    check_numbers(arrays, action)
    return arrays


def failure(action: str, reason: str) -> DeviceError:
    """Return the error that says what OpenVINO could not do, and why."""
    return DeviceError(
        f"OpenVINO could not {action} ({reason}): choose another device or precision."
    )


def check_numbers(arrays: Sequence[Float], action: str) -> None:
    """Raise DeviceError if a result holds NaN or infinity: no mask, and nothing to be kept."""
    for array in arrays:
        # The sum tells in a fraction of the time, but may be infinite by itself.
        with np.errstate(over="ignore", invalid="ignore"):
            is_sound = np.isfinite(array.sum())
        if not is_sound and not np.isfinite(array).all():
            raise failure(action, "its result holds NaN or infinity")


def keep_input(request: "openvino.InferRequest", name: str, array: Float) -> None:
    """Give a request a copy of an input that stays for the following runs.

    Raises
    ------
    DeviceError
        If OpenVINO failed.
    """
    import openvino

    try:
        request.set_tensor(name, openvino.Tensor(np.ascontiguousarray(array)))
    except RuntimeError as error:
        raise failure("take the image's embedding", first_line(error)) from error


def _cancel(request: "openvino.InferRequest") -> None:
    request.cancel()
    try:
        # A device that hangs shall not hold who cancelled.
        if not request.wait_for(_END_MS):
            _LOGGER.warning("OpenVINO goes on with what was cancelled.")
    except RuntimeError:
        # The way in which OpenVINO says that the request was cancelled.
        return


def first_line(error: BaseException) -> str:
    """Return what OpenVINO has to say: the last line of its message."""
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__
