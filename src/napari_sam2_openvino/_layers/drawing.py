"""The layers in which the user draws prompts: how they are made and how they look.

Only napari's public API is used.
"""

import warnings
from typing import Any

import numpy as np
import pandas as pd
from napari.layers import Image, Layer, Points, Shapes
from napari.layers.base import ActionType
from numpy.typing import NDArray

from napari_sam2_openvino._layers.planes import image_shape

POSITIVE = "positive"
NEGATIVE = "negative"
POLARITY_FEATURE = "prompt"
OBJECT_FEATURE = "obj_id"
FOR_ALL = 0
"""The obj_id of negative prompts that count for all objects."""

# Two colours of Okabe and Ito's set, which the colour-blind tell apart; the symbol is a second cue.
POSITIVE_COLOR = "#56b4e9"
NEGATIVE_COLOR = "#d55e00"
SYMBOLS = {POSITIVE: "disc", NEGATIVE: "x"}
COLORS = {POSITIVE: POSITIVE_COLOR, NEGATIVE: NEGATIVE_COLOR}
FOR_ALL_SYMBOL = "square"
# How much of its colour a prompt of another object than the current one keeps.
DIMMED = 0.35
# A plain click with the rectangle tool leaves a box of 2.5 pixels of the screen. Whatever the zoom
# was, nothing as small as that in pixels of the image is meant.
TRACE_SIDE = 3.0
MIN_BOX_SIDE = 3.0
# Shape types of napari that have a sign.
SCRIBBLES = ("line", "path")

SPATIAL = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
_DRAWN_ON = "napari-sam2-openvino drawn on"
_IN_USE = "napari-sam2-openvino in use"
_KNOWN = "napari-sam2-openvino known"
_IS_DRAWING = "napari-sam2-openvino is drawing"
_TRACES = "napari-sam2-openvino traces of clicks"
_EDGE_WIDTH = "napari-sam2-openvino edge width"


def spatial_metadata(image: Layer) -> dict[str, Any]:
    """Return what places a layer in the world, as keyword arguments of another layer."""
    return {name: getattr(image, name) for name in SPATIAL}


def new_points_layer(image: Image, obj_id: int = 1) -> Points:
    """Make the layer in which the user clicks on objects of an image."""
    points = Points(
        ndim=image.ndim,
        name=f"{image.name} points",
        features=_no_features(),
        feature_defaults={POLARITY_FEATURE: POSITIVE, OBJECT_FEATURE: obj_id},
        size=max(4, round(max(image_shape(image)[-2:]) / 50)),
        border_color="white",
        metadata={_DRAWN_ON: image.unique_id},
        **spatial_metadata(image),
    )
    set_polarity(points, POSITIVE)
    return points


def new_shapes_layer(image: Image, obj_id: int = 1) -> Shapes:
    """Make the layer in which the user draws boxes, lassos and scribbles on an image."""
    width = max(1, round(max(image_shape(image)[-2:]) / 400))
    shapes = Shapes(
        ndim=image.ndim,
        name=f"{image.name} shapes",
        features=_no_features(),
        feature_defaults={POLARITY_FEATURE: POSITIVE, OBJECT_FEATURE: obj_id},
        edge_color=POSITIVE_COLOR,
        face_color="transparent",
        edge_width=width,
        metadata={_EDGE_WIDTH: width, _DRAWN_ON: image.unique_id},
        **spatial_metadata(image),
    )
    shapes.events.data.connect(_note_drawing)
    return shapes


def is_left(layer: Layer, image: Image) -> bool:
    """Whether a layer was made to draw on an image and is used by nobody now."""
    is_ours = layer.metadata.get(_DRAWN_ON) == image.unique_id
    return is_ours and not layer.metadata.get(_IN_USE, False)


def set_in_use(layer: Layer, is_in_use: bool) -> None:
    """Note that a layer of ours is used, or was left to the user."""
    layer.metadata[_IN_USE] = is_in_use


def leave_known(layer: Layer, known: object) -> None:
    """Leave what is known of the prompts of a layer, or on an image, to whoever goes on there."""
    layer.metadata[_KNOWN] = layer.unique_id, known


def take_known(layer: Layer) -> object:
    """Return what was left with a layer, once; None if nothing was, or only with its original."""
    left_with, known = layer.metadata.pop(_KNOWN, (None, None))
    return known if left_with == layer.unique_id else None


def _no_features() -> pd.DataFrame:
    return pd.DataFrame(
        {
            POLARITY_FEATURE: pd.Series([], dtype=object),
            OBJECT_FEATURE: pd.Series([], dtype=np.int64),
        }
    )


def _note_drawing(event: Any) -> None:
    # napari tells when a shape is begun and when it is there, not whether one is being drawn.
    shapes = event.source
    if is_drawing(shapes) and event.action == ActionType.ADDED and shapes.nshapes:
        vertices = shapes.data[-1]
        screen_pixel = shapes.scale_factor / abs(shapes.scale[-1])
        if np.ptp(vertices, axis=0).max() <= TRACE_SIDE * screen_pixel:
            shapes.metadata.setdefault(_TRACES, set()).add(vertices.tobytes())
    shapes.metadata[_IS_DRAWING] = event.action == ActionType.ADDING


def is_drawing(layer: Layer) -> bool:
    """Whether the last shape of a layer of ours is still being drawn."""
    return bool(layer.metadata.get(_IS_DRAWING, False))


def are_traces(shapes: Shapes) -> list[bool]:
    """Return which shapes are what a click with a shape tool left, at any zoom."""
    traces = shapes.metadata.get(_TRACES)
    if not traces:
        return [False] * shapes.nshapes
    return [vertices.tobytes() in traces for vertices in shapes.data]


def polarity(layer: Points | Shapes) -> str:
    """Return whether the next prompt is positive or negative."""
    if POLARITY_FEATURE not in layer.feature_defaults:
        return POSITIVE
    return str(layer.feature_defaults[POLARITY_FEATURE].iloc[0])


def set_polarity(layer: Points | Shapes, value: str) -> None:
    """Make the next prompt positive or negative; prompts that are there stay as they are."""
    _set_defaults(layer, {POLARITY_FEATURE: value})
    if isinstance(layer, Points):
        layer.current_face_color = COLORS[value]
        layer.current_symbol = _symbol(value, current_object(layer))
    else:
        layer.current_edge_color = COLORS[value]


def current_object(layer: Points | Shapes) -> int:
    """Return the object that the next prompt belongs to."""
    if OBJECT_FEATURE not in layer.feature_defaults:
        return 1
    return int(layer.feature_defaults[OBJECT_FEATURE].iloc[0])


def objects_of(features: pd.DataFrame) -> frozenset[int]:
    """Return the objects that prompts with these features belong to."""
    if OBJECT_FEATURE not in features:
        return frozenset()
    numbers = pd.to_numeric(features[OBJECT_FEATURE], errors="coerce").dropna()
    return frozenset(int(number) for number in numbers.unique())


def set_current_object(layer: Points | Shapes, obj_id: int) -> None:
    """Let the next prompt belong to an object; `FOR_ALL` for negative ones that count for all."""
    # napari takes the object from a prompt that is selected: it stays so, to be moved.
    if current_object(layer) != obj_id:
        _set_defaults(layer, {OBJECT_FEATURE: obj_id})
        if isinstance(layer, Points):
            layer.current_symbol = _symbol(polarity(layer), obj_id)


def _set_defaults(layer: Points | Shapes, values: dict[str, Any]) -> None:
    if not is_drawing(layer):
        # With prompts selected, napari would change those instead of the next one.
        layer.selected_data = set()
    defaults = layer.feature_defaults.iloc[0].to_dict()
    # The user may have taken the columns away, which is said when the prompts are read.
    defaults |= {name: value for name, value in values.items() if name in defaults}
    layer.feature_defaults = defaults


def _symbol(polarity_value: str, obj_id: int) -> str:
    if obj_id == FOR_ALL:
        return FOR_ALL_SYMBOL
    return SYMBOLS.get(polarity_value, "diamond")


def show_prompts(points: Points | None, shapes: Shapes | None, obj_id: int | None = None) -> None:
    """Give each prompt the look of its polarity and dim those of other objects.

    The colour tells the polarity, and so does the symbol of a point and the width of a scribble.
    Nothing is set that is as it should be: this may be called at every edit.

    Parameters
    ----------
    points : Points or None
    shapes : Shapes or None
    obj_id : int, optional
        The current object; without it none is dimmed.
    """
    if points is not None:
        _show_points(points, obj_id)
    if shapes is not None and not is_drawing(shapes):
        _tidy(shapes)
        _show_shapes(shapes, obj_id)


def _show_points(points: Points, obj_id: int | None) -> None:
    polarities, obj_ids = _looks(points, len(points.data))
    symbols = [_symbol(*each) for each in zip(polarities, obj_ids, strict=True)]
    if symbols != [str(symbol) for symbol in points.symbol]:
        points.symbol = symbols
    faces = _colors(polarities, obj_ids, obj_id)
    if not np.allclose(points.face_color, faces, atol=1e-3):
        points.face_color = faces
    borders = np.ones((len(polarities), 4))
    borders[:, 3] = faces[:, 3]
    if not np.allclose(points.border_color, borders, atol=1e-3):
        points.border_color = borders


def _show_shapes(shapes: Shapes, obj_id: int | None) -> None:
    polarities, obj_ids = _looks(shapes, shapes.nshapes)
    signed = [kind in SCRIBBLES for kind in shapes.shape_type]
    # Boxes and lassos are positive, whatever the layer says.
    shown = [each if sign else POSITIVE for each, sign in zip(polarities, signed, strict=True)]
    edges = _colors(shown, obj_ids, obj_id)
    if not np.allclose(shapes.edge_color, edges, atol=1e-3):
        shapes.edge_color = edges
    width = shapes.metadata.get(_EDGE_WIDTH)
    if width is None:
        return
    widths = list(shapes.edge_width)
    wanted = [
        width / 2 if value == NEGATIVE else (width if there == width / 2 else there)
        for value, there in zip(shown, widths, strict=True)
    ]
    if wanted != widths:
        shapes.edge_width = wanted


def _looks(layer: Points | Shapes, count: int) -> tuple[list[str], list[int]]:
    features = layer.features
    polarities = [str(value) for value in features.get(POLARITY_FEATURE, [""] * count)]
    numbers = pd.to_numeric(features.get(OBJECT_FEATURE, pd.Series([1] * count)), errors="coerce")
    obj_ids = numbers.fillna(1).astype(int).tolist()
    return polarities[:count], obj_ids[:count]


def _colors(polarities: list[str], obj_ids: list[int], current: int | None) -> NDArray[np.float64]:
    colors: NDArray[np.float64] = np.ones((len(polarities), 4))
    values = np.array(polarities, dtype=object)
    for value, color in COLORS.items():
        colors[values == value] = _rgba(color)
    if current is not None:
        colors[~np.isin(np.array(obj_ids, int), (current, FOR_ALL)), 3] = DIMMED
    return colors


def _rgba(color: str) -> list[float]:
    return [*(int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)), 1.0]


def _tidy(shapes: Shapes) -> None:
    """Drop the feature row and the colour that an aborted polygon leaves behind."""
    count = shapes.nshapes
    if len(shapes.features) == count and len(shapes.edge_color) == count:
        return
    defaults = shapes.feature_defaults.iloc[0].to_dict()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shapes.data = shapes.data
    shapes.features = shapes.features.iloc[:count]
    shapes.feature_defaults = defaults
