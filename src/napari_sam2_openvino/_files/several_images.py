"""Files that hold several images: which of them is meant."""

from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sam2_openvino.core.errors import InputError, times

if TYPE_CHECKING:
    import tifffile

# What has at most this share of the pixels of another image stands beside it: a thumbnail, or the
# label and the overview of a slide.
_MOST_BESIDE = 1 / 4
_MOST_NAMES = 3
# Kinds of series, as tifffile calls them, whose pages do not say that they are different images.
_PLAIN_PAGES = ("shaped", "generic")


def find_main(images: Sequence[tuple[int, int]]) -> int | None:
    """Return which image all others stand beside, None if there is no such one.

    Parameters
    ----------
    images : sequence of (int, int)
        Numbers of pixels of each: of one plane, and of all of them.
    """
    main = max(range(len(images)), key=lambda number: images[number][1])
    most = [_MOST_BESIDE * count for count in images[main]]
    others = [each for number, each in enumerate(images) if number != main]
    is_main = all(plane <= most[0] and total <= most[1] for plane, total in others)
    return main if is_main else None


def refuse_several(path: Path, images: Sequence[str], remedy: str) -> InputError:
    """Return what is said of a file of which no image is the one that is meant.

    Parameters
    ----------
    path : Path
    images : sequence of str
        What each is called.
    remedy : str
        What to do.
    """
    names = ", ".join(images[:_MOST_NAMES]) + (", …" if len(images) > _MOST_NAMES else "")
    return InputError(
        f"{path} holds {len(images)} images ({names}), but one at a time is read: {remedy}."
    )


def choose_series(path: Path, file: "tifffile.TiffFile") -> "tuple[tifffile.TiffPageSeries, int]":
    """Return the image of a TIFF, and how many there are.

    Pages that were written one by one, all alike, are one image with one more axis.

    Raises
    ------
    InputError
        If there are several.
    """
    series = list(file.series)
    if len(series) > 1:
        # Each file of an OME-TIFF of several files tells of the images of them all.
        series = [each for each in series if _is_in(file, each)] or series
    if len(series) == 1:
        return series[0], 1
    main = find_main([_pixels(each) for each in series])
    if main is not None:
        return series[main], len(series)
    if _are_alike(series):
        return _stacked(series), 1
    names = [
        f"{each.name or number} of {times(each.shape)}" for number, each in enumerate(series, 1)
    ]
    raise refuse_several(path, names, "save each as a file of its own")


def _is_in(file: "tifffile.TiffFile", series: "tifffile.TiffPageSeries") -> bool:
    return any(page is not None and page.parent is file for page in series.pages)


def _pixels(series: "tifffile.TiffPageSeries") -> tuple[int, int]:
    plane = [length for axis, length in zip(series.axes, series.shape, strict=True) if axis in "YX"]
    return prod(plane), prod(series.shape)


def _are_alike(series: "Sequence[tifffile.TiffPageSeries]") -> bool:
    looks = {(each.shape, each.axes, each.keyframe.hash, len(each.levels)) for each in series}
    return len(looks) == 1 and all(
        each.kind in _PLAIN_PAGES and not each.is_pyramidal and not each.is_truncated
        for each in series
    )


def _stacked(series: "Sequence[tifffile.TiffPageSeries]") -> "tifffile.TiffPageSeries":
    import tifffile

    first = series[0]
    return tifffile.TiffPageSeries(
        [page for each in series for page in each.pages],
        (len(series), *first.shape),
        first.dtype,
        # What tifffile calls an axis of pages.
        f"I{first.axes}",
        kind=first.kind,
        squeeze=False,
    )


def choose_group(path: Path, parent: Any) -> tuple[Any, int]:
    """Return the image among the groups of a zarr's group, and how many there are.

    Raises
    ------
    InputError
        If there are several.
    """
    names = sorted(parent.group_keys())
    groups = {name: parent[name] for name in names if multiscales_of(parent[name])}
    if len(groups) < 2:
        # What napari's own reader does.
        return parent[next(iter(groups), names[0])], 1
    finest = [group[multiscales_of(group)[0]["datasets"][0]["path"]] for group in groups.values()]
    main = find_main([(prod(each.shape[-2:]), prod(each.shape)) for each in finest])
    if main is None:
        about = [
            f"{name} of {times(each.shape)}" for name, each in zip(groups, finest, strict=True)
        ]
        raise refuse_several(path, about, f"give one, such as {path / next(iter(groups))}")
    return list(groups.values())[main], len(groups)


def multiscales_of(group: Any) -> Any:
    """Return what OME-Zarr says about the images of a group; None if it says nothing."""
    attributes = group.attrs.asdict()
    return attributes.get("ome", attributes).get("multiscales")
