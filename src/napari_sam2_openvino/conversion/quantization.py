"""Quantize a model on the user's own images, in a child process."""

import os
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from napari_sam2_openvino.conversion.child import FolderJob
from napari_sam2_openvino.conversion.image_files import write_images
from napari_sam2_openvino.conversion.needs import check_memory
from napari_sam2_openvino.conversion.quantize_pipeline import Request
from napari_sam2_openvino.conversion.recipes import PRESETS
from napari_sam2_openvino.core.errors import ConversionError, InputError
from napari_sam2_openvino.core.model_content import name_of
from napari_sam2_openvino.core.model_folder import read_model_info
from napari_sam2_openvino.core.models import find_model_folder
from napari_sam2_openvino.core.progress import Progress
from napari_sam2_openvino.core.quantize_parameters import MOST_IMAGES


class QuantizeJob(FolderJob):
    """One quantization; `run` drives it, `cancel` ends it from any thread.

    Parameters
    ----------
    model : str or path-like
        Name or folder of the model, whose weights are "f16" or "f32".
    images : iterable of ndarray
        See `quantize`.
    name : str
        Name of the new model.
    preset : str, optional
        "safe", "balanced" or "fast".
    labels : iterable of ndarray, optional
        See `quantize`.
    overwrite : bool, optional
        Whether a model of that name may be replaced.
    destination : Path, optional
        The model folder; by default it lies among the user's models.
    """

    TASK = "quantize"
    CALLED = "quantization"

    def __init__(
        self,
        model: str | os.PathLike[str],
        images: Iterable[NDArray[Any]],
        name: str,
        preset: str = "balanced",
        *,
        labels: Iterable[NDArray[Any]] | None = None,
        overwrite: bool = False,
        destination: Path | None = None,
    ) -> None:
        super().__init__(name, overwrite=overwrite, destination=destination)
        self._model = model
        self._images = images
        self._preset = preset
        self._labels = labels

    def _prepare(self, temporary: Path) -> Generator[Progress, None, Request]:
        if self._preset not in PRESETS:
            raise InputError(
                f"preset must be one of {', '.join(PRESETS)}, but is {self._preset!r}."
            )
        source = find_model_folder(self._model).absolute()
        info = read_model_info(source)
        if info.quantization is not None:
            raise ConversionError(
                f"{name_of(source, info)} is quantized already: quantize "
                f"{info.quantization.original}, the model that it was made from."
            )
        needed = check_memory(source, PRESETS[self._preset])
        yield Progress("Reading the images", 0.0, f"needs about {needed / 1e9:.1f} GB of memory")
        count = yield from write_images(
            temporary,
            self._images,
            self._labels,
            info.config.image_size,
            MOST_IMAGES,
            self._raise_if_cancelled,
        )
        return Request(str(source), self._name, self._preset, count, self._labels is not None)


def quantize(
    model: str | os.PathLike[str],
    images: Iterable[NDArray[Any]],
    name: str,
    *,
    preset: str = "balanced",
    labels: Iterable[NDArray[Any]] | None = None,
    overwrite: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> Path:
    """Make a smaller and faster model of another, in 8 bits, and report what it costs.

    The report lies in the folder ``report`` of the new model: figures as JSON and Markdown, and
    pictures of the worst masks. It ends with an advice to use the new model or to keep the
    original.

    Parameters
    ----------
    model : str or path-like
        Name or folder of a model that is not quantized.
    images : iterable of ndarray, shape (H, W) or (H, W, 3)
        Images of the kind that the model is used on, any real dtype; 8 to 32 are enough, and no
        more than 32 are used. Every fourth is not calibrated with but serves the report; with
        labels, every fourth of those that have objects. Of images larger than twice the model's
        square the middle is taken.
    name : str
        Name of the new model.
    preset : {"safe", "balanced", "fast"}, optional
        "safe" stores weights in 8 bits and computes as before; "balanced" also computes the image
        encoder in 8 bits, but for its first convolution; "fast" all of it.
    labels : iterable of ndarray of int, shape (H, W), optional
        Objects of each image, for the report: prompts are made from them, and masks are compared
        with them.
    overwrite : bool, optional
        Whether a model of that name may be replaced.
    on_progress : callable, optional
        Called with each `Progress`.

    Returns
    -------
    Path
        The model folder.

    Raises
    ------
    ConversionError
        If the model is quantized already, memory does not suffice or the result is useless;
        nothing is left behind.
    InputError
        If preset, images or labels cannot be used.
    MissingExtraError
        If NNCF is not installed.

    Examples
    --------
    >>> from napari_sam2_openvino import load_model, quantize
    >>> quantize("sam2.1_hiera_tiny", images, "tiny int8")  # doctest: +SKIP
    >>> model = load_model("tiny int8")  # doctest: +SKIP
    """
    job = QuantizeJob(model, images, name, preset, labels=labels, overwrite=overwrite)
    for progress in job.run():
        if on_progress is not None:
            on_progress(progress)
    return job.folder
