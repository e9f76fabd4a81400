"""Which planes of a stack are empty."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.batch.axes import Axes
from napari_sam2_openvino.batch.image_check import channel_planes
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.normalize import (
    HIGH_PERCENTILE,
    LOW_PERCENTILE,
    ChannelView,
    Stretch,
    measure_percentiles,
    measure_stretch,
)
from napari_sam2_openvino.core.parameters import Normalization
from napari_sam2_openvino.core.planes import STACK_PLANES
from napari_sam2_openvino.core.reading import ImageArrays, sample_plane
from napari_sam2_openvino.core.types import PlaneIndex

# Enough of a plane to say how much contrast it has.
_PIXELS = 1 << 20


@dataclass(frozen=True)
class Emptiness:
    """Planes with little contrast are empty: the fluorescence above and below a specimen.

    The contrast of a plane is the difference between its percentiles 99.5 and 0.5, or of a plane
    that has none by them, between maximum and minimum; the latter sets no mark for other planes,
    as a single hot pixel would.

    Parameters
    ----------
    contrasts : tuple of float
        Of each channel that is seen: planes with no more in any channel are empty. In intensities
        of the image.
    """

    contrasts: tuple[float, ...]

    @classmethod
    def measure(
        cls, arrays: ImageArrays, axes: Axes, view: ChannelView, share: float
    ) -> "Emptiness":
        """Look at some planes, spread over the stack.

        Parameters
        ----------
        arrays : ImageArrays
        axes : Axes
        view : ChannelView
        share : float
            Of the highest contrast among them: planes with no more are empty.
        """
        count = min(STACK_PLANES, axes.n_planes)
        numbers = np.unique(np.linspace(0, axes.n_planes - 1, count).round().astype(int))
        rows = []
        for number in numbers:
            plane = axes.plane(axes.position(int(number)))
            # A plane that cannot be read is told of when its turn comes.
            try:
                rows.append(_contrasts(arrays, plane, view, _percentiles))
            except InputError:
                continue
        highest = np.max(rows, axis=0) if rows else np.zeros(max(1, len(view.indices)))
        return cls(tuple((share * highest).tolist()))

    def is_empty(self, arrays: ImageArrays, plane: PlaneIndex, view: ChannelView) -> bool:
        """Whether a plane is empty.

        Raises
        ------
        InputError
            If it cannot be read, or no pixel of it is a number.
        """
        found = _contrasts(arrays, plane, view, _percentiles_or_limits)
        return all(each <= least for each, least in zip(found, self.contrasts, strict=True))


def _percentiles(samples: Sequence[NDArray[Any]]) -> Stretch:
    return measure_percentiles(samples, (LOW_PERCENTILE, HIGH_PERCENTILE))


def _percentiles_or_limits(samples: Sequence[NDArray[Any]]) -> Stretch:
    stretch = measure_stretch(samples, Normalization("percentiles"))
    assert stretch is not None
    return stretch


def _contrasts(
    arrays: ImageArrays,
    plane: PlaneIndex,
    view: ChannelView,
    measure: Callable[[Sequence[NDArray[Any]]], Stretch],
) -> list[float]:
    contrasts = []
    for each in channel_planes(plane, view):
        stretch = measure(sample_plane(arrays, each, _PIXELS))
        contrasts.append(stretch.high - stretch.low)
    return contrasts
