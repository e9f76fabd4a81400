"""Files that can be made again: the least recently used go first."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from napari_sam2_openvino.core.paths import remove

# After some were removed, this part of the budget is used: not each new file removes some.
_FILLED = 0.9


class KeptFile(NamedTuple):
    """A file, its size in bytes, and when it was last used, in seconds of the clock."""

    path: Path
    nbytes: int
    used: float


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
