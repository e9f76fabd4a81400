"""What is known of how a model runs on this computer, and where that is remembered.

For each computer, version of OpenVINO and model, in the cache folder.
"""

import hashlib
import json
import logging
import os
import platform
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from napari_sam2_openvino.core.devices import list_devices, openvino_version
from napari_sam2_openvino.core.model_content import content_hash
from napari_sam2_openvino.core.model_folder import read_model_info
from napari_sam2_openvino.core.paths import cache_dir, remove, temporary_beside

_LOGGER = logging.getLogger(__name__)

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
        if self.threads is None:
            return f"{self.device} {self.precision}"
        plural = "" if self.threads == 1 else "s"
        return f"{self.device} {self.precision}, {self.threads} thread{plural}"


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
    temporary = temporary_beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(as_json(tuning), encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        remove(temporary)
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


def usable_cores() -> set[int]:
    """Return the processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def tunings_dir() -> Path:
    """Return the folder of what is remembered; it may not exist yet."""
    return cache_dir() / "tuning"


def _path(tuning: Tuning) -> Path:
    return tunings_dir() / f"{tuning.model}-{tuning.computer}.json"


@cache
def _computer() -> str:
    """Return a hash of the computer: a home folder may be shared between several."""
    devices = [(device.name, device.full_name) for device in list_devices()]
    known = (platform.node(), devices, len(usable_cores()))
    return hashlib.blake2b(repr(known).encode(), digest_size=6).hexdigest()
