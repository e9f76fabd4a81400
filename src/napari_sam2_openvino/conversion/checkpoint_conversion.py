"""Convert a checkpoint to a model, in a child process."""

import os
from collections.abc import Callable, Generator
from pathlib import Path

from napari_sam2_openvino.conversion.child import FolderJob
from napari_sam2_openvino.conversion.pipeline import Request
from napari_sam2_openvino.core.catalogue import find_entry
from napari_sam2_openvino.core.errors import ConversionError
from napari_sam2_openvino.core.progress import Progress


class ConvertJob(FolderJob):
    """One conversion; `run` drives it, `cancel` ends it from any thread.

    Parameters
    ----------
    checkpoint : str or path-like
        A checkpoint's file, or the name of a model of the catalogue that was downloaded.
    name : str
        Name of the model.
    config : str or path-like, optional
        YAML file in SAM 2's form, or a config of the sam2 package. Not needed for the
        architectures of Meta's models.
    image_size : int, optional
        Side of the square image that the network sees, in pixels. Not needed for Meta's own
        checkpoints, or where a config tells it.
    overwrite : bool, optional
        Whether a model of that name may be replaced.
    memory : bool, optional
        Whether the graphs are converted that remember objects from plane to plane.
    destination : Path, optional
        The model folder; by default it lies among the user's models.
    """

    TASK = "convert"
    CALLED = "conversion"

    def __init__(
        self,
        checkpoint: str | os.PathLike[str],
        name: str,
        config: str | os.PathLike[str] | None = None,
        image_size: int | None = None,
        *,
        overwrite: bool = False,
        memory: bool = True,
        destination: Path | None = None,
    ) -> None:
        super().__init__(name, overwrite=overwrite, destination=destination)
        self._checkpoint = checkpoint
        self._config = None if config is None else os.fspath(config)
        self._image_size = image_size
        self._memory = memory

    def _prepare(self, temporary: Path) -> Generator[Progress, None, Request]:  # noqa: ARG002
        yield from ()
        return self._request()

    def _request(self) -> Request:
        if self._image_size is not None and self._image_size <= 0:
            raise ConversionError(
                f"image_size must be a positive number of pixels, but is {self._image_size}."
            )
        name = os.fspath(self._checkpoint)
        entry = find_entry(name)
        if entry is None:
            # The child has the same working folder, but a later chdir must not matter.
            path, sha256 = Path(name).expanduser().absolute(), None
        elif not entry.can_be_downloaded:
            raise ConversionError(
                f"{name} comes as a file: get it from {entry.page}, then give its path and image "
                f"size {entry.image_size}."
            )
        else:
            path, sha256 = entry.checkpoint, entry.sha256
            if not path.is_file():
                raise ConversionError(
                    f"{name} is not downloaded yet: run `napari-sam2 models download {name}` first."
                )
        return Request(str(path), self._name, self._config, self._image_size, sha256, self._memory)


def convert(
    checkpoint: str | os.PathLike[str],
    name: str,
    *,
    config: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
    overwrite: bool = False,
    memory: bool = True,
    on_progress: Callable[[Progress], None] | None = None,
) -> Path:
    """Convert a SAM 2 or 2.1 checkpoint to a model that `load_model` finds by its name.

    Parameters
    ----------
    checkpoint : str or path-like
        A checkpoint's file, or the name of a model of the catalogue that was downloaded. It is read
        without running any code inside it.
    name : str
        Name of the new model.
    config : str or path-like, optional
        YAML file in SAM 2's form, or a config of the sam2 package. Not needed for the
        architectures of Meta's models, which are recognised from the weights.
    image_size : int, optional
        Side of the square image that the network sees, in pixels; it is in no checkpoint. Not
        needed for Meta's own checkpoints, or where a config tells it.
    overwrite : bool, optional
        Whether a model of that name may be replaced.
    memory : bool, optional
        Whether the graphs are converted that remember objects from plane to plane, which
        `SAM2VideoPredictor` uses. They make the folder larger by about 20 MB in half precision.
    on_progress : callable, optional
        Called with each `Progress`.

    Returns
    -------
    Path
        The model folder.

    Raises
    ------
    ConversionError
        If the checkpoint cannot be converted; nothing is left behind.
    MissingExtraError
        If torch or sam2 is not installed.

    Examples
    --------
    >>> from napari_sam2_openvino import convert, load_model
    >>> convert("MedSAM2_latest.pt", "medsam2", image_size=512)  # doctest: +SKIP
    >>> model = load_model("medsam2")  # doctest: +SKIP
    """
    job = ConvertJob(checkpoint, name, config, image_size, overwrite=overwrite, memory=memory)
    for progress in job.run():
        if on_progress is not None:
            on_progress(progress)
    return job.folder
