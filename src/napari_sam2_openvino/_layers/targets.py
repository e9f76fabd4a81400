"""The Labels layer that masks are committed to: whether it fits, and the write."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from napari.layers import Image, Labels
from numpy.typing import NDArray

from napari_sam2_openvino._layers.drawing import spatial_metadata
from napari_sam2_openvino._layers.label_parts import cut_objects
from napari_sam2_openvino._layers.plane_windows import Window, changed_labels, read_windows
from napari_sam2_openvino._layers.planes import affine_matrix, image_shape
from napari_sam2_openvino.core.commit import CommitMode, PixelChanges, changed_pixels
from napari_sam2_openvino.core.errors import InputError, times
from napari_sam2_openvino.core.marks import MaskCut
from napari_sam2_openvino.core.plane_box import Box
from napari_sam2_openvino.core.types import PlaneIndex

# Of a plane, so many pixels are searched in a few milliseconds.
MOST_PIXELS_AT_ONCE = 2**22
_ADVICE = "choose another layer or a new one"


def new_labels_layer(image: Image, data: NDArray[Any] | None = None) -> Labels:
    """Make a Labels layer that fits an image, empty or of labels that are there already.

    Parameters
    ----------
    image : Image
    data : ndarray of integers, optional

    Raises
    ------
    InputError
        If there is no memory for one.
    """
    shape = image_shape(image)
    try:
        data = np.zeros(shape, np.uint16) if data is None else data
    except MemoryError as error:
        raise InputError(
            f"A Labels layer of {times(shape)} pixels does not fit into memory: "
            "choose one that is backed by a zarr array."
        ) from error
    return Labels(data, name=f"{image.name} objects", **spatial_metadata(image))


def fit_problem(labels: Labels, image: Image) -> str | None:
    """Return in one sentence why masks of an image cannot be written to a layer, or None."""
    return place_problem(labels, image) or write_problem(labels)


def place_problem(labels: Labels, image: Image) -> str | None:
    """Return in one sentence why a layer does not lie on the pixels of an image, or None."""
    if labels.multiscale:
        return f"{labels.name} is multiscale, which napari cannot edit: {_ADVICE}."
    if tuple(labels.data.shape) != image_shape(image):
        return (
            f"{labels.name} has shape {times(labels.data.shape)}, but {image.name} has "
            f"{times(image_shape(image))}: {_ADVICE}."
        )
    if tuple(labels.units) != tuple(image.units):
        return f"{labels.name} and {image.name} are in different units: {_ADVICE}."
    if not np.allclose(affine_matrix(labels), affine_matrix(image)):
        return (
            f"{labels.name} lies elsewhere than {image.name} (scale, translate, rotate, shear or "
            f"affine differ): {_ADVICE}."
        )
    return None


def write_problem(labels: Labels) -> str | None:
    """Return in one sentence why a layer cannot be written to as it is now, or None."""
    if not labels.visible:
        # napari's write takes the data type and the size from what the layer shows.
        return f"{labels.name} is hidden, and napari cannot edit it: show it or {_ADVICE}."
    return data_problem(labels)


def data_problem(labels: Labels) -> str | None:
    """Return in one sentence why the pixels of a layer cannot be written, or None."""
    data = labels.data
    if not labels.editable:
        return f"{labels.name} is not editable: set its editable to True or {_ADVICE}."
    if type(data).__module__.partition(".")[0] == "dask":
        return f"{labels.name} is a dask array, which cannot be written to: {_ADVICE}."
    if not np.dtype(data.dtype).isnative:
        # napari would write 256 for 1.
        return (
            f"{labels.name} has its bytes in another order than this computer ({data.dtype}), and "
            f"napari cannot edit it: {_ADVICE}."
        )
    flags = getattr(data, "flags", None)
    if getattr(flags, "writeable", True) is False or getattr(data, "read_only", False):
        return f"{labels.name} is read-only: {_ADVICE}."
    return None


def is_quick_to_read(labels: Labels, plane: PlaneIndex) -> bool:
    """Whether a plane can be read in the main thread: it lies in memory and is not large."""
    row, column = plane.displayed
    n_pixels = labels.data.shape[row] * labels.data.shape[column]
    return isinstance(labels.data, np.ndarray) and n_pixels <= MOST_PIXELS_AT_ONCE


@dataclass(frozen=True)
class CommitResult:
    """What became of one object that was committed.

    Parameters
    ----------
    obj_id : int
    n_pixels : int
        How many pixels of the plane are the object's now.
    n_changed : int
        How many pixels were changed for it; 0 if it could not be written or was there already.
    is_written : bool, optional
        False for one that the mode refuses, or that nothing would be left of.
    """

    obj_id: int
    n_pixels: int
    n_changed: int
    is_written: bool = True


def commit_masks(
    labels: Labels,
    plane: PlaneIndex,
    objects: Sequence[tuple[int, MaskCut]],
    mode: CommitMode = "keep existing",
    *,
    replaced: Mapping[int, MaskCut] | None = None,
) -> list[CommitResult]:
    """Write objects into a Labels layer, all of them as one step of napari's undo.

    They are written one after the other, each to what the ones before have left, by the rule of
    `changed_pixels`. Only pixels that change are written. An object that would end without any
    pixel, since all are others', is not written, and keeps those that it has.

    Parameters
    ----------
    labels : Labels
        Fits the image, see `fit_problem`.
    plane : PlaneIndex
    objects : sequence of (int, MaskCut)
        Labels to write and the masks, in pixels of the plane.
    mode : {"keep existing", "overwrite", "only where empty"}, optional
        What happens to pixels of other objects, see `changed_pixels`.
    replaced : mapping of int to MaskCut, optional
        Where those objects are now that are there already, as `cut_objects` found them in a
        worker. Their pixels outside the new mask become 0. Without it the whole plane is searched
        for all of them, which takes its time for a large one.

    Returns
    -------
    list of CommitResult
        In the order of ``objects``.

    Raises
    ------
    InputError
        If the layer's integers cannot hold an id, or the layer cannot be read or written to.
        Nothing is written then.
    """
    if problem := write_problem(labels):
        raise InputError(problem)
    for obj_id, _ in objects:
        check_id(labels, obj_id)
    if replaced is None:
        replaced = cut_objects(labels.data, [obj_id for obj_id, _ in objects], plane)
    kept = list(objects)
    while True:
        windows, results = commit_to_windows(labels.data, plane, kept, mode, replaced)
        left = [each for each, result in zip(kept, results, strict=True) if result.n_pixels]
        if len(left) == len(kept):
            break
        # What nothing would be left of stays as it is, which the others may depend on.
        kept = left
    _write(labels, plane, windows)
    written = {each.obj_id: each for each in results}
    return [
        written.get(obj_id, CommitResult(obj_id, 0, 0, is_written=False)) for obj_id, _ in objects
    ]


def commit_to_windows(
    data: Any,
    plane: PlaneIndex,
    objects: Sequence[tuple[int, MaskCut]],
    mode: CommitMode,
    replaced: Mapping[int, MaskCut],
) -> tuple[list[Window], list[CommitResult]]:
    """Return what a plane of labels is to be after a commit; nothing is written.

    Parameters
    ----------
    data : array_like
    plane, objects, mode, replaced
        As for `commit_masks`.

    Returns
    -------
    windows : list of Window
        One for each object, several of which may be the same.
    results : list of CommitResult

    Raises
    ------
    InputError
        If the labels cannot be read.
    """
    boxes = [
        Box.around([Box.of(cut), Box.of(replaced[obj_id]) if obj_id in replaced else Box()])
        for obj_id, cut in objects
    ]
    row, column = plane.displayed
    hw = data.shape[row], data.shape[column]
    if not all(box.is_inside(hw) for box in boxes):
        raise ValueError(f"A mask is not inside a plane of {hw[0]} x {hw[1]} pixels.")
    windows = read_windows(data, plane, boxes)
    changed = [
        _commit(windows[index], boxes[index], obj_id, cut, mode)
        for index, (obj_id, cut) in enumerate(objects)
    ]
    results = []
    for (obj_id, _), window, box, changes in zip(objects, windows, boxes, changed, strict=True):
        n_pixels = int((window.part(box) == obj_id).sum())
        n_changed = int(changes.erased.sum() + changes.written.sum())
        is_written = n_pixels > 0 and not changes.is_refused
        results.append(CommitResult(obj_id, n_pixels, n_changed, is_written))
    return windows, results


def check_id(labels: Labels, obj_id: int) -> None:
    """Raise InputError if the integers of a layer cannot hold a label."""
    largest = np.iinfo(labels.dtype).max
    if not 1 <= obj_id <= largest:
        raise InputError(
            f"{labels.name} holds labels from 1 to {largest} ({labels.dtype}), but the next is "
            f"{obj_id}: convert its data type, or choose a new layer."
        )


def _commit(window: Window, box: Box, obj_id: int, cut: MaskCut, mode: CommitMode) -> PixelChanges:
    current = window.part(box)
    mask = np.zeros(current.shape, bool)
    if cut.mask.size:
        row, column = cut.origin[0] - box.row, cut.origin[1] - box.column
        mask[row : row + cut.mask.shape[0], column : column + cut.mask.shape[1]] = cut.mask
    changes = changed_pixels(current, mask, obj_id, mode)
    current[changes.erased] = 0
    current[changes.written] = obj_id
    return changes


def _write(labels: Labels, plane: PlaneIndex, windows: Sequence[Window]) -> None:
    """Write all that is to change at once: that is one step of undo, and quick for zarr."""
    rows, columns, values = changed_labels(windows)
    if len(rows) == 0:
        return
    row, column = plane.displayed
    on_axis = {row: rows, column: columns}
    indices = [
        on_axis[axis] if value is None else np.full(len(rows), value)
        for axis, value in enumerate(plane.index)
    ]
    labels.data_setitem(tuple(indices), values)


def object_at(labels: Labels, position: Sequence[float]) -> int:
    """Return the label at a position of the view, 0 if there is none.

    Parameters
    ----------
    labels : Labels
        What is hidden or not in view has no label anywhere.
    position : sequence of float
        World coordinates, such as those of a mouse event.
    """
    value = labels.get_value(position[-labels.ndim :], world=True)
    if isinstance(value, tuple):
        # Of multiscale layers: (level, label).
        value = value[1]
    return 0 if value is None else int(value)
