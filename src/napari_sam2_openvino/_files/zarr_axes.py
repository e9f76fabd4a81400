"""Axes of zarr arrays and OME-Zarr images: their names as one letter for each."""

from collections.abc import Mapping
from typing import Any

# Names, and OME-Zarr's types, that are longer than a letter.
_LETTERS = {"time": "T", "channel": "C", "depth": "Z"}
_UNKNOWN = "?"


def axes_of_array(array: Any) -> str:
    """Return the axes of a zarr array, ? for one without a known name; empty if none has a name."""
    names = getattr(array.metadata, "dimension_names", None) or ()
    return "".join(map(_letter, names))


def axes_of_multiscale(multiscale: Mapping[str, Any]) -> str:
    """Return the axes of one of the ``multiscales`` of OME-Zarr, whose axes may have types."""
    letters = ""
    for axis in multiscale.get("axes", ()):
        about = axis if isinstance(axis, Mapping) else {"name": axis}
        letter = _letter(about["name"])
        letters += _letter(about.get("type")) if letter == _UNKNOWN else letter
    return letters


def _letter(name: str | None) -> str:
    text = (name or _UNKNOWN).strip()
    return text.upper() if len(text) == 1 else _LETTERS.get(text.lower(), _UNKNOWN)
