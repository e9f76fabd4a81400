"""Pure functions between pixels, model space and masks.

They follow ``sam2.utils.transforms.SAM2Transforms``, ``sam2.modeling.sam.prompt_encoder`` and
``sam2.modeling.sam.mask_decoder``: the rules are SAM 2's, the arithmetic is numpy's.
"""

import math
from typing import NamedTuple

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


class _Taps(NamedTuple):
    """For each output sample, its two source samples and the weight of the second."""

    low: NDArray[np.intp]
    high: NDArray[np.intp]
    weight: Float


def _taps(n_in: int, n_out: int, first: int = 0, stop: int | None = None) -> _Taps:
    """Return the taps of the outputs ``first`` to ``stop``, of all ``n_out`` by default."""
    outputs = np.arange(first, n_out if stop is None else stop)
    source = np.maximum((outputs + 0.5) * (n_in / n_out) - 0.5, 0.0)
    low = np.minimum(source.astype(np.intp), n_in - 1)
    return _Taps(low, np.minimum(low + 1, n_in - 1), (source - low).astype(np.float32))


def _reach(n_in: int, n_out: int, wanted: NDArray[np.bool_], offset: int) -> tuple[int, _Taps]:
    """Return the outputs that read at or between wanted samples: the first, and their taps.

    ``wanted`` begins at sample ``offset`` of ``n_in``. The outputs read at most one sample beyond
    the outermost wanted ones.
    """
    found = np.flatnonzero(wanted)
    lowest, highest = offset + int(found[0]), offset + int(found[-1])
    # Where they must lie by the formula of the taps, and one more against rounding.
    first = max(0, math.floor((lowest - 0.5) * n_out / n_in - 0.5) - 1)
    stop = min(n_out, math.ceil((highest + 1.5) * n_out / n_in - 0.5) + 2)
    taps = _taps(n_in, n_out, first, stop)
    reads = np.flatnonzero((taps.high >= lowest) & (taps.low <= highest))
    if not len(reads):
        return first, _taps(n_in, n_out, first, first)
    span = slice(int(reads[0]), int(reads[-1]) + 1)
    return first + span.start, _Taps(taps.low[span], taps.high[span], taps.weight[span])


def _interpolate(logits: Float, rows: _Taps, columns: _Taps) -> Float:
    """Bilinear in two steps, along columns first: the intermediate is small."""
    left, right = logits[:, columns.low], logits[:, columns.high]
    wide = left + columns.weight * (right - left)
    result = wide[rows.high]
    top = wide[rows.low]
    result -= top
    result *= rows.weight[:, None]
    result += top
    return result


def resize_logits(logits: Float, image_hw: tuple[int, int]) -> Float:
    """Resize logits to the image (bilinear, no antialiasing, corners not aligned).

    ``torch.nn.functional.interpolate(mode="bilinear", align_corners=False)``, which Pillow and
    scikit-image do not offer when shrinking.

    Parameters
    ----------
    logits : ndarray of float32, shape (C, h, w)
    image_hw : tuple of int
        Height and width of the image in pixels.

    Returns
    -------
    ndarray of float32, shape (C, H, W)
    """
    rows, columns = (_taps(n, out) for n, out in zip(logits.shape[1:], image_hw, strict=True))
    resized = np.empty((len(logits), *image_hw), np.float32)
    for mask, target in zip(logits, resized, strict=True):
        target[:] = _interpolate(mask, rows, columns)
    return resized


def masks_from_logits(
    logits: Float, image_hw: tuple[int, int], mask_threshold: float = 0.0
) -> NDArray[np.bool_]:
    """Return ``resize_logits(logits, image_hw) > mask_threshold`` without computing the empty part.

    A bilinear value lies between its four neighbours, so only the region where a low-resolution
    logit exceeds the threshold can hold foreground: the cost follows the object, not the image.

    Parameters
    ----------
    logits : ndarray of float32, shape (C, h, w)
    image_hw : tuple of int
        Height and width of the image in pixels.
    mask_threshold : float, optional
        In logits.

    Returns
    -------
    ndarray of bool, shape (C, H, W)
    """
    masks = np.zeros((len(logits), *image_hw), bool)
    for mask, target in zip(logits, masks, strict=True):
        part, (row, column) = mask_window(mask, (0, 0), mask.shape, image_hw, mask_threshold)
        target[row : row + part.shape[0], column : column + part.shape[1]] = part
    return masks


def mask_window(
    logits: Float,
    origin: tuple[int, int],
    low_res_hw: tuple[int, ...],
    image_hw: tuple[int, int],
    mask_threshold: float = 0.0,
) -> tuple[NDArray[np.bool_], tuple[int, int]]:
    """Return the part of a mask that can hold foreground, from a window of its logits.

    Equal, bit for bit, to that part of what all the logits give, if the window holds each logit
    above the threshold and one more on every side of them.

    Parameters
    ----------
    logits : ndarray of float32, shape (h, w)
        Window of the low-resolution logits.
    origin : tuple of int
        (row, column) of the window in the low-resolution grid.
    low_res_hw : tuple of int
        Height and width of the whole grid.
    image_hw : tuple of int
        Height and width of the image in pixels.
    mask_threshold : float, optional
        In logits.

    Returns
    -------
    part : ndarray of bool, shape (H, W)
        (0, 0) if there is no foreground.
    origin : tuple of int
        (row, column) of the part in the image.
    """
    above = logits > mask_threshold
    if not above.any():
        return np.zeros((0, 0), bool), (0, 0)
    row, rows = _reach(low_res_hw[0], image_hw[0], np.asarray(above.any(axis=1)), origin[0])
    column, columns = _reach(low_res_hw[1], image_hw[1], np.asarray(above.any(axis=0)), origin[1])
    rows = rows._replace(low=rows.low - origin[0], high=rows.high - origin[0])
    columns = columns._replace(low=columns.low - origin[1], high=columns.high - origin[1])
    return _interpolate(logits, rows, columns) > mask_threshold, (row, column)
