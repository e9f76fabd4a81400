"""A table of what can be measured of objects, in physical units."""

import re
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2_openvino._files.replacing import replacing
from napari_sam2_openvino.core.labelled_image import LabelledImage
from napari_sam2_openvino.core.measurements import region_table
from napari_sam2_openvino.core.object_features import INDEX, ObjectFeatures
from napari_sam2_openvino.core.progress import Progress
from napari_sam2_openvino.export.solids import Solid, solids

if TYPE_CHECKING:
    import pandas as pd

# Names in the table, and the power of the unit of length that they are in; others have no unit.
_LENGTHS = {
    "perimeter": ("perimeter", 1),
    "equivalent_diameter_area": ("equivalent_diameter", 1),
    "major_axis_length": ("major_axis_length", 1),
    "minor_axis_length": ("minor_axis_length", 1),
}
_SIZES = {2: ("area", 2), 3: ("volume", 3)}
_PER_AXIS = re.compile(r"(centroid|bbox)-(\d)")
# Differences of this share between the sides of a pixel come from rounding in files.
_ROUNDING = 1e-6


def write_csv(labelled: LabelledImage, path: Path) -> Generator[Progress, None, None]:
    """Write what `measure` finds as a CSV file.

    Parameters
    ----------
    labelled : LabelledImage
    path : Path
        A CSV file, which is replaced.

    Raises
    ------
    InputError
        If the labels or the image cannot be read or the file cannot be written.
    """
    with replacing(path, "The measurements") as temporary:
        table = yield from measure(labelled)
        table.to_csv(temporary, index=False)


def measure(labelled: LabelledImage) -> Generator[Progress, None, "pd.DataFrame"]:
    """Measure all objects: in 3D where there is a z axis, else plane by plane.

    Parameters
    ----------
    labelled : LabelledImage
        Scale and units make the units of the columns, the features more columns.

    Returns
    -------
    DataFrame
        A row for each object (of each time point and channel): ``label``, ``t`` and ``c`` if there
        are such axes, ``class_name``, the features, then what scikit-image measures. Names end with
        the unit, such as ``area_um2`` and ``centroid_x_um``; ``px`` where pixels have no size.
        Centroids count from the centre of the first pixel of the image; boxes are in pixels, and
        where they end is not part of them.
    """
    import pandas as pd

    features = labelled.features_by_label()
    # A frame for each would take a hundred times what its numbers do.
    rows: list[dict[Any, Any]] = []
    for progress, objects in solids(labelled):
        for solid in objects:
            rows += _table(solid, labelled, features).to_dict("records")
        yield progress
    if not rows:
        return pd.DataFrame(columns=["label", *_other_axes(labelled)])
    table = pd.DataFrame(rows)
    return table.sort_values([*_other_axes(labelled), "label"], kind="stable")


def _other_axes(labelled: LabelledImage) -> list[str]:
    return [axis for axis in labelled.lead.lower() if axis != "z"]


def _table(solid: Solid, labelled: LabelledImage, features: ObjectFeatures) -> "pd.DataFrame":
    """Measure one object."""
    import pandas as pd

    axes = "ZYX"[-solid.mask.ndim :]
    spacing, unit = labelled.spacing(axes)
    if max(spacing) - min(spacing) <= _ROUNDING * max(spacing):
        spacing = spacing[-1:] * len(spacing)
    measured = region_table(solid.mask.astype(np.uint8), solid.intensities, spacing)
    for axis, step in enumerate(spacing):
        start, ndim = solid.origin[axis], len(spacing)
        measured[f"centroid-{axis}"] += start * step
        measured[[f"bbox-{axis}", f"bbox-{axis + ndim}"]] += start
    indices = dict(zip(_other_axes(labelled), solid.place, strict=True))
    about: dict[str, Any] = {"label": solid.obj_id, **indices}
    if features.class_names():
        about["class_name"] = features.class_name(solid.obj_id, indices)
    named = measured.rename(columns=lambda name: _column(name, axes.lower(), unit or "px"))
    named = named.drop(columns=INDEX)
    # What is measured anew, such as of a table that was exported before, is not carried along.
    taken = {*about, *measured, *named}
    attributes = features.attributes(solid.obj_id, indices)
    about |= {name: value for name, value in attributes.items() if name not in taken}
    return pd.concat([pd.DataFrame([about]), named], axis=1)


def _column(name: str, axes: str, unit: str) -> str:
    """Return scikit-image's name of a measurement with its axis and unit."""
    if match := _PER_AXIS.fullmatch(name):
        number = int(match[2])
        axis = axes[number % len(axes)]
        if match[1] == "centroid":
            return f"centroid_{axis}_{unit}"
        return f"box_{axis}_{'start' if number < len(axes) else 'stop'}_px"
    if name == "orientation":
        return "orientation_rad"
    new, power = _SIZES[len(axes)] if name == "area" else _LENGTHS.get(name, (name, 0))
    return f"{new}_{unit}{power if power > 1 else ''}" if power else new.replace("-", "_")
