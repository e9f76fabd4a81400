"""From tokens and masks to what is kept of an object on a plane; SAM 2's rules for videos.

They follow ``SAM2Base._forward_sam_heads`` and ``SAM2Base._use_mask_as_output``.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from napari_sam2_openvino.core.embeddings import EmbeddingCache, embedding_key
from napari_sam2_openvino.core.errors import InputError, JobCancelledError
from napari_sam2_openvino.core.image_graphs import DecoderOutput
from napari_sam2_openvino.core.masks import fill_holes_in_logits
from napari_sam2_openvino.core.memory import NO_OBJ_SCORE, FrameOutput
from napari_sam2_openvino.core.model import Sam2Model
from napari_sam2_openvino.core.model_folder import ModelConfig
from napari_sam2_openvino.core.regions import Region
from napari_sam2_openvino.core.transforms import best_of_three, blank_tokens, single_token
from napari_sam2_openvino.core.types import ImageEmbedding
from napari_sam2_openvino.core.video_state import VideoState

Float = NDArray[np.float32]
Cancelled = Callable[[], bool] | None

# Logits of a mask that was given: +-10, nearly 0 and 1 as probabilities.
MASK_SCALE, MASK_BIAS = np.float32(20.0), np.float32(-10.0)


class PlaneDecoder:
    """Encodes planes, through the embedding cache, and decodes objects on them.

    Parameters
    ----------
    model : Sam2Model
    embeddings : EmbeddingCache
    fill_hole_area : int
        In low-resolution pixels.
    with_pointers : bool
        Whether pointers are kept, which only memory reads.
    """

    def __init__(
        self,
        model: Sam2Model,
        embeddings: EmbeddingCache,
        *,
        fill_hole_area: int,
        with_pointers: bool,
    ) -> None:
        self.model = model
        self._embeddings = embeddings
        self._fill_hole_area = fill_hole_area
        self._with_pointers = with_pointers
        self._kept: type[np.floating] = np.float32 if model.precision == "f32" else np.float16

    def embedding(
        self, state: VideoState, frame_idx: int, cancelled: Cancelled = None
    ) -> ImageEmbedding:
        """Return the embedding of a plane; it is encoded if the cache does not hold it.

        Raises
        ------
        JobCancelledError
            If ``cancelled`` returned true.
        """
        key = state.embedding_keys.get(frame_idx)
        known = None if key is None else self._embeddings.get(key)
        if known is not None:
            return known
        raise_if(cancelled)
        source = state.planes[frame_idx]
        rgb = source.load(Region.whole(source.hw))
        key = state.embedding_keys[frame_idx] = embedding_key(self.model.key, rgb)
        known = self._embeddings.get(key)
        if known is None:
            known = self.model.encode(rgb, cancelled=cancelled)
            self._embeddings.put(key, known)
        return known

    def decode(
        self,
        embedding: ImageEmbedding,
        tokens: tuple[Float, NDArray[np.int32]],
        mask_input: Float | None = None,
        conditioned_embed: Float | None = None,
        *,
        multimask_output: bool,
        is_prompted: bool = False,
    ) -> list[FrameOutput]:
        """Decode B objects on one plane.

        Parameters
        ----------
        embedding : ImageEmbedding
        tokens : tuple of ndarray
            Coordinates (B, N, 2) in model space and labels (B, N), all of them.
        mask_input : ndarray of float32, shape (B, 1, S / 4, S / 4), optional
            Logits.
        conditioned_embed : ndarray of float32, shape (B, D, S / 16, S / 16), optional
            The plane in the light of memories; None for a plane on its own.
        multimask_output : bool
            Whether the best of three masks counts; see `uses_multimask`.
        is_prompted : bool, optional
            Whether the tokens are prompts on this plane.
        """
        if conditioned_embed is None:
            output = self.model.decode(embedding, *tokens, mask_input)
        else:
            output = self.model.decode_conditioned(
                embedding, conditioned_embed, *tokens, mask_input
            )
        return self._outputs(output, multimask_output=multimask_output, is_prompted=is_prompted)

    def from_mask(self, embedding: ImageEmbedding, mask: Float) -> FrameOutput:
        """Take a mask (S, S) of 0 and 1 as the answer, and find its pointer with the decoder."""
        low_res = resize(mask * MASK_SCALE + MASK_BIAS, self.model.mask_input_size)
        is_present = bool(mask.any())
        return FrameOutput(
            low_res.astype(self._kept),
            float(MASK_SCALE * is_present + MASK_BIAS),
            1.0,
            self._pointer_of_mask(embedding, mask, is_present=is_present),
            is_prompted=True,
        )

    def logits(self, output: FrameOutput | None) -> Float:
        """Return the low-resolution logits (S / 4, S / 4) of an output, holes filled."""
        return fill_holes_in_logits(self.raw_logits(output), self._fill_hole_area)

    def raw_logits(self, output: FrameOutput | None) -> Float:
        """Return the low-resolution logits (S / 4, S / 4) of an output as they were decoded."""
        if output is None or output.low_res_mask is None:
            size = self.model.mask_input_size
            return np.full((size, size), NO_OBJ_SCORE, np.float32)
        return output.low_res_mask.astype(np.float32, copy=False)

    def _outputs(
        self, output: DecoderOutput, *, multimask_output: bool, is_prompted: bool
    ) -> list[FrameOutput]:
        config = self.model.info.config
        if multimask_output:
            chosen = best_of_three(output.iou_predictions)
        else:
            chosen = single_token(output.low_res_masks, output.iou_predictions, config)
        scores = output.object_score_logits[:, 0]
        pointers = self._pointers(output, chosen, multimask_output=multimask_output)
        return [
            FrameOutput(
                output.low_res_masks[row, token].astype(self._kept) if scores[row] > 0 else None,
                float(scores[row]),
                float(output.iou_predictions[row, token]),
                None if pointers is None else pointers[row],
                is_prompted,
            )
            for row, token in enumerate(chosen)
        ]

    def _pointers(
        self, output: DecoderOutput, chosen: NDArray[np.intp], *, multimask_output: bool
    ) -> Float | None:
        """Return pointers (B, D): not always of the token whose mask counts (``MaskDecoder``)."""
        if not self._with_pointers:
            return None
        config = self.model.info.config
        follows = multimask_output and config.use_multimask_token_for_obj_ptr
        tokens = chosen if follows else np.zeros_like(chosen)
        pointers = output.obj_ptr[np.arange(len(tokens)), tokens]
        return self.model.memory.gate_pointers(pointers, output.object_score_logits[:, 0])

    def _pointer_of_mask(
        self, embedding: ImageEmbedding, mask: Float, *, is_present: bool
    ) -> Float | None:
        if not self._with_pointers:
            return None
        config = self.model.info.config
        if not config.use_obj_ptrs_in_encoder:
            return np.zeros(config.hidden_dim, np.float32)
        memory = self.model.memory
        # SAM 2 gives the decoder the embedding as it is here, without no_mem_embed.
        raw = embedding.image_embed.astype(np.float32)
        mask_input = memory.downsample_mask(mask)[None, None]
        output = self.model.decode_conditioned(embedding, raw, *blank_tokens(1), mask_input)
        pointers = memory.gate_pointers(output.obj_ptr[:, 0], output.object_score_logits[:, 0])
        mixed: Float = memory.mix_pointers(pointers, np.array([is_present], np.float32))[0]
        return mixed


def raise_if(cancelled: Cancelled) -> None:
    """Raise JobCancelledError if the propagation was cancelled."""
    if cancelled is not None and cancelled():
        raise JobCancelledError("The propagation was cancelled.")


def uses_multimask(config: ModelConfig, n_points: int, *, is_initial: bool) -> bool:
    """Whether the best of three masks counts (``SAM2Base._use_multimask``); a box is two points."""
    return (
        config.multimask_output_in_sam
        and (is_initial or config.multimask_output_for_tracking)
        and config.multimask_min_pt_num <= n_points <= config.multimask_max_pt_num
    )


def read_mask(mask: ArrayLike, image_hw: tuple[int, int], image_size: int) -> Float:
    """Return a mask as the model's square: ``SAM2VideoPredictor.add_new_mask``.

    Parameters
    ----------
    mask : array_like of bool, shape (H, W)
    image_hw : tuple of int
        Height and width of a plane in pixels.
    image_size : int
        S.

    Returns
    -------
    ndarray of float32, shape (S, S)
        0 and 1.

    Raises
    ------
    InputError
        If the mask has another size.
    """
    values = np.asarray(mask)
    if values.shape != image_hw:
        raise InputError(
            f"mask must have the size of a plane, {image_hw[0]} x {image_hw[1]}, but has shape "
            f"{values.shape}."
        )
    pixels: Float = (values != 0).astype(np.float32)
    if image_hw == (image_size, image_size):
        return pixels
    square: Float = np.where(resize(pixels, image_size) >= 0.5, np.float32(1), np.float32(0))
    return square


def resize(pixels: Float, size: int) -> Float:
    """Resize to a square, bilinear and antialiased, as torch's ``interpolate`` does it."""
    image = Image.fromarray(pixels.astype(np.float32, copy=False))
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR), np.float32)
