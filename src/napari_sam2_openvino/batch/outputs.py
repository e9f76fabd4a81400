"""Where the labels of a job go, and what is known of the job that made what is there."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from napari_sam2_openvino._files.images import check_labels_path
from napari_sam2_openvino.batch.image_check import find_changed
from napari_sam2_openvino.batch.images import StackImage
from napari_sam2_openvino.batch.journal import (
    FORMAT_VERSION,
    JobIdentity,
    Journal,
    read_content,
    write_whole,
)
from napari_sam2_openvino.batch.own_files import check_own
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.normalize import ChannelView

_SUFFIX = ".partial"
_LONGEST_NAME = 255


@dataclass(frozen=True)
class Noted:
    """What is noted of the job that labels are of.

    Parameters
    ----------
    output : Path
        The labels.
    identity : JobIdentity
    image_planes : mapping of int to str
        Hashes of some planes of the image, by number.
    run : str
        The name of the job.
    files : tuple of str
        Hashes of the files that it has put where the labels belong.
    is_final : bool
        Whether they are finished.
    """

    output: Path
    identity: JobIdentity
    image_planes: Mapping[int, str]
    run: str
    files: tuple[str, ...]
    is_final: bool

    def check(self, identity: JobIdentity, image: StackImage, view: ChannelView) -> None:
        """See whether a job would make the same labels, and whether they are still there.

        Parameters
        ----------
        identity : JobIdentity
            Of the job.
        image : StackImage
        view : ChannelView
            What it sees of the image.

        Raises
        ------
        InputError
            If they would be others, or something else is there by now.
        """
        check_own(self.output, self.run, self.files, is_final=self.is_final)
        if differences := self.identity.differences(identity):
            raise self._refusal(f"with other settings, {'; '.join(differences)}", "those")
        # A propagation counts the planes of its second pass on from those of the first one.
        n_planes = image.axes.n_planes
        before = {number % n_planes: each for number, each in self.image_planes.items()}
        if changed := find_changed(image, view, before):
            raise self._refusal(f"with another image, of which {changed} differs", "that one")

    def _refusal(self, difference: str, what: str) -> InputError:
        if self.is_final:
            return InputError(
                f"{self.output} was made {difference}: choose another name, or overwrite it."
            )
        return InputError(
            f"{self.output} was begun {difference}: resume with {what}, or overwrite it."
        )


def read_noted(output: Path) -> Noted | None:
    """Return what is noted of the job that labels are of; None where nothing is there.

    Raises
    ------
    InputError
        If something is there that no job has made, or what is noted cannot be used.
    """
    journal = Journal(journal_folder(output))
    if journal.exists:
        return Noted(
            output,
            journal.identity,
            journal.image_planes(),
            journal.run,
            journal.files,
            is_final=False,
        )
    if not output.exists():
        return None
    record = record_file(output)
    if not record.is_file():
        raise InputError(
            f"{output} is there already and was not made by a batch: choose another name, or "
            "overwrite it."
        )
    try:
        content = read_content(record, {"made_from", "image_planes", "run", "files"})
        identity = JobIdentity(**content["made_from"])
        planes = {int(number): each for number, each in content["image_planes"].items()}
        run, files = str(content["run"]), tuple(content["files"])
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(
            f"{record} cannot be used ({error}): choose another name for the labels, or overwrite "
            "them."
        ) from error
    return Noted(output, identity, planes, run, files, is_final=True)


def write_record(output: Path, journal: Journal, **more: Any) -> None:
    """Note how labels were made that are finished.

    Parameters
    ----------
    output : Path
    journal : Journal
        Of the job.
    **more
        Whatever else there is to tell.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    content = {
        "format_version": FORMAT_VERSION,
        **more,
        "made_from": asdict(journal.identity),
        "image_planes": journal.image_planes(),
        "run": journal.run,
        "files": journal.files,
        **_versions(),
    }
    write_whole(record_file(output), json.dumps(content, indent=1).encode())


def journal_folder(output: Path) -> Path:
    """Return the folder beside labels in which their job notes what it has done.

    Raises
    ------
    InputError
        If file systems allow no name that long.
    """
    name = f"{output.name}{_SUFFIX}"
    if (excess := len(os.fsencode(name)) - _LONGEST_NAME) > 0:
        raise InputError(
            f"The name {output.name} is too long, because a folder {_SUFFIX} is made beside it: "
            f"choose one that is shorter by {excess} bytes."
        )
    return output.with_name(name)


def record_file(output: Path) -> Path:
    """Return the file beside labels that says in the end how they were made."""
    return output.with_name(f"{output.name}.json")


def check_output(output: Path, *, resume: bool, overwrite: bool) -> None:
    """Raise InputError if a job cannot write labels there, as where one was begun already."""
    if resume or overwrite:
        check_labels_path(output, overwrite=True)
        return
    if is_begun(output):
        raise InputError(f"{output} was begun already: resume or overwrite it.")
    check_labels_path(output)


def is_begun(output: Path) -> bool:
    """Whether a job was begun for labels and has not ended."""
    try:
        return Journal(journal_folder(output)).exists
    # No job can write there.
    except InputError:
        return False


def remove_output(output: Path) -> None:
    """Remove labels, and all that their job has left beside them.

    Raises
    ------
    OSError
        If something cannot be removed.
    """
    for path in (journal_folder(output), output):
        if path.is_dir():
            shutil.rmtree(path)
    for path in (output, record_file(output)):
        path.unlink(missing_ok=True)


def check_what_is_there(*, resume: bool, overwrite: bool) -> None:
    """Raise InputError if what is there already is both to be kept and to be replaced."""
    if resume and overwrite:
        raise InputError(
            "resume keeps what was begun and overwrite replaces it: give only one of them."
        )


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    import napari_sam2_openvino

    return {
        "napari-sam2-openvino": napari_sam2_openvino.__version__,
        "openvino": version("openvino"),
    }
