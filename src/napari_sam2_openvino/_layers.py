"""Between napari's layers and the values of the core.

The one place where (row, column) becomes (x, y). napari's integer coordinate is the centre of a
pixel and so is SAM 2's, hence data coordinate (y, x) is pixel (x, y), unchanged. Only napari's
public API is used.
"""

from typing import Any

import numpy as np
import pandas as pd
from napari.layers import Image, Labels, Layer, Points, Shapes
from napari.utils.colormaps import CyclicLabelColormap
from numpy.typing import NDArray

from napari_sam2_openvino._planes import affine_matrix, image_shape
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.types import BACKGROUND, FOREGROUND, PlaneIndex, Prompts

POSITIVE = "positive"
NEGATIVE = "negative"
POLARITY_FEATURE = "prompt"
# Two colours of Okabe and Ito's set, which the colour-blind tell apart; the symbol is a second cue.
POSITIVE_COLOR = "#56b4e9"
NEGATIVE_COLOR = "#d55e00"
PREVIEW_COLOR = "#f0e442"
SYMBOLS = {POSITIVE: "disc", NEGATIVE: "x"}
COLORS = {POSITIVE: POSITIVE_COLOR, NEGATIVE: NEGATIVE_COLOR}
# A plain click with the rectangle tool leaves a box of about 1.5 pixels.
MIN_BOX_SIDE = 3.0

SPATIAL = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
_OURS = "napari-sam2-openvino"
_PREVIEW = "preview"


def prompts_from_layers(
    points: Points | None, boxes: Shapes | None, image: Image, plane: PlaneIndex
) -> Prompts:
    """Read the prompts of one plane.

    The layers are read whole each time: their events tell when something changed, not what.

    Parameters
    ----------
    points : Points or None
        ``features["prompt"]`` is "positive" or "negative".
    boxes : Shapes or None
        The newest rectangle on the plane counts; other shapes and the traces of clicks do not.
    image : Image
    plane : PlaneIndex

    Returns
    -------
    Prompts
        In (x, y) pixels of the plane.

    Raises
    ------
    InputError
        If a prompt lies outside the image or its polarity is unknown.
    """
    coords, labels = _read_points(points, image, plane)
    return Prompts(coords, labels, _read_box(boxes, image, plane))


def on_plane(layer: Points | Shapes | None, image: Image, plane: PlaneIndex) -> list[int]:
    """Return which points, or which shapes, lie on a plane with all their vertices."""
    if layer is None or len(layer.data) == 0:
        return []
    if isinstance(layer, Points):
        here = _are_on_plane(_to_image(layer, layer.data, image), plane)
        return [int(index) for index in np.flatnonzero(here)]
    return [
        index
        for index, corners in enumerate(_shapes_in_image(layer, image))
        if _are_on_plane(corners, plane).all()
    ]


def _read_points(
    points: Points | None, image: Image, plane: PlaneIndex
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    if points is None or len(points.data) == 0:
        return np.zeros((0, 2), np.float32), np.zeros(0, np.int32)
    place = _to_image(points, points.data, image)
    here = _are_on_plane(place, plane)
    if POLARITY_FEATURE not in points.features:
        raise InputError(
            f"{points.name} lacks the feature {POLARITY_FEATURE!r}: "
            "delete the layer and press Points to get a new one."
        )
    polarity = points.features[POLARITY_FEATURE].astype(object).to_numpy()[here]
    unknown = [value for value in polarity if value not in SYMBOLS]
    if unknown:
        raise InputError(
            f"A point of {points.name} must be {POSITIVE!r} or {NEGATIVE!r}, but is {unknown[0]!r}."
        )
    xy = _to_xy(place[here], plane)
    height, width = _plane_shape(image, plane)
    for x, y in xy:
        if not (-0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5):
            raise InputError(
                f"The point at x {x:.0f}, y {y:.0f} is outside the image of {width} x {height} "
                "pixels: move it inside or delete it."
            )
    return xy, np.where(polarity == POSITIVE, FOREGROUND, BACKGROUND).astype(np.int32)


def _read_box(boxes: Shapes | None, image: Image, plane: PlaneIndex) -> NDArray[np.float32] | None:
    if boxes is None or len(boxes.data) == 0:
        return None
    height, width = _plane_shape(image, plane)
    shapes = _shapes_in_image(boxes, image)
    for kind, corners in reversed(list(zip(boxes.shape_type, shapes, strict=True))):
        if kind != "rectangle" or not _are_on_plane(corners, plane).all():
            continue
        xy = _to_xy(corners, plane)
        low, high = xy.min(axis=0), xy.max(axis=0)
        if (high - low).min() < MIN_BOX_SIDE:
            continue
        low, high = np.maximum(low, -0.5), np.minimum(high, (width - 0.5, height - 0.5))
        if (low >= high).any():
            raise InputError(
                f"The box lies outside the image of {width} x {height} pixels: "
                "move it inside or delete it."
            )
        return np.concatenate([low, high]).astype(np.float32)
    return None


def _plane_shape(image: Image, plane: PlaneIndex) -> tuple[int, int]:
    shape = image_shape(image)
    row, column = plane.displayed
    return shape[row], shape[column]


def _to_image(layer: Layer, coords: NDArray[Any], image: Image) -> NDArray[np.float64]:
    """Carry data coordinates, shape (m, n), from one layer by way of the world to the image."""
    if layer.ndim != image.ndim:
        raise InputError(
            f"{layer.name} has {layer.ndim} axes, but {image.name} has {image.ndim}: "
            "delete the layer to get a new one."
        )
    matrix = np.linalg.solve(affine_matrix(image), affine_matrix(layer))
    place: NDArray[np.float64] = np.asarray(coords, np.float64) @ matrix[:-1, :-1].T
    return place + matrix[:-1, -1]


def _shapes_in_image(shapes: Shapes, image: Image) -> list[NDArray[np.float64]]:
    """Carry the vertices of all shapes to the image, at once: each call costs a solve."""
    ends = np.cumsum([len(vertices) for vertices in shapes.data])
    return np.split(_to_image(shapes, np.concatenate(shapes.data), image), ends[:-1])


def _are_on_plane(place: NDArray[np.float64], plane: PlaneIndex) -> NDArray[np.bool_]:
    # Rounded as plane_in_view rounds the viewer's position.
    here = np.ones(len(place), bool)
    for axis, value in enumerate(plane.index):
        if value is not None:
            here &= np.round(place[:, axis]) == value
    return here


def _to_xy(place: NDArray[np.float64], plane: PlaneIndex) -> NDArray[np.float32]:
    row, column = plane.displayed
    return place[:, [column, row]].astype(np.float32)


def spatial_metadata(image: Layer) -> dict[str, Any]:
    """Return what places a layer in the world, as keyword arguments of another layer."""
    return {name: getattr(image, name) for name in SPATIAL}


def new_points_layer(image: Image) -> Points:
    """Make the layer in which the user clicks on an object of an image."""
    points = Points(
        ndim=image.ndim,
        name=f"{image.name} points",
        features=pd.DataFrame({POLARITY_FEATURE: pd.Series([], dtype=object)}),
        size=max(4, round(max(image_shape(image)[-2:]) / 50)),
        border_color="white",
        **spatial_metadata(image),
    )
    set_polarity(points, POSITIVE)
    return points


def new_boxes_layer(image: Image) -> Shapes:
    """Make the layer in which the user draws a box around an object of an image."""
    return Shapes(
        ndim=image.ndim,
        name=f"{image.name} boxes",
        edge_color=POSITIVE_COLOR,
        face_color="transparent",
        edge_width=max(1, round(max(image_shape(image)[-2:]) / 400)),
        **spatial_metadata(image),
    )


def polarity(points: Points) -> str:
    """Return whether the next point is positive or negative."""
    return str(points.feature_defaults[POLARITY_FEATURE].iloc[0])


def set_polarity(points: Points, value: str) -> None:
    """Make the next point positive or negative; points that are there stay as they are."""
    # With points selected, napari would change those instead of the next one.
    points.selected_data = set()
    points.feature_defaults = {POLARITY_FEATURE: value}
    points.current_symbol = SYMBOLS[value]
    points.current_face_color = COLORS[value]


def show_polarity(points: Points) -> None:
    """Give each point the symbol and the colour of its polarity, if it has another one."""
    values = [str(value) for value in points.features.get(POLARITY_FEATURE, [])]
    wanted = [SYMBOLS.get(value, "diamond") for value in values]
    if wanted != [str(symbol) for symbol in points.symbol]:
        points.symbol = wanted
        points.face_color = [COLORS.get(value, "white") for value in values]


def new_preview_layer(image: Image) -> Labels:
    """Make the layer that shows the outline of the current object."""
    return Labels(
        np.zeros((1,) * image.ndim, np.uint8),
        name=f"{image.name} preview",
        # Not the direct kind: napari compiles code for it, for seconds, when it is first used.
        colormap=CyclicLabelColormap(colors=[PREVIEW_COLOR] * 2),
        opacity=1.0,
        affine=affine_matrix(image),
        units=image.units,
        axis_labels=image.axis_labels,
        metadata={_OURS: _PREVIEW},
    )


def is_preview(layer: Layer) -> bool:
    """Whether a layer is a preview of ours, which nothing is committed to."""
    return bool(layer.metadata.get(_OURS) == _PREVIEW)


def show_preview(
    preview: Labels,
    image: Image,
    plane: PlaneIndex,
    outline: NDArray[np.uint8],
    origin: tuple[int, int],
) -> None:
    """Show an outline on a plane. The layer covers no more than the object, so this is quick.

    Parameters
    ----------
    preview : Labels
        From `new_preview_layer`.
    image : Image
    plane : PlaneIndex
    outline : ndarray of uint8, shape (h, w)
        1 where the outline is; empty to show nothing.
    origin : tuple of int
        (row, column) in the plane of the outline's first pixel.
    """
    row, column = plane.displayed
    offset = np.array([value or 0 for value in plane.index], float)
    offset[[row, column]] = origin
    shape = np.ones(image.ndim, int)
    pixels = outline.T if plane.transposed else outline
    if outline.size:
        shape[[row, column]] = outline.shape
    else:
        pixels = np.zeros(1, np.uint8)
    matrix = affine_matrix(image)
    matrix[:-1, -1] += matrix[:-1, :-1] @ offset
    preview.data = pixels.reshape(tuple(shape))
    preview.affine = matrix


def hide_preview(preview: Labels) -> None:
    """Show nothing in a preview layer."""
    if preview.data.any():
        preview.data = np.zeros((1,) * preview.ndim, np.uint8)
