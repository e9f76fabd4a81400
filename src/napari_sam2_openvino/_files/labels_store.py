"""Labels as OME-Zarr that is written plane by plane and is readable from the first one on."""

import contextlib
import os
import shutil
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino._files.images import TILE_SIDE
from napari_sam2_openvino._files.ome_zarr import labels_metadata
from napari_sam2_openvino.core.paths import temporary_beside

_ARRAY = "0"
MOST_LABELS = int(np.iinfo(np.uint32).max)
"""The largest label that is written."""


class LabelsStore:
    """Labels on disk, one chunk or more for each plane.

    Several processes may write planes of one store at a time. What is not written is 0.

    Parameters
    ----------
    path : Path
        Made by `create`.

    Attributes
    ----------
    array : zarr.Array of uint32
    """

    def __init__(self, path: Path) -> None:
        import zarr

        self.path = path
        self.array: Any = zarr.open_array(path / _ARRAY, mode="r+")

    @classmethod
    def create(
        cls,
        path: Path,
        shape: tuple[int, ...],
        letters: str,
        *,
        scale: Sequence[float] = (),
        units: Sequence[str] = (),
    ) -> "LabelsStore":
        """Make empty labels of type uint32, all of them at once or not at all.

        Parameters
        ----------
        path : Path
            Must not exist.
        shape : tuple of int
            The last two axes are a plane's.
        letters : str
            One for each axis, such as "TZYX".
        scale, units : sequence, optional
            Size of a pixel along each axis, and OME-Zarr's name of its unit, "" for none.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        import zarr

        temporary = temporary_beside(path)
        try:
            group = zarr.open_group(temporary, mode="w", zarr_format=2)
            group.attrs.update(labels_metadata(path.stem, letters, scale=scale, units=units))
            sides = tuple(min(TILE_SIDE, length) for length in shape[-2:])
            group.create_array(
                _ARRAY,
                shape=shape,
                chunks=(1,) * (len(shape) - 2) + sides,
                dtype=np.uint32,
                fill_value=0,
                chunk_key_encoding={"name": "v2", "separator": "/"},
            )
            temporary.replace(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return cls(path)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the labels."""
        return tuple(self.array.shape)

    def read(self, position: tuple[int, ...]) -> NDArray[np.uint32]:
        """Return the plane at a position along the axes before the last two."""
        return np.asarray(self.array[position])

    def write(self, position: tuple[int, ...], plane: NDArray[Any]) -> None:
        """Write a plane; it is on the disk when this returns, also if the power fails then.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        self.array[position] = plane
        tiles = [
            range(-(-length // side))
            for length, side in zip(self.shape[-2:], self.array.chunks[-2:], strict=True)
        ]
        root, folders = self.path / _ARRAY, set()
        for place in product(*tiles):
            file = root.joinpath(*map(str, (*position, *place)))
            # Of a chunk that is all 0 there is no file.
            with contextlib.suppress(FileNotFoundError):
                sync(file)
            folders |= {root, *(each for each in file.parents if root in each.parents)}
        for folder in folders:
            with contextlib.suppress(FileNotFoundError):
                sync(folder)


def sync(path: Path) -> None:
    """Have the system write a file, or the names in a folder, to the disk."""
    if path.is_dir() and os.name == "nt":
        # Windows opens no folders, and keeps names safe by itself.
        return
    handle = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
