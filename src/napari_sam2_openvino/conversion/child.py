"""Convert in a child process: nothing else can interrupt the long calls into torch and OpenVINO."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from napari_sam2_openvino.conversion import staging
from napari_sam2_openvino.conversion.pipeline import Request
from napari_sam2_openvino.core.catalogue import find_entry
from napari_sam2_openvino.core.errors import (
    ConversionError,
    JobCancelledError,
    MissingExtraError,
    Sam2Error,
)
from napari_sam2_openvino.core.models import STARTER
from napari_sam2_openvino.core.paths import checkpoints_dir, models_dir
from napari_sam2_openvino.core.progress import Progress

_WORKER = "napari_sam2_openvino.conversion.worker"
_ERRORS: dict[str, type[Sam2Error]] = {
    "ConversionError": ConversionError,
    "MissingExtraError": MissingExtraError,
}
_LAST_LINES = 20


class ConvertJob:
    """One conversion; `run` drives it, `cancel` ends it from any thread.

    Parameters
    ----------
    checkpoint : str or path-like
        A checkpoint's file, or the name of a model of the catalogue that was downloaded.
    name : str
        Name of the model.
    config : str or path-like, optional
        YAML file in SAM 2's form, or a config of the sam2 package. Not needed for the
        architectures of Meta's models.
    image_size : int, optional
        Side of the square image that the network sees, in pixels. Not needed for Meta's own
        checkpoints, or where a config tells it.
    overwrite : bool, optional
        Whether a model of that name may be replaced.
    memory : bool, optional
        Whether the graphs are converted that remember objects from plane to plane.
    destination : Path, optional
        The model folder; by default it lies among the user's models.
    """

    def __init__(
        self,
        checkpoint: str | os.PathLike[str],
        name: str,
        config: str | os.PathLike[str] | None = None,
        image_size: int | None = None,
        *,
        overwrite: bool = False,
        memory: bool = True,
        destination: Path | None = None,
    ) -> None:
        self._checkpoint = checkpoint
        self._config = None if config is None else os.fspath(config)
        self._image_size = image_size
        self._overwrite = overwrite
        self._memory = memory
        self._name = name
        self._destination = destination
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._temporary: Path | None = None
        self._folder: Path | None = None
        self._is_cancelled = False

    @property
    def folder(self) -> Path:
        """The model folder, after `run` has ended."""
        if self._folder is None:
            raise RuntimeError("the conversion has not ended")
        return self._folder

    def run(self) -> Generator[Progress, None, None]:
        """Convert; the model folder is there when the generator ends, and not before.

        Closing the generator ends the conversion and leaves nothing behind.

        Raises
        ------
        ConversionError, MissingExtraError, JobCancelledError
        """
        destination = self._checked_destination()
        request = self._request()
        with staging.staged_folder(destination) as staged:
            try:
                process = self._start(staged.folder)
                yield from _attend(process, request, staged.folder)
            except ConversionError:
                self._raise_if_cancelled()
                raise
            finally:
                self._end()
                self._close_pipes()
            with self._lock:
                self._raise_if_cancelled()
                staged.publish(overwrite=self._overwrite)
                self._folder = destination

    def cancel(self) -> None:
        """End the conversion and remove what it wrote; without effect once the model is there."""
        with self._lock:
            if self._folder is not None:
                return
            self._is_cancelled = True
        self._end()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def _checked_destination(self) -> Path:
        staging.check_name(self._name)
        if self._destination is None and self._name == STARTER:
            raise ConversionError(
                f"{STARTER!r} is the model that comes with the package: choose another name."
            )
        destination = self._destination or models_dir() / self._name
        staging.check_free(destination, overwrite=self._overwrite)
        return destination

    def _request(self) -> Request:
        if self._image_size is not None and self._image_size <= 0:
            raise ConversionError(
                f"image_size must be a positive number of pixels, but is {self._image_size}."
            )
        name = os.fspath(self._checkpoint)
        entry = find_entry(name)
        if entry is None:
            # The child has the same working folder, but a later chdir must not matter.
            path, sha256 = Path(name).expanduser().absolute(), None
        else:
            path, sha256 = checkpoints_dir() / entry.file_name, entry.sha256
            if not path.is_file():
                raise ConversionError(
                    f"{name} is not downloaded yet: run `napari-sam2 models download {name}` first."
                )
        return Request(str(path), self._name, self._config, self._image_size, sha256, self._memory)

    def _start(self, temporary: Path) -> "subprocess.Popen[bytes]":
        environment = {
            # Threads that wait by spinning take the cores from the window (and from each other).
            "OMP_WAIT_POLICY": "PASSIVE",
            **os.environ,
            # A GPU would only be asked to hold tables that are not used.
            "CUDA_VISIBLE_DEVICES": "",
        }
        with self._lock:
            self._raise_if_cancelled()
            self._temporary = temporary
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
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def _raise_if_cancelled(self) -> None:
        if self._is_cancelled:
            raise JobCancelledError("The conversion was cancelled.")


def convert(
    checkpoint: str | os.PathLike[str],
    name: str,
    *,
    config: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
    overwrite: bool = False,
    memory: bool = True,
    on_progress: Callable[[Progress], None] | None = None,
) -> Path:
    """Convert a SAM 2 or 2.1 checkpoint to a model that `load_model` finds by its name.

    Parameters
    ----------
    checkpoint : str or path-like
        A checkpoint's file, or the name of a model of the catalogue that was downloaded. It is read
        without running any code inside it.
    name : str
        Name of the new model.
    config : str or path-like, optional
        YAML file in SAM 2's form, or a config of the sam2 package. Not needed for the
        architectures of Meta's models, which are recognised from the weights.
    image_size : int, optional
        Side of the square image that the network sees, in pixels; it is in no checkpoint. Not
        needed for Meta's own checkpoints, or where a config tells it.
    overwrite : bool, optional
        Whether a model of that name may be replaced.
    memory : bool, optional
        Whether the graphs are converted that remember objects from plane to plane, which
        `SAM2VideoPredictor` uses. They make the folder larger by about 20 MB in half precision.
    on_progress : callable, optional
        Called with each `Progress`.

    Returns
    -------
    Path
        The model folder.

    Raises
    ------
    ConversionError
        If the checkpoint cannot be converted; nothing is left behind.
    MissingExtraError
        If torch or sam2 is not installed.

    Examples
    --------
    >>> from napari_sam2_openvino import convert, load_model
    >>> convert("MedSAM2_latest.pt", "medsam2", image_size=512)  # doctest: +SKIP
    >>> model = load_model("medsam2")  # doctest: +SKIP
    """
    job = ConvertJob(checkpoint, name, config, image_size, overwrite=overwrite, memory=memory)
    for progress in job.run():
        if on_progress is not None:
            on_progress(progress)
    return job.folder


def _attend(
    process: "subprocess.Popen[bytes]", request: Request, temporary: Path
) -> Iterator[Progress]:
    """Hand a child its request and pass on its reports."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    errors: deque[str] = deque(maxlen=_LAST_LINES)
    drain = threading.Thread(target=_drain, args=(process.stderr, errors), daemon=True)
    drain.start()
    _send(process.stdin, {"request": asdict(request), "folder": str(temporary)})
    for line in process.stdout:
        message = json.loads(line)
        if "progress" in message:
            yield Progress(**message["progress"])
        elif "error" in message:
            raise _as_error(**message["error"])
        elif "finished" in message:
            return
    process.wait()
    drain.join(timeout=1)
    raise _died(process.returncode, errors)


def _as_error(kind: str, message: str) -> Sam2Error:
    if kind in _ERRORS:
        return _ERRORS[kind](message)
    return ConversionError(f"The conversion failed ({kind}: {message}): please report this.")


def _died(returncode: int, errors: "deque[str]") -> ConversionError:
    if sys.platform != "win32" and returncode == -signal.SIGKILL:
        return ConversionError(
            "The system ended the conversion, most often because memory ran out: close other "
            "programs or convert a smaller model."
        )
    reason = errors[-1] if errors else f"exit code {returncode}"
    return ConversionError(f"The conversion ended unexpectedly ({reason}): please report this.")


def _send(pipe: IO[bytes], message: dict[str, Any]) -> None:
    try:
        pipe.write(json.dumps(message).encode("ascii") + b"\n")
        pipe.flush()
    except BrokenPipeError:
        # It is gone already; why, its output tells.
        return


def _drain(pipe: IO[bytes], lines: "deque[str]") -> None:
    with pipe:
        lines.extend(line.decode(errors="replace").rstrip() for line in pipe)


def _kill_tree(process: "subprocess.Popen[bytes]") -> None:
    if sys.platform == "win32":
        process.kill()
        return
    try:
        # The child leads a session of its own.
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
