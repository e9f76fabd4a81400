"""Whether labels are still those of their job: others may write under their name meanwhile."""

import hashlib
import json
import shutil
from collections.abc import Collection
from pathlib import Path

from napari_sam2_openvino._files.labels_store import LabelsStore
from napari_sam2_openvino.batch.images import StackImage
from napari_sam2_openvino.batch.journal import Journal
from napari_sam2_openvino.core.errors import InputError

GROWING_SUFFIX = ".zarr"
"""Labels of this format are readable while they are made."""

# Among the attributes of a zarr.
_ATTRIBUTE = "napari-sam2-openvino"
_ATTRIBUTES_FILE = ".zattrs"
# Blocks of a file that are compared, and bytes of each: a file may be larger than memory.
_BLOCKS = 16
_BLOCK_BYTES = 1 << 16
# In the folder of a journal: what is whole before it takes its place.
_NEW = "new"


def is_growing(output: Path) -> bool:
    """Whether planes are written under the name of the labels from the first one on."""
    return output.suffix.lower() == GROWING_SUFFIX


def make_store(path: Path, image: StackImage) -> None:
    """Make an empty store for the labels of an image.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    axes = image.axes
    LabelsStore.create(
        path, axes.labels_shape, axes.labels_letters, scale=image.scale, units=image.units
    )


def make_own_store(output: Path, image: StackImage, journal: Journal) -> None:
    """Make one under the name of the labels that says which job it is of.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    import zarr

    made = place_for(output, journal)
    make_store(made, image)
    zarr.open_group(made, mode="r+").attrs[_ATTRIBUTE] = {"run": journal.run}
    made.replace(output)


def place(made: Path, output: Path, journal: Journal) -> None:
    """Put a file that is whole under the name of the labels, and note that it is the job's.

    Raises
    ------
    InputError
        If another one is there.
    OSError
        If it cannot be put there.
    """
    check_own(output, journal.run, journal.files, is_final=False)
    journal.note_file(file_digest(made))
    made.replace(output)


def check_own(output: Path, run: str, files: Collection[str], *, is_final: bool) -> None:
    """Raise InputError if what is there under the name of labels is not what their job has written.

    Parameters
    ----------
    output : Path
    run : str
        Of the job.
    files : collection of str
        Hashes of the files that it has put there.
    is_final : bool
        Whether it has ended.
    """
    if not output.exists():
        return
    if is_growing(output):
        is_own = _run_of(output) == run
    else:
        is_own = output.is_file() and file_digest(output) in files
    if is_own:
        return
    can_go_on = not is_final and not is_growing(output)
    advice = "move it away and resume" if can_go_on else "choose another name"
    raise InputError(
        f"{output} is not what its job has written there, but something else: {advice}, or "
        "overwrite it."
    )


def file_digest(path: Path) -> str:
    """Return a hash of the size of a file and of blocks that are spread over it."""
    size = path.stat().st_size
    hasher = hashlib.blake2b(str(size).encode(), digest_size=16)
    with path.open("rb") as file:
        for number in range(_BLOCKS):
            file.seek(max(0, size - _BLOCK_BYTES) * number // (_BLOCKS - 1))
            hasher.update(file.read(_BLOCK_BYTES))
    return hasher.hexdigest()


def _run_of(store: Path) -> str:
    """Return of which job a zarr is; "" if it does not say."""
    try:
        return str(json.loads((store / _ATTRIBUTES_FILE).read_bytes())[_ATTRIBUTE]["run"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def place_for(output: Path, journal: Journal) -> Path:
    """Return where labels are made that then take their place, on the same disk."""
    folder = journal.folder / _NEW
    # What a kill has left of an earlier try.
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder / output.name
