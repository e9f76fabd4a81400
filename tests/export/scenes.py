"""Labels with everything that goes wrong, and files read back by the programs of others."""

import numpy as np
import pandas as pd

from napari_sam2_openvino.core.labelled_image import LabelledImage

CORNER, DOT, RING, ISLAND, TWINS, DIAGONAL, CHAIN, LAST = 1, 2, 5, 9, 300, 301, 302, 65000
HW = 40, 50


def tricky_plane(dtype=np.uint16):
    """Make labels with gaps between ids, of objects of every awkward form."""
    labels = np.zeros(HW, dtype)
    labels[:6, :9] = CORNER
    labels[0, 20] = DOT
    labels[10:22, 5:19] = RING
    labels[12:15, 7:10] = 0
    labels[16:20, 11:17] = 0
    labels[17:19, 12:15] = ISLAND
    labels[3:6, 25:30] = labels[8:9, 33:44] = TWINS
    labels[25, 5] = labels[26, 6] = labels[27, 5] = DIAGONAL
    # A ring that closes in a corner only: the background runs through it.
    labels[25:32, 20:27] = CHAIN
    labels[27:30, 22:25] = 0
    labels[26, 21] = labels[25, 20] = 0
    labels[HW[0] - 4 :, HW[1] - 3 :] = LAST
    return labels


def tricky(**options):
    return LabelledImage(tricky_plane(), **options)


def stack_of_planes(dtype=np.uint32):
    """Make (t, z, y, x) = (2, 3, 40, 50): some planes empty, some objects through z."""
    labels = np.zeros((2, 3, *HW), dtype)
    labels[0, 0] = labels[1, 2] = tricky_plane()
    labels[0, 1, 2:12, 3:20] = RING
    labels[1, 0, 5:9, 5:9] = 70_001
    return labels


FEATURES = pd.DataFrame(
    {
        "index": [CORNER, RING, TWINS, 4],
        "class_name": ["nucleus", "débris", None, "never seen"],
        "predicted_iou": [0.91, np.nan, 0.5, 0.1],
        "comment": ["fine", "", None, "gone"],
        "checked": [True, False, True, True],
    }
)


def everything(generator):
    """Run a job, and return its reports."""
    return list(generator)


def masks_of(labels):
    """Return the mask of each object, by label."""
    return {int(obj_id): labels == obj_id for obj_id in np.unique(labels) if obj_id}


def rasterised(rings, hw=HW):
    """Fill rings of (x, y) corners: a pixel belongs to what its centre lies in, by parity."""
    mask = np.zeros(hw, bool)
    rows = np.arange(hw[0]) + 0.5
    columns = np.arange(hw[1]) + 0.5
    for ring in map(np.asarray, rings):
        for (x0, y0), (x1, y1) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
            crossed = (rows > min(y0, y1)) & (rows < max(y0, y1))
            if y0 != y1:
                x = x0 + (rows[crossed, None] - y0) * (x1 - x0) / (y1 - y0)
                mask[crossed] ^= columns > x
    return mask
