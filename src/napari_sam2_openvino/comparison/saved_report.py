"""A report as it was saved, read again."""

import json
import math
import types
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np

from napari_sam2_openvino.comparison.figures import ComparisonReport
from napari_sam2_openvino.core.errors import InputError

_JSON_FILE = "report.json"


def read_report(folder: Path) -> ComparisonReport:
    """Read a report with its pictures.

    Parameters
    ----------
    folder : Path
        What `ComparisonReport.save` wrote to.

    Raises
    ------
    InputError
        If it is not there, or not whole.
    """
    from PIL import Image

    try:
        values = json.loads((folder / _JSON_FILE).read_text(encoding="utf-8"))
        names = [case["picture"] for case in values["worst"]]
        pictures = tuple(np.asarray(Image.open(folder / name).convert("RGB")) for name in names)
        report: ComparisonReport = _restored(ComparisonReport, values | {"pictures": pictures})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"The report in {folder} is not whole: compare the models again."
        ) from error
    return report


def _restored(kind: Any, value: Any) -> Any:
    """Undo what JSON did to a value: None stands for NaN, lists for tuples."""
    if kind is float:
        return math.nan if value is None else float(value)
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        make: Any = kind
        return make(
            **{each.name: _restored(hints[each.name], value[each.name]) for each in fields(kind)}
        )
    if get_origin(kind) is types.UnionType:
        (known,) = (each for each in get_args(kind) if each is not type(None))
        return None if value is None else _restored(known, value)
    if get_origin(kind) is tuple:
        return tuple(_restored(get_args(kind)[0], each) for each in value)
    return value
