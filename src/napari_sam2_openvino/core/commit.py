"""Which pixels change when an object is committed: one rule, for napari's layers and for files."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.marks import MaskCut
from napari_sam2_openvino.core.plane_box import Box

CommitMode = Literal["keep existing", "overwrite", "only where empty"]


@dataclass(frozen=True, eq=False)
class PixelChanges:
    """What a commit does to a window of labels.

    Parameters
    ----------
    belonging : ndarray of bool, shape (h, w)
        Pixels that belong to the object afterwards.
    written : ndarray of bool, shape (h, w)
        Those of them that did not belong to it before: they become its label.
    erased : ndarray of bool, shape (h, w)
        Pixels that belonged to it before and no longer do: they become 0.
    is_refused : bool, optional
        Whether the mode lets none of the mask be written.
    """

    belonging: NDArray[np.bool_]
    written: NDArray[np.bool_]
    erased: NDArray[np.bool_]
    is_refused: bool = False


def changed_pixels(
    current: NDArray[Any],
    mask: NDArray[np.bool_],
    obj_id: int,
    mode: CommitMode = "keep existing",
    *,
    replace: bool = True,
) -> PixelChanges:
    """Return which pixels change when a mask is committed.

    Parameters
    ----------
    current : ndarray of integers, shape (h, w)
        The labels that are there; must hold the mask and, with ``replace``, all pixels that the
        object has on the plane.
    mask : ndarray of bool, shape (h, w)
        The object.
    obj_id : int
        Its label.
    mode : {"keep existing", "overwrite", "only where empty"}, optional
        "keep existing": pixels of other objects stay theirs. "overwrite": the whole mask becomes
        the object's. "only where empty": the whole mask if none of it belongs to another object,
        else nothing changes at all.
    replace : bool, optional
        Whether pixels that the object had before and that lie outside the mask become 0.

    Returns
    -------
    PixelChanges
    """
    own = current == obj_id
    others = (current != 0) & ~own
    if mode == "overwrite":
        belonging = mask.copy()
    elif mode == "keep existing":
        belonging = mask & ~others
    elif mode == "only where empty":
        if (mask & others).any():
            none = np.zeros_like(own)
            return PixelChanges(own, none, none, is_refused=True)
        belonging = mask.copy()
    else:
        modes = ", ".join(get_args(CommitMode))
        raise InputError(f"A commit mode must be one of {modes}, but is {mode!r}.")
    erased = own & ~belonging if replace else np.zeros_like(own)
    return PixelChanges(belonging | (own & ~erased), belonging & ~own, erased)


def commit_to_plane(
    plane: NDArray[Any],
    cut: MaskCut,
    obj_id: int,
    mode: CommitMode = "keep existing",
    *,
    replaced: Box | None = None,
) -> int:
    """Write an object into a plane of labels that lies in memory.

    Several objects are committed one after the other, each to what the ones before have left.

    Parameters
    ----------
    plane : ndarray of integers, shape (H, W)
        Changed in place.
    cut : MaskCut
        The object, in pixels of the plane.
    obj_id : int
    mode : {"keep existing", "overwrite", "only where empty"}, optional
        See `changed_pixels`.
    replaced : Box, optional
        Where the object has pixels already, which become 0 where they lie outside the mask. By
        default the whole plane is searched for them; an empty box says that there are none.

    Returns
    -------
    int
        Number of pixels that belong to the object afterwards.

    Raises
    ------
    InputError
        If the integers of the plane cannot hold the id.
    """
    largest = int(np.iinfo(plane.dtype).max)
    if not 1 <= obj_id <= largest:
        raise InputError(
            f"Labels of type {plane.dtype} go from 1 to {largest}, but the object has {obj_id}: "
            "choose a larger type."
        )
    whole = Box(0, 0, *plane.shape)
    box = Box.around([Box.of(cut), whole if replaced is None else replaced])
    window = plane[box.row : box.end_row, box.column : box.end_column]
    mask = np.zeros(window.shape, bool)
    if cut.mask.size:
        row, column = cut.origin[0] - box.row, cut.origin[1] - box.column
        mask[row : row + cut.mask.shape[0], column : column + cut.mask.shape[1]] = cut.mask
    changes = changed_pixels(window, mask, obj_id, mode)
    window[changes.erased] = 0
    window[changes.written] = obj_id
    return int(changes.belonging.sum())
