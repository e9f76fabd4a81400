"""The two graphs of single images; each class owns its tensor names."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.free_shapes import FreeShapesGraph
from napari_sam2_openvino.core.runtime import keep_input, run

if TYPE_CHECKING:
    import openvino

Float = NDArray[np.float32]


class ImageEncoder:
    """The graph ``image_encoder``: an image to its embedding. One thread at a time."""

    INPUT = "image"
    OUTPUTS = ("image_embed", "high_res_feats_0", "high_res_feats_1")

    def __init__(self, compiled: "openvino.CompiledModel") -> None:
        self._request = compiled.create_infer_request()

    def __call__(
        self, image: Float, cancelled: Callable[[], bool] | None = None
    ) -> tuple[Float, Float, Float]:
        """Encode one image.

        Parameters
        ----------
        image : ndarray of float32, shape (1, 3, S, S)
            As returned by `preprocess`.
        cancelled : callable, optional
            Asked every few milliseconds; the encode ends soon after it returns true.

        Returns
        -------
        tuple of ndarray of float32
            ``image_embed`` (1, D, S / 16, S / 16) raw, ``high_res_feats_0`` (1, D / 8, S / 4, S /
            4) and ``high_res_feats_1`` (1, D / 4, S / 8, S / 8).

        Raises
        ------
        JobCancelledError
            If ``cancelled`` returned true.
        DeviceError
            If OpenVINO failed.
        """
        embed, feats_0, feats_1 = run(
            self._request, {self.INPUT: image}, self.OUTPUTS, "encode the image", cancelled
        )
        return embed, feats_0, feats_1


class DecoderOutput(NamedTuple):
    """What ``mask_decoder`` returns for B prompt sets, before SAM 2's rules choose among it."""

    low_res_masks: Float
    iou_predictions: Float
    object_score_logits: Float
    obj_ptr: Float


class MaskDecoder(FreeShapesGraph):
    """The graph ``mask_decoder``: an embedding and tokens to masks. One thread at a time.

    The embedding is handed over once and stays with the request, so that a click costs only its
    decode.

    Parameters
    ----------
    compile_graph : callable
        Compiles the graph.
    """

    EMBEDDING = ImageEncoder.OUTPUTS
    POINT_COORDS = "point_coords"
    POINT_LABELS = "point_labels"
    MASK_INPUT = "mask_input"
    HAS_MASK_INPUT = "has_mask_input"

    @property
    def keeps_embedding(self) -> bool:
        """Whether the embedding that was set is still there: not if a decode was cut off."""
        return self._is_sound

    def set_embedding(self, arrays: tuple[Float, Float, Float]) -> None:
        """Keep a copy of the embedding for the following calls.

        Raises
        ------
        DeviceError
            If OpenVINO failed.
        """
        self._renew_if_unsound()
        for name, array in zip(self.EMBEDDING, arrays, strict=True):
            keep_input(self._request, name, array)

    def __call__(
        self,
        point_coords: Float,
        point_labels: NDArray[np.int32],
        mask_input: Float,
        has_mask_input: Float,
        cancelled: Callable[[], bool] | None = None,
    ) -> DecoderOutput:
        """Decode B prompt sets against the embedding that was set.

        Every prompt input is passed each time: OpenVINO keeps the previous value of one that is
        not.

        Parameters
        ----------
        point_coords : ndarray of float32, shape (B, N, 2)
            Tokens in model space, as laid out by `build_tokens`.
        point_labels : ndarray of int32, shape (B, N)
        mask_input : ndarray of float32, shape (B, 1, S / 4, S / 4)
            Logits; ignored where ``has_mask_input`` is 0.
        has_mask_input : ndarray of float32, shape (B,)
            1 or 0.
        cancelled : callable, optional
            Asked every few milliseconds; the decode is given up soon after it returns true.

        Returns
        -------
        DecoderOutput
            Shapes (B, 4, S / 4, S / 4), (B, 4), (B, 1) and (B, 4, D); copies.

        Raises
        ------
        JobCancelledError
            If ``cancelled`` returned true.
        DeviceError
            If OpenVINO failed.
        """
        inputs: Mapping[str, NDArray[Any]] = {
            self.POINT_COORDS: point_coords,
            self.POINT_LABELS: point_labels,
            self.MASK_INPUT: mask_input,
            self.HAS_MASK_INPUT: has_mask_input,
        }
        return DecoderOutput(
            *self._run(inputs, DecoderOutput._fields, "decode the prompts", cancelled)
        )
