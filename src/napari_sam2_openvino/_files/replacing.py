"""Files and folders that appear whole or not at all."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.paths import temporary_beside


@contextlib.contextmanager
def replacing(path: Path, what: str) -> Iterator[Path]:
    """Give a temporary name beside a path; what is there at the end takes the path's place.

    Parameters
    ----------
    path : Path
        A file, or a folder such as a zarr. What was there before goes.
    what : str
        What is written, for the sentence about a disk that is full: "The labels".

    Yields
    ------
    Path
        With the same suffix. If the block raises, nothing is left of it and the path is as it was.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    temporary = temporary_beside(path)
    try:
        yield temporary
        if path.is_dir():
            shutil.rmtree(path)
        temporary.replace(path)
    except OSError as error:
        raise InputError(
            f"{what} cannot be written to {path} ({error.strerror or error}): choose another place."
        ) from error
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)
