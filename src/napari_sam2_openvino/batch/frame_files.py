"""What was found on a plane, as a file: so that a propagation that was killed goes on from it."""

import io
from pathlib import Path

import numpy as np

from napari_sam2_openvino.batch.journal import write_whole
from napari_sam2_openvino.core.errors import DAMAGED_ARCHIVE, InputError
from napari_sam2_openvino.core.memory import FrameOutput
from napari_sam2_openvino.core.video_state import VideoState


class FrameFiles:
    """A folder with a file for each plane of each pass.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def save(self, number: int, state: VideoState, frame_idx: int) -> None:
        """Save what was found on a plane without prompts, to the bit.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        found = {
            obj_id: obj.non_cond[frame_idx]
            for obj_id, obj in state.objects.items()
            if frame_idx in obj.non_cond
        }
        masks = [each.low_res_mask for each in found.values() if each.low_res_mask is not None]
        pointers = [each.obj_ptr for each in found.values() if each.obj_ptr is not None]
        content = io.BytesIO()
        np.savez_compressed(
            content,
            obj_ids=np.array(list(found), np.int64),
            has_mask=np.array([each.low_res_mask is not None for each in found.values()], bool),
            masks=np.stack(masks) if masks else np.zeros(0, np.float32),
            obj_ptrs=np.stack(pointers) if pointers else np.zeros(0, np.float32),
            object_scores=np.array([each.object_score for each in found.values()], np.float64),
            iou_predictions=np.array([each.iou_prediction for each in found.values()], np.float64),
        )
        write_whole(self._path(number), content.getvalue())

    def load(self, number: int, state: VideoState, frame_idx: int) -> None:
        """Put back what was found on a plane.

        Raises
        ------
        InputError
            If the file is gone or damaged.
        """
        path = self._path(number)
        try:
            with np.load(path, allow_pickle=False) as file:
                masks, pointers = iter(file["masks"]), list(file["obj_ptrs"])
                for row, obj_id in enumerate(file["obj_ids"]):
                    state.objects[int(obj_id)].non_cond[frame_idx] = FrameOutput(
                        next(masks).copy() if file["has_mask"][row] else None,
                        float(file["object_scores"][row]),
                        float(file["iou_predictions"][row]),
                        pointers[row].copy() if pointers else None,
                    )
        except DAMAGED_ARCHIVE as error:
            raise InputError(
                f"{path} cannot be used ({error}): overwrite what was begun."
            ) from error

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06d}.npz"
