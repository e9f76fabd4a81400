"""Objects on the next plane, from their masks on the plane before: no memory, any model."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.memory import NO_OBJ_SCORE, FrameOutput, ObjectState
from napari_sam2_openvino.core.transforms import LOW_RES_CLAMP, build_tokens
from napari_sam2_openvino.core.video_decoding import Cancelled, PlaneDecoder, raise_if
from napari_sam2_openvino.core.video_state import VideoState

Float = NDArray[np.float32]

# More objects in one call of the decoder gain nothing.
_BATCH_SIZE = 16
_GONE = FrameOutput(None, NO_OBJ_SCORE, 0.0)
# A mask with a higher predicted IoU is of an object; others are looked at again, by a point.
_SURE_IOU = 0.75
_SEEN_IOU = 0.5
# A pixel of the low-resolution mask, in pixels of the model's square.
_STRIDE = 4


class ProjectionTracker:
    """Carries each mask on as the prompt of the next plane: one decode for a plane and object.

    The prompt is the mask alone, as logits, and the best of three masks by predicted IoU counts. An
    object is gone, on all planes beyond as well, where

    - the model says that there is none, or
    - its mask and the one before overlap by less than ``min_overlap``: beyond the end of an object
      there is its shadow, or a neighbour, or
    - the predicted IoU is low, and also that of what the model sees at the middle of the mask when
      it is not told the mask: from a mask it goes on to draw the same on an empty plane.

    ``docs/volumes.md`` has the figures that this was chosen by.

    Parameters
    ----------
    decoder : PlaneDecoder
    min_overlap : float
        IoU of the masks of neighbouring planes.
    """

    reach = 1
    """How many planes away something is looked up, at most."""

    def __init__(self, decoder: PlaneDecoder, min_overlap: float) -> None:
        self._decoder = decoder
        self._min_overlap = min_overlap

    def condition(
        self,
        state: VideoState,
        frame_idx: int,
        obj: ObjectState,
        *,
        reverse: bool,
        cancelled: Cancelled = None,
    ) -> None:
        """Return None: a correction sees the plane as it is."""

    def track(
        self,
        state: VideoState,
        frame_idx: int,
        obj_ids: Sequence[int],
        *,
        reverse: bool,
        cancelled: Cancelled = None,
    ) -> Iterator[dict[int, FrameOutput]]:
        """Find objects on a plane without prompts, in batches.

        Objects that have no prompts behind them, in this direction, are left out.

        Raises
        ------
        JobCancelledError
            If ``cancelled`` returned true.
        """
        step = -1 if reverse else 1
        found: dict[int, FrameOutput] = {}
        masks: dict[int, Float] = {}
        for obj_id in obj_ids:
            obj = state.objects[obj_id]
            if not any((frame_idx - at) * step > 0 for at in obj.cond):
                continue
            before = obj.known(frame_idx - step)
            logits = self._decoder.logits(before)
            if before is not None and before.is_present and (logits > 0).any():
                masks[obj_id] = logits
            else:
                found[obj_id] = _GONE
        yield found
        waiting = list(masks)
        for begin in range(0, len(waiting), _BATCH_SIZE):
            raise_if(cancelled)
            batch = waiting[begin : begin + _BATCH_SIZE]
            logits = np.stack([masks[obj_id] for obj_id in batch])
            outputs = self._project(state, frame_idx, logits, cancelled)
            yield dict(zip(batch, outputs, strict=True))

    def _project(
        self, state: VideoState, frame_idx: int, logits: Float, cancelled: Cancelled
    ) -> list[FrameOutput]:
        """Decode masks (B, h, w) of the plane before."""
        embedding = self._decoder.embedding(state, frame_idx, cancelled)
        outputs = self._decoder.decode(
            embedding,
            build_tokens(None, None, None),
            np.clip(logits, -LOW_RES_CLAMP, LOW_RES_CLAMP)[:, None],
            multimask_output=True,
        )
        goes_on = [
            self._overlap(before, after) for before, after in zip(logits, outputs, strict=True)
        ]
        doubtful = [
            row
            for row, output in enumerate(outputs)
            if goes_on[row] and output.iou_prediction < _SURE_IOU
        ]
        if doubtful:
            middles = [_middle(self._decoder.logits(outputs[row]) > 0) for row in doubtful]
            seen = self._decoder.decode(
                embedding,
                build_tokens(np.stack(middles), np.ones((len(doubtful), 1), np.int32), None),
                multimask_output=True,
            )
            for row, output in zip(doubtful, seen, strict=True):
                goes_on[row] = output.iou_prediction > _SEEN_IOU
        return [
            output if is_there else _GONE for output, is_there in zip(outputs, goes_on, strict=True)
        ]

    def _overlap(self, before: Float, output: FrameOutput) -> bool:
        """Whether a mask is of the object that logits (h, w) of the plane before are of."""
        after = self._decoder.logits(output) > 0
        either = np.count_nonzero((before > 0) | after)
        both = np.count_nonzero((before > 0) & after)
        return bool(both > 0 and both >= self._min_overlap * either)


def _middle(mask: NDArray[np.bool_]) -> Float:
    """Return the point (1, 2) of a low-resolution mask that is farthest from its outline.

    As (x, y) in model space.
    """
    from scipy.ndimage import distance_transform_edt

    depth = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(depth.argmax(), depth.shape)
    return np.array([[column, row]], np.float32) * _STRIDE + np.float32((_STRIDE - 1) / 2)
