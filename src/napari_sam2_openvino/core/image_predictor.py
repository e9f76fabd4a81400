"""SAM 2's image predictor on OpenVINO."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.mask_resizing import masks_from_logits, resize_logits
from napari_sam2_openvino.core.masks import fill_holes_and_remove_sprinkles
from napari_sam2_openvino.core.model import Sam2Model
from napari_sam2_openvino.core.normalize import to_rgb
from napari_sam2_openvino.core.prompt_arrays import read_boxes, read_mask_input, read_points
from napari_sam2_openvino.core.transforms import (
    LOW_RES_CLAMP,
    build_tokens,
    select_masks,
    to_model_space,
)
from napari_sam2_openvino.core.types import ImageEmbedding, MaskPrediction, Prompts

Float = NDArray[np.float32]
Masks = NDArray[np.bool_] | Float


class SAM2ImagePredictor:
    """Predict masks of an image from prompts: ``sam2.sam2_image_predictor.SAM2ImagePredictor``.

    The image is encoded once, by `set_image`; each `predict` only decodes. Results equal the
    reference in f32 up to rounding, with these differences on purpose:

    - ``masks`` are bool where the reference returns float32 of 0 and 1;
    - images may be grey and of any real dtype (see `to_rgb`); uint8 RGB is treated as in SAM 2;
    - holes and sprinkles are handled on the CPU too, where the reference skips them.

    Parameters
    ----------
    model : Sam2Model
        As returned by `load_model`.
    mask_threshold : float, optional
        In logits; a pixel above it is foreground.
    max_hole_area, max_sprinkle_area : float, optional
        Largest hole that is filled and largest speck that is removed, in pixels of the
        low-resolution mask.
    """

    def __init__(
        self,
        model: Sam2Model,
        mask_threshold: float = 0.0,
        max_hole_area: float = 0.0,
        max_sprinkle_area: float = 0.0,
    ) -> None:
        self.model = model
        self.mask_threshold = mask_threshold
        self.max_hole_area = max_hole_area
        self.max_sprinkle_area = max_sprinkle_area
        self._embeddings: tuple[ImageEmbedding, ...] = ()
        self._is_batch = False

    def set_image(
        self, image: NDArray[Any], *, cancelled: Callable[[], bool] | None = None
    ) -> None:
        """Encode the image that the following predictions are about.

        Parameters
        ----------
        image : ndarray of a real dtype, shape (H, W) or (H, W, 3)
            uint8 goes to the network unchanged, any other dtype by the rule of `to_rgb`.
        cancelled : callable, optional
            Asked every few milliseconds; the encode ends soon after it returns true.

        Raises
        ------
        InputError
            If the image cannot be used.
        JobCancelledError
            If ``cancelled`` returned true; no image is set then.
        """
        self.reset_predictor()
        self.set_embedding(self.model.encode(to_rgb(image), cancelled=cancelled))

    def set_embedding(self, embedding: ImageEmbedding) -> None:
        """Predict from an image that was encoded before."""
        self._embeddings = (embedding,)
        self._is_batch = False

    def set_image_batch(self, image_list: Sequence[NDArray[Any]]) -> None:
        """Encode several images, for `predict_batch`.

        Parameters
        ----------
        image_list : sequence of ndarray
            Each as in `set_image`; sizes may differ.
        """
        self.reset_predictor()
        if len(image_list) == 0:
            raise InputError("image_list must hold at least one image, but is empty.")
        self._embeddings = tuple(self.model.encode(to_rgb(image)) for image in image_list)
        self._is_batch = True

    def predict(
        self,
        point_coords: ArrayLike | None = None,
        point_labels: ArrayLike | None = None,
        box: ArrayLike | None = None,
        mask_input: ArrayLike | None = None,
        multimask_output: bool = True,
        return_logits: bool = False,
        normalize_coords: bool = True,
    ) -> tuple[Masks, Float, Float]:
        """Predict masks for prompts on the image that was set.

        Parameters
        ----------
        point_coords : array_like, shape (n, 2) or (B, n, 2), optional
            (x, y) in pixels of the image.
        point_labels : array_like, shape (n,) or (B, n), optional
            1 for foreground, 0 for background; needed with ``point_coords``.
        box : array_like, shape (4,) or (B, 4), optional
            xyxy in pixels of the image.
        mask_input : array_like, shape (1, h, w) or (B, 1, h, w), optional
            Logits, from the ``low_res_masks`` of an earlier call.
        multimask_output : bool, optional
            Three masks for an ambiguous prompt, or one.
        return_logits : bool, optional
            Logits in the size of the image instead of masks.
        normalize_coords : bool, optional
            False if coordinates are already divided by the width and height of the image.

        Returns
        -------
        masks : ndarray of bool (float32 with ``return_logits``), shape (C, H, W) or (B, C, H, W)
        iou_predictions : ndarray of float32, shape (C,) or (B, C)
        low_res_masks : ndarray of float32, shape (C, h, w) or (B, C, h, w)
            Clamped to +-32; the masks come from the unclamped ones, as in SAM 2.

        Raises
        ------
        InputError
            If no image is set or a prompt cannot be used.
        """
        if not self._embeddings:
            raise InputError("No image is set: call set_image before predict.")
        return self._predict(
            self._embeddings[-1],
            read_points(point_coords, point_labels),
            read_boxes(box),
            read_mask_input(mask_input),
            multimask_output=multimask_output,
            return_logits=return_logits,
            normalize_coords=normalize_coords,
        )

    def predict_prompts(
        self, prompts: Prompts, *, multimask_output: bool | None = None
    ) -> MaskPrediction:
        """Predict masks for the prompts of one object.

        Parameters
        ----------
        prompts : Prompts
        multimask_output : bool, optional
            By default three masks for a single click and one for anything less ambiguous, as SAM
            2's authors advise.

        Returns
        -------
        MaskPrediction
        """
        if multimask_output is None:
            multimask_output = prompts.is_ambiguous
        has_points = len(prompts.point_coords) > 0
        masks, iou_predictions, low_res_masks = self.predict(
            point_coords=prompts.point_coords if has_points else None,
            point_labels=prompts.point_labels if has_points else None,
            box=prompts.box,
            mask_input=prompts.mask_input,
            multimask_output=multimask_output,
        )
        return MaskPrediction(masks.astype(bool, copy=False), iou_predictions, low_res_masks)

    def predict_batch(
        self,
        point_coords_batch: Sequence[ArrayLike] | None = None,
        point_labels_batch: Sequence[ArrayLike] | None = None,
        box_batch: Sequence[ArrayLike] | None = None,
        mask_input_batch: Sequence[ArrayLike] | None = None,
        multimask_output: bool = True,
        return_logits: bool = False,
        normalize_coords: bool = True,
    ) -> tuple[list[Masks], list[Float], list[Float]]:
        """Predict masks for each image of `set_image_batch`.

        Parameters are those of `predict`, one entry for each image.

        Returns
        -------
        tuple of list
            ``masks``, ``iou_predictions`` and ``low_res_masks`` of each image.
        """
        if not self._is_batch:
            raise InputError(
                "No batch of images is set: call set_image_batch before predict_batch."
            )
        columns = (point_coords_batch, point_labels_batch, box_batch, mask_input_batch)
        for column in columns:
            if column is not None and len(column) != len(self._embeddings):
                raise InputError(
                    f"There must be prompts for each of the {len(self._embeddings)} images, "
                    f"but there are {len(column)}."
                )
        results = [
            self._predict(
                embedding,
                read_points(_entry(point_coords_batch, i), _entry(point_labels_batch, i)),
                read_boxes(_entry(box_batch, i)),
                read_mask_input(_entry(mask_input_batch, i)),
                multimask_output=multimask_output,
                return_logits=return_logits,
                normalize_coords=normalize_coords,
            )
            for i, embedding in enumerate(self._embeddings)
        ]
        masks, iou_predictions, low_res_masks = zip(*results, strict=True)
        return list(masks), list(iou_predictions), list(low_res_masks)

    def get_image_embedding(self) -> Float:
        """Return the embedding of the image that was set, ``no_mem_embed`` added as in SAM 2.

        Returns
        -------
        ndarray of float32, shape (1, D, S / 16, S / 16), or (B, ...) for a batch
        """
        if not self._embeddings:
            raise InputError("No image is set: call set_image before get_image_embedding.")
        return np.concatenate([self.model.image_embed(entry) for entry in self._embeddings])

    def reset_predictor(self) -> None:
        """Forget the image."""
        self._embeddings = ()
        self._is_batch = False

    def _predict(
        self,
        embedding: ImageEmbedding,
        points: tuple[Float, NDArray[np.int32]] | None,
        boxes: Float | None,
        mask_input: Float | None,
        *,
        multimask_output: bool,
        return_logits: bool,
        normalize_coords: bool,
    ) -> tuple[Masks, Float, Float]:
        image_hw = embedding.image_hw if normalize_coords else None
        size = self.model.image_size
        coords, labels = points or (None, None)
        if coords is not None:
            coords = to_model_space(coords, image_hw, size)
        if boxes is not None:
            boxes = to_model_space(boxes, image_hw, size)
        if coords is not None and boxes is not None and len(coords) != len(boxes):
            raise InputError(
                "There must be as many boxes as point sets, but there are "
                f"{len(boxes)} boxes and {len(coords)} point sets."
            )
        output = self.model.decode(embedding, *build_tokens(coords, labels, boxes), mask_input)
        logits, scores = select_masks(
            output.low_res_masks,
            output.iou_predictions,
            multimask_output=multimask_output,
            config=self.model.info.config,
        )
        masks = self._full_size(logits, embedding.image_hw, return_logits=return_logits)
        low_res_masks = np.clip(logits, -LOW_RES_CLAMP, LOW_RES_CLAMP)
        if len(masks) == 1:
            return masks[0], scores[0], low_res_masks[0]
        return masks, scores, low_res_masks

    def _full_size(self, logits: Float, image_hw: tuple[int, int], *, return_logits: bool) -> Masks:
        flat = fill_holes_and_remove_sprinkles(
            logits.reshape(-1, *logits.shape[2:]),
            self.mask_threshold,
            self.max_hole_area,
            self.max_sprinkle_area,
        )
        masks: Masks
        if return_logits:
            masks = resize_logits(flat, image_hw)
        else:
            masks = masks_from_logits(flat, image_hw, self.mask_threshold)
        return masks.reshape(*logits.shape[:2], *image_hw)


def _entry(column: Sequence[ArrayLike] | None, index: int) -> ArrayLike | None:
    return None if column is None else column[index]
