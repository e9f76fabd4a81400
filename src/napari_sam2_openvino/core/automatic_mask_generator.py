"""Every object of an image: SAM 2's automatic mask generator on OpenVINO."""

from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_sam2_openvino.core.boxes import suppress_boxes
from napari_sam2_openvino.core.candidates import (
    Candidates,
    MaskRecord,
    OutputMode,
    check_output_mode,
)
from napari_sam2_openvino.core.crop_search import CropSearch
from napari_sam2_openvino.core.crops import crop_boxes, grids_of, read_point_grids
from napari_sam2_openvino.core.errors import InputError, times
from napari_sam2_openvino.core.model import Sam2Model
from napari_sam2_openvino.core.normalize import to_rgb
from napari_sam2_openvino.core.parameters import GeneratorParameters
from napari_sam2_openvino.core.progress import Progress
from napari_sam2_openvino.core.quick_search import GoodEnough
from napari_sam2_openvino.core.types import ImageEmbedding

# How long an encode takes, in points that are decoded: for progress only.
_ENCODE_IN_POINTS = 80


def generate_candidates(
    model: Sam2Model,
    rgb: NDArray[np.uint8],
    parameters: GeneratorParameters,
    *,
    point_grids: Sequence[ArrayLike] | None = None,
    cancelled: Callable[[], bool] | None = None,
    embedding: ImageEmbedding | None = None,
    suppress: bool = True,
    good_enough: GoodEnough | None = None,
) -> Generator[Progress, None, Candidates]:
    """Find the masks of an image, and tell of each batch of points.

    Results equal ``sam2.automatic_mask_generator.SAM2AutomaticMaskGenerator`` in f32 up to
    rounding, with these differences on purpose:

    - a mask without a pixel is never a candidate; SAM 2 returns such masks if the threshold of
      stability is 0;
    - ``min_mask_region_area`` works on the CPU too, where SAM 2 skips it;
    - ``quick``, which SAM 2 does not have, leaves out points inside of objects;
    - crops that would hold no pixel (of tiny images) are left out, where SAM 2 fails.

    Memory holds one batch of low-resolution logits, one strip of full-size ones, and the
    candidates as run lengths, whatever the size of the image.

    Parameters
    ----------
    model : Sam2Model
    rgb : ndarray of uint8, shape (H, W, 3)
        As returned by `to_rgb`.
    parameters : GeneratorParameters
    point_grids : sequence of array_like, shape (n, 2), optional
        Points of the image and of each layer of crops, (x, y) in [0, 1], instead of
        ``points_per_side``.
    cancelled : callable, optional
        Asked between batches and while a crop is encoded.
    embedding : ImageEmbedding, optional
        Of the whole image, if it was encoded before.
    suppress : bool, optional
        Whether duplicates go (`Candidates.suppressed`). Without it the candidates come in the
        order in which they were found, to be filtered later.
    good_enough : GoodEnough, optional
        See `CropSearch`.

    Yields
    ------
    Progress

    Returns
    -------
    Candidates

    Raises
    ------
    InputError
        If the image, the embedding or the grids cannot be used.
    JobCancelledError
        If ``cancelled`` returned true.
    """
    image_hw = _checked_size(rgb, embedding)
    grids = _grids(parameters, point_grids)
    crops = crop_boxes(image_hw, parameters.crop_n_layers, parameters.crop_overlap_ratio)
    total = sum(_ENCODE_IN_POINTS + len(grids[crop.layer]) for crop in crops)
    done, parts = 0, [Candidates.none(image_hw)]
    for number, crop in enumerate(crops):
        where = f" in crop {number + 1} of {len(crops)}" if len(crops) > 1 else ""
        encoded = embedding if crop.layer == 0 else None
        if encoded is None:
            yield Progress(f"Encoding{where}", done / total)
            pixels = np.ascontiguousarray(rgb[crop.y0 : crop.y1, crop.x0 : crop.x1])
            encoded = model.encode(pixels, cancelled=cancelled)
        done += _ENCODE_IN_POINTS
        grid = grids[crop.layer]
        report = _Report(f"Searching{where}", done, len(grid), total)
        search = CropSearch(
            model, encoded, crop, image_hw, parameters, cancelled or _never, good_enough
        )
        found = yield from search.run(grid, report.of)
        done += len(grid)
        if suppress:
            best = suppress_boxes(found.boxes, found.iou_predictions, parameters.box_nms_thresh)
            found = found.take(best)
        parts.append(found)
    candidates = Candidates.joined(parts)
    if suppress and len(crops) > 1:
        every = np.arange(len(candidates))
        candidates = candidates.take(
            candidates.suppressed_between_crops(every, parameters.crop_nms_thresh)
        )
    return candidates


class SAM2AutomaticMaskGenerator:
    """Find every object: ``sam2.automatic_mask_generator.SAM2AutomaticMaskGenerator``.

    Parameters, defaults and results are SAM 2's, but for what `generate_candidates` says. The
    output mode "coco_rle" does not need pycocotools. Unknown parameters are refused, where SAM 2
    takes any.

    Parameters
    ----------
    model : Sam2Model
        As returned by `load_model`.
    points_per_side : int or None, optional
        Points along one side of the image; None if ``point_grids`` is given.
    points_per_batch, pred_iou_thresh, stability_score_thresh, stability_score_offset : optional
    mask_threshold, box_nms_thresh, crop_n_layers, crop_nms_thresh, crop_overlap_ratio : optional
    crop_n_points_downscale_factor, min_mask_region_area : optional
        See `GeneratorParameters`.
    point_grids : sequence of array_like, shape (n, 2), optional
        Points of the image and of each layer of crops, (x, y) in [0, 1].
    output_mode : {"binary_mask", "uncompressed_rle", "coco_rle"}, optional
        Form of each ``segmentation``; see `Candidates.records`.
    use_m2m, multimask_output : bool, optional
        See `GeneratorParameters`.

    Raises
    ------
    InputError
        If a parameter cannot be used.
    """

    def __init__(
        self,
        model: Sam2Model,
        points_per_side: int | None = 32,
        points_per_batch: int = 64,
        pred_iou_thresh: float = 0.8,
        stability_score_thresh: float = 0.95,
        stability_score_offset: float = 1.0,
        mask_threshold: float = 0.0,
        box_nms_thresh: float = 0.7,
        crop_n_layers: int = 0,
        crop_nms_thresh: float = 0.7,
        crop_overlap_ratio: float = 512 / 1500,
        crop_n_points_downscale_factor: int = 1,
        point_grids: Sequence[ArrayLike] | None = None,
        min_mask_region_area: int = 0,
        output_mode: OutputMode = "binary_mask",
        use_m2m: bool = False,
        multimask_output: bool = True,
    ) -> None:
        if (points_per_side is None) == (point_grids is None):
            raise InputError(
                "Exactly one of points_per_side and point_grids must be given: "
                "set points_per_side=None to use your own point_grids."
            )
        check_output_mode(output_mode)
        self.model = model
        self.output_mode: OutputMode = output_mode
        self.parameters = GeneratorParameters(
            # Of no effect where grids are given.
            points_per_side=32 if points_per_side is None else points_per_side,
            points_per_batch=points_per_batch,
            pred_iou_thresh=pred_iou_thresh,
            stability_score_thresh=stability_score_thresh,
            stability_score_offset=stability_score_offset,
            mask_threshold=mask_threshold,
            box_nms_thresh=box_nms_thresh,
            crop_n_layers=crop_n_layers,
            crop_nms_thresh=crop_nms_thresh,
            crop_overlap_ratio=crop_overlap_ratio,
            crop_n_points_downscale_factor=crop_n_points_downscale_factor,
            min_mask_region_area=min_mask_region_area,
            use_m2m=use_m2m,
            multimask_output=multimask_output,
        )
        self.point_grids = _grids(self.parameters, point_grids)

    def generate(
        self, image: NDArray[Any], *, cancelled: Callable[[], bool] | None = None
    ) -> list[MaskRecord]:
        """Find the masks of an image.

        Parameters
        ----------
        image : ndarray of a real dtype, shape (H, W) or (H, W, 3)
            uint8 goes to the network unchanged, any other dtype by the rule of `to_rgb`.
        cancelled : callable, optional
            Asked between batches of points; the search ends soon after it returns true.

        Returns
        -------
        list of dict
            One for each mask, best first, with SAM 2's keys: ``segmentation``, ``area``, ``bbox``
            (XYWH), ``predicted_iou``, ``point_coords``, ``stability_score``, ``crop_box`` (XYWH).

        Raises
        ------
        InputError
            If the image cannot be used.
        JobCancelledError
            If ``cancelled`` returned true.
        """
        return self.candidates(image, cancelled=cancelled).records(self.output_mode)

    def candidates(
        self,
        image: NDArray[Any],
        *,
        cancelled: Callable[[], bool] | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Candidates:
        """Find the masks of an image, in the compact form that can be filtered and stored.

        Parameters
        ----------
        image, cancelled
            As for `generate`.
        on_progress : callable, optional
            Told of each batch of points.
        """
        job = generate_candidates(
            self.model,
            to_rgb(image),
            self.parameters,
            point_grids=self.point_grids,
            cancelled=cancelled,
        )
        while True:
            try:
                progress = next(job)
            except StopIteration as stop:
                found: Candidates = stop.value
                return found
            if on_progress is not None:
                on_progress(progress)


class _Report(NamedTuple):
    """Makes reports of the search of one crop; counts are of points."""

    stage: str
    before: int
    in_crop: int
    total: int

    def of(self, done: int) -> Progress:
        detail = f"{done} of {self.in_crop} points"
        return Progress(self.stage, (self.before + done) / self.total, detail)


def _checked_size(rgb: NDArray[np.uint8], embedding: ImageEmbedding | None) -> tuple[int, int]:
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or not rgb.size:
        raise InputError(
            "The image must be uint8 of shape (H, W, 3) with at least one pixel, but is "
            f"{rgb.dtype} of shape {rgb.shape}: make it with to_rgb."
        )
    image_hw = rgb.shape[0], rgb.shape[1]
    if embedding is not None and embedding.image_hw != image_hw:
        raise InputError(
            f"The embedding must be of the image of {times(image_hw)} pixels, but is of one of "
            f"{times(embedding.image_hw)}: encode this image."
        )
    return image_hw


def _grids(
    parameters: GeneratorParameters, given: Sequence[ArrayLike] | None
) -> list[NDArray[np.float64]]:
    if given is None:
        return grids_of(parameters)
    return read_point_grids(given, parameters.crop_n_layers)


def _never() -> bool:
    return False
