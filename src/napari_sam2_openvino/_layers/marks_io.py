"""Prompts of the layers as marks of the core, and marks back into the layers."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from napari.layers import Image, Points, Shapes
from numpy.typing import NDArray

from napari_sam2_openvino._layers.coordinates import (
    are_on_plane,
    from_xy,
    plane_hw,
    to_image,
    to_layer,
    to_xy,
    vertices_in_image,
)
from napari_sam2_openvino._layers.drawing import (
    FOR_ALL,
    NEGATIVE,
    OBJECT_FEATURE,
    POLARITY_FEATURE,
    POSITIVE,
)
from napari_sam2_openvino._layers.layer_edits import editing
from napari_sam2_openvino._layers.shape_marks import (
    box_marks,
    is_too_small,
    kinds_of,
    outside_problems,
    shape_mark,
)
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.marks import Mark, MarkKind
from napari_sam2_openvino.core.types import PlaneIndex

Marks = dict[int, tuple[Mark, ...]]
LeftOut = set[tuple[str, int]]
"""Prompts that cannot be used, by the name of their layer and their row in it."""

_SHAPES: dict[MarkKind, str] = {
    "box": "rectangle",
    "polygon": "polygon",
    "ellipse": "ellipse",
    "path": "path",
}


@dataclass(frozen=True)
class PlacedMark:
    """A mark, the plane that it lies on and the object that it belongs to."""

    plane: PlaneIndex
    obj_id: int
    mark: Mark


def read_marks(
    points: Points | None,
    shapes: Shapes | None,
    image: Image,
    plane: PlaneIndex,
    left_out: LeftOut | None = None,
) -> Marks:
    """Read the prompts of one plane.

    The layers are read whole each time: their events tell when something changed, not what.
    Shapes that are still being drawn click by click, and the traces that single clicks with a
    shape tool leave, are left out; a box counts while it is dragged.

    Parameters
    ----------
    points : Points or None
        ``features["prompt"]`` is "positive" or "negative", ``features["obj_id"]`` is 1 or more, or
        0 for a negative point that counts for all objects.
    shapes : Shapes or None
        Features as those of points. Rectangles are boxes, polygons and ellipses are lassos: they
        are positive whatever the layer says. Lines and paths are scribbles.
    image : Image
    plane : PlaneIndex
    left_out : set of (str, int), optional
        Where it is given, prompts that cannot be used are noted in it and left out.

    Returns
    -------
    dict of int to tuple of Mark
        By obj_id: shapes in the order of their layer, then points. In (x, y) pixels of the plane.

    Raises
    ------
    InputError
        If a prompt lies outside the image, or its polarity or object is not known.
    """
    found: dict[int, list[Mark]] = {}
    for obj_id, mark in _read_shapes(shapes, image, plane, left_out):
        found.setdefault(obj_id, []).append(mark)
    for obj_id, mark in _read_points(points, image, plane, left_out):
        found.setdefault(obj_id, []).append(mark)
    return {obj_id: tuple(marks) for obj_id, marks in found.items()}


def _read_points(
    points: Points | None, image: Image, plane: PlaneIndex, left_out: LeftOut | None
) -> Iterator[tuple[int, Mark]]:
    if points is None or len(points.data) == 0:
        return
    place = to_image(points, points.data, image)
    here = np.flatnonzero(are_on_plane(place, plane))
    are_positive, obj_ids, problems = _read_features(points, here)
    xy = to_xy(place[here], plane)
    height, width = plane_hw(image, plane)
    outside = (xy < -0.5).any(axis=1) | (xy > (width - 0.5, height - 0.5)).any(axis=1)
    for row in np.flatnonzero(outside).tolist():
        x, y = xy[row]
        problems[row] = (
            f"The point at x {x:.0f}, y {y:.0f} is outside the image of {width} x {height} "
            "pixels: move it inside or delete it."
        )
    vertices = xy.tolist()
    for row in _usable(points, here, problems, left_out):
        yield obj_ids[row], Mark("point", (tuple(vertices[row]),), are_positive[row])


def _read_shapes(
    shapes: Shapes | None, image: Image, plane: PlaneIndex, left_out: LeftOut | None
) -> Iterator[tuple[int, Mark]]:
    if shapes is None or shapes.nshapes == 0:
        return
    place, starts = vertices_in_image(shapes, image)
    types, are_here = shapes.shape_type, np.logical_and.reduceat(are_on_plane(place, plane), starts)
    there = [(index, kind) for index, kind in enumerate(kinds_of(shapes)) if are_here[index]]
    kinds = [kind for _, kind in there if kind is not None]
    here = np.array([index for index, kind in there if kind is not None], int)
    are_positive, obj_ids, problems = _read_features(shapes, here, kinds)
    hw, xy = plane_hw(image, plane), to_xy(place, plane)
    low, high = np.minimum.reduceat(xy, starts)[here], np.maximum.reduceat(xy, starts)[here]
    problems |= outside_problems(kinds, low, high, hw)
    usable = _usable(shapes, here, problems, left_out)
    boxes = [row for row in usable if kinds[row] == "box"]
    marks = dict(zip(boxes, box_marks(low[boxes], high[boxes], hw), strict=True))
    vertices = np.split(xy, starts[1:])
    for row in usable:
        if kinds[row] != "box":
            index = here[row]
            marks[row] = shape_mark(types[index], vertices[index], hw, are_positive[row])
        mark = marks[row]
        if mark is not None:
            yield obj_ids[row], mark


def _usable(
    layer: Points | Shapes,
    here: NDArray[np.int_],
    problems: Mapping[int, str],
    left_out: LeftOut | None,
) -> list[int]:
    """Return the rows without a problem; raise for the first other one, or note them."""
    if left_out is None:
        for problem in problems.values():
            raise InputError(problem)
        return list(range(len(here)))
    left_out |= {(layer.name, int(here[row])) for row in problems}
    return [row for row in range(len(here)) if row not in problems]


def _read_features(
    layer: Points | Shapes, here: NDArray[np.int_], kinds: Sequence[MarkKind] = ()
) -> tuple[list[bool], list[int], dict[int, str]]:
    """Return whether prompts are positive, their objects, and what is wrong, by row of ``here``."""
    noun = "point" if isinstance(layer, Points) else "shape"
    rows, count = layer.features.iloc[here], len(here)
    for name in (POLARITY_FEATURE, OBJECT_FEATURE):
        if name not in rows:
            sentence = (
                f"{layer.name} lacks the feature {name!r}: delete the layer to get a new one, "
                "or import its prompts."
            )
            return [True] * count, [1] * count, dict.fromkeys(range(count), sentence)
    polarities = rows[POLARITY_FEATURE].astype(object).tolist()
    for row, kind in enumerate(kinds):
        if kind != "path":
            polarities[row] = POSITIVE
    are_positive = [value == POSITIVE for value in polarities]
    values = rows[OBJECT_FEATURE].tolist()
    numbers = pd.to_numeric(rows[OBJECT_FEATURE], errors="coerce").to_numpy(float)
    are_wrong = ~(numbers >= np.where(are_positive, 1, FOR_ALL)) | (numbers % 1 != 0)
    problems = {
        row: f"A {noun} of {layer.name} must be {POSITIVE!r} or {NEGATIVE!r}, but is {value!r}."
        for row, value in enumerate(polarities)
        if value not in (POSITIVE, NEGATIVE)
    }
    for row in np.flatnonzero(are_wrong).tolist():
        problems[row] = (
            f"A {noun} of {layer.name} must have an obj_id of 1 or more, or 0 if it is negative "
            f"and counts for all objects, but has {values[row]!r}."
        )
    return are_positive, np.where(are_wrong, FOR_ALL, numbers).astype(int).tolist(), problems


def objects_with_prompts(
    points: Points | None, shapes: Shapes | None, image: Image, plane: PlaneIndex
) -> dict[PlaneIndex, set[int]]:
    """Return on which planes there are prompts, and of which objects.

    Parameters
    ----------
    points : Points or None
    shapes : Shapes or None
    image : Image
    plane : PlaneIndex
        Says which axes are displayed: the planes that are returned are parallel to it.

    Returns
    -------
    dict of PlaneIndex to set of int
    """
    rows = np.concatenate(
        [_point_rows(points, image, plane), _shape_rows(shapes, image, plane)]
    ).astype(int)
    found: dict[PlaneIndex, set[int]] = {}
    hidden = [axis for axis, value in enumerate(plane.index) if value is not None]
    for *values, obj_id in np.unique(rows, axis=0).tolist():
        index: list[int | None] = [None] * len(plane.index)
        for axis, value in zip(hidden, values, strict=True):
            index[axis] = value
        found.setdefault(PlaneIndex(tuple(index), plane.transposed), set()).add(obj_id)
    return found


def _point_rows(points: Points | None, image: Image, plane: PlaneIndex) -> NDArray[np.float64]:
    hidden = [axis for axis, value in enumerate(plane.index) if value is not None]
    if points is None or len(points.data) == 0 or OBJECT_FEATURE not in points.features:
        return np.zeros((0, len(hidden) + 1))
    place = np.round(to_image(points, points.data, image)[:, hidden])
    obj_ids = pd.to_numeric(points.features[OBJECT_FEATURE], errors="coerce").to_numpy(float)
    rows: NDArray[np.float64] = np.column_stack([place, obj_ids])
    return rows[np.isfinite(rows).all(axis=1)]


def _shape_rows(shapes: Shapes | None, image: Image, plane: PlaneIndex) -> NDArray[np.float64]:
    hidden = [axis for axis, value in enumerate(plane.index) if value is not None]
    if shapes is None or shapes.nshapes == 0 or OBJECT_FEATURE not in shapes.features:
        return np.zeros((0, len(hidden) + 1))
    place, starts = vertices_in_image(shapes, image)
    low, high = np.minimum.reduceat(place, starts), np.maximum.reduceat(place, starts)
    # On one plane with all their vertices, and no traces of clicks.
    is_one = (np.round(low[:, hidden]) == np.round(high[:, hidden])).all(axis=1)
    extents = (high - low)[:, plane.displayed]
    is_mark = [
        kind is not None and not is_too_small(kind, extent)
        for kind, extent in zip(kinds_of(shapes), extents, strict=True)
    ]
    obj_ids = pd.to_numeric(shapes.features[OBJECT_FEATURE], errors="coerce").to_numpy(float)
    rows: NDArray[np.float64] = np.column_stack([np.round(low[:, hidden]), obj_ids[: len(starts)]])
    kept: NDArray[np.float64] = rows[is_one & is_mark & np.isfinite(rows).all(axis=1)]
    return kept


def place_marks(
    points: Points | None, shapes: Shapes | None, image: Image, placed: Collection[PlacedMark]
) -> None:
    """Append marks of any planes and objects to the layers, all at once.

    To read them again gives equal marks.

    Parameters
    ----------
    points : Points or None
        Needed if there are points among the marks.
    shapes : Shapes or None
        Needed if there are other marks.
    image : Image
    placed : collection of PlacedMark
        In (x, y) pixels of their planes. Layers keep float32: others are rounded to that.

    Raises
    ------
    ValueError
        If a layer is needed that was not given.
    """
    clicks = [each for each in placed if each.mark.kind == "point"]
    drawn = [each for each in placed if each.mark.kind != "point"]
    if (clicks and points is None) or (drawn and shapes is None):
        raise ValueError("There are marks whose layer was not given.")
    if clicks and points is not None:
        place = np.concatenate([from_xy(each.mark.vertices, each.plane) for each in clicks])
        with editing(points):
            features = _appended(points, clicks)
            points.add(to_layer(image, place, points))
            points.features = features
    if drawn and shapes is not None:
        places = [from_xy(_corners(each.mark), each.plane) for each in drawn]
        ends = np.cumsum([len(place) for place in places])
        carried = np.split(to_layer(image, np.concatenate(places), shapes), ends[:-1])
        with editing(shapes):
            features = _appended(shapes, drawn)
            shapes.add(carried, shape_type=[_SHAPES[each.mark.kind] for each in drawn])
            shapes.features = features


def _corners(mark: Mark) -> list[tuple[float, float]]:
    if mark.kind != "box":
        return list(mark.vertices)
    (x0, y0), (x1, y1) = mark.vertices[0], mark.vertices[-1]
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


def _appended(layer: Points | Shapes, placed: list[PlacedMark]) -> pd.DataFrame:
    new = pd.concat([layer.feature_defaults] * len(placed), ignore_index=True)
    new[POLARITY_FEATURE] = pd.Series(
        [POSITIVE if each.mark.is_positive else NEGATIVE for each in placed], dtype=object
    )
    new[OBJECT_FEATURE] = [each.obj_id for each in placed]
    old = layer.features.iloc[: len(layer.data)]
    return new if old.empty else pd.concat([old, new], ignore_index=True)
