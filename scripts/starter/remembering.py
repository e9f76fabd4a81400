"""Objects from plane to plane by memory, with all that answers about one image held fixed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, interpolate

from starter.losses import mask_losses, true_iou
from starter.stacks import Window

NUM_PLANES = 24
"""Of the video that a window is taken to be part of: it limits how old a pointer may be."""

_SHARP = 2.5
"""What queries and keys of memory have in common at first: attention begins at the same place."""

_NO_OBJECT = -1024.0
_SURE = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What the decoder says of B objects on a plane, without the rule for objects that are gone.

    Attributes
    ----------
    masks : Tensor, shape (B, 3, S/4, S/4)
        The three masks; from a box the single one only, shape (B, 1, S/4, S/4).
    ious : Tensor, shape (B, 3) or (B, 1)
    score : Tensor, shape (B, 1)
    pointer : Tensor, shape (B, D)
        Of the mask with the highest predicted IoU.
    best : Tensor of int64, shape (B,)
    """

    masks: Tensor
    ious: Tensor
    score: Tensor
    pointer: Tensor
    best: Tensor

    @property
    def chosen(self) -> Tensor:
        """The mask with the highest predicted IoU, shape (B, 1, S/4, S/4)."""
        return self.masks[torch.arange(len(self.masks)), self.best][:, None]


def memory_parameters(network: Any) -> list[nn.Parameter]:
    """Return what is trained; the rest is frozen."""
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    parts = (network.memory_attention, network.memory_encoder, network.obj_ptr_proj)
    chosen = [parameter for part in parts for parameter in part.parameters()]
    chosen += list(network.obj_ptr_tpos_proj.parameters())
    chosen += [network.maskmem_tpos_enc, network.no_obj_ptr, network.no_obj_embed_spatial]
    for parameter in chosen:
        parameter.requires_grad_(True)
    return chosen


@torch.no_grad()
def begin(network: Any, embeds: Tensor) -> None:
    """Let memory add nothing at first, and look at the same place of other planes.

    Its answer is normalized, while the decoder learnt on features that are not: scale and shift of
    the last norm become those of the features.

    Parameters
    ----------
    network : SAM2Base
    embeds : Tensor, shape (n, D, h, w)
        Features of some planes, without `no_mem_embed`.
    """
    attention = network.memory_attention
    means = embeds.float().mean(dim=(0, 2, 3)) + network.no_mem_embed.view(-1)
    attention.norm.bias.copy_(means)
    attention.norm.weight.copy_(embeds.float().std(dim=(0, 2, 3)))
    for layer in attention.layers:
        layer.self_attn.out_proj.weight.mul_(0.1)
        layer.linear2.weight.mul_(0.1)
        for projection in (layer.cross_attn_image.q_proj, layer.cross_attn_image.k_proj):
            projection.bias.fill_(_SHARP)
    for block in network.memory_encoder.fuser.layers:
        block.gamma.fill_(0.1)


def ask_by_box(network: Any, window: Window) -> Answer:
    """Answer the boxes on the first plane of a window."""
    embed = window.embed[0] + network.no_mem_embed.view(1, -1, 1, 1)
    labels = torch.tensor([[2, 3, -1]]).repeat(len(embed), 1)
    coords = torch.cat([window.boxes, torch.zeros(len(embed), 1, 2)], dim=1)
    return _decode(network, embed, window.high_res_feats[0], coords, labels, slice(0, 1))


def ask_by_memory(network: Any, conditioned: Tensor, high_res_feats: list[Tensor]) -> Answer:
    """Answer without any prompt: features that know of other planes say where the object is."""
    coords = torch.zeros(len(conditioned), 2, 2)
    labels = -torch.ones(len(conditioned), 2, dtype=torch.int32)
    return _decode(network, conditioned, high_res_feats, coords, labels, slice(1, 4))


def _decode(
    network: Any,
    embed: Tensor,
    high_res_feats: list[Tensor],
    coords: Tensor,
    labels: Tensor,
    which: slice,
) -> Answer:
    encoder = network.sam_prompt_encoder
    # The encoder itself would append another token.
    sparse = encoder._embed_points(coords, labels, pad=False)
    dense = encoder.no_mask_embed.weight.reshape(1, -1, 1, 1)
    masks, ious, tokens, score = network.sam_mask_decoder.predict_masks(
        image_embeddings=embed,
        image_pe=encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense.expand_as(embed),
        repeat_image=False,
        high_res_features=high_res_feats,
    )
    masks, ious, tokens = masks[:, which], ious[:, which], tokens[:, which]
    best = ious.argmax(dim=1)
    pointer = network.obj_ptr_proj(tokens[torch.arange(len(tokens)), best])
    return Answer(masks, ious, score, pointer, best)


def remember(
    network: Any,
    embed: Tensor,
    logits: Tensor,
    score: Tensor,
    pointer: Tensor,
    *,
    is_prompted: bool,
) -> dict[str, Any]:
    """Return what SAM 2 keeps of a plane.

    Parameters
    ----------
    network : SAM2Base
        In evaluation mode.
    embed : Tensor, shape (B, D, h, w)
    logits : Tensor, shape (B, 1, S/4, S/4)
    score : Tensor, shape (B, 1)
    pointer : Tensor, shape (B, D)
    is_prompted : bool
    """
    is_there = (score > 0).float()
    shown = torch.where(is_there[..., None, None] > 0, logits, torch.full_like(logits, _NO_OBJECT))
    size = (network.image_size, network.image_size)
    features, positions = network._encode_new_memory(
        [embed.flatten(2).permute(2, 0, 1)],
        [embed.shape[2:]],
        interpolate(shown, size, mode="bilinear", align_corners=False),
        score,
        is_mask_from_pts=is_prompted,
    )
    kept = is_there * pointer + (1 - is_there) * network.no_obj_ptr
    return {"maskmem_features": features, "maskmem_pos_enc": positions, "obj_ptr": kept}


def condition(
    network: Any, embed: Tensor, at: int, first: dict[str, Any], others: dict[int, Any]
) -> Tensor:
    """Let the features of a plane know of the planes before it, shape (B, D, h, w)."""
    place = network.image_encoder.neck.position_encoding(embed)
    conditioned: Tensor = network._prepare_memory_conditioned_features(
        frame_idx=at,
        is_init_cond_frame=False,
        current_vision_feats=[embed.flatten(2).permute(2, 0, 1)],
        current_vision_pos_embeds=[place.flatten(2).permute(2, 0, 1)],
        feat_sizes=[embed.shape[2:]],
        output_dict={"cond_frame_outputs": {0: first}, "non_cond_frame_outputs": others},
        num_frames=NUM_PLANES,
    )
    return conditioned


@dataclass(frozen=True, slots=True, eq=False)
class Tracked:
    """A plane of a window: features that know of the planes before, and the answer."""

    at: int
    conditioned: Tensor
    answer: Answer
    before: Tensor
    """The mask that memory has of the plane before, as logits (B, 1, S/4, S/4)."""


def track(network: Any, window: Window, teacher: float) -> Iterator[Tracked]:
    """Carry the objects of a window on from its first plane.

    Parameters
    ----------
    network : SAM2Base
        In evaluation mode.
    window : Window
    teacher : float
        Chance that memory gets the true mask of a plane instead of the network's own.
    """
    answer = ask_by_box(network, window)
    before = answer.chosen
    first = remember(
        network, window.embed[0], before, answer.score, answer.pointer, is_prompted=True
    )
    others: dict[int, Any] = {}
    for at in range(1, len(window.embed)):
        embed = window.embed[at]
        conditioned = condition(network, embed, at, first, others)
        answer = ask_by_memory(network, conditioned, window.high_res_feats[at])
        yield Tracked(at, conditioned, answer, before)
        true = window.masks[at]
        logits, score = answer.chosen, answer.score
        told = torch.rand(len(true)) < teacher
        logits = torch.where(told[:, None, None, None], (2 * true - 1) * _SURE, logits)
        is_there = (true.flatten(1).amax(1, keepdim=True) > 0).float()
        score = torch.where(told[:, None], (2 * is_there - 1) * _SURE, score)
        others[at] = remember(network, embed, logits, score, answer.pointer, is_prompted=False)
        before = torch.where(score[..., None, None] > 0, logits, torch.full_like(logits, -_SURE))


def objective(
    network: Any, window: Window, *, teacher: float, guided: float
) -> tuple[Tensor, float]:
    """Loss of a window's planes, and the mean IoU of the objects that are there.

    Parameters
    ----------
    network : SAM2Base
    window : Window
    teacher : float
        See `track`.
    guided : float
        Weight of the guide: at first, features are to become those that the mask of the plane
        before, as a prompt, would make of them. From nothing, the network would have to find out
        at once how to keep masks and what the decoder can read.
    """
    losses, ious = [], []
    for each in track(network, window, teacher):
        true = window.masks[each.at]
        is_there = (true.flatten(1).amax(1) > 0.5).float()
        answer = each.answer
        of_masks = mask_losses(answer.masks, true)
        chosen = of_masks.gather(1, answer.best[:, None])[:, 0]
        loss = _mean(of_masks.min(dim=1).values + 0.5 * chosen, is_there)
        found = true_iou(answer.masks.detach(), true)
        loss = loss + (answer.ious - found).square().sum(dim=1).mean()
        loss = loss + binary_cross_entropy_with_logits(answer.score[:, 0], is_there)
        if guided > 0:
            loss = loss + guided * _guide(network, window.embed[each.at], each)
        losses.append(loss)
        gone = answer.score[:, 0] <= 0
        best = found.gather(1, answer.best[:, None])[:, 0].masked_fill(gone, 0)
        ious.append(_mean(best, is_there).item())
    return torch.stack(losses).mean(), sum(ious) / len(ious)


def _guide(network: Any, embed: Tensor, tracked: Tracked) -> Tensor:
    encoder = network.sam_prompt_encoder
    with torch.no_grad():
        dense = encoder.mask_downscaling(tracked.before.clamp(-32, 32))
        dense = dense - encoder.no_mask_embed.weight.reshape(1, -1, 1, 1)
        wanted = embed + network.no_mem_embed.view(1, -1, 1, 1) + dense
        spread = wanted.var()
    return (tracked.conditioned - wanted).square().mean() / spread


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    return (values * weights).sum() / weights.sum().clamp(min=1)
