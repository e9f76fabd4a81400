"""What the grid of points found on one plane, kept so that it can be filtered again and again."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal, TypedDict, get_args

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.boxes import suppress_boxes
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.marks import MaskCut
from napari_sam2_openvino.core.rle import MaskRuns, compressed_counts

if TYPE_CHECKING:
    from napari_sam2_openvino.core.object_parameters import CandidateFilter

OutputMode = Literal["binary_mask", "uncompressed_rle", "coco_rle"]


class UncompressedRle(TypedDict):
    """Run lengths column by column, background first; ``size`` is (H, W)."""

    size: list[int]
    counts: list[int]


class CocoRle(TypedDict):
    """The same in COCO's compressed form."""

    size: list[int]
    counts: str


class MaskRecord(TypedDict):
    """One mask as ``SAM2AutomaticMaskGenerator.generate`` returns it; boxes are XYWH in pixels."""

    segmentation: NDArray[np.bool_] | UncompressedRle | CocoRle
    area: int
    bbox: list[float]
    predicted_iou: float
    point_coords: list[list[float]]
    stability_score: float
    crop_box: list[float]


@dataclass(frozen=True, eq=False)
class Candidates:
    """The masks that a grid of points gave on one plane, and what is known of each.

    All arrays have one entry for each of n candidates, in the order in which they were found (by
    crop, then by point, then by mask token), or best first once suppressed. None is empty.

    Parameters
    ----------
    image_hw : tuple of int
        Height and width of the plane in pixels.
    masks : tuple of MaskRuns
        At full resolution, each cut to its object. `cut` decodes one.
    boxes : ndarray of float32, shape (n, 4)
        xyxy in pixels of the plane; the last column and row belong to the box, so that a single
        pixel has x0 == x1 (``sam2.utils.amg.batched_mask_to_box``).
    iou_predictions : ndarray of float32, shape (n,)
        The model's own estimate of each mask's IoU.
    stability_scores : ndarray of float32, shape (n,)
        IoU of the mask with itself between two thresholds of its logits at full resolution, 0 to 1.
    point_coords : ndarray of float32, shape (n, 2)
        The point that gave the mask, (x, y) in pixels of the plane.
    crop_boxes : ndarray of float32, shape (n, 4)
        xyxy of the crop that was encoded, in pixels of the plane; x1 and y1 are not part of it.
    areas : ndarray of int64, shape (n,)
        In pixels.

    Raises
    ------
    InputError
        If the arrays do not have one entry for each mask.
    """

    image_hw: tuple[int, int]
    masks: tuple[MaskRuns, ...]
    boxes: NDArray[np.float32]
    iou_predictions: NDArray[np.float32]
    stability_scores: NDArray[np.float32]
    point_coords: NDArray[np.float32]
    crop_boxes: NDArray[np.float32]
    areas: NDArray[np.int64]

    def __post_init__(self) -> None:
        count = len(self.masks)
        shapes = {
            "boxes": (count, 4),
            "iou_predictions": (count,),
            "stability_scores": (count,),
            "point_coords": (count, 2),
            "crop_boxes": (count, 4),
            "areas": (count,),
        }
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise InputError(
                    f"{name} must have shape {shape} for {count} masks, "
                    f"but has shape {getattr(self, name).shape}."
                )

    def __len__(self) -> int:
        """Return the number of candidates."""
        return len(self.masks)

    @classmethod
    def none(cls, image_hw: tuple[int, int]) -> "Candidates":
        """Return no candidates, of a plane of this size."""
        scores, boxes = np.zeros(0, np.float32), np.zeros((0, 4), np.float32)
        return cls(image_hw, (), boxes, scores, scores, boxes[:, :2], boxes, np.zeros(0, np.int64))

    @classmethod
    def joined(cls, parts: Sequence["Candidates"]) -> "Candidates":
        """Join candidates of the same plane, in this order; there must be at least one part."""
        arrays = {
            field.name: np.concatenate([getattr(part, field.name) for part in parts])
            for field in fields(cls)
            if field.name not in ("image_hw", "masks")
        }
        masks = tuple(mask for part in parts for mask in part.masks)
        return cls(image_hw=parts[0].image_hw, masks=masks, **arrays)

    def take(self, indices: NDArray[np.intp] | NDArray[np.bool_] | Sequence[int]) -> "Candidates":
        """Return some of the candidates.

        Parameters
        ----------
        indices : array_like of int, shape (m,), or ndarray of bool, shape (n,)
            Which ones, in this order.
        """
        chosen = np.asarray(indices)
        chosen = np.flatnonzero(chosen) if chosen.dtype == bool else chosen.astype(np.intp)
        arrays = {
            field.name: getattr(self, field.name)[chosen]
            for field in fields(self)
            if field.name not in ("image_hw", "masks")
        }
        masks = tuple(self.masks[index] for index in chosen)
        return Candidates(image_hw=self.image_hw, masks=masks, **arrays)

    def cut(self, index: int) -> MaskCut:
        """Return one mask, cut to its object."""
        return self.masks[index].cut()

    def suppressed(self, box_nms_thresh: float, crop_nms_thresh: float) -> NDArray[np.intp]:
        """Return which candidates remain when duplicates go, by the IoU of boxes.

        First within each crop, where the higher predicted IoU wins; then, if there are several
        crops, between them, where the smaller crop wins. As in SAM 2, boxes count, not masks.

        Parameters
        ----------
        box_nms_thresh, crop_nms_thresh : float
            IoU above which the worse of two goes; 1 keeps all.

        Returns
        -------
        ndarray of int, shape (m,)
            Indices for `take`: best first, by crop.
        """
        crops, crop_of = np.unique(self.crop_boxes, axis=0, return_inverse=True)
        crop_of = crop_of.reshape(-1)
        # In the order in which the crops were run.
        first = [int(np.flatnonzero(crop_of == crop)[0]) for crop in range(len(crops))]
        kept = [np.zeros(0, np.intp)]
        for crop in np.argsort(first):
            own = np.flatnonzero(crop_of == crop)
            best = suppress_boxes(self.boxes[own], self.iou_predictions[own], box_nms_thresh)
            kept.append(own[best])
        indices = np.concatenate(kept)
        return (
            self.suppressed_between_crops(indices, crop_nms_thresh) if len(crops) > 1 else indices
        )

    def suppressed_between_crops(
        self, indices: NDArray[np.intp], crop_nms_thresh: float
    ) -> NDArray[np.intp]:
        """Return which of ``indices`` remain when those of smaller crops win over others."""
        x0, y0, x1, y1 = self.crop_boxes[indices].T
        scores = np.float32(1) / ((x1 - x0) * (y1 - y0))
        return np.asarray(indices[suppress_boxes(self.boxes[indices], scores, crop_nms_thresh)])

    def filter(self, criteria: "CandidateFilter | None" = None) -> "Candidates":
        """Return the candidates that are objects by some thresholds, see `filter_candidates`.

        Examples
        --------
        >>> from napari_sam2_openvino.core.object_parameters import CandidateFilter
        >>> objects = Candidates.none((512, 512)).filter(CandidateFilter(pred_iou_thresh=0.9))
        >>> len(objects)
        0
        """
        from napari_sam2_openvino.core.candidate_filter import filter_candidates

        return filter_candidates(self, criteria)

    def records(self, output_mode: OutputMode = "binary_mask") -> list[MaskRecord]:
        """Return the candidates as SAM 2's generator does: one dict with its keys for each.

        Parameters
        ----------
        output_mode : {"binary_mask", "uncompressed_rle", "coco_rle"}, optional
            Form of the ``segmentation``: bool of shape (H, W), run lengths as a list of int, or
            COCO's compressed string (for which pycocotools is not needed).

        Raises
        ------
        InputError
            If there is no such mode.
        """
        check_output_mode(output_mode)
        return [
            MaskRecord(
                segmentation=self._segmentation(mask, output_mode),
                area=int(self.areas[index]),
                bbox=_xywh(self.boxes[index]),
                predicted_iou=float(self.iou_predictions[index]),
                point_coords=[self.point_coords[index].tolist()],
                stability_score=float(self.stability_scores[index]),
                crop_box=_xywh(self.crop_boxes[index]),
            )
            for index, mask in enumerate(self.masks)
        ]

    def _segmentation(
        self, mask: MaskRuns, output_mode: OutputMode
    ) -> NDArray[np.bool_] | UncompressedRle | CocoRle:
        if output_mode == "binary_mask":
            return mask.mask(self.image_hw)
        counts, size = mask.plane_counts(self.image_hw), list(self.image_hw)
        if output_mode == "uncompressed_rle":
            return UncompressedRle(size=size, counts=counts.tolist())
        return CocoRle(size=size, counts=compressed_counts(counts))


def check_output_mode(output_mode: str) -> None:
    """Raise InputError if SAM 2 has no such output mode."""
    if output_mode not in get_args(OutputMode):
        raise InputError(
            f"output_mode must be one of {', '.join(get_args(OutputMode))}, but is {output_mode!r}."
        )


def _xywh(xyxy: NDArray[np.float32]) -> list[float]:
    x0, y0, x1, y1 = xyxy.tolist()
    return [x0, y0, x1 - x0, y1 - y0]
