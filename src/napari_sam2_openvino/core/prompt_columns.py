"""Columns of a table of prompts, found by their names."""

from collections.abc import Mapping, Sequence
from csv import Error as CsvError
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_sam2_openvino.core.errors import InputError

# Names of columns, in lower case; the first that is there counts.
_BOXES = (
    ("x0", "y0", "x1", "y1"),
    ("x1", "y1", "x2", "y2"),
    ("xmin", "ymin", "xmax", "ymax"),
    ("x_min", "y_min", "x_max", "y_max"),
    ("left", "top", "right", "bottom"),
)
_SIZED_BOXES = (
    # ImageJ's tables have the centre of the object as x and y beside them.
    ("bx", "by", "width", "height"),
    ("x", "y", "width", "height"),
    ("x", "y", "w", "h"),
)
_POINTS = (
    ("x", "y"),
    ("column", "row"),
    ("col", "row"),
    ("pos_x", "pos_y"),
    ("center_x", "center_y"),
    ("centroid_x", "centroid_y"),
    ("xm", "ym"),
)
AXIS_PREFIXES = ("axis-", "centroid-")
"""Followed by the number of the axis: as napari saves layers, and as regionprops calls them."""

# (row, column) of scikit-image's regionprops, whose ends are not included.
_REGION_BOX = ("bbox-0", "bbox-1", "bbox-2", "bbox-3")
_PLANES = ("plane", "z", "slice", "frame", "t", "time")
_OBJECTS = ("obj_id", "object_id", "object", "obj", "instance", "id")
_SIGNS = ("prompt", "polarity", "sign", "point_label", "point_labels", "positive", "foreground")
# May be an object's number or a sign.
_EITHER = "label"
# Plain words, in a column of any name; the others need a name that tells of a sign.
_PLAIN = {"positive": True, "foreground": True, "negative": False, "background": False}
_WORDS = _PLAIN | {"pos": True, "fg": True, "+": True, "include": True, "yes": True, "true": True}
_WORDS |= {"neg": False, "bg": False, "-": False, "exclude": False, "no": False, "false": False}


def load_table(path: Path) -> pd.DataFrame:
    """Read a table of points or boxes from a text file. Meant for a worker thread.

    Parameters
    ----------
    path : Path
        Columns separated by commas, semicolons or tabs, with a line of names.

    Raises
    ------
    InputError
        If there is no such table.
    """
    try:
        # Commas at the ends of lines would make an index of the first column.
        return pd.read_csv(path, sep=None, engine="python", encoding="utf-8-sig", index_col=False)
    except OSError as error:
        raise InputError(f"{path.name} cannot be read: {error}.") from error
    except (ValueError, CsvError) as error:
        raise InputError(
            f"{path.name} is no table of points or boxes: it needs a line of names and columns "
            "separated by commas."
        ) from error


def read_boxes(known: pd.DataFrame) -> NDArray[np.float64] | None:
    """Return boxes as (x0, y0, x1, y1), shape (m, 4), if the table has some."""
    for names in _BOXES:
        if set(names) <= set(known):
            return read_numbers(known, names)
    for names in _SIZED_BOXES:
        if set(names) <= set(known):
            x, y, width, height = read_numbers(known, names).T
            return np.column_stack([x, y, x + width, y + height])
    if set(_REGION_BOX) <= set(known) and "bbox-4" not in known:
        row, column, end_row, end_column = read_numbers(known, _REGION_BOX).T
        return np.column_stack([column, row, end_column - 1, end_row - 1])
    return None


def read_points(known: pd.DataFrame) -> NDArray[np.float64] | None:
    """Return points as (x, y), shape (m, 2), if the table has some by these names."""
    for names in _POINTS:
        if set(names) <= set(known):
            return read_numbers(known, names)
    return None


def read_axes(known: pd.DataFrame, prefix: str) -> NDArray[np.float64]:
    """Return coordinates along as many axes as the table has, shape (m, axes), in their order."""
    names = [f"{prefix}{axis}" for axis in range(len(known.columns))]
    return read_numbers(known, [name for name in names if name in known])


def read_numbers(known: pd.DataFrame, names: Sequence[str]) -> NDArray[np.float64]:
    """Return columns as finite numbers, shape (m, columns), or raise InputError.

    The sentence names the row by the index of ``known``, counted from 0.
    """
    columns = []
    for name in names:
        values = pd.to_numeric(known[name], errors="coerce").to_numpy(float)
        if not np.isfinite(values).all():
            row = int(np.argmin(np.isfinite(values)))
            raise InputError(
                f"Column {name} must hold numbers, but row {known.index[row] + 1} is "
                f"{known[name].tolist()[row]!r}."
            )
        columns.append(values)
    return np.column_stack(columns)


def plane_columns(known: pd.DataFrame, labels: Mapping[int, str], image: str) -> dict[int, str]:
    """Return the column that says where rows lie along each hidden axis, if there is one.

    Parameters
    ----------
    known : DataFrame
    labels : mapping of int to str
        Names of the hidden axes, in lower case.
    image : str
        Name of the image.

    Raises
    ------
    InputError
        If a column could be about several axes.
    """
    columns = {axis: label for axis, label in labels.items() if label in known}
    unnamed = [axis for axis in labels if axis not in columns]
    others = [name for name in _PLANES if name in known and name not in columns.values()]
    # One that is the same in all rows says little, such as the z of cells that are tracked.
    telling = [name for name in others if known[name].nunique() > 1]
    if unnamed and len(telling) > (1 if len(unnamed) == 1 else 0):
        raise InputError(
            f"It is not clear which axis of {image} column {telling[-1]} is about: give the axes "
            "of the image these names, or leave the column out."
        )
    if len(unnamed) == 1 and others:
        columns[unnamed[0]] = (telling or others)[0]
    return columns


def read_signs(known: pd.DataFrame) -> list[bool] | None:
    """Return whether each row is positive; None if no column says so."""
    for name in _SIGNS:
        if name in known:
            signs = _as_signs(known[name], is_named=True)
            if signs is None:
                raise InputError(
                    f"Column {name} must say positive or negative (or 1 or 0) in each row, but "
                    f"has {', '.join(map(repr, known[name].unique()[:3].tolist()))}."
                )
            return signs
    if _EITHER in known and (signs := _as_signs(known[_EITHER], is_named=True)) is not None:
        return signs
    for name in known:
        if (signs := _as_signs(known[name], is_named=False)) is not None:
            return signs
    return None


def _as_signs(values: pd.Series, *, is_named: bool) -> list[bool] | None:
    words = [str(value).strip().lower() for value in values.tolist()]
    known_words = _WORDS if is_named else _PLAIN
    if all(word in known_words for word in words):
        return [known_words[word] for word in words]
    if not is_named:
        return None
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(float)
    return (numbers > 0).tolist() if np.isin(numbers, (-1, 0, 1)).all() else None


def read_objects(known: pd.DataFrame) -> list[Any] | None:
    """Return the object of each row, None where there is none; None if no column says so."""
    names = [name for name in _OBJECTS if name in known]
    if _EITHER in known and _as_signs(known[_EITHER], is_named=True) is None:
        names.append(_EITHER)
    if not names:
        return None
    return [None if pd.isna(value) else value for value in known[names[0]].tolist()]
