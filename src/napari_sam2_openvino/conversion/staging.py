"""A model folder appears whole or not at all: it is filled under a temporary name and renamed."""

import errno
import os
import re
import shutil
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_sam2_openvino.core.errors import ConversionError, Sam2Error

# ``.converting-<process>-<random>``: the point hides it from the list of models.
_TEMPORARY = re.compile(r"\.converting-(\d+)-[0-9a-f]+")
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
_RESERVED = {"starter", "con", "prn", "aux", "nul"} | {
    f"{device}{n}" for device in ("com", "lpt") for n in range(1, 10)
}
_LONGEST_NAME = 100


def check_name(name: str) -> str:
    """Return a name that can be a model folder on every system.

    Raises
    ------
    ConversionError
        If it cannot.
    """
    if name != name.strip() or not name or name.startswith(".") or name.endswith("."):
        raise ConversionError(
            f"{name!r} cannot be the name of a model: it must not be empty, nor begin or end with a "
            "space or a point."
        )
    if _FORBIDDEN.search(name) or len(name) > _LONGEST_NAME:
        raise ConversionError(
            f"{name!r} cannot be the name of a model: use at most {_LONGEST_NAME} letters, digits, "
            "spaces, points and dashes."
        )
    if name.lower().partition(".")[0] in _RESERVED:
        raise ConversionError(f"{name!r} is reserved: choose another name.")
    return name


def check_free(destination: Path, overwrite: bool) -> None:
    """Refuse to replace a model that nobody asked to replace.

    Raises
    ------
    ConversionError
        If there is one.
    """
    if destination.exists() and not overwrite:
        raise ConversionError(
            f"There is already a model {destination.name}: choose another name, or remove that one first."
        )


@contextmanager
def staged_folder(destination: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary folder beside the destination, and rename it on a clean exit.

    Raises
    ------
    ConversionError
        If the disk is full or cannot be written.
    """
    temporary = destination.parent / f".converting-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    try:
        sweep(destination.parent)
        temporary.mkdir(parents=True)
        yield temporary
        check_free(destination, overwrite)
        _replace(temporary, destination)
    except Sam2Error:
        raise
    except Exception as error:
        raise _disk_error(error, destination.parent) or error from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sweep(folder: Path, process: int | None = None) -> None:
    """Remove temporary folders of one process, or of all processes that are no more."""
    for path in folder.glob(".converting-*"):
        match = _TEMPORARY.fullmatch(path.name)
        if match is None:
            continue
        owner = int(match[1])
        if owner == process or (process is None and not _is_alive(owner)):
            shutil.rmtree(path, ignore_errors=True)


def _replace(temporary: Path, destination: Path) -> None:
    """Rename a folder to a name that may be taken by another one."""
    if not destination.exists():
        temporary.rename(destination)
        return
    old = temporary.with_name(f"{temporary.name}0")
    destination.rename(old)
    try:
        temporary.rename(destination)
    except OSError:
        old.rename(destination)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _disk_error(error: Exception, folder: Path) -> ConversionError | None:
    """Return what to tell the user if a disk is the reason."""
    # OpenVINO and torch report a full disk as RuntimeError with the system's text, or without any.
    no_space = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    if no_space or shutil.disk_usage(_existing(folder)).free < 2**20:
        return ConversionError(
            f"The disk of {folder} is full: a model needs up to 1 GB, free some space and convert again."
        )
    if isinstance(error, OSError):
        return ConversionError(f"{folder} cannot be written ({error.strerror}).")
    return None


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


def _is_alive(process: int) -> bool:
    if sys.platform == "win32":
        return _is_alive_on_windows(process)
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _is_alive_on_windows(process: int) -> bool:
    # os.kill would end it.
    import ctypes

    query_limited_information = 0x1000
    kernel = ctypes.windll.kernel32  # type: ignore[attr-defined,unused-ignore]
    handle = kernel.OpenProcess(query_limited_information, False, process)
    if handle:
        kernel.CloseHandle(handle)
    return bool(handle)
