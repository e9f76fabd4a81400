"""What was written on planes of labels beside napari's history, in run lengths.

napari's history keeps about 26 bytes for each pixel that changes, which a stack has no memory for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino._layers.left_objects import LeftObject
from napari_sam2_openvino.core.rle import MaskRuns
from napari_sam2_openvino.core.types import PlaneIndex


@dataclass(frozen=True, eq=False)
class Runs:
    """Values in a row, equal neighbours as one."""

    values: NDArray[Any]
    lengths: NDArray[np.int32]

    @classmethod
    def of(cls, row: NDArray[Any]) -> "Runs":
        starts = np.flatnonzero(np.r_[True, row[1:] != row[:-1]]) if len(row) else np.zeros(0, int)
        return cls(row[starts], np.diff(starts, append=len(row)).astype(np.int32))

    def row(self) -> NDArray[Any]:
        return np.repeat(self.values, self.lengths)

    @property
    def nbytes(self) -> int:
        return int(self.values.nbytes + self.lengths.nbytes)


@dataclass(frozen=True, eq=False)
class Change:
    """The pixels of a window that changed: where, and their labels before and after."""

    where: MaskRuns
    before: Runs
    after: Runs

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
        Labels that have older pixels outside of their new masks.
    by_hand : frozenset of int, optional
        Labels that were not written as they were found, since the user has changed them.
    left : dict of int to LeftObject, optional
        The other ones, by label.
    commits : dict of int to list, optional
        By label, each commit on this plane since: a fingerprint of the pixels that the object had
        before it; None if it changed none.
    """

    plane: PlaneIndex
    areas: Mapping[int, int]
    changes: tuple[Change, ...] = field(default=())
    kept: frozenset[int] = frozenset()
    by_hand: frozenset[int] = frozenset()
    left: dict[int, LeftObject] = field(default_factory=dict)
    commits: dict[int, list[int | None]] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        older = sum(int(each.older.counts.nbytes) for each in self.left.values())
        return older + sum(each.nbytes for each in self.changes)

    def note_commit(self, label: int, before: int | None) -> None:
        """Note that an object was committed on this plane, see ``commits``."""
        self.commits.setdefault(label, []).append(before)

    def is_committed(self, label: int, now: int) -> bool:
        """Whether a commit since is still there, by a fingerprint of what the object has now.

        Undo brings back what was there before it.
        """
        commits = self.commits.get(label, ())
        return any(before is None or before != now for before in commits)
