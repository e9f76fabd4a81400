"""A loaded model: its graphs, its parameters, and what it does."""

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.errors import DAMAGED_ARCHIVE, InputError, ModelFormatError
from napari_sam2_openvino.core.image_graphs import DecoderOutput, ImageEncoder, MaskDecoder
from napari_sam2_openvino.core.memory_model import MemoryModel
from napari_sam2_openvino.core.model_content import LoadedFiles, content_hash, name_of
from napari_sam2_openvino.core.model_folder import (
    IMAGE_ENCODER_FILE,
    MASK_DECODER_FILE,
    PARAMETERS_FILE,
    ModelInfo,
    read_model_info,
)
from napari_sam2_openvino.core.point_decoder import PointGraphs, derive_point_graphs
from napari_sam2_openvino.core.runtime import Runtime, effective_precision
from napari_sam2_openvino.core.transforms import preprocess
from napari_sam2_openvino.core.types import ImageEmbedding

Float = NDArray[np.float32]

PARAMETERS = ("no_mem_embed",)


class Sam2Model:
    """SAM 2 on OpenVINO, ready to encode images and to decode prompts.

    Safe to share between threads; calls of one kind wait for each other.

    Parameters
    ----------
    folder : Path
        A model folder.
    device, precision : str
        See `load_model`.
    cache_dir : Path or None
        Folder of compiled blobs; None compiles anew each time.
    threads : int, optional
        See `load_model`.
    """

    def __init__(
        self,
        folder: Path,
        device: str,
        precision: str,
        cache_dir: Path | None,
        threads: int | None = None,
    ) -> None:
        self.folder = folder
        self.info: ModelInfo = read_model_info(folder)
        self.name = name_of(folder, self.info)
        """Name of the model."""
        self.device = device
        self.content = content_hash(folder)
        """What tells it from another model, also from one that takes its folder later."""
        if cache_dir is not None:
            cache_dir = cache_dir / self.content
        runtime = Runtime(device, precision, cache_dir, threads)
        files = self._files = LoadedFiles(self.name, folder, self.content, runtime)
        self._image_encoder, self.precision = self._load_image_encoder()
        self._mask_decoder = MaskDecoder(partial(files.compile, MASK_DECODER_FILE))
        self._parameters = _read_parameters(folder / PARAMETERS_FILE)
        self._encoder_lock = threading.Lock()
        self._decoder_lock = threading.Lock()
        self._memory_lock = threading.Lock()
        self._memory: MemoryModel | None = None
        self._decoding: ImageEmbedding | None = None
        self._point_graphs: PointGraphs | None = None
        self._has_derived = False

    def _load_image_encoder(self) -> tuple[ImageEncoder, str]:
        """Return the image encoder, and the precision that it is computed in."""
        encoder = self._files.compile(IMAGE_ENCODER_FILE)
        return ImageEncoder(encoder), effective_precision(encoder)

    def __repr__(self) -> str:
        return f"Sam2Model({self.name!r}, device={self.device!r}, precision={self.precision!r})"

    @property
    def image_size(self) -> int:
        """S: side of the square that the network sees, in pixels."""
        return self.info.config.image_size

    @property
    def mask_input_size(self) -> int:
        """Side of the low-resolution masks, in pixels."""
        return self.image_size // 4

    @property
    def key(self) -> str:
        """What an embedding depends on beside the image: the model, device and precision."""
        parts = (self.content, self.device, self.precision)
        return "-".join(parts)

    @property
    def has_memory(self) -> bool:
        """Whether the model remembers objects from plane to plane."""
        return self.info.has_memory

    @property
    def memory(self) -> MemoryModel:
        """What remembers objects; compiled when it is first used.

        Raises
        ------
        InputError
            If the model folder has no memory graphs.
        ModelFormatError
            If the folder holds another model by now.
        """
        if not self.has_memory:
            raise InputError(
                f"Model {self.name} has no memory graphs: choose projection, or convert its "
                "checkpoint again with its memory."
            )
        with self._memory_lock:
            if self._memory is None:
                with self._files.unchanged():
                    self._memory = MemoryModel(self.folder, self.info.config, self._files.compile)
            return self._memory

    def encode(
        self, rgb: NDArray[np.uint8], *, cancelled: Callable[[], bool] | None = None
    ) -> ImageEmbedding:
        """Encode one image.

        Except in f32, the embedding is rounded to half precision here, before any decode, so that
        one that comes from a cache gives the same masks bit for bit.

        Parameters
        ----------
        rgb : ndarray of uint8, shape (H, W, 3)
            As returned by `to_rgb`.
        cancelled : callable, optional
            Asked every few milliseconds; the encode ends soon after it returns true.

        Returns
        -------
        ImageEmbedding

        Raises
        ------
        JobCancelledError
            If ``cancelled`` returned true.
        """
        image = preprocess(rgb, self.image_size)
        with self._encoder_lock:
            arrays = self._image_encoder(image, cancelled)
        kept: type[np.floating] = np.float32 if self.precision == "f32" else np.float16
        embed, feats_0, feats_1 = (array.astype(kept, copy=False) for array in arrays)
        height, width = rgb.shape[:2]
        return ImageEmbedding(embed, (feats_0, feats_1), (height, width))

    def decode(
        self,
        embedding: ImageEmbedding,
        point_coords: Float,
        point_labels: NDArray[np.int32],
        mask_input: Float | None = None,
        *,
        cancelled: Callable[[], bool] | None = None,
    ) -> DecoderOutput:
        """Decode B prompt sets of one image.

        Parameters
        ----------
        embedding : ImageEmbedding
        point_coords : ndarray of float32, shape (B, N, 2)
            Tokens in model space, as laid out by `build_tokens`.
        point_labels : ndarray of int32, shape (B, N)
        mask_input : ndarray of float32, shape (B or 1, 1, S / 4, S / 4), optional
            Logits.
        cancelled : callable, optional
            Asked every few milliseconds; the decode ends soon after it returns true.

        Returns
        -------
        DecoderOutput
            All four masks, scores and pointers of each set; see `select_masks`.
        """
        inputs = self._prompt_inputs(point_coords, point_labels, mask_input)
        with self._decoder_lock:
            if self._decoding is not embedding or not self._mask_decoder.keeps_embedding:
                # Whatever fails in between, the next decode sets all of it again.
                self._decoding = None
                self._mask_decoder.set_embedding(self.decoder_arrays(embedding))
                self._decoding = embedding
            return self._mask_decoder(*inputs, cancelled)

    def decode_conditioned(
        self,
        embedding: ImageEmbedding,
        conditioned_embed: Float,
        point_coords: Float,
        point_labels: NDArray[np.int32],
        mask_input: Float | None = None,
    ) -> DecoderOutput:
        """Decode B prompt sets of one image, each seen in the light of its own memories.

        Parameters
        ----------
        embedding : ImageEmbedding
            Gives the high-resolution features.
        conditioned_embed : ndarray of float32, shape (B or 1, D, S / 16, S / 16)
            What the decoder takes as the embedding: nothing is added to it.
        point_coords, point_labels, mask_input
            As in `decode`.

        Returns
        -------
        DecoderOutput
        """
        inputs = self._prompt_inputs(point_coords, point_labels, mask_input)
        _, feats_0, feats_1 = self.decoder_arrays(embedding)
        with self._decoder_lock:
            self._decoding = None
            self._mask_decoder.set_embedding((conditioned_embed, feats_0, feats_1))
            return self._mask_decoder(*inputs)

    def _prompt_inputs(
        self, point_coords: Float, point_labels: NDArray[np.int32], mask_input: Float | None
    ) -> tuple[Float, NDArray[np.int32], Float, Float]:
        """Return all inputs of the decoder but the embedding."""
        size = self.mask_input_size
        if mask_input is None:
            mask = np.zeros((len(point_coords), 1, size, size), np.float32)
        else:
            if mask_input.shape[1:] != (1, size, size):
                raise InputError(
                    f"mask_input must have shape (1, {size}, {size}) for model {self.name}, "
                    f"but has shape {mask_input.shape[1:]}: give back this model's low_res_masks."
                )
            point_coords, point_labels, mask = _same_batch(point_coords, point_labels, mask_input)
        return (
            point_coords,
            point_labels,
            mask,
            np.full(len(mask), mask_input is not None, np.float32),
        )

    def image_embed(self, embedding: ImageEmbedding) -> Float:
        """Return the embedding of a single image as the mask decoder takes it.

        Returns
        -------
        ndarray of float32, shape (1, D, S / 16, S / 16)
            With ``no_mem_embed`` added where the model says so.
        """
        embed = embedding.image_embed.astype(np.float32)
        if self.info.config.directly_add_no_mem_embed:
            embed = embed + self._parameters["no_mem_embed"].reshape(1, -1, 1, 1)
        return embed

    def point_graphs(self) -> PointGraphs | None:
        """Return the faster graphs for many single points; derived when they are first asked for.

        Returns
        -------
        PointGraphs or None
            None if they cannot be derived from this model's files on this device.

        Raises
        ------
        ModelFormatError
            If the folder holds another model by now.
        """
        with self._decoder_lock:
            if not self._has_derived:
                with self._files.unchanged():
                    self._point_graphs = derive_point_graphs(
                        self._files.runtime,
                        self.folder / MASK_DECODER_FILE,
                        half=self.precision != "f32",
                    )
                self._has_derived = True
            return self._point_graphs

    def decoder_arrays(self, embedding: ImageEmbedding) -> tuple[Float, Float, Float]:
        """Return an embedding as the mask decoder takes it: embedding, two levels of features."""
        feats_0, feats_1 = (feats.astype(np.float32) for feats in embedding.high_res_feats)
        return self.image_embed(embedding), feats_0, feats_1


def _same_batch(
    point_coords: Float, point_labels: NDArray[np.int32], mask: Float
) -> tuple[Float, NDArray[np.int32], Float]:
    """Repeat whichever of points and mask has batch 1, as broadcasting does in SAM 2."""
    batch = max(len(point_coords), len(mask))
    if {len(point_coords), len(mask)} - {1, batch}:
        raise InputError(
            "There must be one mask_input for each prompt set, or one for all, but there are "
            f"{len(mask)} for {len(point_coords)} sets."
        )
    coords = np.broadcast_to(point_coords, (batch, *point_coords.shape[1:]))
    labels = np.broadcast_to(point_labels, (batch, *point_labels.shape[1:]))
    masks = np.broadcast_to(mask, (batch, *mask.shape[1:]))
    return (
        np.ascontiguousarray(coords),
        np.ascontiguousarray(labels),
        np.ascontiguousarray(masks),
    )


def _read_parameters(path: Path) -> dict[str, Float]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name].astype(np.float32) for name in PARAMETERS}
    except DAMAGED_ARCHIVE as error:
        raise ModelFormatError(
            f"{path} is damaged or lacks one of {', '.join(PARAMETERS)}: "
            "convert the checkpoint again."
        ) from error
