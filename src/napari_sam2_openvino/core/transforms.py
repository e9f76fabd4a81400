"""Pure functions between pixels, model space and the decoder's masks.

They follow ``sam2.utils.transforms.SAM2Transforms``, ``sam2.modeling.sam.prompt_encoder`` and
``sam2.modeling.sam.mask_decoder``: the rules are SAM 2's, the arithmetic is numpy's.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_sam2_openvino.core.model_folder import ModelConfig

Float = NDArray[np.float32]

IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
IMAGENET_STD = np.array([0.229, 0.224, 0.225], np.float32)

NOT_A_POINT = -1
BOX_TOP_LEFT = 2
BOX_BOTTOM_RIGHT = 3
LOW_RES_CLAMP = 32.0


def preprocess(rgb: NDArray[np.uint8], image_size: int) -> Float:
    """Make the input of the image encoder.

    To [0, 1], bilinear antialiased resize to a square without keeping the aspect, then ImageNet's
    mean and deviation. Pillow's bilinear filter in mode "F" is the kernel of torchvision's
    antialiased resize.

    Parameters
    ----------
    rgb : ndarray of uint8, shape (H, W, 3)
        The image that the network sees.
    image_size : int
        S, the model's side in pixels.

    Returns
    -------
    ndarray of float32, shape (1, 3, S, S)
    """
    planes = np.empty((1, 3, image_size, image_size), np.float32)
    for channel in range(3):
        pixels = Image.fromarray(rgb[..., channel].astype(np.float32) / np.float32(255))
        resized = pixels.resize((image_size, image_size), Image.Resampling.BILINEAR)
        planes[0, channel] = (resized - IMAGENET_MEAN[channel]) / IMAGENET_STD[channel]
    return planes


def to_model_space(coords: Float, image_hw: tuple[int, int] | None, image_size: int) -> Float:
    """Scale (x, y) coordinates to the model's square.

    Parameters
    ----------
    coords : ndarray of float32, shape (..., 2)
        (x, y) in pixels of the image, or in [0, 1] where ``image_hw`` is None.
    image_hw : tuple of int or None
        Height and width of the image in pixels.
    image_size : int
        S, the model's side in pixels.

    Returns
    -------
    ndarray of float32, shape (..., 2)
        (x, y) in [0, S]; the half pixel is added by the graph.
    """
    if image_hw is not None:
        coords = np.divide(coords, np.array(image_hw[::-1], np.float32), dtype=np.float32)
    return np.multiply(coords, np.float32(image_size), dtype=np.float32)


def build_tokens(
    point_coords: Float | None, point_labels: NDArray[np.int32] | None, boxes: Float | None
) -> tuple[Float, NDArray[np.int32]]:
    """Lay out the point tokens of the mask decoder; nothing else may build them.

    Boxes come first as two corners, then the points, then one token that is not a point. Without
    points and boxes there is no token at all (``SAM2ImagePredictor._predict`` and
    ``PromptEncoder.forward``). The number of tokens that are not a point changes the result, so
    they never serve as padding.

    Parameters
    ----------
    point_coords : ndarray of float32, shape (B, n, 2), or None
        (x, y) in model space.
    point_labels : ndarray of int32, shape (B, n), or None
        1 or 0.
    boxes : ndarray of float32, shape (B, 2, 2), or None
        The two corners of each box as (x, y) in model space.

    Returns
    -------
    coords : ndarray of float32, shape (B, N, 2)
    labels : ndarray of int32, shape (B, N)
    """
    coords: list[Float] = []
    labels: list[NDArray[np.int32]] = []
    if boxes is not None:
        corners = np.array([BOX_TOP_LEFT, BOX_BOTTOM_RIGHT], np.int32)
        coords.append(boxes)
        labels.append(np.tile(corners, (len(boxes), 1)))
    if point_coords is not None and point_labels is not None:
        coords.append(point_coords)
        labels.append(point_labels)
    if not coords:
        return np.zeros((1, 0, 2), np.float32), np.zeros((1, 0), np.int32)
    batch = len(coords[0])
    coords.append(np.zeros((batch, 1, 2), np.float32))
    labels.append(np.full((batch, 1), NOT_A_POINT, np.int32))
    return np.concatenate(coords, axis=1), np.concatenate(labels, axis=1)


def blank_tokens(batch: int) -> tuple[Float, NDArray[np.int32]]:
    """Return the tokens of a plane without points: two that are not a point.

    ``SAM2Base._forward_sam_heads`` gives one, and the prompt encoder appends the other.

    Parameters
    ----------
    batch : int
        B, the number of objects.

    Returns
    -------
    coords : ndarray of float32, shape (B, 2, 2)
    labels : ndarray of int32, shape (B, 2)
    """
    return np.zeros((batch, 2, 2), np.float32), np.full((batch, 2), NOT_A_POINT, np.int32)


def select_masks(
    low_res_masks: Float, iou_predictions: Float, *, multimask_output: bool, config: ModelConfig
) -> tuple[Float, Float]:
    """Choose which of the decoder's four masks count (``MaskDecoder.forward``).

    Parameters
    ----------
    low_res_masks : ndarray of float32, shape (B, 4, h, w)
    iou_predictions : ndarray of float32, shape (B, 4)
    multimask_output : bool
        Masks 1 to 3 if true. Otherwise mask 0, or the best of 1 to 3 by score where mask 0 is
        unstable and the model says so (``dynamic_multimask_via_stability``).
    config : ModelConfig
        Gives the delta and the threshold of stability.

    Returns
    -------
    masks : ndarray of float32, shape (B, 3 or 1, h, w)
    scores : ndarray of float32, shape (B, 3 or 1)
    """
    if multimask_output:
        return low_res_masks[:, 1:], iou_predictions[:, 1:]
    rows, chosen = (
        np.arange(len(low_res_masks)),
        single_token(low_res_masks, iou_predictions, config),
    )
    return low_res_masks[rows, chosen][:, None], iou_predictions[rows, chosen][:, None]


def best_of_three(iou_predictions: Float) -> NDArray[np.intp]:
    """Return, for each row of scores (B, 4), which of masks 1 to 3 has the highest."""
    best: NDArray[np.intp] = 1 + np.argmax(iou_predictions[:, 1:], axis=1)
    return best


def single_token(
    low_res_masks: Float, iou_predictions: Float, config: ModelConfig
) -> NDArray[np.intp]:
    """Return which of the four masks is SAM 2's answer to a prompt that is not ambiguous.

    Parameters
    ----------
    low_res_masks : ndarray of float32, shape (B, 4, h, w)
    iou_predictions : ndarray of float32, shape (B, 4)
    config : ModelConfig

    Returns
    -------
    ndarray of int, shape (B,)
        0, or the best of 1 to 3 where mask 0 is unstable; see `select_masks`.
    """
    chosen = np.zeros(len(low_res_masks), np.intp)
    if config.dynamic_multimask_via_stability:
        stability = stability_scores(low_res_masks[:, 0], config.dynamic_multimask_stability_delta)
        unstable = stability < np.float32(config.dynamic_multimask_stability_thresh)
        chosen[unstable] = best_of_three(iou_predictions[unstable])
    return chosen


def stability_scores(logits: Float, delta: float) -> Float:
    """Return the IoU of each mask with itself between thresholds +delta and -delta.

    Parameters
    ----------
    logits : ndarray of float32, shape (B, h, w)
    delta : float
        Distance of both thresholds from 0, in logits.

    Returns
    -------
    ndarray of float32, shape (B,)
        1 where the larger mask is empty, as in SAM 2.
    """
    inner = np.count_nonzero(logits > delta, axis=(1, 2)).astype(np.float32)
    outer = np.count_nonzero(logits > -delta, axis=(1, 2)).astype(np.float32)
    scores: Float = np.ones_like(inner)
    np.divide(inner, outer, out=scores, where=outer > 0)
    return scores
