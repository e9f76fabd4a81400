"""Stacks whose planes are encoded once, and the windows of them that memory learns on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from napari_sam2_openvino.core.normalize import to_rgb
from napari_sam2_openvino.synthetic import KINDS, Kind, make_volume
from napari_sam2_openvino.synthetic.time_series import make_time_series
from starter.network import encode

FIRST_TRAINING_SEED = 1_000_000
"""Seeds below are kept for evaluation and are never trained on."""

_SERIES = 4
"""Every so manieth stack is a time series, the others are volumes."""

_EMPTY = 3
"""Planes without anything at either end of every other volume."""

_LEAST_CELLS = 4
"""Objects of fewer low-resolution pixels are not asked for."""

_STRIDE = 4


@dataclass(frozen=True, slots=True, eq=False)
class EncodedStack:
    """The planes of one stack, T in all, as memory sees them; kept in half precision.

    Attributes
    ----------
    embed : Tensor, shape (T, D, S/16, S/16)
        Without `no_mem_embed`.
    high_res_feats : list of Tensor
        Shapes (T, D/8, S/4, S/4) and (T, D/4, S/8, S/8).
    labels : ndarray of int32, shape (T, S, S)
    """

    embed: Tensor
    high_res_feats: list[Tensor]
    labels: NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """B objects on N successive planes; all of them are on the first one.

    Attributes
    ----------
    embed : list of Tensor, shape (B, D, S/16, S/16)
        For each plane.
    high_res_feats : list of list of Tensor
        For each plane.
    masks : Tensor of float32, shape (N, B, 1, S/4, S/4)
        The part of each low-resolution pixel that the object covers.
    boxes : Tensor of float32, shape (B, 2, 2)
        Corners (x, y) on the first plane.
    """

    embed: list[Tensor]
    high_res_feats: list[list[Tensor]]
    masks: Tensor
    boxes: Tensor


def draw_stack(number: int, size: int) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """Draw the stack of a number: planes (T, H, W) or (T, H, W, 3), and labels (T, H, W)."""
    seed = FIRST_TRAINING_SEED + number
    rng = np.random.default_rng([seed, 11])
    if number % _SERIES == _SERIES - 1:
        kinds = [kind for kind in KINDS if kind != "membrane"]
        kind = cast(Kind, kinds[int(rng.integers(len(kinds)))])
        series = make_time_series(
            kind, seed, frames=8, shape=(size, size), difficulty=float(rng.uniform(0, 0.4))
        )
        return series.image, series.labels
    least = float(rng.uniform(10, 18))
    volume = make_volume(
        seed,
        object_count=int(rng.integers(8, 28)),
        radius=(least, least * float(rng.uniform(1.2, 1.9))),
        z_spacing=float(rng.uniform(2, 5)),
    )
    image, labels = volume.image.copy(), volume.labels.copy()
    if number % 2:
        for plane in (*range(_EMPTY), *range(len(image) - _EMPTY, len(image))):
            dark = np.percentile(image[plane], 5)
            image[plane] = np.clip(rng.normal(dark, 40, image[plane].shape), 0, 4095)
            labels[plane] = 0
    return image, labels


@torch.no_grad()
def encode_stack(network: Any, number: int) -> EncodedStack:
    """Draw a stack and encode its planes.

    Parameters
    ----------
    network : SAM2Base
        Its image size counts.
    number : int
        Equal numbers give equal stacks.
    """
    size = network.image_size
    image, labels = draw_stack(number, size)
    embeds, fine, finer = [], [], []
    for plane in image:
        rgb = torch.from_numpy(to_rgb(plane)).permute(2, 0, 1)[None].float()
        rgb = interpolate(rgb, (size, size), mode="bilinear", align_corners=False, antialias=True)
        pixels = rgb[0].permute(1, 2, 0).round().clamp(0, 255).byte().numpy()
        features = encode(network, [pixels], torch.device("cpu"))
        embeds.append(features.image_embed - network.no_mem_embed.view(1, -1, 1, 1))
        finer.append(features.high_res_feats[0])
        fine.append(features.high_res_feats[1])
    exact = torch.from_numpy(labels)[:, None].double()
    scaled = interpolate(exact, (size, size), mode="nearest-exact")[:, 0].numpy()
    levels = [torch.cat(level).half() for level in (finer, fine)]
    return EncodedStack(torch.cat(embeds).half(), levels, scaled.astype(np.int32))


def draw_window(
    stacks: list[EncodedStack], length: int, per_stack: int, rng: np.random.Generator
) -> Window | None:
    """Draw objects and planes, in either direction; None if there are no objects."""
    parts = [part for each in stacks if (part := _of_stack(each, length, per_stack, rng))]
    if not parts:
        return None
    return Window(
        [torch.cat([part.embed[at] for part in parts]) for at in range(length)],
        [
            [torch.cat([part.high_res_feats[at][level] for part in parts]) for level in (0, 1)]
            for at in range(length)
        ],
        torch.cat([part.masks for part in parts], dim=1),
        torch.cat([part.boxes for part in parts]),
    )


def _of_stack(
    stack: EncodedStack, length: int, count: int, rng: np.random.Generator
) -> Window | None:
    labels = stack.labels
    planes = _choose_planes(labels, length, rng)
    sizes = np.bincount(labels[planes[0]].ravel())
    ids = np.flatnonzero(sizes >= _LEAST_CELLS * _STRIDE**2)
    ids = rng.permutation(ids[ids > 0])[:count]
    if not len(ids):
        return None
    its = np.stack([labels[planes] == obj_id for obj_id in ids], axis=1)
    masks = avg_pool2d(torch.from_numpy(its).float(), _STRIDE)[:, :, None]
    boxes = torch.from_numpy(np.stack([_corners(mask) for mask in its[0]]))
    spread = (boxes[:, 1:] - boxes[:, :1]) * 0.05
    boxes = boxes + spread * torch.from_numpy(rng.normal(size=boxes.shape).astype(np.float32))
    repeat = len(ids)
    return Window(
        [stack.embed[at : at + 1].float().expand(repeat, -1, -1, -1) for at in planes],
        [
            [
                level[at : at + 1].float().expand(repeat, -1, -1, -1)
                for level in stack.high_res_feats
            ]
            for at in planes
        ],
        masks,
        boxes,
    )


def _choose_planes(
    labels: NDArray[np.int32], length: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw successive planes, upwards or downwards."""
    first = int(rng.integers(len(labels) - length + 1))
    planes = np.arange(first, first + length)
    return planes if rng.random() < 0.5 else planes[::-1].copy()


def _corners(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    rows, columns = np.nonzero(mask)
    low = (columns.min() - 0.5, rows.min() - 0.5)
    return np.array([low, (columns.max() + 0.5, rows.max() + 0.5)], np.float32)
