"""From what the user drew for one object to the prompts of SAM 2's interactive protocol."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.marks import Mark, MaskCut, ObjectPrompts, is_inside
from napari_sam2_openvino.core.object_masks import MASK_PROMPT_LOGIT, mask_logits
from napari_sam2_openvino.core.regions import Region
from napari_sam2_openvino.core.types import BACKGROUND, FOREGROUND, Prompts

Float = NDArray[np.float32]
Vertices = NDArray[np.float64]

# A scribble gives a point for each of so many pixels of the model's input, up to a limit. More
# points say nothing more about the object, and models are trained with few.
SCRIBBLE_SPACING = 32
SCRIBBLE_MAX_POINTS = 8
_ELLIPSE_VERTICES = 64
# Each low-resolution pixel of a lasso is the mean of so many samples in each direction.
_LASSO_SAMPLES = 4


def build_stages(prompts: ObjectPrompts, region: Region, image_size: int) -> tuple[Prompts, ...]:
    """Return the calls of SAM 2 that answer the prompts of one object, in order.

    SAM 2 is trained to be corrected: each call after the first gets all points so far and, as
    ``mask_input``, the low-resolution mask that the call before it gave. Whoever makes the calls
    fills that in (see `ObjectDecoder`) where a stage has no ``mask_input`` of its own.

    - The first stage holds everything that is not a click, and the clicks up to and including the
      first positive one. If boxes, lassos, scribbles or the mask say where the object is, it holds
      only the clicks that were drawn before them, such as negative points that count for all
      objects: clicks after them are corrections.
    - Each further click is a stage of its own.
    - The mask prompt of a lasso or of an object to refine stays in every stage: what the user drew
      says more than what the network made of it, and corrections work better from there.

    SAM 2 takes one box: the one around all boxes, lassos and the mask. A lasso is also a mask
    prompt. A scribble is up to `SCRIBBLE_MAX_POINTS` points along it, with its sign. Negative
    points outside the region are left out. The same prompts always give the same stages.

    Parameters
    ----------
    prompts : ObjectPrompts
    region : Region
        What is encoded. Coordinates are made relative to it; they stay in pixels of the plane, so
        that ``region.hw`` normalises them.
    image_size : int
        S, the side of the model's input in pixels.

    Returns
    -------
    tuple of Prompts
        At least one.

    Raises
    ------
    InputError
        If nothing says where the object is, or a box has no area.
    """
    if prompts.mask is not None and not prompts.mask.mask.any():
        prompts = replace(prompts, mask=None)
    if prompts.is_empty:
        raise InputError(
            "An object needs a positive point, a box, a lasso, a scribble or a mask, but has none: "
            "say where it is."
        )
    marks = [_relative(mark, region) for mark in prompts.marks]
    clicks = [mark for mark in marks if mark.kind == "point"]
    n_first = _clicks_of_first_stage(prompts)
    scribbled = list(_scribble_points(marks, region, image_size))
    box = _box(prompts.mask, marks, region)
    mask_input = _mask_input(prompts, marks, region, image_size // 4)
    stages: list[Prompts] = []
    for n_clicks in range(n_first, max(n_first, len(clicks)) + 1):
        points = scribbled + [(click.vertices[0], click.is_positive) for click in clicks[:n_clicks]]
        inside = [point for point in points if point[1] or is_inside(point[0], region.hw)]
        stages.append(
            Prompts(
                point_coords=np.array([place for place, _ in inside], np.float32),
                point_labels=np.array(
                    [FOREGROUND if positive else BACKGROUND for _, positive in inside], np.int32
                ),
                box=box,
                mask_input=mask_input,
            )
        )
    return tuple(stages)


def _relative(mark: Mark, region: Region) -> Mark:
    vertices = tuple((x - region.column, y - region.row) for x, y in mark.vertices)
    return Mark(mark.kind, vertices, mark.is_positive)


def _clicks_of_first_stage(prompts: ObjectPrompts) -> int:
    """Return how many clicks belong to the first stage."""
    if prompts.mask is not None:
        return 0
    first = next(number for number, mark in enumerate(prompts.marks) if mark.is_positive)
    before = sum(mark.kind == "point" for mark in prompts.marks[:first])
    anchored = any(mark.is_positive and mark.kind != "point" for mark in prompts.marks)
    return before if anchored else before + 1


def _box(mask: MaskCut | None, marks: Sequence[Mark], region: Region) -> Float | None:
    """Return the box around all boxes and lassos, relative to the region already, and the mask."""
    outlines = [_outline(mark) for mark in marks if mark.kind in ("box", "polygon", "ellipse")]
    if mask is not None and mask.mask.any():
        rows, columns = (np.flatnonzero(mask.mask.any(axis=axis)) for axis in (1, 0))
        top, left = mask.origin[0] - region.row, mask.origin[1] - region.column
        # Along the outer edges of its pixels, so that one pixel has a box too.
        low = left + columns[0] - 0.5, top + rows[0] - 0.5
        high = left + columns[-1] + 0.5, top + rows[-1] + 0.5
        outlines.append(np.array([low, high]))
    if not outlines:
        return None
    corners = np.concatenate(outlines)
    return np.concatenate([corners.min(axis=0), corners.max(axis=0)]).astype(np.float32)


def _outline(mark: Mark) -> Vertices:
    """Return the vertices (n, 2) of a box or lasso; of an ellipse, points on it."""
    vertices = np.array(mark.vertices, np.float64)
    if mark.kind != "ellipse":
        return vertices
    # The four corners span a parallelogram; the ellipse touches its sides in the middle.
    angles = np.arange(_ELLIPSE_VERTICES) * (2 * np.pi / _ELLIPSE_VERTICES)
    along, across = (vertices[1] - vertices[0]) / 2, (vertices[3] - vertices[0]) / 2
    centre = vertices[0] + along + across
    ellipse: Vertices = centre + np.outer(np.cos(angles), along) + np.outer(np.sin(angles), across)
    return ellipse


def _scribble_points(
    marks: Sequence[Mark], region: Region, image_size: int
) -> Iterator[tuple[tuple[float, float], bool]]:
    """Give points in the middle of equal parts of each scribble, and its sign."""
    pixel = np.array(region.hw[::-1]) / image_size
    for mark in marks:
        if mark.kind != "path":
            continue
        vertices = np.array(mark.vertices, np.float64)
        lengths = np.hypot(*(np.diff(vertices, axis=0) / pixel).T)
        along = np.concatenate([[0.0], np.cumsum(lengths)])
        count = min(max(math.ceil(along[-1] / SCRIBBLE_SPACING), 1), SCRIBBLE_MAX_POINTS)
        middles = (np.arange(count) + 0.5) * along[-1] / count
        for place in zip(*(np.interp(middles, along, axis) for axis in vertices.T), strict=True):
            yield place, mark.is_positive


def _mask_input(
    prompts: ObjectPrompts, marks: Sequence[Mark], region: Region, size: int
) -> Float | None:
    """Return the mask prompt of the object to refine and of all lassos together."""
    layers = []
    if prompts.mask is not None:
        layers.append(mask_logits(prompts.mask, region, size))
    lassos = [_outline(mark) for mark in marks if mark.kind in ("polygon", "ellipse")]
    if lassos:
        layers.append(_lasso_logits(lassos, region, size))
    # A lasso too small for the grid is still a box.
    layers = [layer for layer in layers if layer.max() > -MASK_PROMPT_LOGIT]
    return np.maximum.reduce(layers) if layers else None


def _lasso_logits(outlines: Sequence[Vertices], region: Region, size: int) -> Float:
    """Return what `mask_logits` would of the lassos filled, without their pixels of the plane."""
    from skimage.draw import polygon

    fine = size * _LASSO_SAMPLES
    filled = np.zeros((fine, fine), np.float32)
    for vertices in outlines:
        columns, rows = ((vertices + 0.5) * fine / np.array(region.hw[::-1]) - 0.5).T
        filled[polygon(rows, columns, filled.shape)] = 1
    shape = (size, _LASSO_SAMPLES, size, _LASSO_SAMPLES)
    cover = filled.reshape(shape).mean(axis=(1, 3))
    logits: Float = (2 * cover - 1) * MASK_PROMPT_LOGIT
    return logits[None]
