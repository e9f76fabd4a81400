"""Whole planes of labels that are written beside napari's history, and taken back."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino._layers.label_parts import cut_objects
from napari_sam2_openvino._layers.left_objects import common, fingerprint, is_within
from napari_sam2_openvino._layers.plane_windows import Window, read_windows
from napari_sam2_openvino._layers.targets import commit_to_windows
from napari_sam2_openvino._layers.wishes import left_of_others, make_wishes, what_is_known
from napari_sam2_openvino._layers.written_planes import Change, Runs, WrittenPlane
from napari_sam2_openvino.core.commit import CommitMode
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.marks import MaskCut
from napari_sam2_openvino.core.plane_box import Box
from napari_sam2_openvino.core.rle import MaskRuns
from napari_sam2_openvino.core.types import PlaneIndex


def is_safe_aside(data: Any, plane: PlaneIndex, in_view: PlaneIndex | None) -> bool:
    """Whether a plane may be written by a worker while the user edits what is in view.

    In memory only pixels that change are touched. Of a file whole chunks are read and written, and
    an edit of the same chunk in between would be lost.

    Parameters
    ----------
    data : array_like
    plane : PlaneIndex
    in_view : PlaneIndex or None
        The plane that the user sees; None if it is no single one.
    """
    if isinstance(data, np.ndarray):
        return True
    if in_view is None or in_view == plane or in_view.displayed != plane.displayed:
        return False
    blocks = getattr(data, "shards", None) or getattr(data, "chunks", None)
    return blocks is not None and all(
        blocks[axis] == 1 for axis, value in enumerate(plane.index) if value is not None
    )


def write_objects(
    data: Any,
    plane: PlaneIndex,
    objects: Sequence[tuple[int, MaskCut]],
    mode: CommitMode,
    replaced: Collection[int],
    *,
    given: Collection[int] = (),
    history: Sequence[WrittenPlane] = (),
) -> WrittenPlane:
    """Write objects into a plane of labels, by the rule of every commit.

    Only what propagations have written before becomes 0 where an object is not found any more.
    An object that was changed by hand since then stays as it is.

    Parameters
    ----------
    data : array_like of integers
        numpy, zarr or anything else that is read and written in rectangles.
    plane : PlaneIndex
    objects : sequence of (int, MaskCut)
        Labels to write and the masks, in pixels of the plane; an empty mask for an object that is
        not there.
    mode : {"keep existing", "overwrite", "only where empty"}
    replaced : collection of int
        Labels all of whose pixels become 0 outside of their new masks.
    given : collection of int, optional
        Labels that are drawn on this plane: replaced as well, unless they were changed by hand
        after their mask was written as it is drawn. One that was erased there is drawn anew.
    history : sequence of WrittenPlane, optional
        What propagations wrote on the plane before, the newest last.

    Raises
    ------
    InputError
        If the labels cannot be read or written.
    """
    asked = dict(objects)
    others = set()
    if mode == "overwrite":
        others = {label for each in history for label in list(each.left)} - asked.keys()
    here = cut_objects(data, asked.keys() | others, plane)
    before = what_is_known(plane, here, history)
    wishes, by_hand = make_wishes(plane, asked, here, before, replaced, given)
    changes: list[Change] = []
    if mode != "only where empty":
        # First, so that no object keeps another one out of where it is no more.
        shrunk = [
            (each.label, common(each.here, each.whole))
            for each in wishes
            if not is_within(each.here, each.whole)
        ]
        changes += _write(data, plane, commit_to_windows(data, plane, shrunk, mode, here)[0])
    whole = [(each.label, each.whole) for each in wishes]
    windows, results = commit_to_windows(data, plane, whole, mode, here)
    changes += _write(data, plane, windows)
    areas = {label: int(here[label].mask.sum()) for label in asked}
    areas |= {each.obj_id: each.n_pixels for each in results}
    left = {
        each.label: each.left(plane, window) for each, window in zip(wishes, windows, strict=True)
    }
    left |= left_of_others({label: here[label] for label in others}, plane, before, windows)
    kept = {each.label for each in wishes if not is_within(each.whole, each.asked)}
    return WrittenPlane(plane, areas, tuple(changes), frozenset(kept), by_hand, left)


def take_back(data: Any, written: WrittenPlane) -> bool:
    """Write a plane as it was before, but for pixels that were changed again since.

    An object that was committed on it since stays as it is.

    Returns
    -------
    bool
        Whether anything was changed.

    Raises
    ------
    InputError
        If the labels cannot be read or written.
    """
    is_changed = False
    now_of = cut_objects(data, list(written.commits), written.plane)
    committed = [
        label
        for label, cut in now_of.items()
        if written.is_committed(label, fingerprint(cut, written.plane))
    ]
    for change in reversed(written.changes):
        cut = change.where.cut()
        (window,) = read_windows(data, written.plane, [Box.of(cut)])
        before, after = change.before.row(), change.after.row()
        # A commit has said which pixels are such an object's: it gets no other ones back.
        before[np.isin(before, committed)] = 0
        # In the order of the run lengths: column by column.
        pixels, is_here = window.after.T, cut.mask.T
        now = pixels[is_here]
        is_back = (now == after) & ~np.isin(after, committed)
        pixels[is_here] = np.where(is_back, before, now)
        is_changed |= bool(_write(data, written.plane, [window]))
    return is_changed


def _write(data: Any, plane: PlaneIndex, windows: Sequence[Window]) -> list[Change]:
    """Write what is to change, and return it."""
    changes = []
    for window in {id(each): each for each in windows}.values():
        where = MaskRuns.from_mask(window.before != window.after, window.origin)
        if not where.area:
            continue
        box = Box.of(where.cut())
        row, column = box.row - window.origin[0], box.column - window.origin[1]
        part = np.s_[row : row + box.hw[0], column : column + box.hw[1]]
        before, after, mask = window.before[part], window.after[part], where.cut().mask
        _write_box(data, plane, box, before, after)
        changes.append(Change(where, Runs.of(before.T[mask.T]), Runs.of(after.T[mask.T])))
    return changes


def _write_box(
    data: Any, plane: PlaneIndex, box: Box, before: NDArray[Any], after: NDArray[Any]
) -> None:
    index: list[int | slice] = [0 if value is None else value for value in plane.index]
    row, column = plane.displayed
    index[row], index[column] = slice(box.row, box.end_row), slice(box.column, box.end_column)
    if plane.transposed:
        before, after = before.T, after.T
    if isinstance(data, np.ndarray):
        pixels = data[tuple(index)]
        # None that was changed since it was read.
        np.copyto(pixels, after, where=(before != after) & (pixels == before))
        return
    try:
        data[tuple(index)] = after
    except OSError as error:
        raise InputError(
            f"The labels cannot be written ({error.strerror or error}): make room, and go on."
        ) from error
