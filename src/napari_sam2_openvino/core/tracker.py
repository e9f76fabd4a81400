"""What `SAM2VideoPredictor` asks of a way to carry objects from plane to plane."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.memory import FrameOutput, ObjectState
from napari_sam2_openvino.core.video_decoding import Cancelled
from napari_sam2_openvino.core.video_state import VideoState

Float = NDArray[np.float32]


class Tracker(Protocol):
    """Finds objects on a plane without prompts; how, is its own business."""

    @property
    def reach(self) -> int:
        """How many planes away something is looked up, at most."""

    def condition(
        self,
        state: VideoState,
        frame_idx: int,
        obj: ObjectState,
        *,
        reverse: bool,
        cancelled: Cancelled = None,
    ) -> Float | None:
        """Return the embedding in which a correction is decoded, or None for the plane's own."""

    def track(
        self,
        state: VideoState,
        frame_idx: int,
        obj_ids: Sequence[int],
        *,
        reverse: bool,
        cancelled: Cancelled = None,
    ) -> Iterator[dict[int, FrameOutput]]:
        """Give what is found, batch by batch; objects that are not looked for are left out."""
