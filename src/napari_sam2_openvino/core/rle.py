"""Masks as run lengths: compact while they are many, and COCO's two forms at the end."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.marks import MaskCut

_BITS = 5
_MORE = 1 << _BITS
_SIGN = _MORE >> 1
_FIRST_CHARACTER = 48


@dataclass(frozen=True, eq=False)
class MaskRuns:
    """A mask, cut to its object, as run lengths.

    Of a whole-image mask they take a tenth and less of what its pixels take, so that thousands of
    overlapping candidates fit into memory.

    Parameters
    ----------
    counts : ndarray of int32, shape (k,)
        Lengths of the runs in pixels, column by column, background first (0 if the cut begins with
        foreground): the order of COCO's run lengths, of the cut alone.
    hw : tuple of int
        Height and width of the cut in pixels; (0, 0) if there is no object.
    origin : tuple of int
        (row, column) in the plane of the first pixel of the cut.
    """

    counts: NDArray[np.int32]
    hw: tuple[int, int]
    origin: tuple[int, int] = (0, 0)

    @classmethod
    def from_mask(cls, mask: NDArray[np.bool_], origin: tuple[int, int] = (0, 0)) -> "MaskRuns":
        """Encode a mask; it is cut to its object first.

        Parameters
        ----------
        mask : ndarray of bool, shape (h, w)
        origin : tuple of int, optional
            (row, column) in the plane of the first pixel of ``mask``.
        """
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not len(rows):
            return cls(np.zeros(1, np.int32), (0, 0))
        cut = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        counts = _counts(cut.T.ravel())
        return cls(counts, cut.shape, (origin[0] + int(rows[0]), origin[1] + int(columns[0])))

    @property
    def area(self) -> int:
        """Pixels of the mask."""
        return int(self.counts[1::2].sum())

    @property
    def box(self) -> tuple[int, int, int, int]:
        """(x0, y0, x1, y1) in pixels of the plane, the last column and row included.

        All 0 if the mask is empty, as ``sam2.utils.amg.batched_mask_to_box`` has it.
        """
        if not self.hw[0]:
            return 0, 0, 0, 0
        (row, column), (height, width) = self.origin, self.hw
        return column, row, column + width - 1, row + height - 1

    def cut(self) -> MaskCut:
        """Decode the cut."""
        values = np.zeros(len(self.counts), bool)
        values[1::2] = True
        mask = np.repeat(values, self.counts).reshape(self.hw[::-1]).T
        return MaskCut(np.ascontiguousarray(mask), self.origin)

    def mask(self, plane_hw: tuple[int, int]) -> NDArray[np.bool_]:
        """Decode the mask of the whole plane, shape (H, W)."""
        (row, column), (height, width) = self.origin, self.hw
        mask = np.zeros(plane_hw, bool)
        mask[row : row + height, column : column + width] = self.cut().mask
        return mask

    def plane_counts(self, plane_hw: tuple[int, int]) -> NDArray[np.int64]:
        """Return the run lengths of the whole plane, column by column, background first."""
        (row, column), height = self.origin, max(1, self.hw[0])
        edges = np.cumsum(self.counts, dtype=np.int64)
        starts, stops = edges[: len(edges) - 1 : 2], edges[1::2]
        # A run that goes on from one column of the cut to the next is several in a taller plane.
        if height < plane_hw[0]:
            starts, stops = _split(starts, stops, height)
        offset = column * plane_hw[0] + row
        starts, stops = (
            at // height * plane_hw[0] + at % height + offset for at in (starts, stops - 1)
        )
        edges = np.column_stack([starts, stops + 1]).ravel()
        counts = np.diff(edges, prepend=0, append=plane_hw[0] * plane_hw[1])
        return counts if counts[-1] else counts[:-1]


def _split(
    starts: NDArray[np.int64], stops: NDArray[np.int64], height: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split runs of a mask of this height where columns end."""
    first = starts // height
    pieces = (stops - 1) // height - first + 1
    of_run = np.repeat(np.arange(len(starts)), pieces)
    number = np.arange(len(of_run)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    column = (first[of_run] + number) * height
    return np.maximum(starts[of_run], column), np.minimum(stops[of_run], column + height)


def _counts(pixels: NDArray[np.bool_]) -> NDArray[np.int32]:
    changes = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    counts = np.diff(changes, prepend=0, append=len(pixels))
    return np.r_[0, counts].astype(np.int32) if pixels[0] else counts.astype(np.int32)


def compressed_counts(counts: NDArray[np.int64]) -> str:
    """Return run lengths as the string that COCO's compressed form holds.

    ``rleToString`` of pycocotools: from the fourth on each count is told as its difference from
    the one before the last, five bits a character, the lowest first.

    Parameters
    ----------
    counts : ndarray of int64, shape (k,)
    """
    rest = counts.astype(np.int64)
    rest[3:] -= counts[1:-2]
    characters = []
    is_open = np.ones(len(rest), bool)
    while is_open.any():
        bits = rest & (_MORE - 1)
        rest >>= _BITS
        goes_on = rest != np.where(bits & _SIGN, -1, 0)
        character = bits + _MORE * goes_on + _FIRST_CHARACTER
        characters.append(np.where(is_open, character, 0).astype(np.uint8))
        is_open &= goes_on
    letters = np.column_stack(characters).ravel()
    return bytes(letters[letters > 0]).decode("ascii")
