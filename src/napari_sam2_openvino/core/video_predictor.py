"""SAM 2's video predictor on OpenVINO."""

from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike

from napari_sam2_openvino.core.embeddings import EmbeddingCache
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.memory_tracking import MemoryTracker
from napari_sam2_openvino.core.model import Sam2Model
from napari_sam2_openvino.core.normalize import ChannelView
from napari_sam2_openvino.core.planes import PlaneSource
from napari_sam2_openvino.core.projection import ProjectionTracker
from napari_sam2_openvino.core.prompt_arrays import read_point_inputs
from napari_sam2_openvino.core.tracker import Tracker
from napari_sam2_openvino.core.video_decoding import (
    Cancelled,
    PlaneDecoder,
    read_mask,
)
from napari_sam2_openvino.core.video_passes import VideoPasses
from napari_sam2_openvino.core.video_prompting import PromptDecoder
from napari_sam2_openvino.core.video_state import FramePrediction, VideoState, read_planes
from napari_sam2_openvino.core.volume_parameters import VolumeParameters


class SAM2VideoPredictor(VideoPasses):
    """Carry objects through a volume or time series: ``sam2.sam2_video_predictor``.

    With a model that has memory graphs, results equal the reference in f32 up to rounding; with
    any other model, or on request, the mask of one plane is the prompt of the next (see
    `ProjectionTracker`). Methods and their meaning are SAM 2's, with these differences on purpose:

    - planes are an array, not a folder of JPEGs, and reach the network as in `SAM2ImagePredictor`;
    - ``obj_id`` is an int from 1; masks are bool, shape (n, H, W), made when they are asked for;
    - memories are kept in the precision of the model, not always in bfloat16;
    - holes are filled on the CPU too, where the reference skips that;
    - ``add_all_frames_to_correct_as_cond`` is true by default: otherwise the next propagation
      forgets each correction of a plane that it had passed before;
    - objects of one plane are decoded in batches.

    Parameters
    ----------
    model : Sam2Model
        As returned by `load_model`.
    parameters : VolumeParameters, optional
    add_all_frames_to_correct_as_cond : bool, optional
        Whether a plane that is corrected becomes a conditioning plane.
    embeddings : EmbeddingCache, optional
        Shared with others, so that no plane is encoded twice.

    Raises
    ------
    InputError
        If memory is asked for and the model has none.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_sam2_openvino import SAM2VideoPredictor, load_model
    >>> rows, columns = np.mgrid[:64, :64]
    >>> disc = (rows - 32) ** 2 + (columns - 32) ** 2 < 144
    >>> volume = np.stack([np.where(disc, 200, 30).astype(np.uint8)] * 3)
    >>> predictor = SAM2VideoPredictor(load_model("starter"))
    >>> state = predictor.init_state(volume)
    >>> _ = predictor.add_new_points_or_box(state, frame_idx=0, obj_id=1, box=[19, 19, 45, 45])
    >>> [int(masks.sum() > 0) for frame_idx, obj_ids, masks in predictor.propagate_in_video(state)]
    [1, 1, 1]
    """

    def __init__(
        self,
        model: Sam2Model,
        parameters: VolumeParameters | None = None,
        *,
        add_all_frames_to_correct_as_cond: bool = True,
        embeddings: EmbeddingCache | None = None,
    ) -> None:
        parameters = VolumeParameters() if parameters is None else parameters
        self.model = model
        self.add_all_frames_to_correct_as_cond = add_all_frames_to_correct_as_cond
        method = parameters.method
        self.uses_memory = method == "memory" or (method == "automatic" and model.has_memory)
        decoder = PlaneDecoder(
            model,
            EmbeddingCache() if embeddings is None else embeddings,
            fill_hole_area=parameters.fill_hole_area,
            with_pointers=self.uses_memory,
        )
        tracker: Tracker
        if self.uses_memory:
            # Compiled now, so that a model without memory is refused now.
            self._memory = model.memory
            tracker = MemoryTracker(decoder, parameters)
        else:
            tracker = ProjectionTracker(decoder, parameters.min_overlap)
        super().__init__(decoder, tracker, parameters)
        self._prompts = PromptDecoder(
            decoder, tracker, corrects_as_cond=add_all_frames_to_correct_as_cond
        )

    def init_state(
        self, video: Any | Sequence[PlaneSource], *, view: ChannelView | None = None
    ) -> VideoState:
        """Return a state without objects; no plane is read yet.

        Parameters
        ----------
        video : array-like or sequence of PlaneSource
            (planes, height, width), or (planes, height, width, 3 or 4) for RGB: numpy, dask, zarr,
            memmap or anything else with ``shape``, ``dtype`` and basic indexing.
        view : ChannelView, optional
            How bright the network sees it; by default uint8 unchanged, others stretched plane by
            plane.

        Raises
        ------
        InputError
            If it is no volume.
        """
        return VideoState(read_planes(video, view))

    def add_new_points_or_box(
        self,
        inference_state: VideoState,
        frame_idx: int,
        obj_id: int,
        points: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        clear_old_points: bool = True,
        normalize_coords: bool = True,
        box: ArrayLike | None = None,
        *,
        cancelled: Cancelled = None,
    ) -> FramePrediction:
        """Say by clicks or a box where an object is on one plane, or correct it there.

        Parameters
        ----------
        inference_state : VideoState
        frame_idx : int
            The plane, counted from 0.
        obj_id : int
            From 1; a new one is a new object.
        points : array_like, shape (n, 2), optional
            (x, y) in pixels of the plane.
        labels : array_like, shape (n,), optional
            1 for foreground, 0 for background.
        clear_old_points : bool, optional
            False adds to the points that were given on this plane before.
        normalize_coords : bool, optional
            False if coordinates are already divided by width and height.
        box : array_like, shape (4,), optional
            xyxy in pixels of the plane; only with ``clear_old_points``.
        cancelled : callable, optional
            Asked every few milliseconds while the plane is encoded.

        Returns
        -------
        FramePrediction
            Of all objects on this plane.

        Raises
        ------
        InputError, JobCancelledError
        """
        state = inference_state
        state.check_object(frame_idx, obj_id)
        if points is None and box is None:
            raise InputError("Give at least one of points or box.")
        if box is not None and not clear_old_points:
            raise InputError("A box comes before any point: give it with clear_old_points=True.")
        new = read_point_inputs(
            points,
            labels,
            box,
            state.image_hw if normalize_coords else None,
            self.model.image_size,
        )
        is_cond = self._prompts.add_points(
            state, frame_idx, obj_id, new, clear_old_points=clear_old_points, cancelled=cancelled
        )
        return self._newest(state, frame_idx, is_cond=is_cond)

    def add_new_mask(
        self,
        inference_state: VideoState,
        frame_idx: int,
        obj_id: int,
        mask: ArrayLike,
        *,
        cancelled: Cancelled = None,
    ) -> FramePrediction:
        """Say by a mask where an object is on one plane.

        Parameters
        ----------
        inference_state : VideoState
        frame_idx : int
        obj_id : int
        mask : array_like of bool, shape (H, W)
            In the size of a plane.
        cancelled : callable, optional
            Asked every few milliseconds while the plane is encoded.

        Returns
        -------
        FramePrediction
            Of all objects on this plane.

        Raises
        ------
        InputError, JobCancelledError
        """
        state = inference_state
        state.check_object(frame_idx, obj_id)
        square = read_mask(mask, state.image_hw, self.model.image_size)
        is_cond = self._prompts.add_mask(state, frame_idx, obj_id, square, cancelled=cancelled)
        return self._newest(state, frame_idx, is_cond=is_cond)

    def clear_all_prompts_in_frame(
        self, inference_state: VideoState, frame_idx: int, obj_id: int
    ) -> FramePrediction:
        """Remove the prompts of one object on one plane.

        Returns
        -------
        FramePrediction
            Of all objects on this plane.
        """
        inference_state.check_object(frame_idx, obj_id)
        inference_state.object_state(obj_id).clear_prompts(frame_idx)
        return self._after_removal(inference_state, frame_idx)

    def remove_object(
        self, inference_state: VideoState, obj_id: int, strict: bool = False
    ) -> tuple[tuple[int, ...], list[FramePrediction]]:
        """Remove an object and all that is known of it.

        Parameters
        ----------
        inference_state : VideoState
        obj_id : int
        strict : bool, optional
            Whether it must be there.

        Returns
        -------
        obj_ids : tuple of int
            The objects that stay.
        predictions : list of FramePrediction
            Of these on the planes where the removed one had prompts.

        Raises
        ------
        InputError
            If it must be there and is not.
        """
        state = inference_state
        if obj_id not in state.objects and not strict:
            return state.obj_ids, []
        obj = state.object_state(obj_id)
        del state.objects[obj_id]
        planes = sorted(obj.prompted) if state.objects else []
        return state.obj_ids, [self._after_removal(state, frame_idx) for frame_idx in planes]

    def reset_state(self, inference_state: VideoState) -> None:
        """Remove all objects; planes that were encoded stay in the cache."""
        inference_state.objects.clear()

    def _after_removal(self, state: VideoState, frame_idx: int) -> FramePrediction:
        is_cond = any(frame_idx in obj.new_cond for obj in state.objects.values())
        return self._newest(state, frame_idx, is_cond=is_cond)

    def _newest(self, state: VideoState, frame_idx: int, *, is_cond: bool) -> FramePrediction:
        return self._prediction(
            state,
            frame_idx,
            [obj.newest(frame_idx, is_cond=is_cond) for obj in state.objects.values()],
        )
