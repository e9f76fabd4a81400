"""How objects were left on a plane by what wrote it, to tell what the user did to them since."""

from dataclasses import dataclass

import numpy as np

from napari_sam2_openvino.core.marks import MaskCut
from napari_sam2_openvino.core.plane_box import Box
from napari_sam2_openvino.core.rle import MaskRuns
from napari_sam2_openvino.core.types import PlaneIndex

NO_PIXELS = MaskCut(np.zeros((0, 0), bool))


@dataclass(frozen=True, eq=False, slots=True)
class LeftObject:
    """An object on a plane, as a propagation left it.

    Parameters
    ----------
    plane : PlaneIndex
        As it was seen then.
    pixels : int
        Fingerprint of those that it had afterwards.
    asked : int
        Fingerprint of the mask that it was to get.
    older : MaskRuns
        Those of its pixels that no propagation wrote.
    """

    plane: PlaneIndex
    pixels: int
    asked: int
    older: MaskRuns

    @classmethod
    def of(cls, plane: PlaneIndex, cut: MaskCut, asked: int, older: MaskCut) -> "LeftObject":
        """Return an object that has these pixels, some of the older ones among them."""
        still = common(older, cut)
        runs = MaskRuns.from_mask(still.mask, still.origin)
        return cls(plane, fingerprint(cut, plane), asked, runs)

    def older_on(self, plane: PlaneIndex) -> MaskCut:
        """Return its older pixels as the plane is seen now."""
        cut = self.older.cut()
        return cut if plane.transposed == self.plane.transposed else cut.turned


def fingerprint(cut: MaskCut, plane: PlaneIndex) -> int:
    """Return a number that only the same pixels of a plane have, whichever way round it is seen."""
    cut = cut.turned if plane.transposed else cut
    runs = MaskRuns.from_mask(cut.mask, cut.origin)
    return hash((runs.origin, runs.hw, runs.counts.tobytes()))


def union(first: MaskCut, second: MaskCut) -> MaskCut:
    """Return the pixels of two masks."""
    box = Box.around([Box.of(first), Box.of(second)])
    mask = np.zeros(box.hw, bool)
    for cut in (first, second):
        if cut.mask.size:
            row, column = cut.origin[0] - box.row, cut.origin[1] - box.column
            mask[row : row + cut.mask.shape[0], column : column + cut.mask.shape[1]] |= cut.mask
    return MaskCut(mask, box.origin)


def common(first: MaskCut, second: MaskCut) -> MaskCut:
    """Return the pixels of a mask that are also in another one."""
    kept = np.zeros_like(first.mask)
    (row, column), (height, width) = second.origin, second.mask.shape
    rows, columns = np.nonzero(first.mask)
    at_row, at_column = rows + first.origin[0] - row, columns + first.origin[1] - column
    is_in = (at_row >= 0) & (at_row < height) & (at_column >= 0) & (at_column < width)
    stays = second.mask[at_row[is_in], at_column[is_in]]
    kept[rows[is_in][stays], columns[is_in][stays]] = True
    return MaskCut(kept, first.origin)


def is_within(first: MaskCut, second: MaskCut) -> bool:
    """Whether another mask has all pixels of a mask."""
    return bool(common(first, second).mask.sum() == first.mask.sum())
