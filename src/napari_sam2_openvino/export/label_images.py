"""Labels as images: OME-Zarr and OME-TIFF, plane by plane."""

import contextlib
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from math import prod
from pathlib import Path
from queue import Full, Queue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino._files.images import TILE_SIDE, labels_dtype
from napari_sam2_openvino._files.ome_zarr import labels_metadata
from napari_sam2_openvino._files.replacing import replacing
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.labelled_image import LabelledImage
from napari_sam2_openvino.core.object_features import CLASS_NAME, ObjectFeatures
from napari_sam2_openvino.core.progress import Progress
from napari_sam2_openvino.core.units import fits, long_unit, symbol

# A level that is no larger needs no coarser one.
_COARSEST_SIDE = 1024
_STAGE = "Writing planes"
_POLL_SECONDS = 0.2


def write_ome_zarr(labelled: LabelledImage, path: Path) -> Generator[Progress, None, None]:
    """Write labels as an OME-Zarr labels image, with coarser levels for large planes.

    Axes, sizes of pixels and units are noted in it, and the features as its ``properties``.

    Parameters
    ----------
    labelled : LabelledImage
    path : Path
        A folder that ends with .zarr, which is replaced.

    Raises
    ------
    InputError
        If the labels cannot be read or the folder cannot be written.
    """
    import zarr

    features = labelled.features_by_label()
    n_levels = 1
    while max(labelled.hw) / 2 ** (n_levels - 1) > _COARSEST_SIDE:
        n_levels += 1
    dtype = yield from _unsigned_dtype(labelled)
    with replacing(path, "The labels") as temporary:
        group = zarr.open_group(temporary, mode="w", zarr_format=2)
        metadata = labels_metadata(
            labelled.name,
            labelled.axes,
            scale=labelled.scale,
            units=[long_unit(unit) if unit else "" for unit in labelled.units],
            n_levels=n_levels,
            properties=list(_properties(features)),
        )
        group.attrs.update(metadata)
        levels = [_make_level(group, level, labelled, dtype) for level in range(n_levels)]
        for progress, place, plane in _planes(labelled):
            for level, array in enumerate(levels):
                array[place] = plane[:: 2**level, :: 2**level].astype(dtype)
            yield progress


def write_tiff(labelled: LabelledImage, path: Path) -> Generator[Progress, None, None]:
    """Write labels as a compressed OME-TIFF, with axes, sizes of pixels and units.

    Parameters
    ----------
    labelled : LabelledImage
    path : Path
        A TIFF file, which is replaced.

    Raises
    ------
    InputError
        If the labels cannot be read, are too large for a TIFF, or the file cannot be written.
    """
    dtype = yield from _unsigned_dtype(labelled)
    if dtype.itemsize > 4:
        raise InputError(
            f"An OME-TIFF holds labels up to {np.iinfo(np.uint32).max}, but there are larger ones: "
            "write an OME-Zarr."
        )
    planes = ((progress, plane.astype(dtype)) for progress, _, plane in _planes(labelled))
    with replacing(path, "The labels") as temporary:
        yield from _feed(planes, partial(_write_pages, temporary, labelled, dtype))


def _write_pages(
    path: Path, labelled: LabelledImage, dtype: np.dtype[Any], planes: Iterator[NDArray[Any]]
) -> None:
    import tifffile

    n_bytes = prod(labelled.shape) * dtype.itemsize
    with tifffile.TiffWriter(path, ome=True, bigtiff=n_bytes > 2**32 - 2**25) as file:
        file.write(
            planes,
            shape=labelled.shape,
            dtype=dtype,
            photometric="minisblack",
            compression="zlib",
            metadata=_ome_metadata(labelled),
        )


def _feed(
    items: Iterator[tuple[Progress, NDArray[Any]]],
    consume: Callable[[Iterator[NDArray[Any]]], None],
) -> Generator[Progress, None, None]:
    """Give items to a function that asks for them, and report in between.

    The function runs in a thread of its own, one item behind.
    """
    waiting: Queue[NDArray[Any] | None] = Queue(1)
    with ThreadPoolExecutor(1, thread_name_prefix="sam2-write") as threads:
        writing = threads.submit(consume, _taken(waiting))
        try:
            for progress, item in items:
                while not writing.done():
                    with contextlib.suppress(Full):
                        waiting.put(item, timeout=_POLL_SECONDS)
                        break
                else:
                    break
                yield progress
        finally:
            # Ends the function, also early.
            while not writing.done():
                with contextlib.suppress(Full):
                    waiting.put(None, timeout=_POLL_SECONDS)
                    break
        writing.result()


def _taken(waiting: "Queue[NDArray[Any] | None]") -> Iterator[NDArray[Any]]:
    while (item := waiting.get()) is not None:
        yield item


def _ome_metadata(labelled: LabelledImage) -> dict[str, Any]:
    metadata: dict[str, Any] = {"axes": labelled.axes, "Name": labelled.name}
    for axis, size, unit in zip(labelled.axes, labelled.scale, labelled.units, strict=True):
        if not fits(unit, axis):
            continue
        if axis in "ZYX":
            metadata |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": symbol(unit)}
        elif axis == "T":
            metadata |= {"TimeIncrement": size, "TimeIncrementUnit": unit}
    return metadata


def _planes(
    labelled: LabelledImage,
) -> Iterator[tuple[Progress, tuple[int, ...], NDArray[Any]]]:
    total = prod(labelled.shape[:-2])
    for number, place in enumerate(labelled.places(), start=1):
        progress = Progress(_STAGE, number / total, f"plane {number} of {total}")
        yield progress, place, labelled.read(place)


def _unsigned_dtype(labelled: LabelledImage) -> Generator[Progress, None, np.dtype[Any]]:
    """Return an unsigned type that holds all labels; 64 bits only if they need them."""
    dtype = np.dtype(labelled.labels.dtype)
    if dtype.itemsize < 8:
        return np.dtype(f"u{dtype.itemsize}")
    largest = 0
    for progress, _, plane in _planes(labelled):
        largest = max(largest, int(plane.max(initial=0)))
        yield Progress("Reading planes", progress.done, progress.detail)
    return labels_dtype(largest)


def _make_level(group: Any, level: int, labelled: LabelledImage, dtype: np.dtype[Any]) -> Any:
    hw = tuple(-(-length // 2**level) for length in labelled.hw)
    return group.create_array(
        str(level),
        shape=(*labelled.shape[:-2], *hw),
        chunks=(1,) * len(labelled.lead) + tuple(min(TILE_SIDE, length) for length in hw),
        dtype=dtype,
        fill_value=0,
        chunk_key_encoding={"name": "v2", "separator": "/"},
    )


def _properties(features: ObjectFeatures) -> Iterator[dict[str, Any]]:
    for obj_id, indices in features.places():
        about = dict(features.attributes(obj_id, indices))
        if class_name := features.class_name(obj_id, indices):
            about[CLASS_NAME] = class_name
        if about:
            yield {**about, **indices, "label-value": obj_id}
