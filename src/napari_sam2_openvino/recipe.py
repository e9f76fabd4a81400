"""A saved session as a recipe: images from files, its objects again, labels into a file."""

import contextlib
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino._files.images import (
    ImageFile,
    check_labels_path,
    check_not_read,
    open_image,
    save_labels,
    scratch_labels,
)
from napari_sam2_openvino.core.progress import Progress
from napari_sam2_openvino.core.reading import ImageArrays
from napari_sam2_openvino.core.records import ImageRecord
from napari_sam2_openvino.core.replay import Replay, ReplayedObject
from napari_sam2_openvino.core.session_file import read_session

_COLOURS = (3, 4)


class RecipeJob:
    """Runs a session on images and writes the labels; memory does not grow with the stack.

    Parameters
    ----------
    session : Path
        As saved by the window.
    images : sequence of Path
        One for each image of the session; see `open_image`. Planes must have the same size.
    output : Path
        A TIFF, a zarr or an .npy file.
    model, device : str, optional
        Instead of the recorded ones.
    include_drafts : bool, optional
        Also commit, last, the objects that were not committed yet.
    overwrite : bool, optional
        Replace ``output`` if it is there.

    Examples
    --------
    >>> job = RecipeJob(Path("session.json"), [Path("image.tif")], Path("labels.tif"))
    >>> for progress in job.run():  # doctest: +SKIP
    ...     print(progress.detail)
    """

    def __init__(
        self,
        session: Path,
        images: Sequence[Path],
        output: Path,
        *,
        model: str | None = None,
        device: str | None = None,
        include_drafts: bool = False,
        overwrite: bool = False,
    ) -> None:
        self._session = session
        self._images = images
        self._output = output
        self._model = model
        self._device = device
        self._include_drafts = include_drafts
        self._overwrite = overwrite
        self.objects: tuple[ReplayedObject, ...] = ()
        """What was committed, when the job is done."""
        self.notes: tuple[str, ...] = ()
        """Sentences about what may differ from the window's result."""

    def run(self) -> Generator[Progress, None, None]:
        """Do it. Ended early, it leaves nothing behind.

        Raises
        ------
        InputError
            If the session, an image or the output cannot be used.
        ModelNotFoundError, ModelFormatError, DeviceError
            If a model cannot be loaded.
        """
        session = read_session(self._session)
        check_labels_path(self._output, overwrite=self._overwrite)
        check_not_read(self._output, self._images)
        with contextlib.ExitStack() as stack:
            files = [stack.enter_context(open_image(path)) for path in self._images]
            images = [
                arrays_of(file, record) for file, record in zip(files, session.images, strict=False)
            ]
            replay = Replay(
                session,
                images + [arrays_of(file) for file in files[len(images) :]],
                model=self._model,
                device=self._device,
                include_drafts=self._include_drafts,
            )
            labels = scratch_labels(replay.shape, replay.largest_id, self._output.parent)
            yield from replay.run(labels)
            axes = files[0].axes.replace("S", "") if images[0].is_rgb else files[0].axes
            yield Progress("Writing", 1.0)
            save_labels(self._output, labels, axes=axes, overwrite=self._overwrite)
            self.objects, self.notes = tuple(replay.objects), tuple(replay.notes)
        yield Progress("Done", 1.0)


def arrays_of(file: ImageFile, record: ImageRecord | None = None) -> ImageArrays:
    """Return an image file as the arrays that a plane source reads.

    Axes of length 1 are added or left out so that there are as many as in the record, because
    programs differ in whether they keep them.

    Parameters
    ----------
    file : ImageFile
    record : ImageRecord, optional
        The image that the session was made on.
    """
    levels = file.levels
    if record is not None:
        levels = levels[: record.n_levels]
        levels = tuple(_with_axes(level, record.shape) for level in levels)
    shape = levels[0].shape
    ndim = len(shape) if record is None else len(record.shape)
    is_rgb = len(shape) == ndim + 1 and shape[-1] in _COLOURS
    return ImageArrays(levels, key=str(file.path), name=str(file.path), is_rgb=is_rgb)


def _with_axes(data: Any, recorded: tuple[int, ...]) -> Any:
    shape = tuple(data.shape)
    if len(shape) == len(recorded) or (len(shape) == len(recorded) + 1 and shape[-1] in _COLOURS):
        return data
    lengths = [length for length in shape if length != 1]
    n_wanted = sum(length != 1 for length in recorded)
    if len(lengths) not in (n_wanted, n_wanted + 1):
        return data
    rest = iter(lengths)
    wanted = [1 if length == 1 else next(rest) for length in recorded]
    return _Reshaped(data, (*wanted, *rest))


class _Reshaped:
    """An array with axes of length 1 added or left out, still read in parts."""

    def __init__(self, data: Any, shape: tuple[int, ...]) -> None:
        self._data = data
        self.shape = shape
        self.dtype = data.dtype
        self.ndim = len(shape)

    def __getitem__(self, index: Any) -> NDArray[Any]:
        places = index if isinstance(index, tuple) else (index,)
        places = places + (slice(None),) * (self.ndim - len(places))
        long = iter(place for place, length in zip(places, self.shape, strict=True) if length != 1)
        source = tuple(0 if length == 1 else next(long) for length in self._data.shape)
        kept = [
            len(range(*place.indices(length)))
            for place, length in zip(places, self.shape, strict=True)
            if isinstance(place, slice)
        ]
        return np.asarray(self._data[source]).reshape(kept)
