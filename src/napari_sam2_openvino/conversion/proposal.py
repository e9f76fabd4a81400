"""A quantized model that waits for the user's word: hidden until it is accepted."""

import shutil
from pathlib import Path

from napari_sam2_openvino.conversion import staging
from napari_sam2_openvino.core.errors import ConversionError
from napari_sam2_openvino.core.models import STARTER
from napari_sam2_openvino.core.paths import models_dir


class Proposal:
    """Where a model is made that may be thrown away.

    If neither `accept` nor `discard` is called, it goes when models are next made after this
    process has ended.

    Parameters
    ----------
    name : str
        What the model will be called.

    Raises
    ------
    ConversionError
        If the name cannot be used or is taken.
    """

    def __init__(self, name: str) -> None:
        self.name = staging.check_name(name)
        if name == STARTER:
            raise ConversionError(
                f"{STARTER!r} is the model that comes with the package: choose another name."
            )
        staging.check_free(models_dir() / name, overwrite=False)
        self.folder: Path = staging.propose(models_dir())

    def accept(self) -> Path:
        """Give the model its name, and return its folder.

        Raises
        ------
        ConversionError
            If the name was taken meanwhile; the proposal stays.
        """
        destination = models_dir() / self.name
        staging.check_free(destination, overwrite=False)
        try:
            self.folder.rename(destination)
        except OSError as error:
            raise staging.disk_error(error, models_dir()) or error from error
        return destination

    def discard(self) -> None:
        """Remove the model."""
        shutil.rmtree(self.folder, ignore_errors=True)
