"""The part of a model that remembers objects from plane to plane: its graphs and its tensors."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.errors import DAMAGED_ARCHIVE, ModelFormatError
from napari_sam2_openvino.core.memory_runtime import MemoryAttention, MemoryEncoder
from napari_sam2_openvino.core.model_folder import (
    MEMORY_ATTENTION_FILE,
    MEMORY_ENCODER_FILE,
    PARAMETERS_FILE,
    ModelConfig,
)

if TYPE_CHECKING:
    import openvino

Float = NDArray[np.float32]

# ``sam2.modeling.sam2_utils.get_1d_sine_pe``
_TEMPERATURE = 10000.0
# One side of a pixel of a low-resolution mask, in pixels of the model's square.
LOW_RES_STRIDE = 4


@dataclass(frozen=True, eq=False)
class MemoryTensors:
    """What SAM 2 keeps outside its networks, from ``parameters.npz``.

    Parameters
    ----------
    maskmem_tpos_enc : ndarray of float32, shape (num_maskmem, M)
    mask_downsample : ndarray of float32, shape (4, 4), optional
        None where objects have no pointers; so is its bias.
    mask_downsample_bias : float, optional
    no_obj_ptr : ndarray of float32, shape (D,), optional
    no_obj_embed_spatial : ndarray of float32, shape (M,), optional
        Only SAM 2.1 has it.
    obj_ptr_tpos_proj : tuple of ndarray of float32, optional
        Weight (M, D) and bias (M,); only SAM 2.1 has it.
    """

    maskmem_tpos_enc: Float
    mask_downsample: Float | None = None
    mask_downsample_bias: float = 0.0
    no_obj_ptr: Float | None = None
    no_obj_embed_spatial: Float | None = None
    obj_ptr_tpos_proj: tuple[Float, Float] | None = None

    @classmethod
    def read(cls, path: Path, config: ModelConfig) -> "MemoryTensors":
        """Read those that a model of this config has.

        Raises
        ------
        ModelFormatError
            If one is missing.
        """
        try:
            with np.load(path, allow_pickle=False) as archive:

                def tensor(name: str, shape: tuple[int, ...]) -> Float:
                    values: Float = archive[name].astype(np.float32).reshape(shape)
                    return values

                width, memory = config.hidden_dim, config.mem_dim
                gated = config.pred_obj_scores and config.use_obj_ptrs_in_encoder
                projection = config.proj_tpos_enc_in_obj_ptrs
                downsample, bias = None, 0.0
                if config.use_obj_ptrs_in_encoder:
                    side = LOW_RES_STRIDE
                    downsample = tensor("mask_downsample.weight", (side, side))
                    bias = float(archive["mask_downsample.bias"][0])
                return cls(
                    tensor("maskmem_tpos_enc", (config.num_maskmem, memory)),
                    downsample,
                    bias,
                    tensor("no_obj_ptr", (width,)) if gated else None,
                    tensor("no_obj_embed_spatial", (memory,))
                    if config.no_obj_embed_spatial
                    else None,
                    (
                        tensor("obj_ptr_tpos_proj.weight", (memory, width)),
                        tensor("obj_ptr_tpos_proj.bias", (memory,)),
                    )
                    if projection
                    else None,
                )
        except DAMAGED_ARCHIVE as error:
            raise ModelFormatError(
                f"{path} is damaged or lacks what remembering objects needs: convert the "
                "checkpoint again."
            ) from error


class MemoryModel:
    """Remembers objects, and recalls them on another plane. Safe to share between threads.

    Parameters
    ----------
    folder : Path
        A model folder with memory graphs.
    config : ModelConfig
    compile_graph : callable
        Compiles a graph of the folder by the name of its file.
    """

    def __init__(
        self,
        folder: Path,
        config: ModelConfig,
        compile_graph: "Callable[[str], openvino.CompiledModel]",
    ) -> None:
        self.config = config
        self.tensors = MemoryTensors.read(folder / PARAMETERS_FILE, config)
        self._attention = MemoryAttention(partial(compile_graph, MEMORY_ATTENTION_FILE))
        self._encoder = MemoryEncoder(partial(compile_graph, MEMORY_ENCODER_FILE))
        self._attention_lock = threading.Lock()
        self._encoder_lock = threading.Lock()

    def recall(
        self,
        image_embed: Float,
        maskmem_features: Float,
        maskmem_rows: NDArray[np.intp],
        obj_ptrs: Float,
        obj_ptr_positions: Float,
        cancelled: Callable[[], bool] | None = None,
    ) -> Float:
        """Return what a plane looks like in the light of memories of B objects.

        Parameters
        ----------
        image_embed : ndarray of float32, shape (1, D, S / 16, S / 16)
            Raw.
        maskmem_features : ndarray of float32, shape (B, F, M, S / 16, S / 16)
        maskmem_rows : ndarray of int, shape (B, F)
            Of ``maskmem_tpos_enc``: how long ago each memory is.
        obj_ptrs : ndarray of float32, shape (B, P, D)
        obj_ptr_positions : ndarray of float32, shape (B, P)
            Distance of each pointer's plane, as a share of the largest.
        cancelled : callable, optional

        Returns
        -------
        ndarray of float32, shape (B, D, S / 16, S / 16)
        """
        with self._attention_lock:
            return self._attention(
                image_embed,
                maskmem_features,
                self.tensors.maskmem_tpos_enc[maskmem_rows],
                obj_ptrs,
                self.pointer_times(obj_ptr_positions),
                cancelled,
            )

    def pointer_times(self, positions: Float) -> Float:
        """Return the temporal position encoding of pointers, shape (B, P, M) from (B, P)."""
        config = self.config
        if not config.add_tpos_enc_to_obj_ptrs:
            return np.zeros((*positions.shape, config.mem_dim), np.float32)
        projection = self.tensors.obj_ptr_tpos_proj
        encoded = sine_encoding(
            positions, config.mem_dim if projection is None else config.hidden_dim
        )
        if projection is not None:
            encoded = encoded @ projection[0].T + projection[1]
        return encoded

    def remember(
        self,
        image_embed: Float,
        low_res_masks: Float,
        is_present: NDArray[np.bool_],
        is_prompted: NDArray[np.bool_],
        cancelled: Callable[[], bool] | None = None,
    ) -> Float:
        """Return memories of B objects on one plane.

        Parameters
        ----------
        image_embed : ndarray of float32, shape (1, D, S / 16, S / 16)
            Raw.
        low_res_masks : ndarray of float32, shape (B, S / 4, S / 4)
            Logits.
        is_present : ndarray of bool, shape (B,)
            Whether there is an object at all.
        is_prompted : ndarray of bool, shape (B,)
            Whether the mask answers prompts on this plane, so that it counts as certain.
        cancelled : callable, optional

        Returns
        -------
        ndarray of float32, shape (B, M, S / 16, S / 16)
        """
        binarize = is_prompted & self.config.binarize_mask_from_pts_for_mem_enc
        with self._encoder_lock:
            features = self._encoder(
                image_embed, low_res_masks[:, None], binarize.astype(np.float32), cancelled
            )
        absent = self.tensors.no_obj_embed_spatial
        if absent is not None:
            features[~is_present] += absent[:, None, None]
        return features

    def gate_pointers(self, obj_ptrs: Float, object_scores: Float) -> Float:
        """Replace the pointers of objects that are not there (``SAM2Base._forward_sam_heads``).

        Parameters
        ----------
        obj_ptrs : ndarray of float32, shape (B, D)
        object_scores : ndarray of float32, shape (B,)
            Logits.
        """
        config, no_obj_ptr = self.config, self.tensors.no_obj_ptr
        if no_obj_ptr is None:
            return obj_ptrs
        if config.soft_no_obj_ptr:
            return self.mix_pointers(obj_ptrs, 1 / (1 + np.exp(-object_scores)))
        return self.mix_pointers(obj_ptrs, object_scores > 0)

    def mix_pointers(self, obj_ptrs: Float, appearing: NDArray[Any]) -> Float:
        """Mix pointers (B, D) with the one for no object, by how much (B,) each object is there."""
        no_obj_ptr = self.tensors.no_obj_ptr
        if no_obj_ptr is None:
            return obj_ptrs
        share = appearing[:, None].astype(np.float32)
        kept = share * obj_ptrs if self.config.fixed_no_obj_ptr else obj_ptrs
        mixed: Float = kept + (1 - share) * no_obj_ptr
        return mixed

    def downsample_mask(self, mask: Float) -> Float:
        """Return a mask (S, S) of 0 and 1 as the mask input (S / 4, S / 4) that makes a pointer."""
        weight = self.tensors.mask_downsample
        assert weight is not None
        side = len(mask) // LOW_RES_STRIDE
        blocks = mask.reshape(side, LOW_RES_STRIDE, side, LOW_RES_STRIDE)
        downsampled: Float = np.einsum("aibj,ij->ab", blocks, weight, dtype=np.float32)
        return downsampled + np.float32(self.tensors.mask_downsample_bias)


def sine_encoding(positions: Float, width: int) -> Float:
    """Encode positions (..., ) as sines and cosines (..., width): ``get_1d_sine_pe``."""
    half = width // 2
    steps = np.arange(half, dtype=np.float32)
    periods = np.float32(_TEMPERATURE) ** (2 * (steps // 2) / np.float32(half))
    angles = positions[..., None].astype(np.float32) / periods.astype(np.float32)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=-1).astype(np.float32)
