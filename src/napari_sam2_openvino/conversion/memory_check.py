"""Are the saved memory graphs the model? They are run beside SAM 2's own code."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.memory_runtime import MemoryAttention, MemoryEncoder
from napari_sam2_openvino.core.model_folder import (
    MEMORY_ATTENTION_FILE,
    MEMORY_ENCODER_FILE,
    MemoryDifferences,
)
from napari_sam2_openvino.core.runtime import expect_points

if TYPE_CHECKING:
    import torch
    from sam2.modeling.sam2_base import SAM2Base

Float = NDArray[np.float32]

_SEED = 21
# Objects, memories and pointers: a plane after the first, and one later on.
_RECALLS = ((1, 1, 0), (2, 2, 3))
_REMEMBERED = 2


@dataclass(frozen=True, eq=False)
class Recall:
    """Inputs of memory attention but for the image; see `MemoryAttention`."""

    maskmem_features: Float
    maskmem_tpos: Float
    obj_ptrs: Float
    obj_ptr_tpos: Float


class MemoryCheckRun:
    """Random memories, computed by PyTorch and by the saved graphs.

    Parameters
    ----------
    model : SAM2Base
    """

    def __init__(self, model: "SAM2Base") -> None:
        rng = np.random.default_rng(_SEED)
        grid, width, memory = model.image_size // 16, model.hidden_dim, model.mem_dim

        def normal(*shape: int) -> Float:
            return rng.standard_normal(shape).astype(np.float32)

        self._model = model
        self._image_embed = normal(1, width, grid, grid)
        self._recalls = [
            Recall(
                normal(objects, memories, memory, grid, grid),
                normal(objects, memories, memory),
                normal(objects, pointers, width),
                normal(objects, pointers, memory),
            )
            for objects, memories, pointers in _RECALLS
        ]
        coarse = 8 * normal(_REMEMBERED, 1, grid, grid)
        self._low_res_masks = coarse.repeat(4, axis=2).repeat(4, axis=3)
        # One whose mask was clicked, and one whose mask was predicted.
        self._binarize = np.array([1, 0], np.float32)

    def differences(self, folder: Path) -> MemoryDifferences:
        """Compare the saved graphs, in f32 on the CPU, with PyTorch."""
        import openvino
        import torch

        expect_points()
        core = openvino.Core()
        precise = {"INFERENCE_PRECISION_HINT": "f32"}

        def compiled(file: str) -> Callable[[], openvino.CompiledModel]:
            return partial(core.compile_model, folder / file, "CPU", precise)

        attention = MemoryAttention(compiled(MEMORY_ATTENTION_FILE))
        encoder = MemoryEncoder(compiled(MEMORY_ENCODER_FILE))
        with torch.no_grad():
            conditioned = max(
                _difference(
                    attention(
                        self._image_embed,
                        recall.maskmem_features,
                        recall.maskmem_tpos,
                        recall.obj_ptrs,
                        recall.obj_ptr_tpos,
                    ),
                    self._recall(recall),
                )
                for recall in self._recalls
            )
            remembered = _difference(
                encoder(self._image_embed, self._low_res_masks, self._binarize), self._remember()
            )
        return MemoryDifferences(conditioned, remembered)

    def _recall(self, recall: Recall) -> "torch.Tensor":
        """Run ``MemoryAttention.forward`` on tokens as ``SAM2Base`` lays them out."""
        import torch

        model, image = self._model, torch.from_numpy(self._image_embed)
        memories = torch.from_numpy(recall.maskmem_features)
        times = torch.from_numpy(recall.maskmem_tpos)
        objects = len(memories)
        image_pos = model.image_encoder.neck.position_encoding(image)
        memory_pos = _sequence(model.memory_encoder.position_encoding(memories[:, 0]))
        tokens = [_sequence(memories[:, number]) for number in range(memories.shape[1])]
        positions = [memory_pos + times[:, number] for number in range(memories.shape[1])]
        n_pointer_tokens = 0
        if recall.obj_ptrs.shape[1]:
            per_pointer = model.hidden_dim // model.mem_dim
            pointers = torch.from_numpy(recall.obj_ptrs).transpose(0, 1)
            split = pointers.reshape(-1, objects, per_pointer, model.mem_dim)
            tokens.append(split.permute(0, 2, 1, 3).flatten(0, 1))
            pointer_times = torch.from_numpy(recall.obj_ptr_tpos).transpose(0, 1)
            positions.append(pointer_times.repeat_interleave(per_pointer, dim=0))
            n_pointer_tokens = len(tokens[-1])
        output = model.memory_attention(
            curr=[_sequence(image.expand(objects, -1, -1, -1))],
            curr_pos=[_sequence(image_pos.expand(objects, -1, -1, -1))],
            memory=torch.cat(tokens),
            memory_pos=torch.cat(positions),
            num_obj_ptr_tokens=n_pointer_tokens,
        )
        side = image.shape[-1]
        result: torch.Tensor = output.permute(1, 2, 0).unflatten(2, (side, side))
        return result

    def _remember(self) -> "torch.Tensor":
        """Run ``SAM2Base._encode_new_memory`` for each mask, as if there were an object on it."""
        import torch
        from torch.nn import functional

        model, image = self._model, torch.from_numpy(self._image_embed)
        feats, sizes = [_sequence(image)], [image.shape[2:]]
        masks = functional.interpolate(
            torch.from_numpy(self._low_res_masks),
            size=(model.image_size, model.image_size),
            mode="bilinear",
            align_corners=False,
        )
        # build_sam2_video_predictor sets it, the YAML does not.
        before = model.binarize_mask_from_pts_for_mem_enc
        model.binarize_mask_from_pts_for_mem_enc = True
        try:
            remembered = [
                model._encode_new_memory(feats, sizes, mask[None], torch.ones(1, 1), bool(binary))
                for mask, binary in zip(masks, self._binarize, strict=True)
            ]
        finally:
            model.binarize_mask_from_pts_for_mem_enc = before
        return torch.cat([features for features, _ in remembered])


def _sequence(feats: "torch.Tensor") -> "torch.Tensor":
    """(B, C, h, w) -> (h * w, B, C)."""
    return feats.flatten(2).permute(2, 0, 1)


def _difference(found: Float, wanted: "torch.Tensor") -> float:
    reference = wanted.numpy()
    return float(np.abs(found - reference).max() / max(float(reference.std()), 1e-12))
