"""What can be measured of objects: a row for each, as napari's features take it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.candidates import Candidates
from napari_sam2_openvino.core.errors import InputError, times
from napari_sam2_openvino.core.labels_from_candidates import LabelledObjects

if TYPE_CHECKING:
    import pandas as pd

INDEX = "index"
"""The column from which napari knows the label of a row."""

SHAPES = (
    "area",
    "centroid",
    "bbox",
    "perimeter",
    "equivalent_diameter_area",
    "major_axis_length",
    "minor_axis_length",
    "eccentricity",
    "orientation",
    "solidity",
)
SOLID_SHAPES = ("area", "centroid", "bbox", "equivalent_diameter_area", "extent")
"""What is measured in three dimensions; "area" is the volume there."""

INTENSITIES = ("intensity_mean", "intensity_min", "intensity_max")

STABILITY = "stability_score"
"""The column that each object of a search has a value in."""


def is_measure(column: str) -> bool:
    """Whether a column of `measurements` is about the pixels that an object had at the time."""
    return column.partition("-")[0] in {*SHAPES, *INTENSITIES, STABILITY, "point"}


def region_table(
    labels: NDArray[np.integer[Any]],
    image: NDArray[Any] | None = None,
    spacing: Sequence[float] = (1.0, 1.0),
) -> "pd.DataFrame":
    """Measure the objects of a plane or a volume of labels by scikit-image's region properties.

    Parameters
    ----------
    labels : ndarray of integers, shape (H, W) or (D, H, W)
    image : ndarray, of the shape of the labels or with channels as one more axis, optional
        Its intensities are measured as well, channel by channel.
    spacing : sequence of float, optional
        Size of a pixel along each axis: areas and lengths are in its unit. Boxes are in pixels.

    Returns
    -------
    DataFrame
        A row for each object; ``index`` holds its label, other columns are named as in
        scikit-image: ``centroid-0`` is the row of a plane, ``bbox-2`` the row after the last.
    """
    import pandas as pd
    from skimage.measure import regionprops_table

    if image is not None and image.shape[: labels.ndim] != labels.shape:
        raise InputError(
            f"The image must have the shape {times(labels.shape)} of the labels, but has "
            f"{times(image.shape)}: choose the plane of the labels."
        )
    shapes = SHAPES if labels.ndim == 2 else SOLID_SHAPES
    names = ("label", *shapes, *(INTENSITIES if image is not None else ()))
    isotropic = len(set(spacing)) == 1
    if not isotropic:
        # scikit-image has no perimeter of oblong pixels.
        names = tuple(name for name in names if name != "perimeter")
    table = pd.DataFrame(
        regionprops_table(
            np.asarray(labels), image, properties=names, spacing=tuple(map(float, spacing))
        )
    )
    return table.rename(columns={"label": INDEX})


def measurements(
    found: LabelledObjects,
    candidates: Candidates,
    image: NDArray[Any] | None = None,
    spacing: Sequence[float] = (1.0, 1.0),
) -> "pd.DataFrame":
    """Return a row for each candidate that became an object.

    Parameters
    ----------
    found : LabelledObjects
        Of ``candidates``.
    candidates : Candidates
    image : ndarray, shape (H, W) or (H, W, C), optional
    spacing : sequence of float, optional
        See `region_table`.

    Returns
    -------
    DataFrame
        Columns ``index`` (the label), ``iou_prediction``, ``stability_score``, ``point-x`` and
        ``point-y`` (what was clicked, in pixels), then those of `region_table`, all of the pixels
        that are the object's in ``found.labels``.
    """
    import pandas as pd

    is_object = found.ids > 0
    scores = pd.DataFrame(
        {
            INDEX: found.ids[is_object],
            "iou_prediction": candidates.iou_predictions[is_object],
            STABILITY: candidates.stability_scores[is_object],
            "point-x": candidates.point_coords[is_object, 0],
            "point-y": candidates.point_coords[is_object, 1],
        }
    ).sort_values(INDEX, ignore_index=True)
    own = np.where(np.isin(found.labels, found.ids[is_object]), found.labels, 0)
    return scores.merge(region_table(own, image, spacing), on=INDEX, how="left")
