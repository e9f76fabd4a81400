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

    def is_current(self, obj_id: int, record: Record, there: MaskPrint) -> bool:
        """Whether an object's row is of the mask that is there, for all that is known."""
        known = self._digests.get(obj_id)
        return record.get("area") == there.area and (
            None in (known, there.digest) or known == there.digest
        )

    def remember(self, obj_id: int, record: Record) -> None:
        """Keep the row of an object that gets another one, or none."""
        self._append(obj_id, _Version(record, self._digests.pop(obj_id, None)))

    def exchange(self, obj_id: int, record: Record, there: MaskPrint) -> Record | None:
        """Return the row that an object had with the mask that is there, and keep its present one.

        None if it had none: its row is of that mask then.
        """
        present = _Version(record, self._digests.get(obj_id))
        found = self._found(obj_id, record["plane"], there)
        self.note(obj_id, there.digest)
        if not found:
            return None
        version = self._take(obj_id, found[-1])
        self._append(obj_id, present)
        return version

    def recall(self, obj_id: int, place: str, there: MaskPrint | None = None) -> Record | None:
        """Return the row that an object without one had on a plane; it is its own again.

        Parameters
        ----------
        obj_id : int
        place : str
            The plane as the table says it.
        there : MaskPrint, optional
            Of several rows the one with this mask is taken; else the newest.
        """
        found = [] if there is None else self._found(obj_id, place, there)
        found = found or self._on_plane(obj_id, place)
        if not found:
            return None
        self.note(obj_id, found[-1].digest if there is None else there.digest)
        return self._take(obj_id, found[-1])

    def _append(self, obj_id: int, version: _Version) -> None:
        versions = self._versions.setdefault(obj_id, [])
        versions.append(version)
        del versions[:-_MOST]

    def _take(self, obj_id: int, version: _Version) -> Record:
        versions = self._versions[obj_id]
        # The class is no matter of the mask: the newest counts.
        class_name = versions[-1].record.get("class_name")
        versions.remove(version)
        return version.record | {"class_name": class_name}

    def _on_plane(self, obj_id: int, place: str) -> list[_Version]:
        versions = self._versions.get(obj_id, [])
        return [each for each in versions if each.record.get("plane") == place]

    def _found(self, obj_id: int, place: str, there: MaskPrint) -> list[_Version]:
        """Return what is surely of a mask; else what is for all that is known."""
        here = self._on_plane(obj_id, place)
        surely = [each for each in here if each.is_surely(there)]
        return surely or [each for each in here if each.is_perhaps(there)]
