"""Units of pixels: one short name for each, whatever the program that wrote them called it."""

from napari_sam2_openvino.core.errors import InputError

# Short name: name in OME-Zarr, size in metres or seconds, what else programs write.
_LENGTHS = {
    "pm": ("picometer", 1e-12, ("picometre",)),
    "A": ("angstrom", 1e-10, ("Å", "ångström")),
    "nm": ("nanometer", 1e-9, ("nanometre",)),
    # The micro sign, the Greek letter, and how ImageJ escapes them in TIFF files.
    "um": ("micrometer", 1e-6, ("µm", "μm", "micron", "microns", "micrometre", "\\u00b5m")),
    "mm": ("millimeter", 1e-3, ("millimetre",)),
    "cm": ("centimeter", 1e-2, ("centimetre",)),
    "m": ("meter", 1.0, ("metre",)),
}
_TIMES = {
    "ms": ("millisecond", 1e-3, ()),
    "s": ("second", 1.0, ("sec", "seconds")),
    "min": ("minute", 60.0, ("minutes",)),
    "h": ("hour", 3600.0, ("hours",)),
}
_UNITS = _LENGTHS | _TIMES
_NO_UNIT = ("", "pixel", "pixels", "px", "voxel", "dimensionless")
_SHORT = {
    name.lower(): short
    for short, (long, _, others) in _UNITS.items()
    for name in (short, long, f"{long}s", *others)
}


def short_unit(name: str) -> str:
    """Return the short name of a unit, such as "um"; "" for pixels.

    Parameters
    ----------
    name : str
        As a program, a file or a user calls it.

    Raises
    ------
    InputError
        If it is no unit of length or time that is known.
    """
    if name.lower() in _NO_UNIT:
        return ""
    short = _SHORT.get(name.lower())
    if short is None:
        raise InputError(
            f"The unit of pixels must be one of {', '.join(_UNITS)} or pixel, but is {name!r}: "
            "choose one of them."
        )
    return short


def long_unit(short: str) -> str:
    """Return what OME-Zarr calls a unit that has a short name."""
    return _UNITS[short][0]


def symbol(short: str) -> str:
    """Return the symbol of a unit, as OME-TIFF and texts have it."""
    return {"um": "µm", "A": "Å"}.get(short, short)


def is_length(short: str) -> bool:
    """Whether a unit measures lengths."""
    return short in _LENGTHS


def fits(short: str, axis: str) -> bool:
    """Whether an axis, of a name such as "z", can have a unit: time has none of length."""
    kinds = {"t": _TIMES, **dict.fromkeys("zyx", _LENGTHS)}
    return short in kinds.get(axis.lower(), _UNITS)


def ratio(unit: str, other: str) -> float:
    """Return how many of another unit one unit is; both measure lengths, or both times."""
    return _UNITS[unit][1] / _UNITS[other][1]
