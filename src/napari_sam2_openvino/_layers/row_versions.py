"""Rows that objects had: of masks that napari's undo and redo may bring back."""

from dataclasses import dataclass

from napari_sam2_openvino._layers.feature_frames import Record
from napari_sam2_openvino._layers.label_parts import MaskPrint

# As many as napari keeps steps of undo.
_MOST = 100


@dataclass(frozen=True, eq=False)
class _Version:
    record: Record
    digest: int | None

    def is_surely(self, there: MaskPrint) -> bool:
        return self.digest is not None and (self.record.get("area"), self.digest) == there

    def is_perhaps(self, there: MaskPrint) -> bool:
        return self.record.get("area") == there.area and None in (self.digest, there.digest)


class RowVersions:
    """Remembers rows that are not in a table, and the masks of those that are."""

    def __init__(self) -> None:
        # The newest last: of objects that are gone, and those that objects had before they were
        # committed again.
        self._versions: dict[int, list[_Version]] = {}
        self._digests: dict[int, int] = {}

    def note(self, obj_id: int, digest: int | None) -> None:
        """Take over where the pixels of an object's row are; None if that is not known."""
        if digest is None:
            self._digests.pop(obj_id, None)
        else:
            self._digests[obj_id] = digest

    def digest_of(self, obj_id: int) -> int | None:
        """Return where the pixels of an object's row are; None if that is not known."""
        return self._digests.get(obj_id)

    def is_current(self, obj_id: int, record: Record, there: MaskPrint) -> bool:
        """Whether an object's row is of the mask that is there, for all that is known."""
        known = self._digests.get(obj_id)
        return record.get("area") == there.area and (
            None in (known, there.digest) or known == there.digest
        )

    def remember(self, obj_id: int, record: Record) -> None:
        """Keep the row of an object that gets another one, or none."""
        versions = self._versions.setdefault(obj_id, [])
        versions.append(_Version(record, self._digests.pop(obj_id, None)))
        del versions[:-_MOST]

    def recall(
        self, obj_id: int, place: str, there: MaskPrint | None = None, *, exact: bool = False
    ) -> Record | None:
        """Return the row that an object had on a plane; it is an object's own again.

        Parameters
        ----------
        obj_id : int
        place : str
            The plane as the table says it.
        there : MaskPrint, optional
            Of several the one with this mask is taken.
        exact : bool, optional
            Return None if none has it, and not the newest.
        """
        versions = self._versions.get(obj_id, [])
        found = here = [each for each in versions if each.record.get("plane") == place]
        if there is not None:
            found = [each for each in here if each.is_surely(there)]
            found = found or [each for each in here if each.is_perhaps(there)]
            found = found or ([] if exact else here)
        if not found:
            return None
        # The class is no matter of the mask: the newest counts.
        newest, version = versions[-1], found[-1]
        versions.remove(version)
        self.note(obj_id, version.digest)
        return version.record | {"class_name": newest.record.get("class_name")}
