"""The starter network, built from the modules of the `sam2` package, and its two forward passes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.utils import instantiate
from numpy.typing import NDArray
from omegaconf import OmegaConf
from torch import Tensor, nn

CONFIG = Path(__file__).with_name("starter.yaml")

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


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


def load_weights(network: nn.Module, checkpoint: Path) -> None:
    """Fill the network from a checkpoint `{"model": state_dict}` of any precision."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["model"]
    network.load_state_dict({name: tensor.float() for name, tensor in state.items()})


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """What the image encoder gives for a batch of images.

    Attributes
    ----------
    image_embed : Tensor, shape (B, D, S/16, S/16)
        `no_mem_embed` is added already.
    high_res_feats : list of Tensor
        Shapes (B, D/8, S/4, S/4) and (B, D/4, S/8, S/8).
    """

    image_embed: Tensor
    high_res_feats: list[Tensor]

    def repeat(self, count: int) -> Features:
        """Features of each image `count` times in a row, for as many prompts on it."""
        return Features(
            self.image_embed.repeat_interleave(count, 0),
            [level.repeat_interleave(count, 0) for level in self.high_res_feats],
        )


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


def encode(network: Any, images: list[NDArray[np.uint8]], device: torch.device) -> Features:
    """Encode images of shape (S, S, 3)."""
    batch = torch.from_numpy(np.stack(images)).to(device).permute(0, 3, 1, 2).float() / 255
    mean = torch.tensor(_MEAN, device=device).view(1, 3, 1, 1)
    std = torch.tensor(_STD, device=device).view(1, 3, 1, 1)
    levels = network.forward_image((batch - mean) / std)["backbone_fpn"]
    return Features(levels[2] + network.no_mem_embed.view(1, -1, 1, 1), [levels[0], levels[1]])


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
        (x, y) in pixels of the network's input; a box is two points in front.
    point_labels : Tensor, shape (B, N), or None
        1 foreground, 0 background, 2 and 3 a box's corners.
    mask_input : Tensor, shape (B, 1, S/4, S/4), optional
        Logits of a previous mask.

    Returns
    -------
    Prediction
    """
    points = None if point_coords is None else (point_coords, point_labels)
    sparse, dense = network.sam_prompt_encoder(points=points, boxes=None, masks=mask_input)
    masks, ious, _, scores = network.sam_mask_decoder.predict_masks(
        image_embeddings=features.image_embed,
        image_pe=network.sam_prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        repeat_image=False,
        high_res_features=features.high_res_feats,
    )
    return Prediction(masks.float(), ious.float(), scores.float())
