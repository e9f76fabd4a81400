"""Layers are turned, hidden, replaced, reordered, renamed and removed while something runs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Image, Labels
from tests.disc_engine import DiscEngine
from tests.qt.test_all_objects import Search, picture
from tests.qt.test_batch_widget import counts, finish, open_batch, settle, squares
from tests.qt.test_volume import BOX, Volume, discs

from napari_sam2_openvino._files.images import open_image

__all__ = ["open_batch"]


def turn(viewer: Any, _image: Image) -> None:
    viewer.dims.transpose()


def turn_data(_viewer: Any, image: Image) -> None:
    image.data = np.ascontiguousarray(np.swapaxes(image.data, -1, -2))


def roll(viewer: Any, _image: Image) -> None:
    viewer.dims.roll()


def hide(_viewer: Any, image: Image) -> None:
    image.visible = False


def replace(_viewer: Any, image: Image) -> None:
    image.data = image.data[..., ::-1].copy()


def shrink(_viewer: Any, image: Image) -> None:
    image.data = image.data[..., :30, :40].copy()


def reorder(viewer: Any, _image: Image) -> None:
    viewer.layers.reverse()


def rename(viewer: Any, _image: Image) -> None:
    for layer in viewer.layers:
        layer.name = "é"


def remove(viewer: Any, image: Image) -> None:
    viewer.layers.remove(image)


def remove_all(viewer: Any, _image: Image) -> None:
    viewer.layers.clear()


CHANGES = [turn, turn_data, roll, hide, replace, shrink, reorder, rename, remove, remove_all]
Change = Callable[[Any, Image], None]
changes = pytest.mark.parametrize("change", CHANGES)


def goes_on(window: Any) -> None:
    """Check that objects can still be drawn and committed, on a new image if that one went."""
    viewer = window.viewer
    viewer.dims.ndisplay = 2
    if window.annotator.image is None:
        window.annotator.set_image(viewer.add_image(np.zeros((3, 40, 50), np.uint8)))
    window.settle()
    plane = window.annotator.plane
    row, column = plane.displayed
    place = [0 if value is None else value for value in plane.index]
    height, width = (window.annotator.image.data.shape[axis] for axis in plane.displayed)
    place[row], place[column] = height // 2, width // 2
    if window.annotator.feedback.problem:
        # The image is smaller than before: the sentence says to delete what is outside.
        assert "outside the image" in window.status
        window.annotator.drafting.layers.remove_all()
        window.settle()
    if window.labels is not None and window.labels.data.shape != window.annotator.image.data.shape:
        window.annotator.set_target(None)
    n_points = 0 if window.layers.points is None else len(window.layers.points.data)
    window.click(*place)
    window.settle()
    assert len(window.layers.points.data) == n_points + 1
    assert window.answer is not None, window.status
    window.do("commit")
    window.settle()
    assert window.labels.data[tuple(place)] > 0


@changes
def test_while_the_image_is_encoded(change: Change, open_window: Any) -> None:
    window = open_window(np.zeros((3, 60, 80), np.uint8), encode_seconds=0.3)
    window.click(1, 30, 40)
    window.wait_for_encode()
    change(window.viewer, window.annotator.image)
    window.settle()
    goes_on(window)


@changes
def test_while_objects_are_searched(change: Change, open_window: Any) -> None:
    search = Search(open_window(np.stack([picture(0, 1, 2, 3)] * 2), decode_seconds=0.02))
    window = search.window
    window.wait(lambda: window.session.engine is not None)
    window.settle()
    search.enter("generator", points_per_side=60)
    window.do("find_objects")
    window.wait(lambda: search.tab.progress_bar.value() > 1)
    change(window.viewer, window.annotator.image)
    window.qtbot.wait(100)
    if search.finder.search.is_running:
        window.do("find_objects")
    search.settle()
    goes_on(window)


@changes
def test_while_objects_are_carried(change: Change, open_window: Any, starter: Any) -> None:
    volume = Volume(
        open_window(
            discs((16,) * 30),
            load_engine=lambda name: starter if name == "starter" else DiscEngine(name),
        )
    )
    window, carrier = volume.window, volume.carrier
    volume.box(0, *BOX)
    window.do("propagate")
    window.wait(lambda: window.labels is not None and window.labels.data[2].any())
    written = window.labels
    change(window.viewer, window.annotator.image)
    window.qtbot.wait(50)
    if carrier.is_running:
        window.do("propagate")
    volume.settle()
    areas = written.data.any(axis=(1, 2))
    assert areas[:3].all()
    window.qtbot.wait(100)
    assert np.array_equal(written.data.any(axis=(1, 2)), areas)
    goes_on(window)


@changes
def test_while_a_batch_runs(change: Change, open_batch: Any, qtbot: Any, tmp_path: Path) -> None:
    viewer, widget = open_batch(squares(), seconds=0.2)
    widget.run_button.click()
    qtbot.waitUntil(lambda: "lábels" in viewer.layers, timeout=30_000)
    change(viewer, next(each for each in viewer.layers if isinstance(each, Image)))
    said = finish(widget, qtbot, lambda: None)
    # It goes on with what was there when it began.
    assert "21 objects on 6 planes" in said
    with open_image(tmp_path / "lábels.zarr") as file:
        assert counts(file.levels[0]) == [1, 2, 3, 4, 5, 6]
    if change is not remove_all:
        assert any(isinstance(each, Labels) for each in viewer.layers)
    settle(widget, qtbot)
