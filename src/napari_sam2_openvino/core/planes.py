"""A plane of an image, as what is done with it needs it: a name, a size and a way to read it."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.regions import Region


@dataclass(frozen=True)
class PlaneSource:
    """A plane to segment.

    Parameters
    ----------
    key : hashable
        Equal keys promise equal pixels, channels and normalization.
    hw : tuple of int
        Height and width in pixels at full resolution.
    load : callable
        Returns the RGB image of a region that the network sees: uint8, shape (h, w, 3), about
        ``region.height / region.step`` by ``region.width / region.step``. Called in a worker.
    """

    key: Hashable
    hw: tuple[int, int]
    load: Callable[[Region], NDArray[np.uint8]]
