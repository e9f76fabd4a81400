"""Files that can be made again: the least recently used go first."""

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from napari_sam2_openvino.core.paths import remove

UNFINISHED = ".tmp"
"""What names of files end with that are still being written."""

# A file that is being written for longer than this was left behind by a process that ended.
_ABANDONED_SECONDS = 3600
# After some were removed, this part of the budget is used: not each new file removes some.
_FILLED = 0.9


class KeptFile(NamedTuple):
    """A file, its size in bytes, and when it was last used, in seconds of the clock."""

    path: Path
    nbytes: int
    used: float


def kept_files(folder: Path, suffix: str) -> Iterator[KeptFile]:
    """Give the files of a folder, and remove what was left unfinished.

    Parameters
    ----------
    folder : Path
        It need not be there.
    suffix : str
        What their names end with.
    """
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    status = entry.stat()
                except OSError:
                    # Another process has just removed it.
                    continue
                if entry.name.endswith(suffix):
                    yield KeptFile(Path(entry.path), status.st_size, status.st_mtime)
                elif (
                    entry.name.endswith(UNFINISHED)
                    and time.time() - status.st_mtime > _ABANDONED_SECONDS
                ):
                    remove(Path(entry.path))
    except OSError:
        return


def drop_least_recently_used(files: Iterable[KeptFile], newest: Path, max_bytes: int) -> int:
    """Remove files if all together are beyond a budget.

    Parameters
    ----------
    files : iterable of KeptFile
        All that count.
    newest : Path
        Never removed. By its time another may be newer, where the clock was set back.
    max_bytes : int
        The budget.

    Returns
    -------
    int
        Bytes of what is left.
    """
    by_age = sorted(files, key=lambda file: file.used)
    total = sum(file.nbytes for file in by_age)
    if total <= max_bytes:
        return total
    for file in by_age:
        if total <= _FILLED * max_bytes:
            break
        if file.path != newest:
            remove(file.path)
            total -= file.nbytes
    return total
