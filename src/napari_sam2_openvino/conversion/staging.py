"""Models and checkpoints appear whole or not at all: made in a temporary folder, then renamed."""

import ctypes
import errno
import hashlib
import os
import platform
import re
import shutil
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from napari_sam2_openvino.core.errors import ConversionError, Sam2Error

# ``.unfinished-<host>-<process>-<random>`` is being filled, ``.proposed-<host>-<process>-<random>``
# waits for the user's word, and ``.replaced-<host>-<process>-<random>-<name>`` is on its way out.
# The leading point hides all of them from the list of models. Whether a process lives is known on
# its own host only.
_HOST = hashlib.blake2b(platform.node().encode(), digest_size=4).hexdigest()
_FILLED = re.compile(rf"\.(?:unfinished|proposed)-{_HOST}-(\d+)-[0-9a-f]+")
_REPLACED = re.compile(rf"\.replaced-{_HOST}-(\d+)-[0-9a-f]+-(.+)")
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
_DEVICES = {"con", "prn", "aux", "nul"} | {
    f"{kind}{n}" for kind in ("com", "lpt") for n in range(10)
}
_LONGEST_NAME = 100
MOST_BYTES = 180
"""Of a name: file systems allow 255, and a folder that is replaced gets a longer one meanwhile."""
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


def check_name(name: str) -> str:
    """Return a name that can be a model folder on every system.

    Raises
    ------
    ConversionError
        If it cannot.
    """
    if not name or name != name.strip() or name.startswith(".") or name.endswith("."):
        raise ConversionError(
            f"{name!r} cannot be the name of a model: it must not be empty, nor begin or end with "
            "a space or a point."
        )
    is_long = len(name) > _LONGEST_NAME or len(os.fsencode(name)) > MOST_BYTES
    if _FORBIDDEN.search(name) or is_long:
        raise ConversionError(
            f"{name!r} cannot be the name of a model: use at most {_LONGEST_NAME} letters, digits, "
            f"spaces, points and dashes, {MOST_BYTES} bytes."
        )
    if name.lower().partition(".")[0] in _DEVICES:
        raise ConversionError(f"{name!r} is reserved by the system: choose another name.")
    return name


def check_free(destination: Path, *, overwrite: bool) -> None:
    """Refuse to replace a model that nobody asked to replace.

    Raises
    ------
    ConversionError
        If there is one.
    """
    if destination.exists() and not overwrite:
        raise ConversionError(
            f"There is already a model {destination.name}: choose another name, or remove that one "
            "first."
        )


@dataclass(frozen=True)
class StagedFolder:
    """A temporary folder and where it is going to be."""

    folder: Path
    destination: Path

    def publish(self, *, overwrite: bool) -> None:
        """Rename the folder to its destination.

        Raises
        ------
        ConversionError
            If there is a model already, and it is not to be replaced.
        """
        check_free(self.destination, overwrite=overwrite)
        if not self.destination.exists():
            self.folder.rename(self.destination)
            return
        suffix = self.folder.name.removeprefix(".unfinished-")
        old = self.destination.with_name(f".replaced-{suffix}-{self.destination.name}")
        self.destination.rename(old)
        try:
            self.folder.rename(self.destination)
        except OSError:
            old.rename(self.destination)
            raise
        shutil.rmtree(old, ignore_errors=True)

    def publish_file(self) -> None:
        """Move the one file of the folder to the destination; one that is there is replaced."""
        (self.folder / self.destination.name).replace(self.destination)


@contextmanager
def staged_folder(destination: Path) -> Iterator[StagedFolder]:
    """Give a temporary folder beside the destination; unless it is published, it is removed.

    Raises
    ------
    ConversionError
        If the disk is full or cannot be written.
    """
    parent = destination.parent
    folder = _hidden(parent, "unfinished")
    try:
        folder.mkdir(parents=True)
        sweep(parent)
        yield StagedFolder(folder, destination)
    except Sam2Error:
        raise
    except Exception as error:
        raise disk_error(error, parent) or error from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def propose(parent: Path) -> Path:
    """Return where to put what the user has not accepted yet; nothing is there."""
    return _hidden(parent, "proposed")


def abandoned(parent: Path) -> list[Path]:
    """Return the folders that processes that are no more have left half filled."""
    return [
        path
        for path in parent.glob(".*-*-*")
        if (filled := _FILLED.fullmatch(path.name)) and not _is_alive(int(filled[1]))
    ]


def sweep(parent: Path) -> None:
    """Remove what processes that are no more have left half done."""
    for path in abandoned(parent):
        shutil.rmtree(path, ignore_errors=True)
    for path in parent.glob(".*-*-*"):
        if (replaced := _REPLACED.fullmatch(path.name)) and not _is_alive(int(replaced[1])):
            _put_back_or_remove(path, parent / replaced[2])


def remove_folder(folder: Path) -> None:
    """Remove a model so that it is never seen half removed.

    Raises
    ------
    ConversionError
        If it cannot be removed.
    """
    with staged_folder(folder) as staged:
        try:
            folder.rename(staged.folder / "removed")
        except OSError as error:
            raise ConversionError(f"{folder} cannot be removed ({error.strerror}).") from error


def disk_error(error: Exception, folder: Path) -> ConversionError | None:
    """Return what to tell the user if the disk is the reason of an error."""
    is_full = isinstance(error, OSError) and error.errno in _DISK_FULL
    # torch and OpenVINO raise a RuntimeError of their own, with a text that tells or does not.
    if isinstance(error, RuntimeError):
        texts = (os.strerror(errno.ENOSPC), "iostream error")
        is_full = any(text in str(error) for text in texts) or _free_bytes(folder) < 2**20
    if is_full:
        return ConversionError(
            f"The disk of {folder} is full: a model needs up to 1 GB, so free some space and "
            "try again."
        )
    if isinstance(error, OSError):
        return ConversionError(
            f"{folder} cannot be written ({error.strerror or error}): check its permissions."
        )
    return None


def _hidden(parent: Path, kind: str) -> Path:
    return parent / f".{kind}-{_HOST}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


def _put_back_or_remove(path: Path, destination: Path) -> None:
    """Finish a replacement: without a new model in its place, the old one returns."""
    if destination.exists():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.rename(destination)


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.exists())).free


def _is_alive(process: int) -> bool:
    if sys.platform == "win32":
        # os.kill would end the process there.
        query_limited_information = 0x1000
        kernel = ctypes.windll.kernel32
        handle = kernel.OpenProcess(query_limited_information, False, process)
        if handle:
            kernel.CloseHandle(handle)
        return bool(handle)
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
