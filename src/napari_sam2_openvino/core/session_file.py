"""A session as a file: one JSON document from which the same masks come again."""

import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from napari_sam2_openvino.core.commit import CommitMode
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.normalize import ChannelView
from napari_sam2_openvino.core.parameters import MaskOptions
from napari_sam2_openvino.core.paths import remove, temporary_beside
from napari_sam2_openvino.core.records import (
    ImageRecord,
    ModelRecord,
    ObjectRecord,
    Record,
    Text,
    check_place,
    first_problem,
    object_to_json,
)

FORMAT: Literal["napari-sam2-openvino session"] = "napari-sam2-openvino session"
FORMAT_VERSION = 1


def _created_with() -> dict[str, str]:
    return {name: version(name) for name in ("napari-sam2-openvino", "napari", "openvino")}


class SessionFile(Record):
    """Everything about a session; see `read_session` and `write_session`.

    Parameters
    ----------
    images : tuple of ImageRecord
        The annotated image, or the one to three that are its channels.
    image_name : str, optional
        Of the annotated image, which may be none of its channels; "" if that is not known.
    model : ModelRecord
        The model in use.
    view : ChannelView, optional
        Channels and intensities in use.
    options : MaskOptions, optional
        In use for drafts.
    commit_mode : {"keep existing", "overwrite", "only where empty"}, optional
    class_names : tuple of str, optional
        The list that class names are chosen from.
    objects : tuple of ObjectRecord, optional
    created_with : dict of str, optional
        Versions.
    """

    format: Literal["napari-sam2-openvino session"] = FORMAT
    format_version: Annotated[int, Field(ge=1, le=FORMAT_VERSION)] = FORMAT_VERSION
    images: Annotated[tuple[ImageRecord, ...], Field(min_length=1, max_length=3)]
    image_name: Text = ""
    model: ModelRecord
    view: ChannelView = ChannelView()
    options: MaskOptions = MaskOptions()
    commit_mode: CommitMode = "keep existing"
    class_names: tuple[Text, ...] = ()
    objects: tuple[ObjectRecord, ...] = ()
    created_with: dict[str, str] = Field(default_factory=_created_with)

    @model_validator(mode="after")
    def _objects_are_in_the_image(self) -> "SessionFile":
        for record in self.objects:
            check_place(record, self.images[0].shape)
        return self


def session_to_json(session: SessionFile) -> str:
    """Return a session as JSON with one object to a line."""
    head = session.model_dump_json(indent=2, exclude={"objects"}).removesuffix("\n}")
    # One by one: in a worker, each call keeps the interpreter from the main thread.
    listed = ",\n".join(f"    {object_to_json(record)}" for record in session.objects)
    return f'{head},\n  "objects": [\n{listed}\n  ]\n}}\n'


def write_session(path: Path, session: SessionFile) -> None:
    """Write a session: the file is the old one or the new one, never part of either.

    Raises
    ------
    InputError
        If it cannot be written; an older file is left as it was.
    """
    temporary = temporary_beside(path).with_suffix(".tmp")
    try:
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            file.write(session_to_json(session))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        remove(temporary)
        raise InputError(
            f"The session cannot be written to {path} ({error.strerror}): "
            "make room there, or choose another place."
        ) from error


def read_session(path: Path) -> SessionFile:
    """Read and check a session.

    Raises
    ------
    InputError
        If the file is missing, damaged, of a newer version, or something else.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"The session {path} cannot be read ({error.strerror}): check its path."
        ) from error
    _check_format(path, text)
    try:
        return SessionFile.model_validate_json(text)
    except ValidationError as error:
        raise InputError(
            f"{path} is a damaged session ({first_problem(error)}): open an older copy of it."
        ) from error


def _check_format(path: Path, text: bytes) -> None:
    try:
        content: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path} is not a session, or is cut off: it holds no valid JSON ({error})."
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(
            f"{path} is not a session of this plugin: choose a file that was saved as one."
        )
    written = content.get("format_version")
    if isinstance(written, int) and written > FORMAT_VERSION:
        raise InputError(
            f"{path} is a session of format {written}, but this version reads {FORMAT_VERSION}: "
            "update napari-sam2-openvino."
        )
