"""What there is in an array of labels, read in parts. All of it is for a worker thread."""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.errors import InputError, JobCancelledError
from napari_sam2_openvino.core.marks import MaskCut
from napari_sam2_openvino.core.types import PlaneIndex

# What is read between two looks at whether to go on.
PART_PIXELS = 2**24
# Up to here labels are counted by a table, which is faster than to sort them.
_TABLE_SIZE = 2**22
# numpy lets no other thread go on while it counts: the window would stand still for longer ones.
_COUNTED_PIXELS = 2**20


class MaskPrint(NamedTuple):
    """What tells the mask of an object on a plane from others that it had.

    Parameters
    ----------
    area : int
        Number of pixels.
    digest : int, optional
        Of where they are, whichever way round the plane is seen; None if that is not known.
    """

    area: int
    digest: int | None = None


def _never() -> bool:
    return False


def read_labels(data: Any, index: tuple[int | slice, ...]) -> NDArray[Any]:
    """Read a part of an array of labels.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    try:
        return np.asarray(data[index])
    except OSError as error:
        raise InputError(
            f"The labels cannot be read ({error}): check that their file is there."
        ) from error


def largest_label(data: Any, cancelled: Callable[[], bool] = _never) -> int:
    """Return the largest label of an array.

    Parameters
    ----------
    data : array_like
        At least two axes.
    cancelled : callable, optional
        Asked before each part; to say True ends the search.

    Raises
    ------
    JobCancelledError
    InputError
        If the labels cannot be read.
    """
    largest = 0
    for lead in np.ndindex(*data.shape[:-2]):
        plane = PlaneIndex((*lead, None, None))
        for _, part in _parts(data, plane, cancelled):
            largest = max(largest, int(part.max(initial=0)))
    return largest


def largest_on_plane(data: Any, plane: PlaneIndex, cancelled: Callable[[], bool] = _never) -> int:
    """Return the largest label of one plane, see `largest_label`."""
    parts = _parts(data, plane, cancelled)
    return max((int(part.max(initial=0)) for _, part in parts), default=0)


def object_areas(
    data: Any, plane: PlaneIndex, cancelled: Callable[[], bool] = _never
) -> dict[int, int]:
    """Return how many pixels each object of a plane has.

    Parameters
    ----------
    data : array_like
    plane : PlaneIndex
    cancelled : callable, optional
        Asked before each part.

    Returns
    -------
    dict of int to int
        Without the background.

    Raises
    ------
    JobCancelledError
    InputError
        If the labels cannot be read.
    """
    areas: dict[int, int] = {}
    for _, part in _parts(data, plane, cancelled):
        labels = part.ravel()
        low, high = int(labels.min(initial=0)), int(labels.max(initial=0))
        if low >= 0 and high < _TABLE_SIZE:
            table = np.bincount(labels)
            values = np.flatnonzero(table)
            counts = table[values]
        else:
            values, counts = np.unique(labels, return_counts=True)
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            areas[value] = areas.get(value, 0) + count
    areas.pop(0, None)
    return areas


def object_prints(
    data: Any, plane: PlaneIndex, cancelled: Callable[[], bool] = _never
) -> dict[int, MaskPrint]:
    """Return what each object of a plane is known by; parameters and errors as `object_areas`."""
    areas: dict[int, int] = {}
    digests: dict[int, int] = {}
    width = int(data.shape[max(plane.displayed)])
    for origin, part in _parts(data, plane, cancelled):
        # As the array has them.
        pixels, start = (part.T, origin[1]) if plane.transposed else (part, origin[0])
        flat = pixels.reshape(-1)
        for begin in range(0, len(flat), _COUNTED_PIXELS):
            block = flat[begin : begin + _COUNTED_PIXELS]
            where = np.flatnonzero(block)
            scattered = _scattered(where + (start * width + begin))
            for label, area, digest in _sums(block[where], scattered):
                areas[label] = areas.get(label, 0) + area
                digests[label] = digests.get(label, 0) + digest
    return {label: MaskPrint(area, digests[label]) for label, area in areas.items()}


def mask_print(cut: MaskCut, plane: PlaneIndex, shape: Sequence[int]) -> MaskPrint:
    """Return what `object_prints` says of a mask that is on a plane of labels of a shape."""
    rows, columns = np.nonzero(cut.mask)
    rows, columns = rows + cut.origin[0], columns + cut.origin[1]
    if plane.transposed:
        rows, columns = columns, rows
    where = rows * int(shape[max(plane.displayed)]) + columns
    return MaskPrint(len(where), int(_scattered(where).sum()))


def _scattered(where: NDArray[np.int_]) -> NDArray[np.float64]:
    """Return a number for each pixel that looks like chance; their sums are exact up to 2**29."""
    mixed = where.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    return (mixed >> np.uint64(40)).astype(np.float64)


def _sums(labels: NDArray[Any], weights: NDArray[np.float64]) -> Iterator[tuple[int, int, int]]:
    """Give each label with how often it is there, and the sum of its weights."""
    if len(labels) == 0:
        return
    if int(labels.min()) >= 0 and int(labels.max()) < _TABLE_SIZE:
        table = np.bincount(labels)
        values = np.flatnonzero(table)
        counts, sums = table[values], np.bincount(labels, weights)[values]
    else:
        values, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
        sums = np.bincount(inverse, weights)
    for label, count, total in zip(values.tolist(), counts.tolist(), sums.tolist(), strict=True):
        yield label, count, int(total)


def cut_object(
    data: Any, obj_id: int, plane: PlaneIndex, cancelled: Callable[[], bool] = _never
) -> MaskCut:
    """Return the mask of one object of a plane, see `cut_objects`."""
    return cut_objects(data, [obj_id], plane, cancelled)[obj_id]


def cut_objects(
    data: Any,
    obj_ids: Collection[int],
    plane: PlaneIndex,
    cancelled: Callable[[], bool] = _never,
) -> dict[int, MaskCut]:
    """Return the masks of objects of a plane. Memory follows the objects, not the plane.

    Parameters
    ----------
    data : array_like
    obj_ids : collection of int
    plane : PlaneIndex
    cancelled : callable, optional
        Asked before each part.

    Returns
    -------
    dict of int to MaskCut
        For each of ``obj_ids``; of shape (0, 0) if it has no pixel on the plane.

    Raises
    ------
    JobCancelledError
    InputError
        If the labels cannot be read.
    """
    wanted = sorted(set(obj_ids))
    if not wanted:
        return {}
    found: list[tuple[NDArray[Any], ...]] = []
    for origin, part in _parts(data, plane, cancelled):
        theirs = part == wanted[0] if len(wanted) == 1 else np.isin(part, wanted)
        rows, columns = np.nonzero(theirs)
        found.append((rows + origin[0], columns + origin[1], part[rows, columns]))
    rows, columns, labels = (np.concatenate(each) for each in zip(*found, strict=True))
    order = np.argsort(labels, kind="stable")
    begins = np.searchsorted(labels[order], wanted, side="left")
    ends = np.searchsorted(labels[order], wanted, side="right")
    return {
        obj_id: _cut(rows[order[begin:end]], columns[order[begin:end]])
        for obj_id, begin, end in zip(wanted, begins, ends, strict=True)
    }


def _cut(rows: NDArray[np.int_], columns: NDArray[np.int_]) -> MaskCut:
    if len(rows) == 0:
        return MaskCut(np.zeros((0, 0), bool))
    row, column = int(rows.min()), int(columns.min())
    mask = np.zeros((int(rows.max()) - row + 1, int(columns.max()) - column + 1), bool)
    mask[rows - row, columns - column] = True
    return MaskCut(mask, (row, column))


def _parts(
    data: Any, plane: PlaneIndex, cancelled: Callable[[], bool]
) -> Iterator[tuple[tuple[int, int], NDArray[Any]]]:
    """Give the parts of a plane as the viewer shows it, each with (row, column) of its origin."""
    first, second = sorted(plane.displayed)
    height, width = int(data.shape[first]), int(data.shape[second])
    # Whole chunks, so that none is unpacked twice.
    chunk = (getattr(data, "chunks", None) or (1,) * data.ndim)[first]
    # Dask gives the length of each.
    chunk = max(chunk) if isinstance(chunk, tuple) else chunk
    rows = chunk * max(1, PART_PIXELS // (chunk * max(1, width)))
    index: list[int | slice] = [slice(None) if each is None else each for each in plane.index]
    for start in range(0, height, rows):
        if cancelled():
            raise JobCancelledError("The search in the labels was cancelled.")
        index[first] = slice(start, start + rows)
        part = read_labels(data, tuple(index))
        yield ((0, start), part.T) if plane.transposed else ((start, 0), part)
