"""Objects of a Labels layer go into files, by dialog, by command and by File > Save."""

import json
import threading
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from napari._app_model import get_app_model
from napari.layers import Labels
from PIL import Image as PillowImage
from tests.export.scenes import FEATURES, HW, RING, masks_of, stack_of_planes, tricky_plane

from napari_sam2_openvino._qt import commands
from napari_sam2_openvino._qt.export_dialog import ExportDialog

COMMAND = "napari-sam2-openvino.export_objects"


class Slow:
    """Labels whose planes come when they are let."""

    def __init__(self) -> None:
        self.shape, self.dtype, self.ndim = (30, *HW), np.dtype(np.uint16), 3
        self.go = threading.Event()
        self.read: list[int] = []

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.zeros(self.shape, dtype or self.dtype)

    def __getitem__(self, place: Any) -> Any:
        if place == slice(None) or not isinstance(place[0], int) or len(place) > 1:
            return np.zeros(self.shape, self.dtype)[place]
        assert threading.current_thread() is not threading.main_thread()
        self.read.append(place[0])
        assert self.go.wait(30)
        self.go.clear()
        return tricky_plane()


@pytest.fixture
def open_dialog(make_napari_viewer: Any) -> Any:
    def open_it(labels: Any, **options: Any) -> tuple[Any, ExportDialog]:
        viewer = make_napari_viewer()
        shape = labels.shape
        viewer.add_image(np.full(shape, 7, np.uint16), name="other", visible=False)
        viewer.add_image(np.full((4, 4), 7.0), name="of another size")
        image = np.random.default_rng(0).integers(0, 255, (*shape, 3)).astype(np.uint8)
        viewer.add_image(image, rgb=True, name="cells")
        layer = viewer.add_labels(labels, name="my labels", **options)
        viewer.layers.selection.active = layer
        get_app_model().commands.execute_command(COMMAND).result()
        (dialog,) = viewer.window._qt_window.findChildren(ExportDialog)
        return viewer, dialog

    return open_it


def choose(dialog: ExportDialog, name: str, path: Path) -> None:
    names = [dialog.format_combo.itemData(each).name for each in range(7)]
    dialog.format_combo.setCurrentIndex(names.index(name))
    dialog.file_edit.setText(str(path))


def export(dialog: ExportDialog, qtbot: Any) -> str:
    dialog.export_button.click()
    qtbot.waitUntil(lambda: not dialog.progress.is_running, timeout=30_000)
    return str(dialog.progress.message_label.text())


def test_measurements_are_in_the_units_of_the_layer(
    open_dialog: Any, qtbot: Any, tmp_path: Path
) -> None:
    _, dialog = open_dialog(tricky_plane(), scale=(0.5, 0.5), units=("um", "um"), features=FEATURES)
    assert [dialog.image_combo.itemText(each) for each in range(3)] == ["none", "other", "cells"]
    choose(dialog, "csv", tmp_path / "táble.csv")
    assert export(dialog, qtbot) == f"Written to {tmp_path / 'táble.csv'}."
    table = pd.read_csv(tmp_path / "táble.csv").set_index("label")
    assert table.loc[RING, "class_name"] == "débris"
    assert table.loc[RING, "area_um2"] == 0.25 * np.count_nonzero(tricky_plane() == RING)
    # The image on top is chosen: it has three channels.
    assert "intensity_mean_2" in table


def test_only_what_matters_for_a_format_is_shown(open_dialog: Any, tmp_path: Path) -> None:
    _, dialog = open_dialog(tricky_plane())
    shown = {}
    for name in ("coco", "geojson", "csv", "overlay"):
        choose(dialog, name, tmp_path / "objects.json")
        rows = [each for each in dialog.form.entries if dialog.form.is_row_visible(each)]
        shown[name] = dialog._rows.isRowVisible(dialog.image_combo), rows
    assert shown == {
        "coco": (False, ["segmentation"]),
        "geojson": (False, []),
        "csv": (True, []),
        "overlay": (True, ["style", "contour_width", "opacity"]),
    }


def test_the_name_follows_the_format(open_dialog: Any, tmp_path: Path) -> None:
    _, dialog = open_dialog(tricky_plane())
    dialog.file_edit.setText(str(tmp_path / "my.objects.json"))
    dialog.format_combo.setCurrentIndex(5)
    assert dialog.file_edit.text() == str(tmp_path / "my.objects.ome.tif")
    dialog.format_combo.setCurrentIndex(6)
    assert dialog.file_edit.text() == str(tmp_path / "my.objects.png")


def test_a_picture_shows_the_plane_in_view(open_dialog: Any, qtbot: Any, tmp_path: Path) -> None:
    labels = stack_of_planes()[0]
    viewer, dialog = open_dialog(labels)
    for number in (0, 2):
        viewer.dims.set_current_step(0, number)
        path = tmp_path / f"plane {number}.png"
        choose(dialog, "overlay", path)
        dialog.image_combo.setCurrentIndex(0)
        assert export(dialog, qtbot).startswith("Written")
        assert np.asarray(PillowImage.open(path)).any() == labels[number].any()


def test_a_name_that_was_typed_is_not_written_over(
    open_dialog: Any, qtbot: Any, tmp_path: Path
) -> None:
    _, dialog = open_dialog(tricky_plane())
    path = tmp_path / "objects.json"
    path.write_text("mine")
    choose(dialog, "coco", path)
    assert "is there already" in export(dialog, qtbot)
    assert path.read_text() == "mine"
    choose(dialog, "coco", tmp_path / "objects.txt")
    assert "written to .json" in export(dialog, qtbot)


def test_a_name_from_the_file_dialog_is(
    open_dialog: Any, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, dialog = open_dialog(tricky_plane())
    path = tmp_path / "objects.json"
    path.write_text("old")
    monkeypatch.setattr("qtpy.QtWidgets.QFileDialog.getSaveFileName", lambda *_: (str(path), ""))
    assert export(dialog, qtbot).startswith("Written")
    assert json.loads(path.read_text(encoding="utf-8"))["annotations"]


def test_cancel_and_close_end_the_export(open_dialog: Any, qtbot: Any, tmp_path: Path) -> None:
    slow = Slow()
    _, dialog = open_dialog(np.zeros(slow.shape, slow.dtype))
    dialog._labels.as_layer_data_tuple = lambda: (slow, {"name": "slow"}, "labels")
    choose(dialog, "geojson", tmp_path / "objects.geojson")
    dialog.export_button.click()
    qtbot.waitUntil(lambda: slow.read == [0], timeout=30_000)
    assert not dialog.export_button.isEnabled()
    slow.go.set()
    qtbot.waitUntil(lambda: slow.read == [0, 1], timeout=30_000)
    dialog.cancel_button.click()
    slow.go.set()
    qtbot.waitUntil(lambda: not dialog.progress.is_running, timeout=30_000)
    assert dialog.progress.message_label.text() == "Cancelled: nothing was written."
    assert list(tmp_path.iterdir()) == []
    dialog.export_button.click()
    qtbot.waitUntil(lambda: len(slow.read) == 3, timeout=30_000)
    dialog.reject()
    slow.go.set()
    qtbot.waitUntil(lambda: list(tmp_path.iterdir()) == [], timeout=30_000)


def test_without_a_labels_layer_the_command_says_what_to_do(
    make_napari_viewer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(commands, "show_info", said.append)
    viewer = make_napari_viewer()
    viewer.add_image(np.zeros((4, 4)))
    get_app_model().commands.execute_command(COMMAND).result()
    assert said == ["Select a Labels layer in the list of layers: its objects are exported."]


@pytest.mark.parametrize("suffix", [".json", ".geojson", ".zip", ".csv"])
def test_file_save_writes_labels_by_the_ending_of_the_name(
    make_napari_viewer: Any, tmp_path: Path, suffix: str
) -> None:
    viewer = make_napari_viewer()
    viewer.add_labels(tricky_plane(), features=FEATURES, scale=(0.5, 0.5), units=("um", "um"))
    path = tmp_path / f"objects{suffix}"
    assert viewer.layers.save(str(path)) == [str(path)]
    count = len(masks_of(tricky_plane()))
    found = {
        ".json": lambda: len(json.loads(path.read_bytes())["annotations"]),
        ".geojson": lambda: len(json.loads(path.read_bytes())["features"]),
        ".zip": lambda: len(zipfile.ZipFile(path).namelist()),
        ".csv": lambda: len(pd.read_csv(path)["area_um2"]),
    }
    assert found[suffix]() == count
    assert isinstance(viewer.layers[0], Labels)
