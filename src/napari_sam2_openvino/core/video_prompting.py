"""What prompts on one plane of a video are answered with, and what is kept of it."""

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.memory import FrameOutput, ObjectState, PointInputs
from napari_sam2_openvino.core.tracker import Tracker
from napari_sam2_openvino.core.transforms import LOW_RES_CLAMP, blank_tokens, build_tokens
from napari_sam2_openvino.core.video_decoding import (
    Cancelled,
    PlaneDecoder,
    resize,
    uses_multimask,
)
from napari_sam2_openvino.core.video_state import VideoState

Float = NDArray[np.float32]


class PromptDecoder:
    """Decodes the prompts of one object on one plane, and puts the answer into the state.

    What fails or is cancelled changes nothing.

    Parameters
    ----------
    decoder : PlaneDecoder
    tracker : Tracker
        Says what a plane that was tracked looks like in the light of what is remembered.
    corrects_as_cond : bool
        Whether a plane that is corrected becomes a conditioning plane.
    """

    def __init__(self, decoder: PlaneDecoder, tracker: Tracker, *, corrects_as_cond: bool) -> None:
        self._decoder = decoder
        self._tracker = tracker
        self._corrects_as_cond = corrects_as_cond

    def add_points(
        self,
        state: VideoState,
        frame_idx: int,
        obj_id: int,
        new: PointInputs,
        *,
        clear_old_points: bool,
        cancelled: Cancelled,
    ) -> bool:
        """Answer points and a box; return whether the plane is a conditioning one."""
        obj = state.objects.get(obj_id, ObjectState())
        old = None if clear_old_points else obj.point_inputs.get(frame_idx)
        inputs = (
            new
            if old is None
            else PointInputs(
                np.concatenate([old.coords, new.coords], axis=1),
                np.concatenate([old.labels, new.labels], axis=1),
            )
        )
        is_initial = frame_idx not in obj.tracked
        is_cond = is_initial or self._corrects_as_cond
        before = obj.newest(frame_idx, is_cond=is_cond)
        mask_input = None
        if before is not None:
            clamped = np.clip(self._decoder.logits(before), -LOW_RES_CLAMP, LOW_RES_CLAMP)
            mask_input = clamped[None, None]
        output = self._decode(
            state, frame_idx, obj, inputs, mask_input, is_initial=is_initial, cancelled=cancelled
        )
        state.objects[obj_id] = obj
        obj.point_inputs[frame_idx] = inputs
        obj.mask_inputs.discard(frame_idx)
        (obj.new_cond if is_cond else obj.new_non_cond)[frame_idx] = output
        return is_cond

    def add_mask(
        self,
        state: VideoState,
        frame_idx: int,
        obj_id: int,
        square: Float,
        *,
        cancelled: Cancelled,
    ) -> bool:
        """Answer a mask (S, S) of 0 and 1; return whether the plane is a conditioning one."""
        model = self._decoder.model
        obj = state.objects.get(obj_id, ObjectState())
        is_initial = frame_idx not in obj.tracked
        is_cond = is_initial or self._corrects_as_cond
        if model.info.config.use_mask_input_as_output_without_sam:
            embedding = self._decoder.embedding(state, frame_idx, cancelled)
            output = self._decoder.from_mask(embedding, square)
        else:
            mask_input = resize(square, model.mask_input_size)[None, None]
            output = self._decode(
                state, frame_idx, obj, None, mask_input, is_initial=is_initial, cancelled=cancelled
            )
        state.objects[obj_id] = obj
        obj.mask_inputs.add(frame_idx)
        obj.point_inputs.pop(frame_idx, None)
        (obj.new_cond if is_cond else obj.new_non_cond)[frame_idx] = output
        return is_cond

    def _decode(
        self,
        state: VideoState,
        frame_idx: int,
        obj: ObjectState,
        inputs: PointInputs | None,
        mask_input: Float | None,
        *,
        is_initial: bool,
        cancelled: Cancelled,
    ) -> FrameOutput:
        """Decode the prompts of one object; on a plane that was tracked, with its memories."""
        embedding = self._decoder.embedding(state, frame_idx, cancelled)
        conditioned = None
        if not is_initial:
            conditioned = self._tracker.condition(
                state, frame_idx, obj, reverse=obj.tracked[frame_idx], cancelled=cancelled
            )
        n_points = 0 if inputs is None else inputs.labels.shape[1]
        outputs = self._decoder.decode(
            embedding,
            blank_tokens(1) if inputs is None else build_tokens(inputs.coords, inputs.labels, None),
            mask_input,
            conditioned,
            multimask_output=uses_multimask(
                self._decoder.model.info.config, n_points, is_initial=is_initial
            ),
            is_prompted=True,
        )
        return outputs[0]
