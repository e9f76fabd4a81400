"""Jobs in a child process: nothing else can interrupt the long calls into torch, OpenVINO and NNCF.

A job fills a folder that appears whole or not at all.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from napari_sam2_openvino.conversion import staging
from napari_sam2_openvino.core.errors import (
    ConversionError,
    DeviceError,
    InputError,
    JobCancelledError,
    MissingExtraError,
    ModelFormatError,
    ModelNotFoundError,
    Sam2Error,
)
from napari_sam2_openvino.core.models import STARTER
from napari_sam2_openvino.core.paths import models_dir
from napari_sam2_openvino.core.progress import Progress

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_WORKER = "napari_sam2_openvino.conversion.worker"
_ERRORS: dict[str, type[Sam2Error]] = {
    kind.__name__: kind
    for kind in (
        ConversionError,
        DeviceError,
        InputError,
        MissingExtraError,
        ModelFormatError,
        ModelNotFoundError,
    )
}
_LAST_LINES = 20


class FolderJob:
    """A folder that a child process makes; `run` drives it, `cancel` ends it from any thread.

    A subclass names its task and says what the child is asked for.

    Parameters
    ----------
    name : str
        Name of the model, or of what else the folder holds.
    overwrite : bool
        Whether one of that name may be replaced.
    destination : Path or None
        The folder; None for one among the user's models.
    """

    TASK = ""
    """Which of the worker's tasks the child does."""
    CALLED = ""
    """What the job is called in sentences."""

    def __init__(self, name: str, *, overwrite: bool, destination: Path | None) -> None:
        self._overwrite = overwrite
        self._name = name
        self._destination = destination
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._temporary: Path | None = None
        self._folder: Path | None = None
        self._is_cancelled = False

    @property
    def folder(self) -> Path:
        """The folder, after `run` has ended."""
        if self._folder is None:
            raise RuntimeError(f"the {self.CALLED} has not ended")
        return self._folder

    def run(self) -> Generator[Progress, None, None]:
        """Do it; the folder is there when the generator ends, and not before.

        Closing the generator ends the job and leaves nothing behind.

        Raises
        ------
        ConversionError, DeviceError, InputError, MissingExtraError, ModelFormatError,
        ModelNotFoundError, JobCancelledError
        """
        destination = self.checked_destination()
        with staging.staged_folder(destination) as staged:
            self._begin(staged.folder)
            try:
                request = yield from self._prepare(staged.folder)
                process = self._start()
                yield from self._attend(process, request, staged.folder)
            except (ConversionError, OSError):
                self._raise_if_cancelled()
                raise
            finally:
                self._end()
                self._close_pipes()
            with self._lock:
                self._raise_if_cancelled()
                self._finish(staged)
                self._folder = destination

    def cancel(self) -> None:
        """End the job and remove what it wrote; without effect once the model is there."""
        with self._lock:
            if self._folder is not None:
                return
            self._is_cancelled = True
        self._end()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def _prepare(self, temporary: Path) -> "Generator[Progress, None, DataclassInstance]":
        """Check what was given, write what the child needs, and return its request.

        The request is a frozen dataclass of values that JSON holds.
        """
        raise NotImplementedError

    def _finish(self, staged: staging.StagedFolder) -> None:
        """Keep what the child has made."""
        staged.publish(overwrite=self._overwrite)

    def checked_destination(self) -> Path:
        """Return the folder that the job will make, if it can be made.

        Raises
        ------
        ConversionError
            If the name cannot be used, or is taken.
        """
        staging.check_name(self._name)
        if self._destination is None and self._name == STARTER:
            raise ConversionError(
                f"{STARTER!r} is the model that comes with the package: choose another name."
            )
        destination = self._destination or models_dir() / self._name
        staging.check_free(destination, overwrite=self._overwrite)
        return destination

    def _begin(self, temporary: Path) -> None:
        with self._lock:
            self._raise_if_cancelled()
            self._temporary = temporary

    def _start(self) -> "subprocess.Popen[bytes]":
        environment = {
            # Threads that wait by spinning take the cores from the window (and from each other).
            "OMP_WAIT_POLICY": "PASSIVE",
            **os.environ,
            # A GPU would only be asked to hold tables that are not used.
            "CUDA_VISIBLE_DEVICES": "",
        }
        with self._lock:
            self._raise_if_cancelled()
            self._process = subprocess.Popen(
                # -P: a folder named sam2 or torch in the working folder must not be imported.
                [sys.executable, "-P", "-m", _WORKER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                start_new_session=True,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
            return self._process

    def _attend(
        self,
        process: "subprocess.Popen[bytes]",
        request: "DataclassInstance",
        temporary: Path,
    ) -> Iterator[Progress]:
        """Hand a child its request and pass on its reports."""
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        errors: deque[str] = deque(maxlen=_LAST_LINES)
        drain = threading.Thread(target=_drain, args=(process.stderr, errors), daemon=True)
        drain.start()
        message = {"task": self.TASK, "request": asdict(request), "folder": str(temporary)}
        _send(process.stdin, message)
        for line in process.stdout:
            message = json.loads(line)
            if "progress" in message:
                yield Progress(**message["progress"])
            elif "error" in message:
                raise self._as_error(**message["error"])
            elif "finished" in message:
                return
        process.wait()
        drain.join(timeout=1)
        raise self._died(process.returncode, errors)

    def _end(self) -> None:
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            _kill_tree(process)
        process.wait()

    def _close_pipes(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout) if self._process else ():
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _raise_if_cancelled(self) -> None:
        if self._is_cancelled:
            raise JobCancelledError(f"The {self.CALLED} was cancelled.")

    def _as_error(self, kind: str, message: str) -> Sam2Error:
        if kind in _ERRORS:
            return _ERRORS[kind](message)
        return ConversionError(f"The {self.CALLED} failed ({kind}: {message}): please report this.")

    def _died(self, returncode: int, errors: "deque[str]") -> ConversionError:
        if sys.platform != "win32" and returncode == -signal.SIGKILL:
            return ConversionError(
                f"The system ended the {self.CALLED}, most often because memory ran out: close "
                "other programs or take a smaller model."
            )
        reason = errors[-1] if errors else f"exit code {returncode}"
        return ConversionError(
            f"The {self.CALLED} ended unexpectedly ({reason}): please report this."
        )


def _send(pipe: IO[bytes], message: dict[str, Any]) -> None:
    try:
        pipe.write(json.dumps(message).encode("ascii") + b"\n")
        pipe.flush()
    except OSError:
        # It is gone already, which Windows calls an invalid argument; why, its output tells.
        return


def _drain(pipe: IO[bytes], lines: "deque[str]") -> None:
    with pipe:
        lines.extend(line.decode(errors="replace").rstrip() for line in pipe)


def _kill_tree(process: "subprocess.Popen[bytes]") -> None:
    if sys.platform == "win32":
        import psutil

        with contextlib.suppress(psutil.Error):
            for each in psutil.Process(process.pid).children(recursive=True):
                each.kill()
        process.kill()
        return
    try:
        # The child leads a session of its own.
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        # It has ended; of one that nobody has waited for yet, macOS says the latter.
        return
