"""Labels with all that is known about them, read plane by plane."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite, prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.errors import InputError, times
from napari_sam2_openvino.core.marks import MaskCut
from napari_sam2_openvino.core.object_features import ObjectFeatures
from napari_sam2_openvino.core.progress import Progress
from napari_sam2_openvino.core.units import is_length, ratio, short_unit

if TYPE_CHECKING:
    import pandas as pd

DEFAULT_AXES = {2: "YX", 3: "ZYX", 4: "TZYX", 5: "TCZYX"}
"""How axes that have no names are read, by their number."""

# Objects between two reports: at least some in a second.
_BATCH = 64
# Up to here scipy's table of slices by label is small.
_LARGEST_TABLE = 1 << 22


@dataclass(frozen=True, eq=False)
class PlacedObject:
    """One object on one plane.

    Parameters
    ----------
    obj_id : int
        Its label.
    place : tuple of int
        Index of the plane along the axes before Y and X.
    cut : MaskCut
        Its pixels.
    """

    obj_id: int
    place: tuple[int, ...]
    cut: MaskCut


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """A labels image and what is known of its objects; nothing of it is read by making it.

    Parameters
    ----------
    labels : array_like of integers, 2 to 5 axes
        0 is background. With ``shape``, ``dtype`` and basic indexing, which reads no more than it
        has to.
    axes : str, optional
        One letter for each axis, out of T, C, Z, Y and X; the last two are Y and X. Without it
        `DEFAULT_AXES` holds.
    scale : tuple of float, optional
        Size of a pixel along each axis, in ``units``.
    units : tuple of str, optional
        Unit of each axis, such as "um" or "s"; "" where there is none.
    features : pandas.DataFrame, optional
        A row for each object: column ``index`` is its label (without it, the number of the row),
        ``class_name`` its class; other columns are carried along. Columns ``t`` and ``c``, where
        the labels have such axes, tell the rows of an object apart.
    image : array_like, optional
        What was segmented: of the shape of the labels, or with colours as one more axis.
    name : str, optional
        Names images and files in what is written.
    shown : tuple of int, optional
        Index of the plane that a picture shows; the middle of the stack without it.

    Raises
    ------
    InputError
        If these do not go together.
    """

    labels: Any
    axes: str = ""
    scale: tuple[float, ...] = ()
    units: tuple[str, ...] = ()
    features: "pd.DataFrame | None" = None
    image: Any = None
    name: str = "labels"
    shown: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        ndim = len(self.labels.shape)
        if np.dtype(self.labels.dtype).kind not in "iub":
            raise InputError(
                f"Labels must be whole numbers, but these are {self.labels.dtype}: choose a labels "
                "image."
            )
        if ndim not in DEFAULT_AXES:
            raise InputError(
                f"Labels must have 2 to 5 axes, but these have {ndim}: choose a part of them."
            )
        # The rest of a frozen value is worked out from what was given.
        assign = object.__setattr__
        assign(self, "axes", (self.axes or DEFAULT_AXES[ndim]).upper())
        assign(self, "scale", tuple(float(each) for each in self.scale) or (1.0,) * ndim)
        assign(self, "units", tuple(map(short_unit, self.units)) or ("",) * ndim)
        self._check(ndim)

    def _check(self, ndim: int) -> None:
        is_known = set(self.axes) <= set("TCZYX") and len(set(self.axes)) == len(self.axes)
        if len(self.axes) != ndim or not is_known or self.axes[-2:] != "YX":
            raise InputError(
                f"Axes must be {ndim} different letters out of TCZYX that end with YX, but are "
                f"{self.axes!r}: name them."
            )
        for values, what in ((self.scale, "sizes of a pixel"), (self.units, "units")):
            if len(values) != ndim:
                raise InputError(
                    f"There must be {ndim} {what}, one for each axis, but there are {len(values)}."
                )
        if not all(isfinite(each) and each > 0 for each in self.scale):
            raise InputError(f"Sizes of a pixel must be positive, but are {self.scale}.")
        if self.image is not None and tuple(self.image.shape)[:ndim] != self.shape:
            raise InputError(
                f"The image has shape {times(self.image.shape)}, but the labels have "
                f"{times(self.shape)}: choose the image that was segmented."
            )
        if self.shown is not None and (
            len(self.shown) != ndim - 2
            or not all(
                0 <= each < length for each, length in zip(self.shown, self.shape[:-2], strict=True)
            )
        ):
            raise InputError(
                f"There is no plane {self.shown} in labels of shape {times(self.shape)}: choose "
                "another."
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return tuple(int(length) for length in self.labels.shape)

    @property
    def hw(self) -> tuple[int, int]:
        """Height and width of a plane in pixels."""
        return self.shape[-2], self.shape[-1]

    @property
    def lead(self) -> str:
        """The axes before Y and X."""
        return self.axes[:-2]

    @property
    def middle(self) -> tuple[int, ...]:
        """The plane in the middle of the stack."""
        return tuple(length // 2 for length in self.shape[:-2])

    def position(self, place: tuple[int, ...], axis: str) -> int | None:
        """Return the index of a plane along an axis, None if there is no such axis."""
        return place[self.lead.index(axis)] if axis in self.lead else None

    def spacing(self, axes: str) -> tuple[tuple[float, ...], str]:
        """Return the size of a pixel along some axes and the unit of all of them.

        The unit is that of the last of them; "" where one has no unit of length, and then the
        sizes are 1: pixels.
        """
        numbers = [self.axes.index(axis) for axis in axes]
        units = [self.units[number] for number in numbers]
        if not all(map(is_length, units)):
            return (1.0,) * len(axes), ""
        sizes = [self.scale[number] for number in numbers]
        return (
            tuple(size * ratio(unit, units[-1]) for size, unit in zip(sizes, units, strict=True)),
            units[-1],
        )

    def places(self) -> Iterator[tuple[int, ...]]:
        """Give the index of each plane."""
        return iter(np.ndindex(*self.shape[:-2]))

    def read(self, place: tuple[int, ...]) -> NDArray[Any]:
        """Read the labels of a plane.

        Raises
        ------
        InputError
            If it cannot be read, or a label is negative.
        """
        plane = _read(self.labels, place, "labels")
        if plane.dtype.kind == "i" and plane.min(initial=0) < 0:
            raise InputError(
                f"Labels must be 0 (background) or greater, but {plane.min()} is among them: "
                "choose a labels image."
            )
        return plane.astype(np.uint8) if plane.dtype == bool else plane

    def read_image(self, place: tuple[int, ...]) -> NDArray[Any] | None:
        """Read the image of a plane, None if there is no image."""
        return None if self.image is None else _read(self.image, place, "image")

    def objects(self, stage: str) -> Iterator[tuple[Progress, list[PlacedObject]]]:
        """Give all objects of all planes in small groups, each with how far that is.

        Parameters
        ----------
        stage : str
            What is being done, for the report. There is one at least for each plane.
        """
        total = max(1, prod(self.shape[:-2]))
        for number, place in enumerate(self.places()):
            found = objects_of_plane(self.read(place), place)
            batches = max(1, -(-len(found) // _BATCH))
            detail = f"plane {number + 1} of {total}" if total > 1 else ""
            for batch in range(batches):
                done = (number + (batch + 1) / batches) / total
                yield Progress(stage, done, detail), found[batch * _BATCH : (batch + 1) * _BATCH]

    def features_by_label(self) -> ObjectFeatures:
        """Return what the features say of each object.

        Raises
        ------
        InputError
            If two rows are about one object.
        """
        return ObjectFeatures(self.features, self.lead)

    def indices(self, place: tuple[int, ...]) -> dict[str, int]:
        """Return the index of a plane along each axis, by names such as "z"."""
        return dict(zip(self.lead.lower(), place, strict=True))


def objects_of_plane(labels: NDArray[Any], place: tuple[int, ...] = ()) -> list[PlacedObject]:
    """Return the objects of a plane, in the order of their labels.

    Parameters
    ----------
    labels : ndarray of integers, shape (H, W)
        Not negative; labels may have gaps and be as large as they like.
    place : tuple of int, optional
        Index of the plane.
    """
    from scipy.ndimage import find_objects

    names = None
    if labels.max(initial=0) > _LARGEST_TABLE:
        names, numbers = np.unique(labels, return_inverse=True)
        first = 0 if names[0] == 0 else 1
        labels = numbers.reshape(labels.shape).astype(np.int32) + first
        names = np.r_[np.zeros(first, names.dtype), names]
    found = []
    for number, window in enumerate(find_objects(labels.astype(np.int32, copy=False)), start=1):
        if window is not None:
            obj_id = number if names is None else int(names[number])
            cut = MaskCut(labels[window] == number, (window[0].start, window[1].start))
            found.append(PlacedObject(obj_id, place, cut))
    return found


def _read(data: Any, place: tuple[int, ...], what: str) -> NDArray[Any]:
    try:
        return np.asarray(data[place] if place else data)
    # The data are the user's, and so is whatever goes wrong when they are read.
    except Exception as error:
        raise InputError(
            f"The {what} cannot be read ({error}): check that the file is there and whole."
        ) from error
