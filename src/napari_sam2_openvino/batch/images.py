"""Any image as planes to segment: a file, a napari layer, or an array of any kind."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_sam2_openvino._files.images import check_not_read, open_image
from napari_sam2_openvino._files.physical import known_size
from napari_sam2_openvino.batch.axes import Axes, name_axes
from napari_sam2_openvino.core.errors import InputError, times
from napari_sam2_openvino.core.normalize import MOST_CHANNELS, ChannelView, check_dtype
from napari_sam2_openvino.core.parameters import Normalization
from napari_sam2_openvino.core.reading import ImageArrays
from napari_sam2_openvino.core.units import long_unit, short_unit

# Below this, rows or columns are no image.
SMALLEST_SIDE = 2


@dataclass(frozen=True, eq=False)
class StackImage:
    """An image of any number of planes; what it says is known, its pixels are not read.

    Parameters
    ----------
    name : str
        What sentences call it.
    source : Path or tuple of array-like or Path
        A file, or levels of an array, full resolution first; a path is that of a .npy.
    axes : Axes
    dtype : numpy.dtype
    scale : tuple of float, optional
        Size of a pixel along each axis of the labels; empty where nobody says.
    units : tuple of str, optional
        OME-Zarr's name of its unit, such as "micrometer"; "" for none.
    files : tuple of Path, optional
        That pixels of the arrays are read from, as far as they tell.
    """

    name: str
    source: Path | tuple[Any, ...]
    axes: Axes
    dtype: np.dtype[Any]
    scale: tuple[float, ...] = ()
    units: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()

    @property
    def layout(self) -> str:
        """The axes with their lengths, whether they were named or guessed."""
        return str(replace(self.axes, is_guessed=False))

    def check_output(self, output: Path) -> None:
        """Raise InputError if labels of that name would replace the image itself."""
        files = [self.source] if isinstance(self.source, Path) else self.files
        check_not_read(output, files)

    @contextlib.contextmanager
    def open(self) -> Iterator[ImageArrays]:
        """Open it for reading.

        Raises
        ------
        InputError
            If the file cannot be read, or is not what it was.
        """
        if not isinstance(self.source, Path):
            yield self._arrays([_mapped(level) for level in self.source])
            return
        with open_image(self.source) as file:
            if tuple(file.levels[0].shape) != self.axes.shape:
                raise InputError(
                    f"{self.source} had shape {times(self.axes.shape)}, but has "
                    f"{times(file.levels[0].shape)} now: leave it as it is while it is segmented."
                )
            yield self._arrays(file.levels)

    def _arrays(self, levels: Sequence[Any]) -> ImageArrays:
        return ImageArrays(levels, self.name, self.name, self.axes.has_colours)

    def spooled(self, folder: Path) -> "StackImage":
        """Return it as other processes can open it: arrays in memory are saved to a folder."""
        if isinstance(self.source, Path):
            return self
        levels = list(self.source)
        for number, level in enumerate(levels):
            if isinstance(level, np.ndarray):
                levels[number] = folder / f"image {number}.npy"
                np.save(levels[number], level)
        return replace(self, source=tuple(levels))

    def absolute(self) -> "StackImage":
        """Return it with paths that do not depend on the folder that a process works in."""
        if isinstance(self.source, Path):
            return replace(self, source=self.source.absolute())
        levels = (each.absolute() if isinstance(each, Path) else each for each in self.source)
        return replace(self, source=tuple(levels))


def _mapped(level: Any) -> Any:
    if not isinstance(level, Path):
        return level
    try:
        return np.load(level, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise InputError(f"{level} cannot be read any more ({error}): resume.") from error


def stack_image(image: object, axes: str | None = None) -> StackImage:
    """Find out what an image is; no pixels are read.

    Parameters
    ----------
    image : path-like, napari Image layer, or array-like
        A TIFF, OME-TIFF, zarr, OME-Zarr, .npy, PNG, JPEG or other common file; numpy, dask, zarr or
        anything else with ``shape``, ``dtype`` and indexing; a list of such as a pyramid.
    axes : str, optional
        One letter for each axis, such as "TZYX"; see `name_axes` for what is guessed otherwise.

    Raises
    ------
    InputError
        If it cannot be read or its planes cannot be segmented.
    """
    if isinstance(image, str | Path):
        return _of_file(Path(image).expanduser(), axes)
    # A layer is known by what an Image has, so that napari need not be imported.
    if hasattr(image, "multiscale") and hasattr(image, "rgb"):
        return _of_layer(image, axes)
    levels = tuple(image) if isinstance(image, list | tuple) else (image,)
    if not all(hasattr(level, "shape") and hasattr(level, "dtype") for level in levels):
        raise InputError(
            "The image must be a file, a napari Image layer or an array, but is of type "
            f"{type(image).__name__}."
        )
    return _checked("the image", levels, name_axes(_shape(levels[0]), "", axes), levels)


def choose_channels(
    image: StackImage, channels: tuple[int, ...], normalization: Normalization, *, as_grey: bool
) -> ChannelView:
    """Return what the network sees of an image.

    Parameters
    ----------
    image : StackImage
    channels : tuple of int
        Up to three channels, counted from 0; empty for all.
    normalization : Normalization
    as_grey : bool
        See `ChannelView`.

    Raises
    ------
    InputError
        If there are too many channels and none is chosen, or one is not there.
    """
    if normalization.mode == "as displayed":
        raise InputError(
            'Intensities "as displayed" need a window: choose percentiles or automatic.'
        )
    axes = image.axes
    if axes.has_colours and axes.channel is not None:
        raise InputError(
            f"{image.name} has channels and colours ({axes}), but the network sees only either: "
            "give one channel as an image of its own."
        )
    if axes.has_colours and channels:
        raise InputError(
            f"{image.name} has colours ({axes}), which are seen together: choose no channels."
        )
    if axes.channel is None:
        if channels not in ((), (0,)):
            raise InputError(f"{image.name} has no axis of channels ({axes}): name its axes.")
        return ChannelView(normalization, as_grey=as_grey)
    chosen = channels or tuple(range(axes.n_channels))
    if len(chosen) > MOST_CHANNELS:
        raise InputError(
            f"{image.name} has {axes.n_channels} channels, and the network sees up to "
            f"{MOST_CHANNELS}: choose some, such as 0."
        )
    missing = [each for each in chosen if not 0 <= each < axes.n_channels]
    if missing:
        raise InputError(
            f"{image.name} has channels 0 to {axes.n_channels - 1}, so there is no channel "
            f"{missing[0]}: choose another one."
        )
    return ChannelView(normalization, axes.channel, chosen, as_grey=as_grey)


def _of_file(path: Path, axes: str | None) -> StackImage:
    with open_image(path) as file:
        named = name_axes(_shape(file.levels[0]), file.axes, axes)
        image = _checked(str(path), path, named, file.levels)
        return _with_sizes(image, file.scale, file.units)


def _of_layer(layer: Any, axes: str | None) -> StackImage:
    levels = tuple(layer.data) if layer.multiscale else (layer.data,)
    labels = [str(label).upper() for label in layer.axis_labels]
    known = "".join(label if len(label) == 1 else "?" for label in labels)
    known += "S" if layer.rgb else ""
    named = name_axes(_shape(levels[0]), known, axes)
    image = _checked(str(layer.name), levels, named, levels)
    if layer.source.path:
        image = replace(image, files=(*image.files, Path(layer.source.path)))
    return _with_sizes(image, layer.scale, [str(unit) for unit in layer.units])


def _with_sizes(image: StackImage, scale: Sequence[float], units: Sequence[str]) -> StackImage:
    """Add the sizes of pixels that are known of the axes of the image, colours perhaps left out."""
    letters = image.axes.letters
    if len(scale) < len(letters.removesuffix("S")):
        return image
    places = [letters.index(letter) for letter in image.axes.labels_letters]
    sizes = [
        known_size(scale[place], _long_unit(units[place]) if units else "") for place in places
    ]
    return replace(
        image, scale=tuple(size for size, _ in sizes), units=tuple(unit for _, unit in sizes)
    )


def _long_unit(name: str) -> str:
    try:
        short = short_unit(name)
    # Of no use here, and no reason not to segment.
    except InputError:
        return ""
    return long_unit(short) if short else ""


def _checked(
    name: str, source: Path | tuple[Any, ...], axes: Axes, levels: Sequence[Any]
) -> StackImage:
    if 0 in axes.shape:
        what = "planes" if 0 in axes.labels_shape[:-2] else "pixels"
        raise InputError(f"{name} has no {what}: its shape is {times(axes.shape)}.")
    if min(axes.plane_hw) < SMALLEST_SIDE:
        raise InputError(
            f"{name} has planes of {times(axes.plane_hw)} pixels ({axes}): an image is larger, so "
            "name its axes if they are others."
        )
    dtype = np.dtype(levels[0].dtype)
    check_dtype(dtype)
    # Of arrays, memory maps say where they are.
    names = [getattr(level, "filename", None) for level in levels]
    files = tuple(Path(each) for each in names if isinstance(each, str | Path))
    return StackImage(name, source, axes, dtype, files=files)


def _shape(level: Any) -> tuple[int, ...]:
    return tuple(int(length) for length in level.shape)
