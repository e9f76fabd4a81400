"""The starter network, built from the modules of the `sam2` package, and its two forward passes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from hydra.utils import instantiate
from numpy.typing import NDArray
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import interpolate

CONFIG = Path(__file__).with_name("starter.yaml")

Origin: TypeAlias = tuple[int, int]

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def build_network(config: Path = CONFIG, **overrides: Any) -> nn.Module:
    """Build the network of a configuration file in SAM 2's own style, with random weights.

    Parameters
    ----------
    config : Path
    **overrides
        Replace entries of `model`; a dot in a key is written as two underscores.

    Returns
    -------
    torch.nn.Module
        A `sam2.modeling.sam2_base.SAM2Base`.
    """
    loaded = OmegaConf.load(config)
    for key, value in overrides.items():
        OmegaConf.update(loaded.model, key.replace("__", "."), value)
    network: nn.Module = instantiate(loaded.model, _recursive_=True)
    return network


def set_image_size(network: Any, size: int) -> None:
    """Let a network see images of another size; no weight depends on it."""
    network.image_size = size
    network.sam_image_embedding_size = size // network.backbone_stride
    prompts = network.sam_prompt_encoder
    prompts.input_image_size = (size, size)
    prompts.image_embedding_size = (size // 16, size // 16)
    prompts.mask_input_size = (size // 4, size // 4)


def learn_positions(network: Any) -> None:
    """Make the frequencies of the position encoding weights; they are random numbers in SAM 2."""
    layer, name = network.sam_prompt_encoder.pe_layer, "positional_encoding_gaussian_matrix"
    frequencies = getattr(layer, name)
    delattr(layer, name)
    setattr(layer, name, nn.Parameter(frequencies))


def load_weights(network: nn.Module, checkpoint: Path) -> None:
    """Fill the network from a checkpoint `{"model": state_dict}` of any precision."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["model"]
    network.load_state_dict({name: tensor.float() for name, tensor in state.items()})


def save_whole(state: dict[str, Any], path: Path) -> None:
    """Save under a temporary name, then rename: a file that is there is whole."""
    temporary = path.with_name(path.name + ".part")
    torch.save(state, temporary)
    os.replace(temporary, path)


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """What the image encoder gives for a batch of images.

    Attributes
    ----------
    image_embed : Tensor, shape (B, D, S/16, S/16)
        `no_mem_embed` is added already.
    high_res_feats : list of Tensor
        Shapes (B, D/8, S/4, S/4) and (B, D/4, S/8, S/8).
    origin : tuple of int
        Where the images lie in the network's input, see `encode`.
    """

    image_embed: Tensor
    high_res_feats: list[Tensor]
    origin: Origin = (0, 0)

    def repeat(self, count: int) -> Features:
        """Features of each image `count` times in a row, for as many prompts on it."""
        return self.at(torch.arange(len(self.image_embed)).repeat_interleave(count))

    def at(self, indices: Tensor) -> Features:
        """Features of some of the images."""
        indices = indices.to(self.image_embed.device)
        levels = [level.index_select(0, indices) for level in self.high_res_feats]
        return Features(self.image_embed.index_select(0, indices), levels, self.origin)


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What the mask decoder gives for B prompts: all four masks, the single one first.

    Attributes
    ----------
    low_res_masks : Tensor, shape (B, 4, S/4, S/4)
    iou_predictions : Tensor, shape (B, 4)
    object_score_logits : Tensor, shape (B, 1)
    """

    low_res_masks: Tensor
    iou_predictions: Tensor
    object_score_logits: Tensor


def encode(
    network: Any,
    images: list[NDArray[np.uint8]],
    device: torch.device,
    origin: Origin = (0, 0),
) -> Features:
    """Encode images, or tiles of images.

    A tile costs less, and the network takes it as the part of an image that it would be: positions
    are those of the whole input.

    Parameters
    ----------
    network : SAM2Base
    images : list of ndarray of uint8, shape (s, s, 3)
        s = S, or a multiple of 256 below S.
    device : torch.device
    origin : tuple of int
        (y, x) of the upper left pixel within the network's input; multiples of 256, at which no
        attention window is cut.

    Returns
    -------
    Features
    """
    batch = torch.from_numpy(np.stack(images)).to(device).permute(0, 3, 1, 2).float() / 255
    mean = torch.tensor(MEAN, device=device).view(1, 3, 1, 1)
    std = torch.tensor(STD, device=device).view(1, 3, 1, 1)
    with _positions_from(network, origin):
        levels = network.forward_image((batch - mean) / std)["backbone_fpn"]
    embed = levels[2] + network.no_mem_embed.view(1, -1, 1, 1)
    return Features(embed, [levels[0], levels[1]], origin)


@contextmanager
def _positions_from(network: Any, origin: Origin) -> Iterator[None]:
    """Let the encoder's position embedding be that of a tile of the input."""
    trunk, side = network.image_encoder.trunk, network.image_size // 4
    top, left = (start // 4 for start in origin)

    def of_tile(hw: tuple[int, int]) -> Tensor:
        # Hiera resizes with PyTorch's bicubic filter, of which training would take a sixth.
        coarse = trunk.pos_embed.float()
        rows = _bicubic_weights(coarse.shape[2], side)[top : top + hw[0]].to(coarse.device)
        columns = _bicubic_weights(coarse.shape[3], side)[left : left + hw[1]].to(coarse.device)
        window = trunk.pos_embed_window
        repeats = (1, 1, hw[0] // window.shape[2], hw[1] // window.shape[3])
        return (rows @ coarse @ columns.T + window.tile(repeats)).permute(0, 2, 3, 1)

    trunk._get_pos_embed = of_tile
    try:
        yield
    finally:
        del trunk._get_pos_embed


@lru_cache
def _bicubic_weights(low: int, high: int) -> Tensor:
    """Weights of `low` samples in each of `high` resized ones, shape (high, low)."""
    alone = torch.eye(low)[None, None]
    return interpolate(alone, (high, low), mode="bicubic")[0, 0]


@contextmanager
def plain_attention() -> Iterator[None]:
    """Let attention be two matrix products and a softmax.

    On a CPU, in bfloat16 and for the few channels of a small network's heads, PyTorch's own ways
    take twice as long or more. SAM 2 asks for dropout and for masks only where there are memories.
    """
    replaced = functional.scaled_dot_product_attention

    def attend(query: Tensor, key: Tensor, value: Tensor, **_: float) -> Tensor:
        likeness = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)
        return likeness.softmax(dim=-1) @ value

    functional.scaled_dot_product_attention = attend
    try:
        yield
    finally:
        functional.scaled_dot_product_attention = replaced


def decode(
    network: Any,
    features: Features,
    point_coords: Tensor | None,
    point_labels: Tensor | None,
    mask_input: Tensor | None = None,
) -> Prediction:
    """Decode one prompt for each entry of `features`.

    Parameters
    ----------
    network : SAM2Base
    features : Features
        Of B images, see `Features.repeat`.
    point_coords : Tensor, shape (B, N, 2), or None
        (x, y) in pixels of the image or tile; a box is two points in front.
    point_labels : Tensor, shape (B, N), or None
        1 foreground, 0 background, 2 and 3 a box's corners.
    mask_input : Tensor, shape (B, 1, S/4, S/4), optional
        Logits of a previous mask.

    Returns
    -------
    Prediction
    """
    top, left = features.origin
    if point_coords is None:
        points = None
    else:
        points = point_coords + point_coords.new_tensor([left, top]), point_labels
    sparse, dense = network.sam_prompt_encoder(points=points, boxes=None, masks=mask_input)
    rows, columns = features.image_embed.shape[2:]
    # Without a mask the prompt encoder answers for the whole input: the same for every pixel.
    dense = dense[:, :, :rows, :columns]
    positions = network.sam_prompt_encoder.get_dense_pe()
    top, left = top // 16, left // 16
    masks, ious, _, scores = network.sam_mask_decoder.predict_masks(
        image_embeddings=features.image_embed,
        image_pe=positions[:, :, top : top + rows, left : left + columns],
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        repeat_image=False,
        high_res_features=features.high_res_feats,
    )
    return Prediction(masks.float(), ious.float(), scores.float())
