"""Which planes of a job are finished, so that a job that was killed goes on where it was."""

import json
import os
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from napari_sam2_openvino._files.labels_store import sync
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.paths import temporary_beside

FORMAT_VERSION = 3
_IDENTITY_FILE = "job.json"
_FILES_FILE = "files.json"
_PLANES, _LINKS = "planes", "links"


@dataclass(frozen=True)
class JobIdentity:
    """What the labels of a job depend on; equal identities give equal labels.

    Parameters
    ----------
    image : str
        Type of the image's pixels; what they are is noted of each finished plane.
    axes : str
        The image's, with their lengths.
    planes : str
        What chooses planes, empty for all.
    segmenter : mapping of str to str
        Model, parameters and whatever else decides what is found on a plane, as texts by name.
    """

    image: str
    axes: str
    planes: str
    segmenter: Mapping[str, str]

    def differences(self, other: "JobIdentity") -> list[str]:
        """Return what is different in another one, each as "name (this one's, other's)"."""
        mine, theirs = self._flat(), other._flat()
        names = list(dict.fromkeys([*mine, *theirs]))
        return [
            f"{name} ({mine.get(name, 'none')}, now {theirs.get(name, 'none')})"
            for name in names
            if mine.get(name) != theirs.get(name)
        ]

    def _flat(self) -> dict[str, str]:
        own = {each.name: getattr(self, each.name) for each in fields(self)}
        own.update(own.pop("segmenter"))
        return own


@dataclass(frozen=True)
class PlaneRecord:
    """What is noted of a finished plane.

    Parameters
    ----------
    n_objects : int
    seconds : float
        That it took.
    is_skipped : bool, optional
        Whether it was found empty and not segmented.
    image : str, optional
        Hash of the image's plane, see `plane_digest`; "" where it was not noted.
    """

    n_objects: int
    seconds: float
    is_skipped: bool = False
    image: str = ""


class Journal:
    """A folder with a small file for each finished plane.

    A file appears under its name whole, and only after everything that it vouches for is on the
    disk. So what has no file is not finished, whatever may lie there of it. Several processes may
    use one journal at a time.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def exists(self) -> bool:
        """Whether a job was begun and not ended."""
        return (self.folder / _IDENTITY_FILE).is_file()

    def begin(self, identity: JobIdentity) -> None:
        """Note what the job is, after whatever is left of another one is gone.

        Raises
        ------
        OSError
            If it cannot be removed or written.
        """
        if self.folder.exists():
            shutil.rmtree(self.folder)
        for name in (_PLANES, _LINKS):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        run = uuid.uuid4().hex
        content = {"format_version": FORMAT_VERSION, "run": run, **asdict(identity)}
        write_whole(self.folder / _IDENTITY_FILE, json.dumps(content, indent=1).encode())

    @property
    def run(self) -> str:
        """Name of this job and of those that resume it, not of one that overwrites it."""
        return str(self._content()["run"])

    @property
    def identity(self) -> JobIdentity:
        """What the job is; raises InputError if that cannot be read."""
        content = self._content()
        return JobIdentity(**{each.name: content[each.name] for each in fields(JobIdentity)})

    def _content(self) -> dict[str, Any]:
        path = self.folder / _IDENTITY_FILE
        try:
            return read_content(path, {"run", *(each.name for each in fields(JobIdentity))})
        except ValueError as error:
            raise InputError(
                f"{path} cannot be used ({error}): overwrite what was begun."
            ) from error

    def finish_plane(self, number: int, record: PlaneRecord) -> None:
        """Note that a plane is whole on the disk."""
        write_whole(self._plane_file(number), json.dumps(asdict(record)).encode())

    def has_plane(self, number: int) -> bool:
        """Whether a plane is finished."""
        return self._plane_file(number).is_file()

    def record(self, number: int) -> PlaneRecord:
        """Return what is noted of a finished plane."""
        return PlaneRecord(**json.loads(self._plane_file(number).read_bytes()))

    @property
    def files(self) -> tuple[str, ...]:
        """Hashes of the files that the job has put under the name of its labels."""
        path = self.folder / _FILES_FILE
        return tuple(json.loads(path.read_bytes())) if path.is_file() else ()

    def note_file(self, digest: str) -> None:
        """Note a file that is about to be put under the name of the labels."""
        # One that is there still is the job's as well, if this one never gets there.
        files = dict.fromkeys([*self.files, digest])
        write_whole(self.folder / _FILES_FILE, json.dumps(list(files)).encode())

    def image_planes(self) -> dict[int, str]:
        """Return hashes of planes of the image by number, where it was noted and they are done."""
        paths = (self.folder / _PLANES).glob("[0-9]*.json")
        numbers = sorted(int(path.stem) for path in paths)
        found = {number: self.record(number).image for number in numbers}
        return {number: image for number, image in found.items() if image}

    def link_file(self, number: int) -> Path:
        """Return where the linking keeps what it decided about a plane."""
        return self.folder / _LINKS / f"{number:06d}.npy"

    def forget_links(self) -> None:
        """Drop what the linking decided."""
        for path in (self.folder / _LINKS).glob("*.npy"):
            path.unlink()

    def _plane_file(self, number: int) -> Path:
        return self.folder / _PLANES / f"{number:06d}.json"

    def remove(self) -> None:
        """Forget the job; what tells of it goes first, so that half a journal is none."""
        (self.folder / _IDENTITY_FILE).unlink(missing_ok=True)
        # Windows keeps what another process has open; without its identity it is no job.
        shutil.rmtree(self.folder, ignore_errors=True)


def read_content(path: Path, names: set[str]) -> dict[str, Any]:
    """Read a file in which a job has noted something.

    Parameters
    ----------
    path : Path
    names : set of str
        What must be there.

    Raises
    ------
    ValueError
        If it cannot be read, is of another version, or lacks something; says which.
    """
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise ValueError(str(error)) from error
    if not isinstance(content, dict) or content.get("format_version") != FORMAT_VERSION:
        raise ValueError("it is of another version of this package")
    if missing := names - set(content):
        raise ValueError(f"without {', '.join(sorted(missing))}")
    return content


def write_whole(path: Path, content: bytes) -> None:
    """Write a small file whole or not at all, also if the power fails.

    Raises
    ------
    OSError
        If it cannot be written; nothing is left behind then.
    """
    temporary = temporary_beside(path)
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
