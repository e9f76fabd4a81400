"""What a table says of the objects of a labels image."""

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2_openvino.core.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

INDEX = "index"
CLASS_NAME = "class_name"
# A table with all of these is the window's.
_WINDOWS_COLUMNS = {"model", "iou_prediction", "prompts", "plane", "area"}
# Of that table: what an object was made from, where, and what is measured again.
_NOT_EXPORTED = {"prompts", "plane", "area"}

Attributes = Mapping[str, str | float | bool]


class ObjectFeatures:
    """The rows of a table by object: by label, and index along ``t`` and ``c`` where it has such.

    Parameters
    ----------
    table : pandas.DataFrame or None
        See `LabelledImage`; None where nothing is known of any object.
    lead : str
        The axes of the labels before Y and X.

    Raises
    ------
    InputError
        If two rows are about one object.
    """

    def __init__(self, table: "pd.DataFrame | None", lead: str) -> None:
        self._table = None if table is None else _by_label(table, lead)
        self._left_out = {INDEX, CLASS_NAME}
        # Other tables may have columns of these names, which are theirs to keep.
        if self._table is not None and set(self._table) >= _WINDOWS_COLUMNS:
            self._left_out |= _NOT_EXPORTED

    def places(self) -> Iterator[tuple[int, dict[str, int]]]:
        """Give the label of each row, and the index along each axis that tells rows apart."""
        if self._table is None:
            return
        index = self._table.index
        for key in index.tolist():
            obj_id, *places = key if isinstance(key, tuple) else (key,)
            yield obj_id, dict(zip(index.names[1:], places, strict=True))

    def class_name(self, obj_id: int, indices: Mapping[str, int]) -> str:
        """Return the class of an object, "" if it has none.

        Parameters
        ----------
        obj_id : int
        indices : mapping of str to int
            Where it is, along "t" and "c" at least if there are such axes; see
            `LabelledImage.indices`.
        """
        value = self._value(obj_id, indices, CLASS_NAME)
        return value if isinstance(value, str) else ""

    def class_names(self) -> list[str]:
        """Return all classes that objects have, in alphabetical order."""
        if self._table is None or CLASS_NAME not in self._table:
            return []
        values = self._table[CLASS_NAME]
        return sorted({value for value in values if isinstance(value, str) and value})

    def attributes(self, obj_id: int, indices: Mapping[str, int]) -> Attributes:
        """Return what else the features say about an object: texts and finite numbers.

        Parameters
        ----------
        obj_id, indices
            See `class_name`.
        """
        if self._table is None:
            return {}
        values = {
            str(column): self._value(obj_id, indices, column)
            for column in self._table
            if column not in self._left_out
        }
        return {name: value for name, value in values.items() if value is not None}

    def _value(
        self, obj_id: int, indices: Mapping[str, int], column: Any
    ) -> str | float | bool | None:
        table = self._table
        if table is None or column not in table:
            return None
        axes = table.index.names[1:]
        key = (obj_id, *(indices[axis] for axis in axes)) if axes else obj_id
        if key not in table.index:
            return None
        value: Any = table.at[key, column]
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, int | float) and not isfinite(value):
            return None
        return value if isinstance(value, str | int | float | bool) else None


def _by_label(table: "pd.DataFrame", lead: str) -> "pd.DataFrame":
    import pandas as pd

    if table.index.names[0] == INDEX:
        # As who works with pandas may have made it.
        return table
    table = table.reset_index(drop=True)
    if INDEX not in table:
        return table.rename_axis(INDEX)
    axes = [axis for axis in "tc" if axis in lead.lower() and axis in table]
    keys = [INDEX, *axes]
    numbers = table[keys].apply(pd.to_numeric, errors="coerce").dropna().astype(np.int64)
    twice = numbers.duplicated()
    if twice.any():
        raise InputError(
            "Features must have one row for each object, or for each of its time points with "
            f"its index in column t, but label {numbers[twice][INDEX].iloc[0]} has several: "
            "leave one."
        )
    table = table.loc[numbers.index].assign(**{name: numbers[name] for name in keys})
    return table.set_index(keys)
