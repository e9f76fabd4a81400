"""The table of a Labels layer: a row for each object that was committed."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from napari.layers import Labels

from napari_sam2_openvino.core.measurements import STABILITY, is_measure
from napari_sam2_openvino.core.types import PlaneIndex

INDEX = "index"
"""The column from which napari knows the label of a row."""

_COLUMNS = (INDEX, "class_name", "model", "iou_prediction", "area", "plane", "prompts")
# As many as napari keeps steps of undo.
_MOST_VERSIONS = 100


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
    or redo brings the objects back.

    Parameters
    ----------
    labels : Labels
    """

    def __init__(self, labels: Labels) -> None:
        self._labels = labels
        # Rows that are not in the table, the newest last: of objects that are gone, and those that
        # objects had before they were committed again.
        self._versions: dict[int, list[dict[str, Any]]] = {}

    def rows(self) -> dict[int, ObjectRow]:
        """Return what is known of each object, by obj_id."""
        table = _with_index(self._labels.features)
        return {int(row[INDEX]): _to_row(row) for row in table.to_dict("records")}

    def row(self, obj_id: int) -> ObjectRow | None:
        """Return what is known of an object, None if nothing is."""
        table = _with_index(self._labels.features)
        found = table[table[INDEX] == obj_id].to_dict("records")
        return _to_row(found[0]) if found else None

    def add_rows(self, rows: Iterable[ObjectRow]) -> None:
        """Note what was committed; an object that is there already keeps its class."""
        records = self._records()
        for row in rows:
            old = records.get(row.obj_id, {})
            if old:
                self._remember(row.obj_id, old)
            name = row.class_name or _text(old.get("class_name"))
            records[row.obj_id] = _unmeasured(old) | _to_record(replace(row, class_name=name))
        self._write(records)

    def set_class(self, obj_ids: Collection[int], name: str) -> None:
        """Give objects a class; an empty name takes it away."""
        records = self._records()
        for obj_id in obj_ids:
            record = records.setdefault(obj_id, _to_record(ObjectRow(obj_id)))
            records[obj_id] = record | {"class_name": name or None}
        self._write(records)

    def follow(self, plane: PlaneIndex, areas: Mapping[int, int]) -> None:
        """Make the table agree with what is on a plane, after undo, redo or painting.

        Rows of objects that are gone disappear, and those of objects that are back come back: of
        several that an object had, the one with its area.

        Parameters
        ----------
        plane : PlaneIndex
        areas : mapping of int to int
            Pixels of each object of the plane, as `object_areas` counts them.
        """
        place = _plane_text(plane)
        records = self._records()
        before = dict(records)
        for obj_id, record in list(records.items()):
            if record.get("plane") != place:
                continue
            if obj_id not in areas:
                self._remember(obj_id, records.pop(obj_id))
            elif record.get("area") != areas[obj_id]:
                records[obj_id] = self._version_of(record, areas[obj_id])
        for obj_id, area in areas.items():
            if obj_id not in records:
                version = self._recall(obj_id, place, area)
                if version is not None:
                    records[obj_id] = _with_area(version, area)
        if records != before:
            self._write(records)

    def bring_back(self, obj_id: int, plane: PlaneIndex) -> None:
        """Give an object that has no row the last one that it had on a plane, if it had one."""
        records = self._records()
        if obj_id not in records and (version := self._recall(obj_id, _plane_text(plane))):
            records[obj_id] = version
            self._write(records)

    def _version_of(self, record: dict[str, Any], area: int) -> dict[str, Any]:
        """Return the row that an object had when it had an area; else its own with the area."""
        obj_id = int(record[INDEX])
        version = self._recall(obj_id, record["plane"], area, exact=True)
        if version is None:
            return _with_area(record, area)
        self._remember(obj_id, record)
        return version | {"class_name": record.get("class_name")}

    def _remember(self, obj_id: int, record: dict[str, Any]) -> None:
        versions = self._versions.setdefault(obj_id, [])
        versions.append(record)
        del versions[:-_MOST_VERSIONS]

    def _recall(
        self, obj_id: int, place: str, area: int | None = None, *, exact: bool = False
    ) -> dict[str, Any] | None:
        versions = self._versions.get(obj_id, [])
        here = [index for index, each in enumerate(versions) if each.get("plane") == place]
        same = [index for index in here if versions[index].get("area") == area]
        found = same or ([] if exact else here)
        if not found:
            return None
        # The class is no matter of the mask: the newest counts.
        newest = versions[-1]
        return versions.pop(found[-1]) | {"class_name": newest.get("class_name")}

    def _records(self) -> dict[int, dict[str, Any]]:
        table = _with_index(self._labels.features)
        return {int(record[INDEX]): record for record in table.to_dict("records")}

    def _write(self, records: Mapping[int, dict[str, Any]]) -> None:
        old = self._labels.features
        others = dict.fromkeys([*old, *(name for each in records.values() for name in each)])
        names = [*_COLUMNS, *(name for name in others if name not in _COLUMNS)]
        table = pd.DataFrame(
            {
                name: _column([record.get(name) for record in records.values()], name, old)
                for name in names
            }
        )
        self._labels.features = table


def _with_area(record: dict[str, Any], area: int) -> dict[str, Any]:
    return record if record.get("area") == area else _unmeasured(record) | {"area": area}


def _unmeasured(record: dict[str, Any]) -> dict[str, Any]:
    """Return a row without what a search has measured of pixels that are others now.

    Columns of these names in the row of an object that no search found are the user's own.
    """
    if pd.isna(record.get(STABILITY)):
        return record
    return {
        name: None if is_measure(name) and name not in _COLUMNS else value
        for name, value in record.items()
    }


def _column(values: list[Any], name: str, old: pd.DataFrame) -> pd.Series:
    if name == INDEX:
        return pd.Series(values, dtype=np.int64)
    if name == "iou_prediction":
        return pd.Series(values, dtype=np.float64)
    if name not in _COLUMNS and name not in old:
        return pd.Series(values, dtype=np.float64)
    if name not in _COLUMNS:
        # The user's own keep their type while each row has a value, or it knows a missing one.
        is_float = pd.api.types.is_float_dtype(old[name].dtype)
        if is_float or not any(value is None for value in values):
            return pd.Series(values, dtype=old[name].dtype)
    return pd.Series(values, dtype=object)


def _with_index(features: pd.DataFrame) -> pd.DataFrame:
    """Return a table with the column from which napari takes labels; without it rows are labels."""
    if INDEX not in features:
        return features.assign(**{INDEX: np.arange(len(features))})
    numbers = pd.to_numeric(features[INDEX], errors="coerce")
    return features[numbers.notna()].assign(**{INDEX: numbers.dropna().astype(np.int64)})


def _to_record(row: ObjectRow) -> dict[str, Any]:
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


def _to_row(record: Mapping[Any, Any]) -> ObjectRow:
    iou, area = record.get("iou_prediction"), record.get("area")
    return ObjectRow(
        int(record[INDEX]),
        _to_plane(_text(record.get("plane"))),
        0 if area is None or pd.isna(area) else int(area),
        _text(record.get("model")),
        None if iou is None or pd.isna(iou) else float(iou),
        _text(record.get("prompts")),
        _text(record.get("class_name")),
    )


def _text(value: Any) -> str:
    if isinstance(value, FoldedText):
        return value.unfolded
    return value if isinstance(value, str) else ""


def _plane_text(plane: PlaneIndex) -> str:
    return ", ".join(":" if value is None else str(value) for value in plane.index)


def _to_plane(text: str) -> PlaneIndex | None:
    parts = text.split(", ")
    if parts.count(":") != 2 or not all(part == ":" or part.isdigit() for part in parts):
        return None
    return PlaneIndex(tuple(None if part == ":" else int(part) for part in parts))
