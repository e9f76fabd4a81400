"""What OME-Zarr says about an image of labels, https://ngff.openmicroscopy.org/0.4."""

from collections.abc import Mapping, Sequence
from typing import Any

from napari_sam2_openvino.core.units import fits, short_unit

# What most programs read today; 0.5 is younger.
OME_ZARR_VERSION = "0.4"
_KINDS = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}


def labels_metadata(
    name: str,
    letters: str,
    *,
    scale: Sequence[float] = (),
    units: Sequence[str] = (),
    n_levels: int = 1,
    properties: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return the attributes of a group that holds labels.

    Parameters
    ----------
    name : str
    letters : str
        One for each axis, such as "TZYX".
    scale : sequence of float, optional
        Size of a pixel along each axis.
    units : sequence of str, optional
        OME-Zarr's name of the unit of each axis, such as "micrometer"; "" for none.
    n_levels : int, optional
        Arrays "0", "1", ..., of which each takes every other row and column of the one before, from
        the first on.
    properties : sequence of mapping, optional
        What is known of objects, each with its ``label-value``.
    """
    axes: list[dict[str, str]] = []
    sizes = list(scale or [1.0] * len(letters))
    for number, letter in enumerate(letters.lower()):
        axis = {"name": letter}
        if letter in _KINDS:
            axis["type"] = _KINDS[letter]
        unit = units[number] if units else ""
        if unit and fits(short_unit(unit), letter):
            axis["unit"] = unit
        elif unit:
            # That of an axis of another kind, such as of z where it is called t.
            sizes[number] = 1.0
        axes.append(axis)
    datasets = []
    for level in range(n_levels):
        factors = [2**level if letter in "yx" else 1 for letter in letters.lower()]
        steps = [size * factor for size, factor in zip(sizes, factors, strict=True)]
        transformations = [{"type": "scale", "scale": steps}]
        datasets.append({"path": str(level), "coordinateTransformations": transformations})
    image_label: dict[str, Any] = {"version": OME_ZARR_VERSION}
    if properties:
        image_label["properties"] = list(properties)
    multiscale = {
        "version": OME_ZARR_VERSION,
        "name": name,
        "axes": axes,
        "datasets": datasets,
    }
    return {"multiscales": [multiscale], "image-label": image_label}
