"""Which planes of a stack are empty."""

from dataclasses import dataclass

import numpy as np

from napari_sam2_openvino.batch.axes import Axes
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.normalize import ChannelView, measure_stretch
from napari_sam2_openvino.core.parameters import Normalization
from napari_sam2_openvino.core.planes import STACK_PLANES
from napari_sam2_openvino.core.reading import ImageArrays, sample_plane
from napari_sam2_openvino.core.types import PlaneIndex

# Enough of a plane to say how much contrast it has.
_PIXELS = 1 << 20
_PERCENTILES = Normalization("percentiles")


@dataclass(frozen=True)
class Emptiness:
    """Planes with little contrast are empty: the fluorescence above and below a specimen.

    The contrast of a plane is the difference between its percentiles 99.5 and 0.5.

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
                rows.append(_contrasts(arrays, plane, view))
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
        found = _contrasts(arrays, plane, view)
        return all(each <= least for each, least in zip(found, self.contrasts, strict=True))


def _contrasts(arrays: ImageArrays, plane: PlaneIndex, view: ChannelView) -> list[float]:
    contrasts = []
    for channel in view.indices or (None,):
        index = list(plane.index)
        if channel is not None and view.axis is not None:
            index[view.axis] = channel
        samples = sample_plane(arrays, PlaneIndex(tuple(index)), _PIXELS)
        stretch = measure_stretch(samples, _PERCENTILES)
        assert stretch is not None
        contrasts.append(stretch.high - stretch.low)
    return contrasts
