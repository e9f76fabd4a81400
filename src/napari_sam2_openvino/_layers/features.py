"""The table of a Labels layer: a row for each object that was committed."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from math import isfinite
from typing import Any

import pandas as pd
from napari.layers import Labels

from napari_sam2_openvino._layers.feature_frames import (
    COLUMNS,
    INDEX,
    Record,
    frame_of,
    records_of,
)
from napari_sam2_openvino._layers.label_parts import MaskPrint
from napari_sam2_openvino._layers.row_versions import RowVersions
from napari_sam2_openvino.core.measurements import STABILITY, is_measure
from napari_sam2_openvino.core.types import PlaneIndex

# Columns that no other program writes: a table that has them was made from ours.
_SIGNS = {"plane", "prompts"}


@dataclass(frozen=True)
class ObjectRow:
    """What is known of an object of a Labels layer.

    Parameters
    ----------
    obj_id : int
        Its label.
    plane : PlaneIndex, optional
        Where it was committed.
    area : int, optional
        Number of pixels on that plane.
    model : str, optional
        Name of the model that made the mask.
    iou_prediction : float, optional
        The model's own estimate of the mask's IoU.
    prompts : str, optional
        The prompts as JSON; only carried.
    class_name : str, optional
        Chosen by the user.
    measures : mapping of str to float, optional
        What else was measured of it, by column; only written.
    """

    obj_id: int
    plane: PlaneIndex | None = None
    area: int = 0
    model: str = ""
    iou_prediction: float | None = None
    prompts: str = ""
    class_name: str = ""
    measures: Mapping[str, float] = field(default_factory=dict)


class FoldedText(str):
    """Text that is shown as its length: napari's status bar shows ``str()`` of all features."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"({len(self)} characters)" if self else ""

    @property
    def unfolded(self) -> str:
        """The whole text."""
        return str.__str__(self)


class ObjectTable:
    """Reads and writes ``features`` of one Labels layer. Columns of the user's own are kept.

    Rows that disappear with their objects are remembered, so that they are back when napari's undo
    or redo brings the objects back. Rows that disappear without them, as where another program puts
    a table of its own there, are kept beside what it wrote.

    Parameters
    ----------
    labels : Labels
    """

    def __init__(self, labels: Labels) -> None:
        self._labels = labels
        self._versions = RowVersions()
        # What was read last, and a copy: it may be changed in place.
        self._features: pd.DataFrame | None = None
        self._copy = pd.DataFrame()
        # What it said, and what there is to be: more where another program took rows away.
        self._written: dict[int, Record] = {}
        self._records: dict[int, Record] = {}
        self._rows: dict[int, ObjectRow] = {}
        self._doubtful: set[PlaneIndex] = set()
        self._is_foreign = False

    def rows(self) -> Mapping[int, ObjectRow]:
        """Return what is known of each object, by obj_id; the same object until it changes."""
        self._look()
        return self._rows

    def row(self, obj_id: int) -> ObjectRow | None:
        """Return what is known of an object, None if nothing is."""
        return self.rows().get(obj_id)

    def add_rows(
        self, rows: Iterable[ObjectRow], prints: Mapping[int, MaskPrint] | None = None
    ) -> None:
        """Note what was committed; an object that is there already keeps its class.

        Parameters
        ----------
        rows : iterable of ObjectRow
        prints : mapping of int to MaskPrint, optional
            Of their masks, by obj_id, as far as they are known.
        """
        records = self._changeable()
        for row in rows:
            old = records.get(row.obj_id, {})
            if old:
                self._versions.remember(row.obj_id, old)
            there = (prints or {}).get(row.obj_id)
            self._versions.note(row.obj_id, None if there is None else there.digest)
            name = row.class_name or _text(old.get("class_name"))
            records[row.obj_id] = _unmeasured(old) | _to_record(replace(row, class_name=name))
        self._write(records)

    def set_class(self, obj_ids: Collection[int], name: str) -> None:
        """Give objects a class; an empty name takes it away."""
        records = self._changeable()
        for obj_id in obj_ids:
            record = records.setdefault(obj_id, _to_record(ObjectRow(obj_id)))
            records[obj_id] = record | {"class_name": name or None}
        self._write(records)

    def follow(self, counts: Mapping[PlaneIndex, Mapping[int, MaskPrint]]) -> None:
        """Make the table agree with what is on planes, after undo, redo or painting.

        Rows of objects that are gone disappear, and those of objects that are back come back: of
        several that an object had, the one of its mask.

        Parameters
        ----------
        counts : mapping of PlaneIndex to mapping of int to MaskPrint
            What is on each plane, by obj_id, as `object_prints` says.
        """
        records = self._changeable()
        at: dict[Any, list[int]] = defaultdict(list)
        for obj_id, record in records.items():
            at[record.get("plane")].append(obj_id)
        for plane, there in counts.items():
            place = _plane_text(plane)
            for obj_id in at[place]:
                if obj_id in there:
                    records[obj_id] = self._version_of(records[obj_id], there[obj_id])
                else:
                    self._versions.remember(obj_id, records.pop(obj_id))
            for obj_id in [each for each in there if each not in records]:
                version = self._versions.recall(obj_id, place, there[obj_id])
                if version is not None:
                    records[obj_id] = _with_area(version, there[obj_id].area)
        self._write(records)

    def bring_back(self, places: Iterable[tuple[int, PlaneIndex]]) -> None:
        """Give objects that have no row the last one that they had on a plane, if they had one."""
        records = self._changeable()
        for obj_id, plane in places:
            if obj_id not in records:
                version = self._versions.recall(obj_id, _plane_text(plane))
                if version is not None:
                    records[obj_id] = version
        self._write(records)

    def keep(self) -> set[PlaneIndex] | None:
        """Write back what another program took away; None if none has touched the table.

        Returns
        -------
        set of PlaneIndex or None
            Planes of rows that are missing in a table with our columns: they went with their
            objects, or the user removed them. `follow` brings back those whose objects are there.
        """
        self._look()
        if not self._is_foreign:
            return None
        self._write(self._records)
        planes, self._doubtful, self._is_foreign = self._doubtful, set(), False
        return planes

    def _version_of(self, record: Record, there: MaskPrint) -> Record:
        """Return the row that an object had with a mask; else its own, with the area."""
        obj_id = int(record[INDEX])
        if self._versions.is_current(obj_id, record, there):
            self._versions.note(obj_id, there.digest)
            return record
        version = self._versions.exchange(obj_id, record, there)
        if version is None:
            return _with_area(record, there.area)
        return version | {"class_name": record.get("class_name")}

    def _look(self) -> None:
        """Read the table anew if it is another one than what was read last."""
        features, known = self._labels.features, self._records
        if features is self._features and self._copy.equals(features):
            return
        self._is_foreign = self._features is not None
        self._see(features, records_of(features))
        records = dict(self._records)
        is_of_ours = {*features} >= _SIGNS
        for obj_id, record in known.items():
            if not is_of_ours:
                records[obj_id] = _beside(record, records.get(obj_id, {}))
            elif obj_id not in records:
                self._doubt(obj_id, record)
        self._show(records)

    def _doubt(self, obj_id: int, record: Record) -> None:
        self._versions.remember(obj_id, record)
        plane = _to_plane(_text(record.get("plane")))
        if plane is not None:
            self._doubtful.add(plane)

    def _changeable(self) -> dict[int, Record]:
        self._look()
        return dict(self._records)

    def _see(self, features: pd.DataFrame, records: dict[int, Record]) -> None:
        """Take over what the table says."""
        self._features, self._copy = features, features.copy()
        self._written = records
        self._show(records)

    def _show(self, records: dict[int, Record]) -> None:
        """Take over what there is to be in the table."""
        old, rows = self._records, self._rows
        self._records = records
        self._rows = {
            obj_id: rows[obj_id] if record is old.get(obj_id) else _to_row(record)
            for obj_id, record in records.items()
        }

    def _write(self, records: dict[int, Record]) -> None:
        written = self._written
        changed = [
            row
            for row, (obj_id, record) in enumerate(records.items())
            if record is not written.get(obj_id)
        ]
        if not changed and records.keys() == written.keys():
            return
        self._labels.features = frame_of(records, self._labels.features, written)
        features = self._labels.features
        # As it reads what is new.
        self._see(features, records | records_of(features.iloc[changed]))


def _with_area(record: Record, area: int) -> Record:
    return record if record.get("area") == area else _unmeasured(record) | {"area": area}


def _unmeasured(record: Record) -> Record:
    """Return a row without what a search has measured of pixels that are others now.

    Columns of these names in the row of an object that no search found are the user's own.
    """
    if pd.isna(record.get(STABILITY)):
        return record
    return {
        name: None if is_measure(name) and name not in COLUMNS else value
        for name, value in record.items()
    }


def _beside(record: Record, foreign: Record) -> Record:
    """Return our row of an object with what another program has put in its place."""
    # A search has measured these; other columns were replaced by whoever they are of.
    is_measured = not pd.isna(record.get(STABILITY))
    ours = {
        name: value
        for name, value in record.items()
        if name in COLUMNS or (is_measured and is_measure(name))
    }
    name = _text(foreign.get("class_name")) or _text(record.get("class_name"))
    theirs = {name: value for name, value in foreign.items() if name not in COLUMNS}
    return ours | theirs | {"class_name": name or None}


def _to_record(row: ObjectRow) -> Record:
    # None is what the status bar leaves out.
    return {
        INDEX: row.obj_id,
        "class_name": row.class_name or None,
        "model": row.model or None,
        "iou_prediction": row.iou_prediction,
        "area": row.area,
        "plane": None if row.plane is None else _plane_text(row.plane),
        "prompts": FoldedText(row.prompts) if row.prompts else None,
        **row.measures,
    }


def _to_row(record: Record) -> ObjectRow:
    area = _number(record.get("area"))
    return ObjectRow(
        int(record[INDEX]),
        _to_plane(_text(record.get("plane"))),
        0 if area is None else int(area),
        _text(record.get("model")),
        _number(record.get("iou_prediction")),
        _text(record.get("prompts")),
        _text(record.get("class_name")),
    )


def _number(value: Any) -> float | None:
    """Return a finite number; None for what is none, as in another program's column."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if isfinite(number) else None


def _text(value: Any) -> str:
    if isinstance(value, FoldedText):
        return value.unfolded
    return value if isinstance(value, str) else ""


@lru_cache(4096)
def _plane_text(plane: PlaneIndex) -> str:
    return ", ".join(":" if value is None else str(value) for value in plane.index)


@lru_cache(4096)
def _to_plane(text: str) -> PlaneIndex | None:
    parts = text.split(", ")
    if parts.count(":") != 2 or not all(part == ":" or part.isdigit() for part in parts):
        return None
    return PlaneIndex(tuple(None if part == ":" else int(part) for part in parts))
