"""The jobs of the window's batch: what touches files of the user's is done in their thread."""

from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

from napari.layers import Image
from numpy.typing import NDArray

from napari_sam2_openvino._files.images import LABELS_SUFFIXES
from napari_sam2_openvino._layers.planes import plane_in_view
from napari_sam2_openvino.batch.images import StackImage
from napari_sam2_openvino.batch.inputs import name_outputs, plan_outputs
from napari_sam2_openvino.batch.job import BatchJob
from napari_sam2_openvino.batch.reports import BatchReport
from napari_sam2_openvino.batch.stack import StackSettings
from napari_sam2_openvino.batch.trial import TrialJob, TrialResult
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.progress import Progress

MakeSettings = Callable[[], StackSettings]


class BatchRun:
    """Segments layers, or files; a `CancellableJob`.

    Parameters
    ----------
    images : sequence of StackImage
        Layers; empty where files are segmented.
    paths : sequence of Path
        Files and folders.
    output : Path
        Labels, or a folder of labels.
    suffix : str
        Of labels in a folder.
    settings : callable
        Makes the settings, in the job's thread.
    axes : str, optional
        Of files.
    """

    def __init__(
        self,
        images: Sequence[StackImage],
        paths: Sequence[Path],
        output: Path,
        suffix: str,
        settings: MakeSettings,
        axes: str | None = None,
    ) -> None:
        self._images = images
        self._paths = paths
        self._output = output
        self._suffix = suffix
        self._settings = settings
        self.axes = axes
        self._job: BatchJob | None = None
        self._is_cancelled = False
        self.outputs: list[tuple[StackImage | None, Path]] | None = None
        """The labels that are made, with their image where it is a layer; None until then."""

    @property
    def report(self) -> BatchReport | None:
        """What became of the images so far."""
        return None if self._job is None else self._job.report

    def run(self) -> Generator[Progress, None, None]:
        """Do it; see `BatchJob`."""
        yield Progress("Preparing")
        pairs: Sequence[tuple[object, Path]]
        if self._images:
            names = [image.name for image in self._images]
            is_file = len(names) == 1 and self._output.suffix.lower() in LABELS_SUFFIXES
            outputs = [self._output] if is_file else name_outputs(names, self._output, self._suffix)
            pairs = list(zip(self._images, outputs, strict=True))
        else:
            pairs = plan_outputs(self._paths, self._output, self._suffix).pairs
        self._job = job = BatchJob(pairs, self._settings(), axes=self.axes)
        if self._is_cancelled:
            job.cancel()
        self.outputs = [
            (image if isinstance(image, StackImage) else None, path) for image, path in pairs
        ]
        yield from job.run()
        if len(pairs) == 1 and job.errors:
            raise job.errors[0]

    def cancel(self) -> None:
        """End it soon; what is done stays."""
        self._is_cancelled = True
        if self._job is not None:
            self._job.cancel()


class TrialRun:
    """Segments one plane; a `CancellableJob`.

    Parameters
    ----------
    image : StackImage
    place : tuple of int
        Of the plane along the axes of the labels, Y and X left out.
    settings : callable
        Makes the settings, in the job's thread.
    """

    def __init__(self, image: StackImage, place: tuple[int, ...], settings: MakeSettings) -> None:
        self.image = image
        self.place = place
        self._settings = settings
        self._job: TrialJob | None = None
        self._is_cancelled = False

    @property
    def labels(self) -> NDArray[Any] | None:
        """The labels of the plane, when it is done."""
        return None if self._job is None else self._job.labels

    @property
    def result(self) -> TrialResult | None:
        """How it went, when it is done."""
        return None if self._job is None else self._job.result

    def run(self) -> Generator[Progress, None, None]:
        """Do it; see `TrialJob`."""
        yield Progress("Preparing")
        self._job = TrialJob(self.image, self.image.axes.name(self.place), self._settings())
        if self._is_cancelled:
            self._job.cancel()
        yield from self._job.run()

    def cancel(self) -> None:
        """End it soon."""
        self._is_cancelled = True
        if self._job is not None:
            self._job.cancel()


def name_labels(
    names: Sequence[str], paths: Sequence[Path], folder: Path, suffix: str
) -> Path | None:
    """Return where labels go unless the user says where; None if there is no image.

    Parameters
    ----------
    names : sequence of str
        Of layers, whose labels go into the folder.
    paths : sequence of Path
        Files and folders, whose labels go beside them.
    folder : Path
    suffix : str
        Of a file of labels.
    """
    if len(paths) > 1:
        return paths[0].parent.with_name(f"{paths[0].parent.name} labels")
    if paths and not paths[0].suffix:
        return paths[0].with_name(f"{paths[0].name} labels")
    if paths:
        return paths[0].with_name(f"{paths[0].name.split('.')[0]} labels{suffix}")
    if len(names) > 1:
        return folder / "labels"
    return folder / f"{names[0]} labels{suffix}" if names else None


def place_in_view(viewer: Any, layer: Image, image: StackImage) -> tuple[int, ...]:
    """Return which plane of a layer is in view, along the axes of the labels.

    Raises
    ------
    InputError
        If none is, or the viewer shows other axes than Y and X.
    """
    axes = image.axes
    index = dict(zip(axes.letters, plane_in_view(viewer, layer).index, strict=False))
    if index["Y"] is not None or index["X"] is not None:
        raise InputError(
            f"The viewer shows other axes of {layer.name} than y and x: change the order of axes."
        )
    return tuple(index[letter] or 0 for letter in axes.labels_letters[:-2])
