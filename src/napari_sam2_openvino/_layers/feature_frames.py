"""The features of a Labels layer as records, one for each label, and records as features."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

INDEX = "index"
"""The column from which napari knows the label of a row."""

COLUMNS = (INDEX, "class_name", "model", "iou_prediction", "area", "plane", "prompts")
"""Columns that are not the user's own."""

# What programs that measure call it.
_LABEL = "label"

Record = dict[Any, Any]
"""A row of a table, by column."""


def records_of(features: pd.DataFrame) -> dict[int, Record]:
    """Return the rows of a table by label; without a column that says it, rows are labels."""
    table = _with_index(features)
    names = list(table)
    # Not `to_dict`, which takes three times as long.
    rows = zip(*(table[name].tolist() for name in names), strict=True)
    records = (dict(zip(names, row, strict=True)) for row in rows)
    return {record[INDEX]: record for record in records}


def frame_of(
    records: Mapping[int, Record], old: pd.DataFrame, there: Mapping[int, Record]
) -> pd.DataFrame:
    """Return the table of records.

    Parameters
    ----------
    records : mapping of int to dict
        By label, in order.
    old : DataFrame
        The table before.
    there : mapping of int to dict
        What `records_of` said of it. A record that is the same object as before is not looked at.
    """
    table = _with_index(old)
    place = {label: row for row, label in enumerate(table[INDEX].tolist())}
    rows = np.array([place.get(label, -1) for label in records], np.int64)
    new = {
        row: record
        for row, (label, record) in enumerate(records.items())
        if record is not there.get(label)
    }
    others = dict.fromkeys([*old, *(name for record in new.values() for name in record)])
    columns = {}
    for name in [*COLUMNS, *(name for name in others if name not in COLUMNS)]:
        values = np.full(len(rows), None, object)
        if name in table:
            is_there = rows >= 0
            values[is_there] = table[name].to_numpy(object)[rows[is_there]]
        for row, record in new.items():
            values[row] = record.get(name)
        columns[name] = values
    if _says_label(table):
        columns[_LABEL] = columns[INDEX]
    return pd.DataFrame({name: _column(values, name, old) for name, values in columns.items()})


def _with_index(features: pd.DataFrame) -> pd.DataFrame:
    """Return a table with the column from which napari takes labels."""
    if INDEX not in features:
        numbers = _labels(features)
        return features.assign(**{INDEX: np.arange(len(features)) if numbers is None else numbers})
    numbers = pd.to_numeric(features[INDEX], errors="coerce")
    return features[numbers.notna()].assign(**{INDEX: numbers.dropna().astype(np.int64)})


def _labels(features: pd.DataFrame) -> NDArray[np.int64] | None:
    """Return what another program calls labels, if each row has one of its own."""
    if _LABEL not in features:
        return None
    numbers = pd.to_numeric(features[_LABEL], errors="coerce")
    is_whole = numbers.notna().all() and (numbers % 1 == 0).all()
    return numbers.to_numpy(np.int64) if is_whole and numbers.is_unique else None


def _says_label(table: pd.DataFrame) -> bool:
    labels = _labels(table)
    return labels is not None and len(labels) > 0 and (labels == table[INDEX].to_numpy()).all()


def _column(values: NDArray[Any], name: str, old: pd.DataFrame) -> pd.Series:
    if name == INDEX:
        return pd.Series(values.astype(np.int64))
    if name == "iou_prediction" or (name not in COLUMNS and name not in old):
        return pd.Series(values.tolist(), dtype=np.float64)
    if name not in COLUMNS:
        # The user's own keep their type while each row has a value, or it knows a missing one.
        is_float = pd.api.types.is_float_dtype(old[name].dtype)
        if is_float or not any(value is None for value in values):
            return pd.Series(values.tolist(), dtype=old[name].dtype)
    return pd.Series(values, dtype=object)
