"""A table of points and boxes: which object, on which plane, of which file."""

from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.batch.axes import Axes
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.marks import Mark, ObjectPrompts, check_inside
from napari_sam2_openvino.core.prompt_columns import (
    AXIS_PREFIXES,
    plane_columns,
    read_axes,
    read_boxes,
    read_numbers,
    read_objects,
    read_points,
    read_signs,
)

if TYPE_CHECKING:
    import pandas as pd

# Negative points of this object count for all others of their plane.
FOR_ALL = 0
_FILES = ("file", "filename", "image", "path")
_SHAPES = {"shape-type", "vertex-index", "index"}


@dataclass(frozen=True, eq=False)
class PlacedPrompts:
    """One mark of an object, on one plane or on several.

    Parameters
    ----------
    position : tuple of (int or None)
        Along the axes of the labels, the two of a plane left out; None along an axis means on all.
    obj_id : int
        0 for a negative point that counts for all objects.
    prompts : ObjectPrompts
    """

    position: tuple[int | None, ...]
    obj_id: int
    prompts: ObjectPrompts

    def is_on(self, position: tuple[int, ...]) -> bool:
        """Whether it is on a plane."""
        pairs = zip(self.position, position, strict=True)
        return all(mine is None or mine == other for mine, other in pairs)


def read_prompts(table: "pd.DataFrame", file: str, axes: Axes) -> tuple[PlacedPrompts, ...]:
    """Return what a table says about an image.

    Columns are known by their names, in any case, as in the window: boxes ("x0, y0, x1, y1" and
    others), points ("x, y" and others), or "axis-0, axis-1 ..." of a Points or Shapes layer that
    was saved from napari, whose rectangles are read. Optional are "file" (name of the image that a
    row is about; all without it), the plane (the name of an axis, such as "z"; all without it), the
    object ("obj_id" ...; without it each positive row is one) and the sign ("prompt", "label" ...).
    Where a row has no file or no plane, it is about all.

    Parameters
    ----------
    table : DataFrame
    file : str
        Name of the image.
    axes : Axes
        Of the image.

    Raises
    ------
    InputError
        If columns are not known, a value cannot be used, or nothing is about this image.
    """
    names = {str(name).strip().lower(): name for name in table.columns}
    known = table.rename(columns={name: key for key, name in names.items()})
    known = known.reset_index(drop=True)
    signs = read_signs(known) or [True] * len(known)
    ids = _ids(known, signs)
    column = next((name for name in _FILES if name in known), None)
    if column is not None:
        # Signs and numbers are decided before, so that they do not depend on the file.
        mine = _is_about(known[column], file)
        ids, signs = list(compress(ids, mine)), list(compress(signs, mine))
        # The index goes on counting rows of the whole table, for sentences about them.
        known = known[mine]
    if known.empty:
        raise InputError(
            f"The table of prompts has no row about {file}: add some, or leave it out."
        )
    marks, rows, places = _marks(known, signs, axes)
    found = []
    for mark, row, place in zip(marks, rows, places, strict=True):
        _check_place(mark, known.index[row] + 1, place, axes)
        position = tuple(None if np.isnan(value) else int(value) for value in place)
        found.append(PlacedPrompts(position, ids[row], ObjectPrompts((mark,))))
    if not any(mark.is_positive for mark in marks):
        raise InputError("There is no positive prompt in the table: mark at least one as positive.")
    return tuple(found)


def _is_about(names: "pd.Series[Any]", file: str) -> "pd.Series[bool]":
    """Return whether each row is about an image: it names it, or none."""
    texts = names.astype(str).str.strip()
    is_everywhere = names.isna() | (texts == "")
    return is_everywhere | (texts.str.replace("\\", "/").str.split("/").str[-1] == file.strip())


def _ids(known: "pd.DataFrame", signs: list[bool]) -> list[int]:
    """Return the number of each row's object."""
    groups = (read_objects(known) if len(known) else None) or [None] * len(known)
    if set(known) >= _SHAPES:
        # The vertices of a shape are one object, whose number is no object's.
        shapes = known["index"].tolist()
        groups = [
            ("shape", shape) if group is None else group
            for group, shape in zip(groups, shapes, strict=True)
        ]
    given = [int(group) for group in groups if _is_id(group)]
    # Numbers that are given out begin above those that are there.
    first, numbers = max(given, default=0) + 1, dict[Any, int]()
    ids = []
    for row, (group, is_positive) in enumerate(zip(groups, signs, strict=True)):
        if _is_id(group):
            ids.append(int(group))
        elif not is_positive and group in (None, FOR_ALL):
            ids.append(FOR_ALL)
        else:
            key = ("row", row) if group is None else group
            ids.append(numbers.setdefault(key, first + len(numbers)))
    return ids


def _is_id(group: Any) -> bool:
    is_number = isinstance(group, int | float | np.number) and not isinstance(group, bool)
    return bool(is_number and group >= 1 and float(group).is_integer())


def _marks(
    known: "pd.DataFrame", signs: list[bool], axes: Axes
) -> tuple[list[Mark], list[int], NDArray[np.float64]]:
    """Return the marks, the row of each, and where they are along the axes before the planes'."""
    if set(known) >= _SHAPES:
        return _rectangles(known, signs, axes)
    corners = read_boxes(known)
    rows = list(range(len(known)))
    if corners is not None:
        boxes = [
            _box(((x0, y0), (x1, y1)), is_positive, number)
            for (x0, y0, x1, y1), is_positive, number in zip(
                corners.tolist(), signs, known.index + 1, strict=True
            )
        ]
        return boxes, rows, _planes(known, axes)
    xy, places = read_points(known), None
    if xy is None:
        xy, places = _coordinates(known, axes)
    points = [
        Mark("point", ((x, y),), is_positive)
        for (x, y), is_positive in zip(xy.tolist(), signs, strict=True)
    ]
    return points, rows, _planes(known, axes) if places is None else places


def _rectangles(
    known: "pd.DataFrame", signs: list[bool], axes: Axes
) -> tuple[list[Mark], list[int], NDArray[np.float64]]:
    xy, places = _coordinates(known, axes)
    marks, rows = [], []
    for _, group in known.reset_index(drop=True).groupby("index", sort=False):
        members = group.index.to_numpy()
        first = int(members[0])
        kind = str(group["shape-type"].iloc[0])
        if kind != "rectangle":
            raise InputError(
                f"Of shapes, rectangles are read from a table, but there is one of type {kind}: "
                "leave it out."
            )
        low, high = xy[members].min(axis=0), xy[members].max(axis=0)
        corners = (tuple(low.tolist()), tuple(high.tolist()))
        marks.append(_box(corners, signs[first], known.index[first] + 1))
        rows.append(first)
    return marks, rows, places[rows]


def _box(corners: tuple[tuple[float, float], ...], is_positive: bool, number: int) -> Mark:
    if not is_positive:
        raise InputError(
            f"Row {number} of the table of prompts is a negative box, but boxes lie on their "
            "object: give a negative point, or leave it out."
        )
    return Mark("box", corners)


def _coordinates(
    known: "pd.DataFrame", axes: Axes
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (x, y) and the places of planes from columns that are numbered as axes are."""
    prefix = next((each for each in AXIS_PREFIXES if f"{each}0" in known), None)
    if prefix is None:
        found = ", ".join(map(str, known.columns[:12]))
        raise InputError(
            "The table needs columns x and y (points), x0, y0, x1 and y1 (boxes), or axis-0, "
            f"axis-1 and so on, but has: {found}."
        )
    values = read_axes(known, prefix)
    if values.shape[1] == 2:
        # They are of a plane as the image has it.
        return values if axes.is_transposed else values[:, ::-1], _planes(known, axes)
    letters = axes.letters.removesuffix("S")
    if values.shape[1] != len(letters):
        raise InputError(
            f"The table has coordinates on {values.shape[1]} axes, but the image has "
            f"{len(letters)} ({axes}): give {len(letters)} or 2."
        )
    columns = {letter: values[:, number] for number, letter in enumerate(letters)}
    places = [columns[letter] for letter in axes.labels_letters[:-2]]
    xy = np.column_stack([columns["X"], columns["Y"]])
    return xy, np.round(places).T.reshape(len(known), -1)


def _planes(known: "pd.DataFrame", axes: Axes) -> NDArray[np.float64]:
    """Return where rows are along each axis before the planes'; NaN for everywhere."""
    letters = axes.labels_letters[:-2].lower()
    places = np.full((len(known), len(letters)), np.nan)
    labels = dict(enumerate(letters))
    for axis, name in plane_columns(known, labels, "the image").items():
        is_told = known[name].notna().to_numpy()
        places[is_told, axis] = np.round(read_numbers(known[is_told], [name])[:, 0])
    return places


def _check_place(mark: Mark, number: int, place: NDArray[np.float64], axes: Axes) -> None:
    for value, letter, length in zip(place, axes.labels_letters, axes.labels_shape, strict=False):
        if not np.isnan(value) and not 0 <= value < length:
            raise InputError(
                f"Row {number} of the table of prompts is on plane {value:g} of axis "
                f"{letter.lower()}, which has 0 to {length - 1}: planes are counted from 0."
            )
    x, y = np.mean(mark.vertices, axis=0)
    check_inside(f"Row {number} of the table of prompts is", (x, y), axes.plane_hw)
