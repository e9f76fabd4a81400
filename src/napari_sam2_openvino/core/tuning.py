"""What a model runs best with on this computer: device, precision and threads, by measurement.

Each combination first has to give the right masks (`run_self_test`), then it is timed. What was
found is remembered for each computer, version of OpenVINO and model, in the cache folder.
"""

import hashlib
import json
import logging
import os
import platform
import statistics
import time
import uuid
from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter, ValidationError

from napari_sam2_openvino.core.devices import Device, list_devices, openvino_version
from napari_sam2_openvino.core.errors import DeviceError, JobCancelledError
from napari_sam2_openvino.core.model import Sam2Model, content_hash
from napari_sam2_openvino.core.model_folder import read_model_info
from napari_sam2_openvino.core.paths import cache_dir
from napari_sam2_openvino.core.progress import Progress
from napari_sam2_openvino.core.self_test import SelfTest, read_self_test, run_self_test
from napari_sam2_openvino.core.transforms import build_tokens

_LOGGER = logging.getLogger(__name__)

_ENCODES, _CLICKS = 3, 5
# An annotator clicks about so often on an image; a choice is as good as one encode and that.
_CLICKS_PER_IMAGE = 10
# Fewer threads, which leave a core to the window, win unless they take so much longer.
_WORTH_A_CORE = 1.1


@dataclass(frozen=True)
class Choice:
    """What a model can be loaded with; ``threads`` None leaves the number to OpenVINO."""

    device: str
    precision: str
    threads: int | None = None

    def __str__(self) -> str:
        threads = "" if self.threads is None else f", {self.threads} threads"
        return f"{self.device} {self.precision}{threads}"


@dataclass(frozen=True)
class Trial:
    """How a choice did.

    Parameters
    ----------
    choice : Choice
    passed : bool
        Whether it gives the right masks.
    mask_iou : float
        Of the self-test.
    encode_seconds, decode_seconds : float or None
        Medians; None where it was not timed.
    problem : str
        Why it could not be tried.
    """

    choice: Choice
    passed: bool
    mask_iou: float
    encode_seconds: float | None = None
    decode_seconds: float | None = None
    problem: str = ""

    @property
    def seconds(self) -> float:
        """One encode and ten clicks; infinite where it was not timed."""
        if self.encode_seconds is None or self.decode_seconds is None:
            return float("inf")
        return self.encode_seconds + _CLICKS_PER_IMAGE * self.decode_seconds


@dataclass(frozen=True)
class Tuning:
    """What is known of a model on this computer.

    Parameters
    ----------
    model : str
        Content hash of its folder.
    computer, openvino : str
        Hash of the computer's name and devices; version.
    trials : tuple of Trial
        At most one for each choice.
    """

    model: str
    computer: str
    openvino: str
    trials: tuple[Trial, ...] = ()

    def best(self, device: str | None = None) -> Trial | None:
        """Return the quickest choice that gives the right masks, or None if none was timed.

        Parameters
        ----------
        device : str, optional
            Of this device only.
        """
        able = [
            trial
            for trial in self.trials
            if trial.passed
            and trial.encode_seconds is not None
            and device in (None, trial.choice.device)
        ]
        if not able:
            return None
        quickest = min(able, key=lambda trial: trial.seconds)
        near = [
            trial
            for trial in able
            if trial.choice.device == quickest.choice.device
            and trial.choice.precision == quickest.choice.precision
            and trial.choice.threads is not None
            and trial.seconds <= _WORTH_A_CORE * quickest.seconds
        ]
        return min(near, key=lambda trial: trial.choice.threads or 0, default=quickest)

    @property
    def is_wrong(self) -> bool:
        """Whether every trial on the CPU, which all computers have, gave wrong masks."""
        on_cpu = [trial for trial in self.trials if trial.choice.device == "CPU"]
        return bool(on_cpu) and not any(trial.passed for trial in on_cpu)

    @property
    def runs_on(self) -> str:
        """What gives the right masks: the best that was timed, else what was tried; "" if none."""
        found = self.best() or next((trial for trial in self.trials if trial.passed), None)
        return "" if found is None else str(found.choice)

    def of(self, choice: Choice) -> Trial | None:
        """Return what is known of a choice."""
        return next((trial for trial in self.trials if trial.choice == choice), None)

    def having(self, trial: Trial) -> "Tuning":
        """Return it with a trial, in place of an earlier one of the same choice."""
        others = tuple(each for each in self.trials if each.choice != trial.choice)
        return replace(self, trials=(*others, trial))


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
    cores = cores or len(_usable_cores())
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


def read_tuning(folder: Path) -> Tuning:
    """Return what is known of a model on this computer; nothing if it was never tried.

    Raises
    ------
    ModelFormatError
        If the folder is no whole model.
    """
    read_model_info(folder)
    empty = Tuning(content_hash(folder), _computer(), openvino_version())
    try:
        found = from_json(_path(empty).read_bytes())
    except (OSError, ValidationError):
        return empty
    return found if replace(found, trials=()) == empty else empty


def write_tuning(tuning: Tuning) -> None:
    """Remember it, if the cache folder can be written to."""
    path = _path(tuning)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(as_json(tuning), encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        _LOGGER.warning("What was measured is not remembered: %s (%s)", path, error)


def as_json(tuning: Tuning) -> str:
    """Write what is known as JSON."""
    return json.dumps(asdict(tuning), indent=2)


def from_json(text: bytes) -> Tuning:
    """Read what `as_json` wrote.

    Raises
    ------
    pydantic.ValidationError
        If it is something else.
    """
    return TypeAdapter(Tuning).validate_json(text)


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


def tunings_dir() -> Path:
    """Return the folder of what is remembered; it may not exist yet."""
    return cache_dir() / "tuning"


def _path(tuning: Tuning) -> Path:
    return tunings_dir() / f"{tuning.model}-{tuning.computer}.json"


@cache
def _computer() -> str:
    """Return a hash of the computer: a home folder may be shared between several."""
    devices = [(device.name, device.full_name) for device in list_devices()]
    known = (platform.node(), devices, len(_usable_cores()))
    return hashlib.blake2b(repr(known).encode(), digest_size=6).hexdigest()


def _usable_cores() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))
