"""A session is brought back: its image is checked, objects are made again, drafts drawn."""

from collections.abc import Iterator

import numpy as np
from napari.layers import Image

from napari_sam2_openvino._layers import planes
from napari_sam2_openvino._layers.coordinates import from_xy
from napari_sam2_openvino._layers.marks_io import PlacedMark
from napari_sam2_openvino._session.objects import FOR_ALL, Draft
from napari_sam2_openvino.core.errors import InputError, JobCancelledError, times
from napari_sam2_openvino.core.progress import Progress
from napari_sam2_openvino.core.reading import ImageArrays
from napari_sam2_openvino.core.records import ObjectRecord
from napari_sam2_openvino.core.replay import Replay
from napari_sam2_openvino.core.session_file import SessionFile
from napari_sam2_openvino.core.types import PlaneIndex


class ReplayJob:
    """Makes the committed objects of a session again."""

    def __init__(self, session: SessionFile, images: list[ImageArrays]) -> None:
        self._replay = Replay(session, images)
        dtype = np.uint16 if self._replay.largest_id < 2**16 else np.uint32
        try:
            self.labels = np.zeros(self._replay.shape, dtype)
        except MemoryError as error:
            raise InputError(
                f"Labels of {times(self._replay.shape)} pixels do not fit into "
                "memory: open the session on a computer that has more."
            ) from error
        self._is_cancelled = False

    @property
    def areas(self) -> dict[int, int]:
        """Pixels of each object, as it was committed last."""
        return {each.obj_id: each.n_pixels for each in self._replay.objects}

    @property
    def differences(self) -> tuple[str, ...]:
        """Sentences about masks that may not be those that were saved."""
        return tuple(self._replay.differences)

    def run(self) -> Iterator[Progress]:
        """Do it."""
        for progress in self._replay.run(self.labels):
            if self._is_cancelled:
                raise JobCancelledError("Opening the session was cancelled.")
            yield progress

    def cancel(self) -> None:
        """Stop before the next step."""
        self._is_cancelled = True


def drawn_of(
    records: list[ObjectRecord],
) -> tuple[list[PlacedMark], dict[tuple[int, PlaneIndex], Draft]]:
    """Return what drafts were drawn with; marks for all are in each record, and are drawn once."""
    for_all = {record.plane: record.prompts.marks for record in records if record.obj_id == FOR_ALL}
    # The same mark is seen on planes of every direction that it lies on.
    once = {
        (mark.kind, from_xy(mark.vertices, plane).tobytes()): PlacedMark(plane, FOR_ALL, mark)
        for plane, marks in for_all.items()
        for mark in marks
    }
    placed, drafts = [], {}
    for record in records:
        if record.obj_id == FOR_ALL:
            continue
        prompts, shared = record.prompts.value(), for_all.get(record.plane, ())
        own = [mark for mark in prompts.marks if mark not in shared]
        placed += [PlacedMark(record.plane, record.obj_id, mark) for mark in own]
        draft = Draft(prompts.choices, prompts.mask, record.region)
        drafts[record.obj_id, record.plane] = draft
    return [*placed, *once.values()], drafts


def check_image(session: SessionFile, image: Image) -> None:
    """Make sure that a session is of an image of this size.

    Raises
    ------
    InputError
        If it is not.
    """
    shape, expected = planes.image_shape(image), session.images[0].shape
    if shape != expected:
        raise InputError(
            f"The session was made on {times(expected)} pixels, but {image.name} "
            f"has {times(shape)}: choose the image it belongs to."
        )
