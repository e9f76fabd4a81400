"""The values that cross module borders: frozen, and validated when they are made."""

import hashlib
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_sam2_openvino.core.errors import InputError

FOREGROUND = 1
BACKGROUND = 0
# Beyond it float32 could not be scaled to the size of a model any more.
MAX_COORDINATE = 1e9


def _no_points() -> NDArray[np.float32]:
    return np.zeros((0, 2), np.float32)


def _no_labels() -> NDArray[np.int32]:
    return np.zeros(0, np.int32)


@dataclass(frozen=True, eq=False)
class Prompts:
    """What the user says about one object on one plane.

    Parameters
    ----------
    point_coords : array_like of float32, shape (n, 2)
        Clicks as (x, y) in pixels of the image; an integer is the centre of a pixel.
    point_labels : array_like of int32, shape (n,)
        1 for foreground, 0 for background.
    box : array_like of float32, shape (4,), optional
        xyxy in pixels of the image, x0 < x1 and y0 < y1.
    mask_input : array_like of float32, shape (1, h, w), optional
        Low-resolution logits, a quarter of the model's image size.

    Raises
    ------
    InputError
        If a shape, a label or a coordinate cannot be used.
    """

    point_coords: NDArray[np.float32] = field(default_factory=_no_points)
    point_labels: NDArray[np.int32] = field(default_factory=_no_labels)
    box: NDArray[np.float32] | None = None
    mask_input: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        coords = coordinates(self.point_coords, "point_coords")
        if coords.size == 0:
            coords = coords.reshape(0, 2)
        if coords.ndim != 2 or coords.shape[1] != 2:
            raise InputError(
                f"point_coords must have shape (n, 2), (x, y) each, but has shape {coords.shape}."
            )
        labels = np.asarray(self.point_labels)
        if labels.shape != (len(coords),):
            raise InputError(
                f"point_labels must have one entry for each of the {len(coords)} points, "
                f"but has shape {labels.shape}: give a 1 or a 0 for each point."
            )
        if not np.isin(labels, (FOREGROUND, BACKGROUND)).all():
            raise InputError(
                "point_labels must be 1 (foreground) or 0 (background), but contains "
                f"{np.unique(labels).tolist()}."
            )
        object.__setattr__(self, "point_coords", coords)
        object.__setattr__(self, "point_labels", labels.astype(np.int32))
        if self.box is not None:
            object.__setattr__(self, "box", _valid_box(self.box))
        if self.mask_input is not None:
            mask_input = finite_array(self.mask_input, "mask_input")
            if mask_input.ndim != 3 or mask_input.shape[0] != 1:
                raise InputError(
                    f"mask_input must have shape (1, h, w), but has shape {mask_input.shape}."
                )
            object.__setattr__(self, "mask_input", mask_input)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to predict from: no foreground point, box or mask."""
        no_foreground = not (self.point_labels == FOREGROUND).any()
        return no_foreground and self.box is None and self.mask_input is None

    @property
    def is_ambiguous(self) -> bool:
        """Whether the prompt is a single click, for which SAM 2 advises several masks."""
        return len(self.point_coords) == 1 and self.box is None and self.mask_input is None

    def digest(self) -> str:
        """Return a hash of the content: equal prompts have equal digests."""
        hasher = hashlib.blake2b(digest_size=16)
        for array in (self.point_coords, self.point_labels, self.box, self.mask_input):
            if array is not None:
                hasher.update(np.ascontiguousarray(array).tobytes())
            hasher.update(b"|")
        return hasher.hexdigest()


@dataclass(frozen=True, eq=False)
class MaskPrediction:
    """The answer to one set of prompts.

    Parameters
    ----------
    masks : ndarray of bool, shape (C, H, W)
        C masks in the size of the image.
    iou_predictions : ndarray of float32, shape (C,)
        The model's own estimate of each mask's IoU.
    low_res_masks : ndarray of float32, shape (C, h, w)
        Logits clamped to +-32, to be given back as ``mask_input``.
    """

    masks: NDArray[np.bool_]
    iou_predictions: NDArray[np.float32]
    low_res_masks: NDArray[np.float32]

    def __post_init__(self) -> None:
        counts = len(self.masks), len(self.iou_predictions), len(self.low_res_masks)
        if self.masks.ndim != 3 or len(set(counts)) != 1:
            raise InputError(
                "masks, iou_predictions and low_res_masks must hold the same number of masks, "
                f"but have shapes {self.masks.shape}, {self.iou_predictions.shape} and "
                f"{self.low_res_masks.shape}."
            )

    @property
    def best(self) -> int:
        """Index of the mask with the highest predicted IoU."""
        return int(np.argmax(self.iou_predictions))


@dataclass(frozen=True, eq=False)
class ImageEmbedding:
    """What the image encoder keeps of one image; enough to decode any prompt.

    Parameters
    ----------
    image_embed : ndarray of float16 or float32, shape (1, D, S / 16, S / 16)
        Raw: ``no_mem_embed`` is not yet added.
    high_res_feats : tuple of ndarray
        Shapes (1, D / 8, S / 4, S / 4) and (1, D / 4, S / 8, S / 8).
    image_hw : tuple of int
        Height and width of the image in pixels.
    """

    image_embed: NDArray[np.floating]
    high_res_feats: tuple[NDArray[np.floating], NDArray[np.floating]]
    image_hw: tuple[int, int]

    @property
    def nbytes(self) -> int:
        """Memory held by the arrays, in bytes."""
        return int(self.image_embed.nbytes + sum(feats.nbytes for feats in self.high_res_feats))


@dataclass(frozen=True)
class PlaneIndex:
    """One plane of an nD image: the index of every axis that is not displayed.

    Parameters
    ----------
    index : tuple of (int or None)
        One entry for each axis of the image's data, RGB's channel axis left out; None where the
        axis is displayed. ``(4, None, None)`` is the fifth plane of a (z, y, x) stack.
    transposed : bool, optional
        Whether the displayed axes are shown as (column, row), that is in falling order.
    """

    index: tuple[int | None, ...]
    transposed: bool = False

    def __post_init__(self) -> None:
        if self.index.count(None) != 2:
            raise InputError(
                f"A plane has exactly two displayed axes, but {self.index} has "
                f"{self.index.count(None)}: switch the viewer to 2D."
            )

    @property
    def turned(self) -> "PlaneIndex":
        """The same pixels, with rows and columns swapped."""
        return replace(self, transposed=not self.transposed)

    @property
    def displayed(self) -> tuple[int, int]:
        """The displayed axes as (row axis, column axis) of what the viewer shows."""
        first, second = (axis for axis, value in enumerate(self.index) if value is None)
        return (second, first) if self.transposed else (first, second)


def finite_array(values: ArrayLike, name: str) -> NDArray[np.float32]:
    """Return float32 values, of which none is NaN or infinite, or raise InputError."""
    try:
        given = np.asarray(values)
        if given.dtype.kind == "c":
            raise TypeError("some are complex")
        with np.errstate(over="ignore"):
            array = given.astype(np.float32, copy=False)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(f"{name} must be an array of numbers ({error}).") from error
    if not np.isfinite(array).all():
        raise InputError(f"{name} must be finite numbers, but contains NaN or infinity.")
    return array


def coordinates(values: ArrayLike, name: str) -> NDArray[np.float32]:
    """Return float32 coordinates that can be computed with, or raise InputError."""
    array = finite_array(values, name)
    if (np.abs(array) > MAX_COORDINATE).any():
        raise InputError(
            f"{name} must be at most {MAX_COORDINATE:.0e}, but contains "
            f"{array.flat[np.abs(array).argmax()]:.3g}: no image is as large."
        )
    return array


def _valid_box(values: ArrayLike) -> NDArray[np.float32]:
    box = coordinates(values, "box")
    if box.shape != (4,):
        raise InputError(f"box must be (x0, y0, x1, y1), but has shape {box.shape}.")
    if box[0] >= box[2] or box[1] >= box[3]:
        raise InputError(
            f"box must have x0 < x1 and y0 < y1, but is {box.tolist()}: draw it larger."
        )
    return box
