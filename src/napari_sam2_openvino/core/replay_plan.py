"""Which objects of a session are made again, in which order, and whether images fit them."""

from collections import Counter
from collections.abc import Sequence

from napari_sam2_openvino.core.errors import InputError, times
from napari_sam2_openvino.core.reading import ImageArrays
from napari_sam2_openvino.core.records import FOR_ALL_OBJECTS, ObjectRecord, check_place
from napari_sam2_openvino.core.session_file import SessionFile
from napari_sam2_openvino.core.types import PlaneIndex


def decodable(records: Sequence[ObjectRecord]) -> list[ObjectRecord]:
    """Return the records of objects of which something positive is said."""
    return [
        record
        for record in records
        if record.obj_id != FOR_ALL_OBJECTS and not record.prompts.value().is_empty
    ]


def in_order(records: Sequence[ObjectRecord], *, include_drafts: bool) -> list[ObjectRecord]:
    """Return what is committed, in order; plane after plane where planes do not cross."""
    chosen = [record for record in decodable(records) if record.committed or include_drafts]
    chosen.sort(key=lambda record: (not record.committed, record.order))
    if len({frozenset(record.plane.displayed) for record in chosen}) < 2:
        chosen.sort(key=lambda record: _plane_order(record.plane))
    return chosen


def _plane_order(plane: PlaneIndex) -> tuple[int, ...]:
    return tuple(-1 if value is None else value for value in plane.index)


def check_fit(
    session: SessionFile, images: Sequence[ImageArrays], records: Sequence[ObjectRecord]
) -> None:
    """Raise InputError if the objects of a session have no place in some images."""
    expected = len(session.images)
    if len(images) != expected:
        raise InputError(
            f"The session sees {expected} images as channels, but {len(images)} are "
            "given: give as many, in the same order."
        )
    recorded = session.images[0].shape
    axes = {axis for record in records for axis in record.plane.displayed}
    for image in images:
        if len(image.shape) != len(recorded):
            raise InputError(
                f"{image.name} has {len(image.shape)} axes, but the session was made on "
                f"{len(recorded)}: give an image with as many."
            )
        if any(image.shape[axis] != recorded[axis] for axis in axes):
            raise InputError(
                f"{image.name} has shape {times(image.shape)}, but the session was made on "
                f"{times(recorded)}: prompts fit only where planes have the same size."
            )
        for record in records:
            _check_place(record, image)


def other_channels(session: SessionFile, records: Sequence[ObjectRecord]) -> list[str]:
    """Return a sentence for each choice of images, not the session's, that objects were made of."""
    seen = tuple(image.name for image in session.images)
    counts = Counter(record.channels for record in records)
    return [
        f"{'One object was' if count == 1 else f'{count} objects were'} made of the channels "
        f"{', '.join(channels)}, but the session sees {', '.join(seen)}: masks may differ."
        for channels, count in counts.items()
        if channels not in ((), seen)
    ]


def _check_place(record: ObjectRecord, image: ImageArrays) -> None:
    try:
        check_place(record, image.shape)
    except InputError as error:
        raise InputError(f"{error}, {image.name}: choose an image with this plane.") from error
