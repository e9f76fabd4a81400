"""The two graphs that remember objects from plane to plane; each class owns its tensor names."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.free_shapes import FreeShapesGraph
from napari_sam2_openvino.core.image_graphs import ImageEncoder

Float = NDArray[np.float32]

IMAGE_EMBED = ImageEncoder.OUTPUTS[0]


class MemoryAttention(FreeShapesGraph):
    """The graph ``memory_attention``: a plane in the light of memories. One thread at a time.

    Parameters
    ----------
    compile_graph : callable
        Compiles the graph.
    """

    MASKMEM_FEATURES = "maskmem_features"
    MASKMEM_TPOS = "maskmem_tpos"
    OBJ_PTRS = "obj_ptrs"
    OBJ_PTR_TPOS = "obj_ptr_tpos"
    OUTPUT = "conditioned_embed"

    def __call__(
        self,
        image_embed: Float,
        maskmem_features: Float,
        maskmem_tpos: Float,
        obj_ptrs: Float,
        obj_ptr_tpos: Float,
        cancelled: Callable[[], bool] | None = None,
    ) -> Float:
        """Condition the embedding of a plane on what is remembered of B objects.

        Parameters
        ----------
        image_embed : ndarray of float32, shape (1, D, S / 16, S / 16)
            Raw.
        maskmem_features : ndarray of float32, shape (B, F, M, S / 16, S / 16)
            F memories of each object, at least one.
        maskmem_tpos : ndarray of float32, shape (B, F, M)
            When each of them is from.
        obj_ptrs : ndarray of float32, shape (B, P, D)
            P may be 0.
        obj_ptr_tpos : ndarray of float32, shape (B, P, M)
        cancelled : callable, optional
            Asked every few milliseconds; the run ends soon after it returns true.

        Returns
        -------
        ndarray of float32, shape (B, D, S / 16, S / 16)

        Raises
        ------
        JobCancelledError, DeviceError
        """
        inputs = {
            IMAGE_EMBED: image_embed,
            self.MASKMEM_FEATURES: maskmem_features,
            self.MASKMEM_TPOS: maskmem_tpos,
            self.OBJ_PTRS: obj_ptrs,
            self.OBJ_PTR_TPOS: obj_ptr_tpos,
        }
        return self._run(inputs, (self.OUTPUT,), "recall the objects", cancelled)[0]


class MemoryEncoder(FreeShapesGraph):
    """The graph ``memory_encoder``: an embedding and masks to memories. One thread at a time.

    Parameters
    ----------
    compile_graph : callable
        Compiles the graph.
    """

    LOW_RES_MASKS = "low_res_masks"
    BINARIZE = "binarize"
    OUTPUT = MemoryAttention.MASKMEM_FEATURES

    def __call__(
        self,
        image_embed: Float,
        low_res_masks: Float,
        binarize: Float,
        cancelled: Callable[[], bool] | None = None,
    ) -> Float:
        """Remember masks of B objects on one plane.

        Parameters
        ----------
        image_embed : ndarray of float32, shape (1, D, S / 16, S / 16)
            Raw.
        low_res_masks : ndarray of float32, shape (B, 1, S / 4, S / 4)
            Logits.
        binarize : ndarray of float32, shape (B,)
            1 to remember what is above 0, without the doubt in the logits; else 0.
        cancelled : callable, optional
            Asked every few milliseconds; the run ends soon after it returns true.

        Returns
        -------
        ndarray of float32, shape (B, M, S / 16, S / 16)
            ``no_obj_embed_spatial`` is not added.

        Raises
        ------
        JobCancelledError, DeviceError
        """
        inputs = {
            IMAGE_EMBED: image_embed,
            self.LOW_RES_MASKS: low_res_masks,
            self.BINARIZE: binarize,
        }
        return self._run(inputs, (self.OUTPUT,), "remember the objects", cancelled)[0]
