"""One plane alone, before all of them: what is found, and how long the rest would take."""

import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino._files.images import check_labels_path, save_labels
from napari_sam2_openvino.batch.axes import select_planes
from napari_sam2_openvino.batch.images import StackImage, choose_channels, stack_image
from napari_sam2_openvino.batch.outputs import is_begun, record_file
from napari_sam2_openvino.batch.pace import duration
from napari_sam2_openvino.batch.reports import count
from napari_sam2_openvino.batch.stack import StackSettings
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.paths import remove
from napari_sam2_openvino.core.planes import make_plane_source
from napari_sam2_openvino.core.progress import Progress


@dataclass(frozen=True)
class TrialResult:
    """What came of it.

    Parameters
    ----------
    plane : str
        Such as "z=10".
    n_objects : int
    seconds : float
        For the plane, the model loaded.
    n_planes : int
        That all of them are: of the image, or those that are chosen.
    """

    plane: str
    n_objects: int
    seconds: float
    n_planes: int

    def __str__(self) -> str:
        text = f"{self.plane}: {count(self.n_objects, 'object')} in {self.seconds:.1f} s"
        if self.n_planes == 1:
            return text
        return f"{text}; {self.n_planes} planes take {duration(self.seconds * self.n_planes)}"


class TrialJob:
    """Segments one plane of an image.

    Parameters
    ----------
    image : object
        See `stack_image`.
    place : str
        Such as "z=10"; the first of what it chooses is taken.
    settings : StackSettings
        As for all planes.
    axes : str, optional
    output : Path, optional
        Where the labels of the plane are written: .tif, .zarr or .npy.
    threads : int, optional
        Processor threads to use; all without it.
    """

    def __init__(
        self,
        image: object,
        place: str,
        settings: StackSettings,
        *,
        axes: str | None = None,
        output: Path | None = None,
        threads: int | None = None,
    ) -> None:
        self._image = image
        self._place = place
        self._settings = settings
        self._axes = axes
        self._output = output
        self._threads = threads
        self._cancelled = False
        self.labels: NDArray[Any] | None = None
        """Labels of the plane, shape (H, W), when it is done."""
        self.result: TrialResult | None = None

    def cancel(self) -> None:
        """End it soon; from any thread."""
        self._cancelled = True

    def run(self) -> Generator[Progress, None, None]:
        """Do it.

        Raises
        ------
        InputError
            If image or place cannot be used, or the labels cannot be written.
        JobCancelledError
            If it was cancelled.
        """
        image = self._image
        stack = image if isinstance(image, StackImage) else stack_image(image, self._axes)
        if self._output is not None:
            self._check_place(stack, self._output)
        axes, parameters = stack.axes, self._settings.parameters
        number = select_planes(axes, self._place)[0] if axes.n_planes > 1 else 0
        view = choose_channels(
            stack,
            parameters.channels,
            parameters.normalization,
            as_grey=parameters.planes.as_grey,
        )
        position = axes.position(number)
        yield Progress("Loading the model", 0.0)
        segmenter = self._settings.recipe.for_image(stack).build(self._threads)
        with stack.open() as arrays:
            source = make_plane_source([arrays], axes.plane(position), view)
            started = time.perf_counter()
            labels = yield from segmenter(source, position, lambda: self._cancelled)
            seconds = time.perf_counter() - started
        self.labels = labels
        n_objects = int(np.count_nonzero(np.unique(labels)))
        planes = self._settings.planes
        n_planes = len(select_planes(axes, planes)) if planes else axes.n_planes
        self.result = TrialResult(axes.name(position), n_objects, seconds, n_planes)
        if self._output is not None:
            letters = axes.labels_letters[-2:]
            save_labels(self._output, labels, axes=letters, overwrite=self._settings.overwrite)
            # It told of the labels that were there.
            remove(record_file(self._output))
        yield Progress("Done", 1.0)

    def _check_place(self, image: StackImage, output: Path) -> None:
        image.check_output(output)
        if is_begun(output):
            raise InputError(
                f"A job was begun for {output} and has not ended: choose another name."
            )
        check_labels_path(output, overwrite=self._settings.overwrite)
