"""A volume or time series that objects are propagated through, and what comes out of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.errors import InputError, times
from napari_sam2_openvino.core.mask_resizing import (
    logits_window,
    masks_from_logits,
    resize_logits,
)
from napari_sam2_openvino.core.memory import ObjectState
from napari_sam2_openvino.core.normalize import ChannelView
from napari_sam2_openvino.core.planes import PlaneSource, StretchCache, make_plane_source
from napari_sam2_openvino.core.reading import ImageArrays
from napari_sam2_openvino.core.types import PlaneIndex

Float = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class FramePrediction:
    """The objects on one plane; unpacks into ``frame_idx, obj_ids, masks`` as in SAM 2.

    Parameters
    ----------
    frame_idx : int
        The plane, counted from 0.
    obj_ids : tuple of int
    low_res_masks : ndarray of float32, shape (n, S / 4, S / 4)
        Logits, one mask for each object.
    object_scores : ndarray of float32, shape (n,)
        Logit of each object being there; NaN where it was not looked for.
    image_hw : tuple of int
        Height and width of a plane in pixels.
    """

    frame_idx: int
    obj_ids: tuple[int, ...]
    low_res_masks: Float
    object_scores: Float
    image_hw: tuple[int, int]

    @property
    def masks(self) -> NDArray[np.bool_]:
        """The masks in the size of a plane, shape (n, H, W); made anew each time."""
        return masks_from_logits(self.low_res_masks, self.image_hw)

    @property
    def mask_logits(self) -> Float:
        """SAM 2's ``video_res_masks``: logits in the size of a plane, shape (n, H, W)."""
        return resize_logits(self.low_res_masks, self.image_hw)

    @property
    def labels(self) -> NDArray[np.uint32]:
        """The objects as labels, shape (H, W); where masks overlap the highest logit counts.

        The rule of ``SAM2Base._apply_non_overlapping_constraints``.
        """
        labels = np.zeros(self.image_hw, np.uint32)
        highest = np.zeros(self.image_hw, np.float32)
        low_res_hw = self.low_res_masks.shape[1:]
        for obj_id, logits in zip(self.obj_ids, self.low_res_masks, strict=True):
            part, (row, column) = logits_window(logits, (0, 0), low_res_hw, self.image_hw)
            window = np.s_[row : row + part.shape[0], column : column + part.shape[1]]
            is_its = part > highest[window]
            labels[window][is_its] = obj_id
            highest[window][is_its] = part[is_its]
        return labels

    def __iter__(self) -> Iterator[Any]:
        """Give ``frame_idx``, ``obj_ids`` and ``masks``."""
        return iter((self.frame_idx, self.obj_ids, self.masks))


@dataclass(eq=False)
class VideoState:
    """SAM 2's ``inference_state``: planes, and what is known of each object.

    Parameters
    ----------
    planes : tuple of PlaneSource
        All of one size.
    objects : dict of int to ObjectState
        By ``obj_id``, in the order in which they were prompted first.
    embedding_keys : dict of int to str
        What the embedding cache calls each plane that was encoded.
    """

    planes: tuple[PlaneSource, ...]
    objects: dict[int, ObjectState] = field(default_factory=dict)
    embedding_keys: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        sizes = sorted({plane.hw for plane in self.planes})
        if len(sizes) != 1:
            raise InputError(
                "Planes must be there and have one size, but their sizes are "
                f"{', '.join(map(times, sizes)) or 'none'}."
            )

    @property
    def num_frames(self) -> int:
        """How many planes there are."""
        return len(self.planes)

    @property
    def image_hw(self) -> tuple[int, int]:
        """Height and width of a plane in pixels."""
        return self.planes[0].hw

    @property
    def obj_ids(self) -> tuple[int, ...]:
        """The objects."""
        return tuple(self.objects)

    def check_frame(self, frame_idx: int) -> None:
        """Raise InputError if there is no such plane."""
        if not 0 <= frame_idx < self.num_frames:
            raise InputError(
                f"frame_idx must be a plane from 0 to {self.num_frames - 1}, but is {frame_idx}."
            )

    def check_object(self, frame_idx: int, obj_id: int) -> None:
        """Raise InputError if there is no such plane, or this is no number of an object."""
        self.check_frame(frame_idx)
        if isinstance(obj_id, bool) or not isinstance(obj_id, int | np.integer) or obj_id < 1:
            raise InputError(f"obj_id must be a whole number from 1, but is {obj_id!r}.")

    def object_state(self, obj_id: int) -> ObjectState:
        """Return an object, or raise InputError if it is not there."""
        if obj_id not in self.objects:
            known = ", ".join(map(str, self.obj_ids)) or "none"
            raise InputError(f"There is no object {obj_id}: the objects are {known}.")
        return self.objects[obj_id]


def read_planes(video: Any, view: ChannelView | None = None) -> tuple[PlaneSource, ...]:
    """Return the planes of a volume or time series; nothing is read yet.

    Parameters
    ----------
    video : array-like or sequence of PlaneSource
        (planes, height, width), or (planes, height, width, 3 or 4) for RGB. Anything with
        ``shape``, ``dtype`` and basic indexing: numpy, memmap, dask, zarr, ...
    view : ChannelView, optional
        How bright the network sees it; by default as in `to_rgb`, plane by plane.

    Raises
    ------
    InputError
        If it is something else.
    """
    if not hasattr(video, "shape") or not hasattr(video, "dtype"):
        return _sources(video)
    shape = tuple(int(length) for length in video.shape)
    is_rgb = len(shape) == 4 and shape[3] in (3, 4)
    if len(shape) != 3 and not is_rgb:
        raise InputError(
            "A volume must have shape (planes, height, width), or (planes, height, width, 3) for "
            f"RGB, but has shape {times(shape)}: choose one axis of planes."
        )
    # The array is kept by the sources, so its address stays its own.
    image = ImageArrays((video,), ("volume", id(video)), "The volume", is_rgb)
    measured = StretchCache()
    return tuple(
        make_plane_source((image,), PlaneIndex((number, None, None)), view, measured)
        for number in range(shape[0])
    )


def _sources(video: Sequence[PlaneSource]) -> tuple[PlaneSource, ...]:
    if isinstance(video, list | tuple) and all(isinstance(each, PlaneSource) for each in video):
        return tuple(video)
    raise InputError(
        "A volume must be an array of shape (planes, height, width), but is of type "
        f"{type(video).__name__}."
    )
