"""Labels to export from files."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sam2_openvino._files.images import ImageFile, open_image
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.labelled_image import DEFAULT_AXES, LabelledImage
from napari_sam2_openvino.core.object_features import INDEX
from napari_sam2_openvino.core.units import short_unit

if TYPE_CHECKING:
    import pandas as pd

_SPACE = "ZYX"


@contextlib.contextmanager
def open_labelled(
    path: Path,
    *,
    image: Path | None = None,
    axes: str = "",
    scale: tuple[float, ...] = (),
    unit: str = "",
    features: Path | None = None,
    shown: tuple[int, ...] | None = None,
) -> Iterator[LabelledImage]:
    """Open labels, and what belongs to them, from files.

    Parameters
    ----------
    path : Path
        Labels: a TIFF, zarr, .npy, PNG or other common image.
    image : Path, optional
        What was segmented.
    axes : str, optional
        One letter for each axis of the labels, instead of what the file says.
    scale : tuple of float, optional
        Size of a pixel along z, y and x, or one for all of them, instead of what the file says.
    unit : str, optional
        Unit of these sizes, or of the file's, instead of what the file says.
    features : Path, optional
        A CSV table, see `LabelledImage`; ``label`` is as good a name as ``index``.
    shown : tuple of int, optional
        Index of the plane that a picture shows.

    Yields
    ------
    LabelledImage
        Usable until the context ends.

    Raises
    ------
    InputError
        If something cannot be read or does not go together.
    """
    table = None if features is None else _read_table(features)
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(open_image(path))
        pixels = None if image is None else stack.enter_context(open_image(image)).levels[0]
        labels = file.levels[0]
        named = (axes or _axes_of(file)).upper()
        sizes, units = _sizes(file, named, scale, unit)
        name = path.name.split(".")[0] if image is None else image.name.split(".")[0]
        yield LabelledImage(labels, named, sizes, units, table, pixels, name, shown)


def _axes_of(file: ImageFile) -> str:
    """Return the axes that a file names, or those that go by their number."""
    ndim = len(file.levels[0].shape)
    is_known = len(file.axes) == ndim and set(file.axes) <= set("TCZYX")
    # Programs that know of no axes call a stack of pages I or Q.
    return file.axes if is_known else DEFAULT_AXES.get(ndim, "")


def _sizes(
    file: ImageFile, axes: str, scale: tuple[float, ...], unit: str
) -> tuple[tuple[float, ...], tuple[str, ...]]:
    known = len(file.scale) == len(axes)
    sizes = list(file.scale) if known else [1.0] * len(axes)
    units = list(file.units) if known else [""] * len(axes)
    numbers = [axes.index(axis) for axis in _SPACE if axis in axes]
    if scale:
        if len(scale) not in (1, len(numbers)):
            names = ", ".join(axes[number].lower() for number in numbers)
            raise InputError(
                f"There must be one size of a pixel for each of {names}, or one for all of them, "
                f"but there are {len(scale)}."
            )
        for number, size in zip(numbers, scale * (len(numbers) // len(scale)), strict=True):
            sizes[number] = size
        unit = unit or _unit_of(file.path, [units[number] for number in numbers])
    elif unit and short_unit(unit):
        unknown = [axes[each] for each in numbers if (sizes[each], units[each]) == (1.0, "")]
        if unknown:
            raise InputError(
                f"A unit needs sizes of a pixel, and {file.path} tells none along "
                f"{', '.join(unknown).lower()}: add --scale, or leave out --unit."
            )
    if unit:
        for number in numbers:
            units[number] = unit
    return tuple(sizes), tuple(units)


def _unit_of(path: Path, units: Sequence[str]) -> str:
    """Return the one unit of the axes that have one."""
    names = {short_unit(unit) for unit in units} - {""}
    if len(names) != 1:
        found = " and ".join(sorted(names)) or "none"
        raise InputError(
            f"Sizes of a pixel need a unit, and {path} names {found}: add --unit, such as um."
        )
    return names.pop()


def _read_table(path: Path) -> "pd.DataFrame":
    import pandas as pd

    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InputError(
            f"The table {path} cannot be read ({error}): give a CSV file with a row for each "
            "object."
        ) from error
    if "label" in table:
        if INDEX in table and not _are_equal(table[INDEX], table["label"]):
            raise InputError(
                f"The table {path} has both columns `{INDEX}` and `label`, and they differ, so it "
                "is not known which row belongs to which object: leave out the one that does not "
                "hold labels, or rename it."
            )
        table = table.drop(columns=INDEX, errors="ignore").rename(columns={"label": INDEX})
    if INDEX not in table:
        raise InputError(
            f"The table {path} has no column `{INDEX}` or `label`, so it is not known which row "
            "belongs to which object: add one."
        )
    return table


def _are_equal(first: "pd.Series[Any]", second: "pd.Series[Any]") -> bool:
    import pandas as pd

    numbers = [pd.to_numeric(each, errors="coerce").astype(float) for each in (first, second)]
    return bool(numbers[0].equals(numbers[1]))
