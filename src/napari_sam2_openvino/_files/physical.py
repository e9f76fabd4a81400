"""Sizes of pixels as image files tell them: OME-TIFF, ImageJ's TIFF, OME-Zarr."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tifffile

Size = tuple[float, str]
"""Size of a pixel along an axis and its unit, "" where there is none."""
Sizes = tuple[tuple[float, ...], tuple[str, ...]]
"""Size of a pixel along each axis and its unit, "" where there is none."""


def known_size(size: float, unit: str) -> Size:
    """Return a size and its unit, or 1 without a unit in place of what is no size."""
    return (float(size), unit) if isfinite(size) and size > 0 else (1.0, "")


def sizes_of_tiff(file: "tifffile.TiffFile", series: "tifffile.TiffPageSeries") -> Sizes:
    """Return what a TIFF says about the size of its pixels; nothing if it says nothing.

    Parameters
    ----------
    file : tifffile.TiffFile
    series : tifffile.TiffPageSeries
        One of its images, or one that is made of its pages.
    """
    if file.is_ome and file.ome_metadata:
        found = _ome_sizes(file.ome_metadata, file.series, series)
    elif file.is_imagej:
        found = _imagej_sizes(file)
    else:
        found = {}
    if not found:
        return (), ()
    sizes = [found.get(axis, (1.0, "")) for axis in series.axes]
    return tuple(size for size, _ in sizes), tuple(unit for _, unit in sizes)


def _ome_sizes(
    metadata: str,
    every: "Sequence[tifffile.TiffPageSeries]",
    series: "tifffile.TiffPageSeries",
) -> dict[str, Size]:
    import tifffile

    images = tifffile.xml2dict(metadata)["OME"]["Image"]
    images = images if isinstance(images, list | tuple) else [images]
    number = next((number for number, each in enumerate(every) if each is series), 0)
    if number and len(images) != len(every):
        # Of images that cannot be read there is no series.
        return {}
    about, found = images[number]["Pixels"], {}
    for axis, name, default in (
        *((axis, f"PhysicalSize{axis}", "µm") for axis in "ZYX"),
        ("T", "TimeIncrement", "s"),
    ):
        if name in about:
            found[axis] = known_size(float(about[name]), about.get(f"{name}Unit", default))
    return found


def _imagej_sizes(file: "tifffile.TiffFile") -> dict[str, Size]:
    about: Mapping[str, Any] = file.imagej_metadata or {}
    unit = str(about.get("unit", ""))
    tags = file.pages.first.tags
    if not unit or unit == "pixel":
        return {}
    found = {}
    for axis, name in (("Y", "YResolution"), ("X", "XResolution")):
        tag = tags.get(name)
        # Pixels in one unit, as a fraction.
        if tag is not None and tag.value[0] > 0:
            found[axis] = known_size(tag.value[1] / tag.value[0], unit)
    if "spacing" in about:
        found["Z"] = known_size(float(about["spacing"]), unit)
    if "finterval" in about:
        found["T"] = known_size(float(about["finterval"]), "s")
    return found


def sizes_of_ome_zarr(multiscale: Mapping[str, Any]) -> Sizes:
    """Return what OME-Zarr says about the size of pixels of the finest level.

    Parameters
    ----------
    multiscale : mapping
        One of its ``multiscales``.
    """
    axes: Sequence[Any] = multiscale.get("axes", ())
    scale = [1.0] * len(axes)
    transformations = [
        *multiscale["datasets"][0].get("coordinateTransformations", ()),
        *multiscale.get("coordinateTransformations", ()),
    ]
    for each in transformations:
        factors = each.get("scale", ()) if each.get("type") == "scale" else ()
        if len(factors) == len(scale):
            scale = [size * factor for size, factor in zip(scale, factors, strict=True)]
    if not transformations:
        return (), ()
    units = [str(axis.get("unit", "")) if isinstance(axis, dict) else "" for axis in axes]
    sizes = [known_size(*each) for each in zip(scale, units, strict=True)]
    return tuple(size for size, _ in sizes), tuple(unit for _, unit in sizes)
