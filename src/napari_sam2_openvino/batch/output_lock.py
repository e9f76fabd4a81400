"""Keeps two jobs from writing to the same labels at a time."""

import errno
from pathlib import Path

import filelock

from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.paths import remove

_SUFFIX = ".lock"
_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}


class OutputLock:
    """The right to write to one output, of one job among all processes.

    It is held by a file of the output's name and ".lock" beside it. The operating system lets go of
    it when the process ends, however it ends; a file that stays behind then is in nobody's way.
    Where a file system has no locks, everyone may write, as without it.

    Parameters
    ----------
    output : Path
    """

    def __init__(self, output: Path) -> None:
        self._output = output
        self._path = output.with_name(f"{output.name}{_SUFFIX}")
        # A job is begun in one thread and may be given up in another.
        self._lock = filelock.FileLock(self._path, timeout=0, thread_local=False)

    def acquire(self) -> None:
        """Take it.

        Raises
        ------
        InputError
            If another job has it.
        OSError
            If nothing can be written there.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire()
        except filelock.Timeout as error:
            raise InputError(
                f"Another job writes to {self._output} now: wait until it has ended, or choose "
                "another name."
            ) from error
        except NotImplementedError:
            return
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise

    def release(self) -> None:
        """Give it back, if it was taken; from any thread."""
        if self._lock.is_locked:
            # Before, as another job may take it at once; on Windows, where what is open cannot be
            # removed, the release does it.
            remove(self._path)
            self._lock.release()
