"""Prompts from where the user has them: a table, or any Points or Shapes layer."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from napari.layers import Image, Points, Shapes
from numpy.typing import NDArray

from napari_sam2_openvino._layers.coordinates import plane_hw, to_xy
from napari_sam2_openvino._layers.drawing import FOR_ALL
from napari_sam2_openvino._layers.marks_io import PlacedMark
from napari_sam2_openvino._layers.planes import affine_matrix, image_shape
from napari_sam2_openvino._layers.shape_marks import shape_mark
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.marks import Mark
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
from napari_sam2_openvino.core.types import PlaneIndex

_MOST_NAMES = 12


def marks_from_table(
    table: pd.DataFrame,
    image: Image,
    plane: PlaneIndex,
    first_obj_id: int,
    *,
    each_is_object: bool = True,
) -> list[PlacedMark]:
    """Return the points or boxes of a table as marks.

    Columns are known by their names, in any case: boxes ("x0, y0, x1, y1", "x, y, width, height",
    "bbox-0" to "bbox-3" of regionprops and others), else points ("x, y", "axis-0, axis-1 ..." as
    napari saves them, "centroid-0 ..." and others). All are pixels of the image. Optional are the
    sign ("prompt", "label" ...), the object ("obj_id" ...) and the plane ("plane", "z", "t", or
    the name of an axis of the image), counted from 0.

    Parameters
    ----------
    table : DataFrame
    image : Image
    plane : PlaneIndex
        The plane in view: says which axes are displayed, and where rows without a plane go.
    first_obj_id : int
        Objects are numbered from here on, in their order; the table's numbers only say what
        belongs together.
    each_is_object : bool, optional
        Without a column of objects: whether each positive mark is an object of its own, and
        negative ones count for all; else all belong to one.

    Returns
    -------
    list of PlacedMark

    Raises
    ------
    InputError
        If the columns are not known, a value cannot be used, or a mark lies outside the image.
    """
    if table.empty:
        raise InputError("The table has no rows: choose one with points or boxes.")
    names = {str(name).strip().lower(): name for name in table.columns}
    known = pd.DataFrame({key: table[name] for key, name in names.items()})
    if {"shape-type", "vertex-index", "index"} <= set(known):
        groups = [group for _, group in known.groupby("index", sort=False)]
        kinds = [str(group["shape-type"].iloc[0]) for group in groups]
        vertices = [_axis_coordinates(group, AXIS_PREFIXES[0], image, plane) for group in groups]
        known = pd.DataFrame([group.iloc[0] for group in groups]).reset_index(drop=True)
    else:
        kinds, vertices = _vertices(known, image, plane)
    return _place(kinds, vertices, known, image, plane, first_obj_id, each_is_object)


def marks_from_layer(
    layer: Points | Shapes,
    image: Image,
    plane: PlaneIndex,
    first_obj_id: int,
    *,
    each_is_object: bool = True,
) -> list[PlacedMark]:
    """Return the points or shapes of any layer as marks.

    No features are needed; a sign or an object is found as in `marks_from_table`, the sign under
    any name if all values are words such as "positive" and "background".

    Parameters
    ----------
    layer : Points or Shapes
        With fewer axes than the image it lies on the plane in view.
    image, plane, first_obj_id, each_is_object
        See `marks_from_table`.

    Returns
    -------
    list of PlacedMark

    Raises
    ------
    InputError
        If the layer is empty or a mark lies outside the image.
    """
    count = len(layer.data)
    if count == 0:
        raise InputError(f"{layer.name} is empty: choose a layer with points or shapes.")
    is_points = isinstance(layer, Points)
    lengths = [1] * count if is_points else [len(vertices) for vertices in layer.data]
    coords = layer.data if is_points else np.concatenate(layer.data)
    place = _through_world(layer, coords, image, plane)
    vertices = np.split(place, np.cumsum(lengths)[:-1])
    kinds = ["point"] * count if is_points else [str(kind) for kind in layer.shape_type]
    known = layer.features.iloc[:count].rename(columns=lambda name: str(name).strip().lower())
    return _place(kinds, vertices, known, image, plane, first_obj_id, each_is_object)


def _through_world(
    layer: Points | Shapes, coords: NDArray[Any], image: Image, plane: PlaneIndex
) -> NDArray[np.float64]:
    """Carry coordinates to the image; axes that the layer lacks are those of the plane."""
    matrix = affine_matrix(layer)
    world = np.asarray(coords, np.float64) @ matrix[:-1, :-1].T + matrix[:-1, -1]
    here = np.asarray(image.data_to_world([value or 0 for value in plane.index]), float)
    common = min(layer.ndim, image.ndim)
    # A flat one has the axes that are displayed, whichever these are.
    axes = sorted(plane.displayed) if layer.ndim == 2 else range(image.ndim - common, image.ndim)
    in_world = np.tile(here, (len(world), 1))
    in_world[:, list(axes)] = world[:, layer.ndim - common :]
    matrix = affine_matrix(image)
    back = np.linalg.solve(matrix[:-1, :-1], (in_world - matrix[:-1, -1]).T).T.astype(np.float64)
    return back


def _vertices(
    known: pd.DataFrame, image: Image, plane: PlaneIndex
) -> tuple[list[str], list[NDArray[np.float64]]]:
    """Return the kind of each row and its vertices in the image."""
    corners = read_boxes(known)
    if corners is not None:
        boxes = _on_planes(
            corners.reshape(-1, 2), np.repeat(np.arange(len(known)), 2), known, image, plane
        )
        return ["rectangle"] * len(known), np.split(boxes, len(known))
    xy = read_points(known)
    if xy is not None:
        place = _on_planes(xy, np.arange(len(known)), known, image, plane)
        return ["point"] * len(known), np.split(place, len(known))
    for prefix in AXIS_PREFIXES:
        if f"{prefix}0" in known:
            place = _axis_coordinates(known, prefix, image, plane)
            return ["point"] * len(known), np.split(place, len(known))
    found = ", ".join(map(str, known.columns[:_MOST_NAMES]))
    raise InputError(
        f"The table needs columns x and y (points), x0, y0, x1 and y1 (boxes), or axis-0, axis-1 "
        f"and so on, but has: {found}."
    )


def _axis_coordinates(
    known: pd.DataFrame, prefix: str, image: Image, plane: PlaneIndex
) -> NDArray[np.float64]:
    values = read_axes(known, prefix)
    n_axes = values.shape[1]
    if n_axes == image.ndim:
        return values
    if n_axes == 2:
        first, second = sorted(plane.displayed)
        swap = (first, second) == plane.displayed
        xy = values[:, ::-1] if swap else values
        return _on_planes(xy, np.arange(len(known)), known, image, plane)
    raise InputError(
        f"The table has coordinates on {n_axes} axes, but {image.name} has {image.ndim}: "
        f"give {image.ndim} or 2."
    )


def _on_planes(
    xy: NDArray[np.float64],
    rows: NDArray[np.int_],
    known: pd.DataFrame,
    image: Image,
    plane: PlaneIndex,
) -> NDArray[np.float64]:
    """Return coordinates of the image for (x, y) of rows, on the planes that the rows name."""
    place = np.tile([float(value or 0) for value in plane.index], (len(xy), 1))
    row, column = plane.displayed
    place[:, column], place[:, row] = xy[:, 0], xy[:, 1]
    hidden = [axis for axis, value in enumerate(plane.index) if value is not None]
    labels = {axis: str(image.axis_labels[axis]).lower() for axis in hidden}
    for axis, name in plane_columns(known, labels, image.name).items():
        place[:, axis] = read_numbers(known, [name])[rows, 0]
    return place


def _place(
    kinds: list[str],
    vertices: Sequence[NDArray[np.float64]],
    known: pd.DataFrame,
    image: Image,
    plane: PlaneIndex,
    first_obj_id: int,
    each_is_object: bool,
) -> list[PlacedMark]:
    signs = read_signs(known)
    groups = read_objects(known)
    hw = plane_hw(image, plane)
    marks: list[tuple[int, PlaneIndex, Mark]] = []
    for index, (kind, place) in enumerate(zip(kinds, vertices, strict=True)):
        here = _plane_of(place, image, plane, index)
        xy = to_xy(place, here)
        is_positive = True if signs is None else signs[index]
        if kind == "point":
            _check_inside(xy[0], hw, index)
            marks.append(
                (index, here, Mark("point", ((float(xy[0, 0]), float(xy[0, 1])),), is_positive))
            )
        elif (mark := shape_mark(kind, xy, hw, is_positive)) is not None:
            marks.append((index, here, mark))
    if not any(mark.is_positive for _, _, mark in marks):
        raise InputError("There is no positive prompt to import: mark at least one as positive.")
    numbers: dict[Any, int] = {}
    placed = []
    for index, here, mark in marks:
        group = _group(groups, index, mark, each_is_object)
        obj_id = (
            FOR_ALL if group is None else numbers.setdefault(group, first_obj_id + len(numbers))
        )
        placed.append(PlacedMark(here, obj_id, mark))
    return placed


def _group(groups: list[Any] | None, index: int, mark: Mark, each_is_object: bool) -> Any:
    """Return what a mark shares with those of the same object; None if it counts for all."""
    if groups is None and not each_is_object:
        return "one"
    if groups is not None and groups[index] is not None:
        is_for_all = groups[index] == FOR_ALL and not mark.is_positive
        return None if is_for_all else ("number", groups[index])
    return ("row", index) if mark.is_positive else None


def _plane_of(
    place: NDArray[np.float64], image: Image, plane: PlaneIndex, index: int
) -> PlaneIndex:
    rounded = np.round(place).astype(int)
    values: list[int | None] = list(plane.index)
    for axis, length in enumerate(image_shape(image)):
        if values[axis] is None:
            continue
        value = int(rounded[0, axis])
        if (rounded[:, axis] != value).any():
            raise InputError(f"Shape {index + 1} does not lie on one plane: draw it on one.")
        if not 0 <= value < length:
            raise InputError(
                f"Row {index + 1} is on plane {value}, but {image.name} has planes 0 to "
                f"{length - 1}: planes are counted from 0."
            )
        values[axis] = value
    return PlaneIndex(tuple(values), plane.transposed)


def _check_inside(xy: NDArray[np.float32], hw: tuple[int, int], index: int) -> None:
    if (xy < -0.5).any() or xy[0] > hw[1] - 0.5 or xy[1] > hw[0] - 0.5:
        raise InputError(
            f"Point {index + 1} at x {xy[0]:.0f}, y {xy[1]:.0f} is outside the image of "
            f"{hw[1]} x {hw[0]} pixels: coordinates must be in its pixels."
        )
