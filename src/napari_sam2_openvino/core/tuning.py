"""What a model runs best with on this computer: device, precision and threads, by measurement.

Each combination first has to give the right masks (`run_self_test`), then it is timed. What was
found is remembered for each computer, version of OpenVINO and model, in the cache folder.
"""

import logging
import statistics
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_sam2_openvino.core.devices import Device, list_devices
from napari_sam2_openvino.core.errors import DeviceError, JobCancelledError
from napari_sam2_openvino.core.model import Sam2Model
from napari_sam2_openvino.core.paths import cache_dir
from napari_sam2_openvino.core.progress import Progress
from napari_sam2_openvino.core.self_test import SelfTest, read_self_test, run_self_test
from napari_sam2_openvino.core.transforms import build_tokens
from napari_sam2_openvino.core.tunings import (
    Choice,
    Trial,
    Tuning,
    read_tuning,
    usable_cores,
    write_tuning,
)

_LOGGER = logging.getLogger(__name__)

_ENCODES, _CLICKS = 3, 5

Load = Callable[[Path, Choice], Sam2Model]


def load_choice(folder: Path, choice: Choice) -> Sam2Model:
    """Load a model with a choice, through the cache of compiled graphs."""
    return Sam2Model(
        folder, choice.device, choice.precision, cache_dir() / "compiled", choice.threads
    )


def choices(devices: Sequence[Device], cores: int | None = None) -> list[Choice]:
    """Return what is worth a trial: every precision of every device; on the CPU also a core less.

    Parameters
    ----------
    devices : sequence of Device
    cores : int, optional
        Of the processor; by default what this process may use.
    """
    cores = cores or len(usable_cores())
    found = []
    for device in devices:
        for precision in device.precisions:
            found.append(Choice(device.name, precision))
            if device.name == "CPU" and cores > 1:
                found.append(Choice(device.name, precision, cores - 1))
    return found


def tune(
    folder: Path,
    tried: Sequence[Choice] | None = None,
    *,
    load: Load = load_choice,
    cancelled: Callable[[], bool] | None = None,
) -> Generator[Progress, None, Tuning]:
    """Try out what a model can run with, and remember it.

    Parameters
    ----------
    folder : Path
        The model.
    tried : sequence of Choice, optional
        By default all of this computer.
    load : callable, optional
        How a model is loaded with a choice.
    cancelled : callable, optional
        Asked during encodes; the trial ends soon after it returns true.

    Returns
    -------
    Tuning
        What is known now. Nothing is remembered if it does not get so far.

    Raises
    ------
    ModelFormatError
        If the model is damaged.
    JobCancelledError
        If ``cancelled`` returned true.
    """
    tried = choices(list_devices()) if tried is None else tried
    yield Progress("Reading the self-test", 0.0)
    test = read_self_test(folder)
    tuning = read_tuning(folder)
    for number, choice in enumerate(tried):
        if cancelled is not None and cancelled():
            raise JobCancelledError("Tuning was cancelled.")
        yield Progress("Trying out", (number + 0.5) / (len(tried) + 1), str(choice))
        tuning = tuning.having(_try(folder, choice, test, load, cancelled))
    write_tuning(tuning)
    yield Progress("Tuned", 1.0)
    return tuning


def best_device(folder: Path) -> str:
    """Return the device that `tune` found to be best for a model; the CPU if it was not tuned."""
    best = read_tuning(folder).best()
    return "CPU" if best is None else best.choice.device


def load_tuned(folder: Path, device: str, threads: int | None = None) -> Sam2Model:
    """Load a model with the best known precision for a device: what ``precision="auto"`` means.

    That is what `tune` found; otherwise the device's default if it gives the right masks, which is
    looked at once and remembered, and else f32.

    Raises
    ------
    DeviceError
        If the device gives wrong masks in f32 too.
    ModelFormatError
        If the model is damaged.
    """
    tuning = read_tuning(folder)
    best = tuning.best(device)
    if best is not None:
        return load_choice(folder, replace(best.choice, threads=threads or best.choice.threads))
    iou = 0.0
    for precision in ("auto", "f32"):
        model = load_choice(folder, Choice(device, precision, threads))
        known = tuning.of(Choice(device, precision))
        if known is None:
            result = run_self_test(model)
            known = Trial(Choice(device, precision), result.passed, result.mask_iou)
            tuning = tuning.having(known)
            write_tuning(tuning)
        if known.passed:
            return model
        iou = known.mask_iou
        _LOGGER.warning(
            "%s gives wrong masks on %s in %s (IoU %.2f with what it must give)",
            *(model.name, device, model.precision, iou),
        )
    raise DeviceError(
        f"Model {model.name} gives wrong masks on {device} (IoU {iou:.2f} with what it "
        "must give): choose another device, or convert or quantize it again."
    )


def _try(
    folder: Path,
    choice: Choice,
    test: SelfTest,
    load: Load,
    cancelled: Callable[[], bool] | None,
) -> Trial:
    try:
        model = load(folder, choice)
        result = run_self_test(model, test)
        if not result.passed:
            return Trial(choice, passed=False, mask_iou=result.mask_iou)
        encode, decode = _timed(model, test, cancelled)
    except JobCancelledError:
        raise
    except DeviceError as error:
        return Trial(choice, passed=False, mask_iou=0.0, problem=str(error))
    return Trial(choice, True, result.mask_iou, encode, decode)


def _timed(
    model: Sam2Model, test: SelfTest, cancelled: Callable[[], bool] | None
) -> tuple[float, float]:
    """Return the median seconds of an encode and of a click."""
    middle = np.full((1, 1, 2), model.image_size / 2, np.float32)
    tokens = build_tokens(middle, np.ones((1, 1), np.int32), None)
    encodes, clicks = [], []
    for _ in range(_ENCODES):
        started = time.perf_counter()
        embedding = model.encode(test.image, cancelled=cancelled)
        encodes.append(time.perf_counter() - started)
        for _ in range(_CLICKS):
            started = time.perf_counter()
            model.decode(embedding, *tokens)
            clicks.append(time.perf_counter() - started)
    return statistics.median(encodes), statistics.median(clicks)
