"""Whole planes of labels that are written beside napari's history, and taken back.

napari's history keeps about 26 bytes for each pixel that changes, which a stack has no memory for.
What is kept here are run lengths.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino._layers.label_parts import cut_objects
from napari_sam2_openvino._layers.plane_windows import Window, read_windows
from napari_sam2_openvino._layers.targets import commit_to_windows
from napari_sam2_openvino.core.commit import CommitMode
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.marks import MaskCut
from napari_sam2_openvino.core.plane_box import Box
from napari_sam2_openvino.core.rle import MaskRuns
from napari_sam2_openvino.core.types import PlaneIndex


@dataclass(frozen=True, eq=False)
class _Runs:
    """Values in a row, equal neighbours as one."""

    values: NDArray[Any]
    lengths: NDArray[np.int32]

    @classmethod
    def of(cls, row: NDArray[Any]) -> "_Runs":
        starts = np.flatnonzero(np.r_[True, row[1:] != row[:-1]]) if len(row) else np.zeros(0, int)
        return cls(row[starts], np.diff(starts, append=len(row)).astype(np.int32))

    def row(self) -> NDArray[Any]:
        return np.repeat(self.values, self.lengths)

    @property
    def nbytes(self) -> int:
        return int(self.values.nbytes + self.lengths.nbytes)


@dataclass(frozen=True, eq=False)
class _Change:
    """The pixels of a window that changed: where, and their labels before and after."""

    where: MaskRuns
    before: _Runs
    after: _Runs

    @property
    def nbytes(self) -> int:
        return int(self.where.counts.nbytes) + self.before.nbytes + self.after.nbytes


@dataclass(frozen=True, eq=False)
class WrittenPlane:
    """What was written on a plane, so that it can be taken back.

    Parameters
    ----------
    plane : PlaneIndex
    areas : mapping of int to int
        Pixels of each object on the plane afterwards, by label; 0 for one that is not there.
    changes : tuple
        What it takes to write the plane as it was.
    kept : frozenset of int, optional
        Labels that were watched and have older pixels outside of their new masks.
    """

    plane: PlaneIndex
    areas: Mapping[int, int]
    changes: tuple[_Change, ...] = field(default=())
    kept: frozenset[int] = frozenset()

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return sum(each.nbytes for each in self.changes)


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
    watched: Collection[int] = (),
) -> WrittenPlane:
    """Write objects into a plane of labels, by the rule of every commit.

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
        Labels whose pixels on the plane become 0 outside of their new masks.
    watched : collection of int, optional
        Labels of which `WrittenPlane.kept` tells whether they have other pixels on the plane.

    Raises
    ------
    InputError
        If the labels cannot be read or written.
    """
    labels = {label for label, _ in objects}
    old = cut_objects(data, labels & {*replaced, *watched}, plane)
    beside = {label: old.pop(label) for label in old.keys() - set(replaced)}
    changes: list[_Change] = []
    if mode != "only where empty":
        # First, so that no object keeps another one out of where it is no more.
        shrunk = [(label, _common(old[label], cut)) for label, cut in objects if label in old]
        changes += _write(data, plane, commit_to_windows(data, plane, shrunk, mode, old)[0])
    # A commit replaces an object within the box of its mask: what stays there is part of it.
    whole = [
        (label, _joined(beside[label], cut) if label in beside else cut) for label, cut in objects
    ]
    windows, results = commit_to_windows(data, plane, whole, mode, old)
    changes += _write(data, plane, windows)
    kept = {
        label
        for label, cut in objects
        if label in beside and _common(beside[label], cut).mask.sum() < beside[label].mask.sum()
    }
    areas = {each.obj_id: each.n_pixels for each in results}
    return WrittenPlane(plane, areas, tuple(changes), frozenset(kept))


def take_back(data: Any, written: WrittenPlane) -> bool:
    """Write a plane as it was before, but for pixels that were changed again since.

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
    for change in reversed(written.changes):
        cut = change.where.cut()
        (window,) = read_windows(data, written.plane, [Box.of(cut)])
        # In the order of the run lengths: column by column.
        pixels, is_here = window.after.T, cut.mask.T
        now = pixels[is_here]
        pixels[is_here] = np.where(now == change.after.row(), change.before.row(), now)
        is_changed |= bool(_write(data, written.plane, [window]))
    return is_changed


def _joined(old: MaskCut, new: MaskCut) -> MaskCut:
    """Return a new mask with the pixels of an old one that are in its box."""
    mask = new.mask.copy()
    rows, columns = np.nonzero(old.mask)
    rows, columns = rows + old.origin[0] - new.origin[0], columns + old.origin[1] - new.origin[1]
    height, width = mask.shape
    is_in = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    mask[rows[is_in], columns[is_in]] = True
    return MaskCut(mask, new.origin)


def _common(old: MaskCut, new: MaskCut) -> MaskCut:
    """Return the pixels of an old mask that are also in a new one."""
    kept = np.zeros_like(old.mask)
    (row, column), (height, width) = new.origin, new.mask.shape
    rows, columns = np.nonzero(old.mask)
    at_row, at_column = rows + old.origin[0] - row, columns + old.origin[1] - column
    is_in = (at_row >= 0) & (at_row < height) & (at_column >= 0) & (at_column < width)
    stays = new.mask[at_row[is_in], at_column[is_in]]
    kept[rows[is_in][stays], columns[is_in][stays]] = True
    return MaskCut(kept, old.origin)


def _write(data: Any, plane: PlaneIndex, windows: Sequence[Window]) -> list[_Change]:
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
        changes.append(_Change(where, _Runs.of(before.T[mask.T]), _Runs.of(after.T[mask.T])))
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
