"""What a model folder holds, and whether that is still the model that was loaded."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sam2_openvino.core.errors import ModelFormatError
from napari_sam2_openvino.core.model_folder import (
    IMAGE_ENCODER_FILE,
    INFO_FILE,
    MASK_DECODER_FILE,
    MEMORY_ATTENTION_FILE,
    MEMORY_ENCODER_FILE,
    ModelInfo,
)
from napari_sam2_openvino.core.paths import models_dir
from napari_sam2_openvino.core.runtime import Runtime

if TYPE_CHECKING:
    import openvino


def name_of(folder: Path, info: ModelInfo) -> str:
    """Return the name that a model is found by: of a user's model that of its folder.

    Folders can be copied and renamed, and what their ``model.json`` says is then the name of
    another. One that is being made, whose folder begins with a dot, has its name from there.
    """
    is_users = folder.parent.resolve() == models_dir().resolve()
    return folder.name if is_users and not folder.name.startswith(".") else info.name


def content_hash(folder: Path) -> str:
    """Return a hash that changes with the weights, without reading them.

    OpenVINO finds a compiled graph by path, time and size of its ``.xml``, which an update of the
    package may leave as they are: files of a wheel all have the same time.

    Raises
    ------
    ModelFormatError
        If it cannot be read any more.
    """
    hasher = hashlib.blake2b(digest_size=8)
    try:
        for name in (INFO_FILE, IMAGE_ENCODER_FILE, MASK_DECODER_FILE):
            hasher.update((folder / name).read_bytes())
        for name in (MEMORY_ATTENTION_FILE, MEMORY_ENCODER_FILE):
            if (folder / name).is_file():
                hasher.update((folder / name).read_bytes())
    except OSError as error:
        raise ModelFormatError(
            f"The model {folder} cannot be read any more ({error.strerror or error}): see that it "
            "stays in its place, or convert it again."
        ) from error
    return hasher.hexdigest()


@dataclass(frozen=True)
class LoadedFiles:
    """The files of a loaded model, of which some are read late or again.

    No part of `Sam2Model`: its graphs compile with this, and would keep it in memory.

    Parameters
    ----------
    name : str
        Name of the model.
    folder : Path
    content : str
        What `content_hash` returned when the model was loaded.
    runtime : Runtime
    """

    name: str
    folder: Path
    content: str
    runtime: Runtime

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Refuse what is read within where the folder holds another model by now.

        Its graphs fit, but would be fed with the embeddings of the model that was loaded.

        Raises
        ------
        ModelFormatError
            If it does, or cannot be read any more.
        """
        self._check()
        yield
        # It may have been replaced midway.
        self._check()

    def _check(self) -> None:
        if content_hash(self.folder) != self.content:
            raise ModelFormatError(f"Model {self.name} was replaced: load it again.")

    def compile(self, file_name: str) -> "openvino.CompiledModel":
        """Compile a graph of the folder; see `unchanged`."""
        with self.unchanged():
            return self.runtime.compile(self.folder / file_name)
