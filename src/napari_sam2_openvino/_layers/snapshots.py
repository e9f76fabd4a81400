"""All prompts of two layers as one value, and back into the layers."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from napari.layers import Points, Shapes
from numpy.typing import NDArray

from napari_sam2_openvino._layers.drawing import (
    OBJECT_FEATURE,
    POLARITY_FEATURE,
    SYMBOLS,
    current_object,
    is_drawing,
    objects_of,
    polarity,
    set_polarity,
    show_prompts,
)
from napari_sam2_openvino._layers.layer_edits import editing


@dataclass(frozen=True, eq=False)
class LayerSnapshot:
    """The prompts of one layer.

    Parameters
    ----------
    data : ndarray, shape (k, n), or tuple of ndarray
        Points, or the vertices of each shape, shape (m, n). Points in one piece: a history of
        thousands of them is small and quickly compared.
    shape_types : tuple of str
        Empty for points.
    features : DataFrame
        A row for each prompt.
    defaults : DataFrame
        One row: features of the next prompt.
    """

    data: NDArray[np.floating] | tuple[NDArray[np.floating], ...]
    shape_types: tuple[str, ...]
    features: pd.DataFrame
    defaults: pd.DataFrame

    def same_until(self, other: "LayerSnapshot") -> int:
        """Return how many prompts at the beginning are in the same place in both."""
        if isinstance(self.data, np.ndarray) and isinstance(other.data, np.ndarray):
            count = min(len(self.data), len(other.data))
            differ = (self.data[:count] != other.data[:count]).any(axis=1)
            return int(np.argmax(differ)) if differ.any() else count
        # Shapes have a type each, points have none.
        kinds = zip(self.shape_types, other.shape_types, strict=False)
        same_kinds = [one == two for one, two in kinds]
        for index, (one, two) in enumerate(zip(self.data, other.data, strict=False)):
            if not np.array_equal(one, two) or (same_kinds and not same_kinds[index]):
                return index
        return min(len(self.data), len(other.data))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LayerSnapshot):
            return NotImplemented
        return (
            len(self.data) == len(other.data) == self.same_until(other)
            and self.shape_types == other.shape_types
            and self.features.equals(other.features)
        )

    __hash__ = None  # type: ignore[assignment]

    @cached_property
    def obj_ids(self) -> frozenset[int]:
        """The objects that the prompts belong to."""
        return objects_of(self.features)

    def renumbered(self, new_ids: Mapping[int, int]) -> "LayerSnapshot":
        """Return the same prompts of objects with other ids, but for what the next one will be."""
        if OBJECT_FEATURE not in self.features:
            return self
        obj_ids = self.features[OBJECT_FEATURE].replace(dict(new_ids))
        return replace(self, features=self.features.assign(**{OBJECT_FEATURE: obj_ids}))


@dataclass(frozen=True, eq=False)
class PromptSnapshot:
    """The prompts of all planes and objects.

    Two are equal if they hold the same prompts: what the next one would be does not count, nor
    whether there is an empty layer or none.

    Parameters
    ----------
    points : LayerSnapshot, optional
        None if there is no such layer.
    shapes : LayerSnapshot, optional
    """

    points: LayerSnapshot | None = None
    shapes: LayerSnapshot | None = None

    @property
    def has_points(self) -> bool:
        """Whether a points layer is needed to put it back."""
        return self.points is not None and len(self.points.data) > 0

    @property
    def has_shapes(self) -> bool:
        """Whether a shapes layer is needed to put it back."""
        return self.shapes is not None and len(self.shapes.data) > 0

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PromptSnapshot):
            return NotImplemented
        mine = (self.has_points, self.has_shapes)
        return (
            mine == (other.has_points, other.has_shapes)
            and (not self.has_points or self.points == other.points)
            and (not self.has_shapes or self.shapes == other.shapes)
        )

    __hash__ = None  # type: ignore[assignment]

    @cached_property
    def obj_ids(self) -> frozenset[int]:
        """The objects that have prompts."""
        layers = [each for each in (self.points, self.shapes) if each is not None]
        return frozenset().union(*(each.obj_ids for each in layers))

    def renumbered(self, new_ids: Mapping[int, int]) -> "PromptSnapshot":
        """Return the same prompts of objects with other ids."""
        return PromptSnapshot(
            self.points and self.points.renumbered(new_ids),
            self.shapes and self.shapes.renumbered(new_ids),
        )


def snapshot(points: Points | None, shapes: Shapes | None) -> PromptSnapshot:
    """Copy the prompts of layers; a shape that is still being drawn is left out."""
    return PromptSnapshot(
        None if points is None else _take(points), None if shapes is None else _take(shapes)
    )


def _take(layer: Points | Shapes) -> LayerSnapshot:
    # Aborted shapes leave rows of features behind.
    count = len(layer.data) - is_drawing(layer)
    features, defaults = layer.features.iloc[:count].copy(), layer.feature_defaults.copy()
    if isinstance(layer, Points):
        return LayerSnapshot(np.array(layer.data[:count]), (), features, defaults)
    vertices = tuple(np.array(each) for each in layer.data[:count])
    return LayerSnapshot(vertices, tuple(layer.shape_type[:count]), features, defaults)


def restore(points: Points | None, shapes: Shapes | None, state: PromptSnapshot) -> None:
    """Put prompts back, bit for bit, and what the next prompt will be.

    A layer that holds them already is left alone; another one emits one event of each kind.

    Parameters
    ----------
    points : Points or None
        Emptied if the snapshot was taken before there was the layer.
    shapes : Shapes or None
    state : PromptSnapshot
    """
    for layer, taken in ((points, state.points), (shapes, state.shapes)):
        if layer is not None:
            empty = LayerSnapshot(
                (), (), layer.features.iloc[:0].copy(), layer.feature_defaults.copy()
            )
            _put(layer, taken or empty)
    some = points if points is not None else shapes
    show_prompts(points, shapes, None if some is None else current_object(some))


def _put(layer: Points | Shapes, taken: LayerSnapshot) -> None:
    now = _take(layer)
    if now != taken or is_drawing(layer):
        with editing(layer):
            # What napari takes longest for is to make shapes: those that are there stay.
            same = now.same_until(taken)
            if len(layer.data) > same:
                layer.remove(list(range(same, len(layer.data))))
            if len(new := taken.data[same:]):
                if isinstance(layer, Shapes):
                    layer.add(list(new), shape_type=list(taken.shape_types[same:]))
                else:
                    layer.add(np.array(new))
            layer.features = taken.features
    if not layer.feature_defaults.equals(taken.defaults):
        layer.feature_defaults = taken.defaults
    if {POLARITY_FEATURE, OBJECT_FEATURE} <= set(taken.defaults) and polarity(layer) in SYMBOLS:
        set_polarity(layer, polarity(layer))
