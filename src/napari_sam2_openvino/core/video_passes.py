"""Objects from plane to plane: what SAM 2's video predictor does after the prompts."""

from collections.abc import Generator, Iterable, Sequence

import numpy as np

from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.memory import FrameOutput
from napari_sam2_openvino.core.tracker import Tracker
from napari_sam2_openvino.core.video_decoding import Cancelled, PlaneDecoder, raise_if
from napari_sam2_openvino.core.video_state import FramePrediction, VideoState
from napari_sam2_openvino.core.volume_parameters import VolumeParameters


class VideoPasses:
    """Passes through the planes, forward and backward.

    Parameters
    ----------
    decoder : PlaneDecoder
    tracker : Tracker
        By memory or by projection.
    parameters : VolumeParameters
    """

    def __init__(
        self, decoder: PlaneDecoder, tracker: Tracker, parameters: VolumeParameters
    ) -> None:
        self._decoder = decoder
        self._tracker = tracker
        self.parameters = parameters

    def propagate_in_video(
        self,
        inference_state: VideoState,
        start_frame_idx: int | None = None,
        max_frame_num_to_track: int | None = None,
        reverse: bool = False,
        *,
        cancelled: Cancelled = None,
    ) -> Generator[FramePrediction, None, None]:
        """Carry all objects from plane to plane.

        What was found stays in the state, wherever the generator is left.

        Parameters
        ----------
        inference_state : VideoState
        start_frame_idx : int, optional
            By default the first plane with prompts.
        max_frame_num_to_track : int, optional
            How many planes are passed after the first one; by default all.
        reverse : bool, optional
            To smaller indices.
        cancelled : callable, optional
            Asked every few milliseconds.

        Yields
        ------
        FramePrediction
            Of all objects on each plane, those with prompts on it included.

        Raises
        ------
        InputError
            If an object has no prompts.
        JobCancelledError
            If ``cancelled`` returned true.
        """
        state = inference_state
        self.propagate_in_video_preflight(state)
        if start_frame_idx is None:
            start_frame_idx = min(at for obj in state.objects.values() for at in obj.cond)
        state.check_frame(start_frame_idx)
        most = state.num_frames if max_frame_num_to_track is None else max_frame_num_to_track
        for frame_idx in _order(start_frame_idx, most, state.num_frames, reverse=reverse):
            raise_if(cancelled)
            yield self.propagate_to_frame(state, frame_idx, reverse=reverse, cancelled=cancelled)

    def propagate_to_frame(
        self,
        inference_state: VideoState,
        frame_idx: int,
        *,
        reverse: bool = False,
        cancelled: Cancelled = None,
    ) -> FramePrediction:
        """Carry all objects to one plane: one step of `propagate_in_video`, after its preflight.

        Raises
        ------
        JobCancelledError
            If ``cancelled`` returned true.
        """
        steps = self.frame_steps(inference_state, frame_idx, reverse=reverse, cancelled=cancelled)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                prediction: FramePrediction = end.value
                return prediction

    def frame_steps(
        self,
        inference_state: VideoState,
        frame_idx: int,
        *,
        reverse: bool = False,
        cancelled: Cancelled = None,
    ) -> Generator[None, None, FramePrediction]:
        """Do `propagate_to_frame` and pause after each batch of objects, for what is urgent."""
        state = inference_state
        wanted = [obj_id for obj_id, obj in state.objects.items() if frame_idx not in obj.cond]
        if wanted:
            found: dict[int, FrameOutput] = {}
            for batch in self._tracker.track(
                state, frame_idx, wanted, reverse=reverse, cancelled=cancelled
            ):
                found |= batch
                yield
            # All at once: what is left in the middle is as if it had not begun.
            for obj_id, output in found.items():
                state.objects[obj_id].non_cond[frame_idx] = output
        self.pass_frame(state, frame_idx, reverse=reverse)
        return self._prediction(
            state, frame_idx, [obj.known(frame_idx) for obj in state.objects.values()]
        )

    def pass_frame(self, inference_state: VideoState, frame_idx: int, *, reverse: bool) -> None:
        """Note that a propagation has passed a plane, as if it had been found there what is known.

        For states that are put together from what was kept elsewhere.
        """
        objects = inference_state.objects.values()
        prompted = {at for obj in objects for at in obj.cond}
        # The other pass begins at the first or last prompts of any object, and recalls what all
        # objects have beside them.
        near = (frame_idx, min(prompted), max(prompted)) if prompted else (frame_idx,)
        for obj in objects:
            obj.tracked[frame_idx] = reverse
            if not self.parameters.keep_all_planes:
                obj.forget_far(near, self._tracker.reach)

    def propagate_in_video_preflight(self, inference_state: VideoState) -> None:
        """Let the next propagation see all prompts.

        Raises
        ------
        InputError
            If there is no object, or one without prompts.
        """
        if not inference_state.objects:
            raise InputError("There are no prompts yet: mark an object on a plane first.")
        for obj_id, obj in inference_state.objects.items():
            obj.settle()
            if not obj.cond:
                raise InputError(
                    f"Object {obj_id} has no prompts: mark it on a plane, or remove it."
                )

    def _prediction(
        self, state: VideoState, frame_idx: int, outputs: Sequence[FrameOutput | None]
    ) -> FramePrediction:
        return FramePrediction(
            frame_idx,
            state.obj_ids,
            np.stack([self._decoder.logits(output) for output in outputs]),
            np.array(
                [np.nan if output is None else output.object_score for output in outputs],
                np.float32,
            ),
            state.image_hw,
        )


def _order(start: int, most: int, num_frames: int, *, reverse: bool) -> Iterable[int]:
    """Return the planes of a propagation; backwards from the first plane there are none."""
    if not reverse:
        return range(start, min(start + most, num_frames - 1) + 1)
    return range(start, max(start - most, 0) - 1, -1) if start > 0 else ()
