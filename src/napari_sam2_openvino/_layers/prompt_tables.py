"""Points and boxes of a layer as a table that a batch applies to many planes."""

import numpy as np
import pandas as pd
from napari.layers import Image, Points, Shapes
from numpy.typing import NDArray

from napari_sam2_openvino._layers.coordinates import to_image
from napari_sam2_openvino.core.errors import InputError


def prompt_table(
    layer: Points | Shapes, letters: str, image: Image | None = None, *, own_planes: bool = False
) -> pd.DataFrame:
    """Return the points, or the rectangles, of a layer as a table.

    Parameters
    ----------
    layer : Points or Shapes
        Its features may say the object and the sign of each, as those of prompts do.
    letters : str
        The axes of the image, colours left out, such as "ZYX".
    image : Image, optional
        Whose pixels are meant; without it coordinates are taken as pixels.
    own_planes : bool, optional
        Whether each prompt counts on its own plane only, otherwise on every plane.

    Returns
    -------
    DataFrame
        Columns ``x`` and ``y``, or ``x0``, ``y0``, ``x1`` and ``y1``, in pixels; the axes of planes
        if ``own_planes``; and the features.

    Raises
    ------
    InputError
        If there are none, or their number of axes is another one.
    """
    count = len(layer.data)
    if not count:
        raise InputError(f"{layer.name} is empty: draw points or boxes in it.")
    shapes = [np.asarray(layer.data)[:, None]] if isinstance(layer, Points) else layer.data
    if isinstance(layer, Shapes) and set(layer.shape_type) != {"rectangle"}:
        others = ", ".join(sorted(set(map(str, layer.shape_type)) - {"rectangle"}))
        raise InputError(
            f"Of shapes, a batch takes rectangles, but {layer.name} has others ({others}): leave "
            "them out."
        )
    if layer.ndim not in (2, len(letters)):
        raise InputError(
            f"{layer.name} has {layer.ndim} axes, but the image has {len(letters)} ({letters}): "
            "choose another layer."
        )
    corners = np.asarray(shapes[0] if isinstance(layer, Points) else np.stack(shapes))
    places = _in_image(corners, layer, image)
    # Two axes are those of planes, as the image has them.
    is_whole = layer.ndim == len(letters)
    axes = letters if is_whole else "".join(letter for letter in letters if letter in "YX")
    y, x = (places[..., axes.index(axis)] for axis in "YX")
    if isinstance(layer, Points):
        columns = {"x": x[:, 0], "y": y[:, 0]}
    else:
        columns = {
            "x0": x.min(axis=1),
            "y0": y.min(axis=1),
            "x1": x.max(axis=1),
            "y1": y.max(axis=1),
        }
    if own_planes:
        hidden = [axis for axis in axes if axis not in "YXC"]
        columns |= {axis.lower(): places[:, 0, axes.index(axis)].round() for axis in hidden}
    features = layer.features.iloc[:count].reset_index(drop=True)
    kept = [name for name in features if str(name).lower() not in columns]
    return pd.concat([pd.DataFrame(columns), features[kept]], axis=1)


def _in_image(
    corners: NDArray[np.float64], layer: Points | Shapes, image: Image | None
) -> NDArray[np.float64]:
    if image is None or image.ndim != layer.ndim:
        return corners
    return to_image(layer, corners.reshape(-1, layer.ndim), image).reshape(corners.shape)
