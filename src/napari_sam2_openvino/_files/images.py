"""Image files as arrays that are read in parts, and labels into files."""

import contextlib
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino._files.physical import sizes_of_ome_zarr, sizes_of_tiff
from napari_sam2_openvino._files.pictures import read_picture
from napari_sam2_openvino._files.replacing import replacing
from napari_sam2_openvino._files.several_images import (
    choose_group,
    choose_series,
    multiscales_of,
)
from napari_sam2_openvino._files.tiff_pages import PagesOfFiles, TiffPages
from napari_sam2_openvino._files.zarr_axes import axes_of_array, axes_of_multiscale
from napari_sam2_openvino.core.errors import InputError

if TYPE_CHECKING:
    import tifffile

TIFF_SUFFIXES = (".tif", ".tiff")
LABELS_SUFFIXES = (*TIFF_SUFFIXES, ".zarr", ".npy")
# One of them makes a folder a zarr.
_ZARR_FILES = ("zarr.json", ".zarray", ".zgroup")
# What TIFF calls "separated".
_INKS = 5
# Sides of the tiles of large planes in files that are written.
TILE_SIDE = 512


@dataclass(frozen=True, eq=False)
class ImageFile:
    """An image that is open for reading.

    Parameters
    ----------
    path : Path
    levels : tuple of array-like
        Full resolution first, then coarser versions if the file has any. With ``shape``, ``dtype``
        and basic indexing, which reads no more than it has to.
    axes : str
        One letter for each axis, such as "TCZYX", S for colours and ? for one that is not named;
        empty where the file does not tell.
    scale : tuple of float
        Size of a pixel along each of these axes, 1 where there is none; empty where the file does
        not tell.
    units : tuple of str
        Its unit as the file calls it, "" where there is none.
    n_images : int
        How many images the file holds, of which this is the largest.
    """

    path: Path
    levels: tuple[Any, ...]
    axes: str = ""
    scale: tuple[float, ...] = ()
    units: tuple[str, ...] = ()
    n_images: int = 1

    @property
    def place(self) -> str:
        """Which of the images of the file it is, to be told; "" where it is the only one."""
        if self.n_images == 1:
            return ""
        return f"the largest of {self.n_images} images of the file"


@contextlib.contextmanager
def open_image(path: Path) -> Iterator[ImageFile]:
    """Open a TIFF, OME-TIFF, zarr, OME-Zarr, .npy, PNG, JPEG or other common image.

    Nothing is read of a TIFF, zarr or .npy but what is asked for.

    Yields
    ------
    ImageFile
        Usable until the context ends.

    Raises
    ------
    InputError
        If there is no such file or it cannot be read.
    """
    path = path.expanduser()
    if not path.exists():
        raise InputError(f"There is no image {path}: check its path.")
    with contextlib.ExitStack() as stack:
        try:
            image = _open(path, stack)
        except InputError:
            raise
        # The file is the user's, and readers raise whatever they stumble over.
        except Exception as error:
            raise InputError(
                f"The image {path} cannot be read ({_first_line(error)}): check that it is whole "
                "and of a common format."
            ) from error
        yield image


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".:") if lines else type(error).__name__


def _open(path: Path, stack: contextlib.ExitStack) -> ImageFile:
    suffix = path.suffix.lower()
    if path.is_dir():
        return _open_zarr(path)
    if suffix in TIFF_SUFFIXES:
        return _open_tiff(path, stack)
    if suffix == ".npy":
        return ImageFile(path, (np.load(path, mmap_mode="r", allow_pickle=False),))
    pixels, axes = read_picture(path)
    return ImageFile(path, (pixels,), axes)


def _open_tiff(path: Path, stack: contextlib.ExitStack) -> ImageFile:
    import tifffile

    file = stack.enter_context(tifffile.TiffFile(path))
    series, n_images = choose_series(path, file)
    if series.keyframe.photometric == _INKS and "S" in series.axes:
        raise InputError(f"{path} has colours of inks (CMYK): save it with red, green and blue.")
    of_files = PagesOfFiles.is_needed(series)
    levels = tuple(_tiff_array(path, level, of_files=of_files) for level in series.levels)
    return ImageFile(path, levels, series.axes, *sizes_of_tiff(file, series), n_images)


def _tiff_array(path: Path, level: "tifffile.TiffPageSeries", *, of_files: bool) -> Any:
    if of_files:
        return PagesOfFiles(level) if PagesOfFiles.can_read(level) else level.asarray()
    if level.dataoffset is not None and level.keyframe.is_memmappable:
        dtype = np.dtype(level.dtype).newbyteorder(level.keyframe.parent.byteorder)
        return np.memmap(path, dtype, "r", level.dataoffset, level.shape)
    if TiffPages.can_read(level):
        return TiffPages(level)
    return level.asarray()


def _open_zarr(path: Path) -> ImageFile:
    import zarr

    node: Any = zarr.open(path, mode="r")
    n_images = 1
    if not hasattr(node, "array_keys"):
        return ImageFile(path, (node,), axes_of_array(node))
    if not multiscales_of(node) and any(node.group_keys()):
        # Groups that say nothing about themselves, such as those of bioformats2raw.
        node, n_images = choose_group(path, node)
    if multiscales := multiscales_of(node):
        first = multiscales[0]
        levels = tuple(node[dataset["path"]] for dataset in first["datasets"])
        axes = axes_of_multiscale(first)
        if len(axes) != levels[0].ndim:
            return ImageFile(path, levels, n_images=n_images)
        return ImageFile(path, levels, axes, *sizes_of_ome_zarr(first), n_images)
    levels = tuple(node[name] for name in sorted(node.array_keys()))
    if not levels:
        raise InputError(f"{path} holds no array: choose an image.")
    return ImageFile(path, levels, axes_of_array(levels[0]))


def labels_dtype(largest_id: int) -> np.dtype[Any]:
    """Return the smallest of uint16, uint32 and uint64 that holds an id."""
    # The same type by its usual name: zarr knows no other.
    return np.dtype(f"u{max(2, np.min_scalar_type(largest_id).itemsize)}")


def scratch_labels(shape: tuple[int, ...], largest_id: int, folder: Path) -> NDArray[Any]:
    """Return empty labels that live in an unnamed file, which goes with the last reference.

    Only what is written to takes space on the disk, where the file system can do that.

    Raises
    ------
    InputError
        If the folder cannot be written to.
    """
    try:
        # The map has a handle of its own.
        with tempfile.TemporaryFile(dir=folder) as file:
            return np.memmap(file, labels_dtype(largest_id), "w+", shape=shape)
    except OSError as error:
        raise InputError(
            f"Labels cannot be written to {folder} ({error.strerror}): choose another folder."
        ) from error


def check_labels_path(path: Path, *, overwrite: bool = False) -> None:
    """Raise InputError if labels cannot be written under a name."""
    if path.suffix.lower() not in LABELS_SUFFIXES:
        raise InputError(
            f"Labels are written to {', '.join(LABELS_SUFFIXES)}, but the name is {path.name!r}: "
            "choose another."
        )
    check_place(path, overwrite=overwrite)


def check_not_read(path: Path, images: Iterable[Path]) -> None:
    """Raise InputError if what is written under a name would replace an image that is read."""
    target = path.expanduser().resolve()
    for each in (image.expanduser().resolve() for image in images):
        # A zarr is replaced with all that lies in it, such as labels beside the levels of an image.
        if target in (each, *each.parents):
            raise InputError(f"{path} is an image that is read, or holds one: choose another name.")


def check_place(path: Path, *, overwrite: bool = False) -> None:
    """Raise InputError if nothing can be written under a name."""
    if path.exists() and not overwrite:
        raise InputError(f"{path} is there already: choose another name, or allow to overwrite it.")
    if path.is_dir() and not any((path / name).exists() for name in _ZARR_FILES):
        raise InputError(f"{path} is a folder with something else in it: choose another name.")
    if not path.parent.is_dir():
        raise InputError(f"There is no folder {path.parent}: make it, or choose another.")


def save_labels(
    path: Path, labels: NDArray[Any], *, axes: str = "", overwrite: bool = False
) -> None:
    """Write labels to a compressed TIFF, a zarr or an .npy file, as its name says.

    It is written under another name and then renamed: what is there under this name is whole.

    Parameters
    ----------
    path : Path
    labels : ndarray of unsigned integers, at least two axes
    axes : str, optional
        One letter for each axis, to be noted in a TIFF.
    overwrite : bool, optional

    Raises
    ------
    InputError
        If it cannot be written; nothing is left behind.
    """
    check_labels_path(path, overwrite=overwrite)
    writers: dict[str, Callable[[Path, NDArray[Any], str], None]] = {
        ".npy": _write_npy,
        ".zarr": _write_zarr,
    }
    with replacing(path, "The labels") as temporary:
        writers.get(path.suffix.lower(), _write_tiff)(temporary, labels, axes)


def _write_npy(path: Path, labels: NDArray[Any], _axes: str) -> None:
    # Of a name, numpy makes another where the suffix is .NPY.
    with path.open("wb") as file:
        np.save(file, labels)


def _write_tiff(path: Path, labels: NDArray[Any], axes: str) -> None:
    import tifffile

    is_large = max(labels.shape[-2:]) > 4 * TILE_SIDE
    tifffile.imwrite(
        path,
        labels,
        bigtiff=labels.nbytes > 2**32 - 2**25,
        photometric="minisblack",
        compression="zlib",
        tile=(TILE_SIDE, TILE_SIDE) if is_large else None,
        metadata={"axes": axes} if len(axes) == labels.ndim else None,
    )


def _write_zarr(path: Path, labels: NDArray[Any], axes: str) -> None:
    import zarr

    sides = tuple(min(TILE_SIDE, length) for length in labels.shape[-2:])
    array = zarr.create_array(
        store=path,
        shape=labels.shape,
        chunks=(1,) * (labels.ndim - 2) + sides,
        dtype=labels.dtype,
        fill_value=0,
        dimension_names=list(axes.lower()) if len(axes) == labels.ndim else None,
    )
    for index in np.ndindex(labels.shape[:-2]):
        if labels[index].any():
            array[index] = labels[index]
