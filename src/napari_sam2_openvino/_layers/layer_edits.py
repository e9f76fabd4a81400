"""Changes of the prompt layers that need no marks: remove, renumber, move, several as one."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from napari.layers import Image, Points, Shapes
from napari.layers.base import ActionType
from numpy.typing import NDArray

from napari_sam2_openvino._layers import coordinates
from napari_sam2_openvino._layers.coordinates import prompts_on_plane
from napari_sam2_openvino._layers.drawing import OBJECT_FEATURE, current_object, is_drawing
from napari_sam2_openvino.core.types import PlaneIndex


def remove_object(
    points: Points | None,
    shapes: Shapes | None,
    image: Image,
    obj_ids: Collection[int],
    plane: PlaneIndex | None = None,
) -> int:
    """Remove the prompts of objects, on a plane or everywhere.

    Returns
    -------
    int
        How many prompts were removed.
    """
    removed = 0
    for layer in (points, shapes):
        if layer is None or len(layer.data) == 0 or OBJECT_FEATURE not in layer.features:
            continue
        column = pd.to_numeric(layer.features[OBJECT_FEATURE], errors="coerce").to_numpy(float)
        theirs = np.isin(column[: len(layer.data)], list(obj_ids))
        if plane is not None:
            theirs &= prompts_on_plane(layer, image, plane)
        indices = np.flatnonzero(theirs).tolist()
        if indices:
            # Not `layer.data = ...`: it leaves a selection of points that are gone.
            with editing(layer):
                layer.remove(indices)
            removed += len(indices)
    return removed


def renumber(points: Points | None, shapes: Shapes | None, new_ids: Mapping[int, int]) -> None:
    """Give the prompts of objects, and those that are drawn next, other ids."""
    for layer in (points, shapes):
        if layer is None or OBJECT_FEATURE not in layer.features:
            continue
        features, defaults = layer.features.copy(), layer.feature_defaults.iloc[0].to_dict()
        features[OBJECT_FEATURE] = features[OBJECT_FEATURE].replace(dict(new_ids))
        current = current_object(layer)
        defaults[OBJECT_FEATURE] = new_ids.get(current, current)
        if not features.equals(layer.features):
            layer.features = features.iloc[: len(layer.data)]
        if defaults[OBJECT_FEATURE] != current:
            layer.feature_defaults = defaults


def add_point(points: Points, image: Image, plane: PlaneIndex, place: tuple[float, float]) -> None:
    """Add a point at (x, y) of a plane, or where the image ends, and select it."""
    points.add(_on_image(np.array([place]), image, plane, points))


def shift_points(
    points: Points, image: Image, plane: PlaneIndex, step: tuple[float, float]
) -> None:
    """Move the selected points of a plane by (x, y) pixels, as far as the image goes."""
    place = coordinates.to_image(points, points.data, image)
    rows = [
        row
        for row in np.flatnonzero(coordinates.are_on_plane(place, plane)).tolist()
        if row in points.selected_data
    ]
    if rows:
        data = np.array(points.data, float)
        moved = coordinates.to_xy(place[rows], plane) + np.array(step, np.float32)
        data[rows] = _on_image(moved, image, plane, points)
        points.data = data


def _on_image(
    xy: NDArray[Any], image: Image, plane: PlaneIndex, points: Points
) -> NDArray[np.float64]:
    """Return (x, y) pixels of a plane as data of a layer, no farther than the outermost pixels."""
    height, width = coordinates.plane_hw(image, plane)
    inside = np.clip(np.round(xy), 0, [width - 1, height - 1])
    return coordinates.to_layer(image, coordinates.from_xy(inside, plane), points)


@contextmanager
def editing(layer: Points | Shapes) -> Iterator[None]:
    """Let several changes of a layer be one: one event of each kind, nothing left selected.

    What the next prompt will be stays as it is.
    """
    if is_drawing(layer):
        # Ends the shape that is being drawn: it would be looked for after it was removed.
        mode, layer.mode = layer.mode, "pan_zoom"
        layer.mode = mode
    defaults = layer.feature_defaults.copy()
    with layer.events.data.blocker(), layer.events.features.blocker():
        layer.selected_data = set()
        yield
        layer.selected_data = set()
        _keep_defaults(layer, defaults)
    layer.events.data(
        value=layer.data,
        action=ActionType.CHANGED,
        data_indices=tuple(range(len(layer.data))),
        vertex_indices=((),),
    )
    layer.events.features()


def _keep_defaults(layer: Points | Shapes, defaults: pd.DataFrame) -> None:
    now = layer.feature_defaults
    if not now.equals(defaults):
        # Only columns that are still there.
        kept = defaults[[name for name in defaults if name in now]]
        layer.feature_defaults = now.iloc[0].to_dict() | kept.iloc[0].to_dict()
