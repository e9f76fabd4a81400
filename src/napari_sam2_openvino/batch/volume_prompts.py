"""Where objects are on some planes of a volume, as a file says it."""

from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError, model_validator

from napari_sam2_openvino._files.images import open_image
from napari_sam2_openvino._files.labels_store import MOST_LABELS
from napari_sam2_openvino.core.errors import InputError, times
from napari_sam2_openvino.core.marks import MaskCut, check_inside
from napari_sam2_openvino.core.records import MaskRecord, Record, first_problem
from napari_sam2_openvino.core.video_predictor import SAM2VideoPredictor
from napari_sam2_openvino.core.video_state import VideoState

_Finite = Annotated[float, Field(allow_inf_nan=False)]


class VolumePrompt(Record):
    """The prompts of one object on one plane.

    Parameters
    ----------
    obj_id : int
        From 1.
    plane : int
        Counted from 0.
    points : tuple of (float, float), optional
        (x, y) in pixels of the plane.
    labels : tuple of int, optional
        1 for foreground, 0 for background; one for each point.
    box : tuple of float, optional
        (x0, y0, x1, y1) in pixels of the plane.
    mask : MaskRecord, optional
        Instead of points and box.
    """

    obj_id: Annotated[int, Field(ge=1, le=MOST_LABELS)]
    plane: Annotated[int, Field(ge=0)]
    points: tuple[tuple[_Finite, _Finite], ...] = ()
    labels: tuple[Literal[0, 1], ...] = ()
    box: tuple[_Finite, _Finite, _Finite, _Finite] | None = None
    mask: MaskRecord | None = None

    @model_validator(mode="after")
    def _says_where(self) -> "VolumePrompt":
        if len(self.points) != len(self.labels):
            raise ValueError("labels must have a 1 or a 0 for each point")
        if (self.mask is None) == (not self.points and self.box is None):
            raise ValueError("each prompt has points, a box or both, or a mask alone")
        if self.box is not None and not (self.box[0] < self.box[2] and self.box[1] < self.box[3]):
            raise ValueError("box must have x0 < x1 and y0 < y1")
        return self

    def check(self, place: str, image_hw: tuple[int, int]) -> None:
        """Raise InputError, which begins with a text, if it is outside planes of a size."""
        height, width = image_hw
        places = list(self.points)
        if self.box is not None:
            x0, y0, x1, y1 = self.box
            places.append(((x0 + x1) / 2, (y0 + y1) / 2))
        for xy in places:
            check_inside(place, xy, image_hw)
        if (cut := self.mask) is not None:
            inside = cut.row >= 0 and cut.column >= 0
            if not (inside and cut.row + cut.height <= height and cut.column + cut.width <= width):
                raise InputError(f"{place} by a mask that is not inside {times(image_hw)}.")

    def give(self, predictor: SAM2VideoPredictor, state: VideoState, **options: Any) -> None:
        """Hand it to a predictor."""
        if self.mask is not None:
            cut = self.mask.value()
            mask = np.zeros(state.image_hw, bool)
            (row, column), (height, width) = cut.origin, cut.mask.shape
            mask[row : row + height, column : column + width] = cut.mask
            predictor.add_new_mask(state, self.plane, self.obj_id, mask, **options)
            return
        predictor.add_new_points_or_box(
            state,
            self.plane,
            self.obj_id,
            self.points or None,
            self.labels or None,
            box=self.box,
            **options,
        )


class VolumePrompts(Record):
    """A file of prompts: ``{"prompts": [{"obj_id": 1, "plane": 12, "box": [...]}, ...]}``."""

    prompts: Annotated[tuple[VolumePrompt, ...], Field(min_length=1)]

    def check(self, n_planes: int, image_hw: tuple[int, int]) -> None:
        """Raise InputError if a prompt is on no plane, or one plane has two of an object."""
        seen = set()
        for prompt in self.prompts:
            place = f"Object {prompt.obj_id} has prompts on plane {prompt.plane}"
            if prompt.plane >= n_planes:
                raise InputError(
                    f"{place}, but planes are 0 to {n_planes - 1}: they are counted from 0."
                )
            if (prompt.obj_id, prompt.plane) in seen:
                raise InputError(f"{place} twice: put them together.")
            seen.add((prompt.obj_id, prompt.plane))
            prompt.check(place, image_hw)

    def masks_on(self, plane: int) -> dict[int, MaskCut]:
        """Return the masks that are given on a plane, by object."""
        return {
            prompt.obj_id: prompt.mask.value()
            for prompt in self.prompts
            if prompt.plane == plane and prompt.mask is not None
        }


def read_prompts(path: Path) -> VolumePrompts:
    """Read a file of prompts.

    Raises
    ------
    InputError
        If it cannot be read or says something else.
    """
    try:
        return VolumePrompts.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(
            f"The prompts {path} cannot be read ({error.strerror}): check the path."
        ) from error
    except ValidationError as error:
        raise InputError(
            f"{path} holds no prompts of a volume ({first_problem(error)}): see docs/volumes.md."
        ) from error


def prompts_from_labels(
    path: Path, plane: int | None, n_planes: int, plane_hw: tuple[int, int]
) -> VolumePrompts:
    """Return a mask for each object that labels have on a plane, or on any.

    Parameters
    ----------
    path : Path
        Labels of one plane, or of all of them.
    plane : int or None
        The plane of the volume, counted from 0; None for each that has objects.
    n_planes : int
        Of the volume.
    plane_hw : tuple of int
        Height and width of its planes, in pixels.

    Raises
    ------
    InputError
        If there are no such labels, or they are of planes of another size.
    """
    if plane is not None and not 0 <= plane < n_planes:
        raise InputError(f"Planes are 0 to {n_planes - 1}, but plane {plane} is asked for.")
    with open_image(path) as file:
        labels = file.levels[0]
        lead = tuple(labels.shape[:-2])
        is_stack = labels.ndim > 2 and prod(lead) == n_planes
        is_plane = labels.ndim >= 2 and prod(lead) == 1
        if np.dtype(labels.dtype).kind not in "ui" or not (is_plane or is_stack):
            raise InputError(
                f"{path} must hold labels of one plane or of {n_planes}, in whole numbers, but "
                f"has shape {times(labels.shape)} and type {labels.dtype}."
            )
        if tuple(labels.shape[-2:]) != plane_hw:
            raise InputError(
                f"{path} must hold labels of planes of {times(plane_hw)} pixels, as the volume "
                f"has, but theirs are {times(labels.shape[-2:])}: choose labels of this volume."
            )
        if plane is None and not is_stack:
            raise InputError(f"{path} holds labels of one plane: say which one it is.")
        planes = range(n_planes) if plane is None else (plane,)
        prompts = tuple(
            prompt
            for number in planes
            for prompt in _objects(_plane(labels, number if is_stack else 0), number, path)
        )
    if not prompts:
        place = "any plane" if plane is None else f"plane {plane}"
        raise InputError(f"{path} has no object on {place}: choose other labels or another plane.")
    return VolumePrompts(prompts=prompts)


def _plane(labels: Any, number: int) -> NDArray[Any]:
    """Return a plane, counted along all axes but the last two, of which one at most is long."""
    lead = tuple(labels.shape[:-2])
    return np.asarray(labels[np.unravel_index(number, lead)] if lead else labels)


def _objects(labels: NDArray[Any], plane: int, path: Path) -> Iterator[VolumePrompt]:
    if labels.max() > MOST_LABELS:
        raise InputError(
            f"Labels go up to {MOST_LABELS}, but {path} has {labels.max()}: renumber its objects."
        )
    for obj_id in np.unique(labels):
        if obj_id > 0:
            cut = _cut(labels == obj_id)
            yield VolumePrompt(obj_id=int(obj_id), plane=plane, mask=MaskRecord.of(cut))


def _cut(mask: NDArray[np.bool_]) -> MaskCut:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return MaskCut(mask[window], (int(rows[0]), int(columns[0])))
