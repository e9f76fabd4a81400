"""A quantized model that waits for the user's word: hidden until it is accepted."""

import shutil
from dataclasses import replace
from itertools import count
from pathlib import Path

from napari_sam2_openvino.comparison.figures import advise
from napari_sam2_openvino.comparison.saved_report import read_report
from napari_sam2_openvino.conversion import staging
from napari_sam2_openvino.core.errors import ConversionError
from napari_sam2_openvino.core.model_folder import (
    REPORT_FOLDER,
    read_model_info,
    write_model_info,
)
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
        """Give the model its name, or one with a number if that was taken meanwhile.

        Returns
        -------
        Path
            The model folder, which has that name.

        Raises
        ------
        ConversionError
            If the folder cannot be written; the proposal stays.
        """
        try:
            if (models_dir() / self.name).exists():
                self._take_free_name()
            return self.folder.rename(models_dir() / self.name)
        except OSError as error:
            raise staging.disk_error(error, models_dir()) or error from error

    def _take_free_name(self) -> None:
        names = (f"{self.name}-{number}" for number in count(2))
        free = next(each for each in names if not (models_dir() / each).exists())
        name = staging.check_name(free)
        report = read_report(self.folder / REPORT_FOLDER)
        b = replace(report.b, name=name)
        # The sentence names the model as well.
        advice = advise(report.a, b, report.reference_truth)
        replace(report, b=b, advice=advice).save(self.folder / REPORT_FOLDER)
        info = read_model_info(self.folder)
        if info.quantization is not None:
            quantization = replace(info.quantization, advice=advice.sentence)
            info = replace(info, quantization=quantization)
        write_model_info(self.folder, replace(info, name=name))
        self.name = name

    def discard(self) -> None:
        """Remove the model."""
        shutil.rmtree(self.folder, ignore_errors=True)
