"""Images of every kind that napari opens, from a click to the labels, in a real viewer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import dask.array as da
import numpy as np
import pytest
import zarr

RNG = np.random.default_rng(3)
HW = 60, 80
# Where the disc of the engine is clicked, and on which plane of the leading axes.
CLICKED = 30, 40


class Case(NamedTuple):
    image: Callable[[Path], Any]
    plane: tuple[int, ...] = ()
    options: dict[str, Any] = {}  # noqa: RUF012


def pixels(*shape: int, dtype: Any = np.uint16) -> Any:
    return RNG.integers(0, 100, shape).astype(dtype)


def on_disk(folder: Path) -> Any:
    path = folder / "plané.npy"
    np.save(path, pixels(*HW))
    return np.load(path, mmap_mode="r")


def in_zarr(folder: Path, version: int) -> Any:
    return zarr.create_array(
        store=folder / "a zarr", data=pixels(3, *HW), chunks=(1, 32, 32), zarr_format=version
    )


def pyramid(*shape: int) -> list[Any]:
    full = da.from_array(pixels(*shape), chunks=(1,) * (len(shape) - 2) + (32, 32))
    return [full, full[..., ::2, ::2]]


CASES = {
    "RGBA": Case(lambda _: pixels(*HW, 4, dtype=np.uint8)),
    "RGBA stack": Case(lambda _: pixels(3, *HW, 4, dtype=np.uint8), (2,)),
    "float RGB": Case(lambda _: RNG.random((*HW, 3)).astype(np.float32)),
    "five axes": Case(lambda _: pixels(2, 3, 4, *HW), (1, 2, 3)),
    "five axes, lazy": Case(lambda _: da.from_array(pixels(2, 3, 4, *HW)), (1, 0, 2)),
    "pyramid": Case(lambda _: pyramid(*HW), (), {"multiscale": True}),
    "pyramid of five axes": Case(lambda _: pyramid(2, 2, 3, *HW), (0, 1, 2), {"multiscale": True}),
    "bool": Case(lambda _: pixels(*HW) > 50),
    "big-endian": Case(lambda _: pixels(*HW, dtype=">u2")),
    "signed": Case(lambda _: pixels(*HW, dtype=np.int32) - 50),
    "float16": Case(lambda _: pixels(*HW, dtype=np.float16)),
    "not a number": Case(lambda _: np.where(pixels(*HW) > 50, np.nan, 1.0)),
    "Fortran order": Case(lambda _: np.asfortranarray(pixels(3, *HW)), (1,)),
    "negative strides": Case(lambda _: pixels(3, *HW)[::-1, ::-1, ::-1], (1,)),
    "read-only on disk": Case(on_disk),
    "zarr 2": Case(lambda folder: in_zarr(folder, 2), (1,)),
    "zarr 3": Case(lambda folder: in_zarr(folder, 3), (1,)),
}


@pytest.mark.parametrize("name", CASES)
def test_from_a_click_to_the_labels(name: str, open_window: Any, tmp_path: Path) -> None:
    case = CASES[name]
    window = open_window(case.image(tmp_path), image_options=case.options)
    for axis, number in enumerate(case.plane):
        window.show_plane(number, axis)
    window.settle()
    window.click(*case.plane, *CLICKED)
    window.settle()
    assert window.answer is not None, window.status
    window.do("commit")
    window.settle()
    labels = np.asarray(window.labels.data)
    assert labels.shape[-2:] == HW
    assert labels[(*case.plane, *CLICKED)] == 1
    others = labels.copy()
    others[case.plane] = 0
    assert not others.any()
    window.labels.undo()
    assert not np.asarray(window.labels.data).any()


def test_one_pixel_is_an_image_too(open_window: Any) -> None:
    window = open_window(np.ones((1, 1), np.uint8))
    window.settle()
    window.click(0, 0)
    window.settle()
    window.do("commit")
    window.settle()
    assert window.labels.data.tolist() == [[1]]
