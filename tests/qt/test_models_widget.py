"""The dock for models, with the starter and real child processes."""

import hashlib
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from qtpy.QtWidgets import QMessageBox
from tests.checkpoint_server import CONTENT, Server
from tests.conversion import children
from tests.conversion.children import left_behind
from tests.damage import damage_scales

from napari_sam2_openvino._qt.models_widget import ModelsWidget
from napari_sam2_openvino._settings import read_preferences, save_preferences
from napari_sam2_openvino.core import catalogue, models
from napari_sam2_openvino.core.catalogue import CATALOGUE
from napari_sam2_openvino.core.model_folder import (
    Quantization,
    read_model_info,
    write_model_info,
)
from napari_sam2_openvino.core.models import STARTER, choose_default, list_models
from napari_sam2_openvino.core.paths import checkpoints_dir, models_dir, reports_dir, starter_dir
from napari_sam2_openvino.core.progress import Progress

# Far longer than it takes on a free machine.
LONG_MS = 240_000
WAIT_MS = 30_000


def workers() -> set[int]:
    """Return the child processes of this test, whatever they do."""
    return children.workers("napari_sam2_openvino")


def add_model(name: str, *, is_advised: bool = True) -> Path:
    """Put a copy of the starter among the user's models, as one that was quantized."""
    folder = models_dir() / name
    shutil.copytree(starter_dir(), folder)
    quantization = Quantization(
        *("balanced", STARTER, "0", 8, "f32", 0.98, 0.7),
        is_advised=is_advised,
        advice=f"Use {name}." if is_advised else f"Keep {STARTER}: {name} is not worth it.",
    )
    info = replace(read_model_info(folder), name=name, quantization=quantization)
    write_model_info(folder, info)
    return folder


class Dock:
    """The dock, and what a user does in it."""

    def __init__(self, viewer: Any, widget: ModelsWidget, qtbot: Any) -> None:
        self.viewer = viewer
        self.widget = widget
        self.qtbot = qtbot

    @property
    def said(self) -> str:
        return str(self.widget.progress.message_label.text())

    @property
    def names(self) -> list[str]:
        return [each.name for each in self.widget.listings.value]

    def wait(self, condition: Callable[[], Any], timeout: int = WAIT_MS) -> None:
        self.qtbot.waitUntil(lambda: bool(condition()), timeout=timeout)

    def press(self, name: str, model: str = STARTER) -> None:
        self.widget.table.choose(model)
        button = self.widget.buttons.by_name[name]
        assert button.isEnabled(), button.toolTip()
        button.click()

    def can(self, name: str, model: str) -> bool:
        self.widget.table.choose(model)
        return bool(self.widget.buttons.by_name[name].isEnabled())

    def finish(self) -> None:
        self.wait(lambda: not self.widget.progress.is_running, LONG_MS)
        self.qtbot.wait(50)

    def begin_to_quantize(self, planes: int = 2, name: str = "small é") -> None:
        self.press("quantize")
        form = self.widget.pages.quantize_form
        form.form.entries["planes"].value = planes
        self.qtbot.wait(150)
        self.wait(form.start_button.isEnabled)
        form.name_edit.setText(name)
        form.start_button.click()


@pytest.fixture
def open_dock(make_napari_viewer: Any, qtbot: Any, sam2_home: Path) -> Iterator[Any]:
    assert not sam2_home.exists()
    docks = []

    def open_it(*images: Any) -> Dock:
        viewer = make_napari_viewer()
        for image in images:
            viewer.add_image(image, name="cells")
        widget = ModelsWidget(viewer)
        viewer.window.add_dock_widget(widget, name="SAM 2 Models")
        dock = Dock(viewer, widget, qtbot)
        docks.append(dock)
        dock.wait(lambda: STARTER in dock.names)
        return dock

    yield open_it
    for dock in docks:
        dock.widget._close_down()
    save_preferences(default_model=STARTER)


def cells(n_planes: int = 4) -> Any:
    from napari_sam2_openvino.synthetic import make_volume

    return make_volume(seed=3, shape=(n_planes, 96, 128)).image


def test_every_model_is_in_the_table_with_what_is_known_of_it(open_dock: Any) -> None:
    add_model("good")
    add_model("bad", is_advised=False)
    (models_dir() / "broken").mkdir()
    dock = open_dock()
    table = dock.widget.table
    header = [table.horizontalHeaderItem(n).text() for n in range(table.columnCount())]
    rows = {
        table.item(row, 0).text(): dict(
            zip(header, (table.item(row, n).text() for n in range(len(header))), strict=True)
        )
        for row in range(table.rowCount())
    }
    assert rows["starter"]["State"] == "converted"
    assert rows["starter"]["Licence"] == "BSD-3-Clause"
    assert rows["good"]["State"] == "quantized"
    assert rows["bad"]["State"] == "not advised"
    assert rows["broken"]["State"] == "damaged"
    assert "lacks" in rows["broken"]["Good for"]
    assert rows["sam2.1_hiera_tiny"]["State"] == "in catalogue"
    assert rows["sam2.1_hiera_tiny"]["Size"] == "156 MB"
    assert rows["hvit_t_cells"]["Licence"] == "see its page"
    table.choose("MedSAM2")
    assert "512 x 512" in dock.widget.about_label.text()
    assert "a file that you bring" in dock.widget.about_label.text()
    table.choose("starter")
    sha256 = read_model_info(starter_dir()).source.sha256
    assert "From this package" in dock.widget.about_label.text()
    table.choose("good")
    assert sha256 in dock.widget.about_label.text()


def test_buttons_are_for_what_can_be_done(open_dock: Any) -> None:
    add_model("good")
    (models_dir() / "broken").mkdir()
    dock = open_dock()
    able = {
        "starter": {"convert", "quantize", "compare", "tune", "folder"},
        "good": {"convert", "compare", "tune", "report", "default", "folder", "remove"},
        "broken": {"convert", "folder", "remove"},
        "sam2.1_hiera_tiny": {"download", "convert"},
        "hvit_t_cells": {"convert"},
    }
    buttons = dock.widget.buttons.by_name
    found = {name: {each for each in buttons if dock.can(each, name)} for name in able}
    assert found == able
    dock.widget.table.choose("hvit_t_cells")
    assert "Get the file from https://" in buttons["download"].toolTip()


def test_a_model_named_like_one_of_the_catalogue_stands_beside_it(
    open_dock: Any, monkeypatch: Any
) -> None:
    name = "sam2.1_hiera_tiny"
    save_preferences(default_model=name)
    dock = open_dock()
    widget = dock.widget
    add_model(name)
    # As a conversion does when it has ended.
    widget.table.choose(name)
    dock.wait(lambda: dock.names.count(name) == 2)
    assert widget.table.chosen.folder is not None
    own, published = (row for row, each in enumerate(dock.names) if each == name)
    widget.table.selectRow(own)
    widget.convert()
    assert widget.convert_dialog.name_edit.text() == ""
    assert not widget.buttons.by_name["download"].isEnabled()
    widget.table.selectRow(published)
    widget.convert()
    assert widget.convert_dialog.name_edit.text() == name
    assert widget.buttons.by_name["download"].isEnabled()
    # It is chosen still after its checkpoint has come and gone.
    checkpoints_dir().mkdir(exist_ok=True)
    (checkpoints_dir() / f"{name}.pt").write_bytes(b"12345")
    dock.wait(lambda: widget.listings.value[published].state == "downloaded")
    assert widget.table.chosen == widget.listings.value[published]
    monkeypatch.setattr(QMessageBox, "question", lambda *_: QMessageBox.StandardButton.Yes)
    widget.buttons.by_name["remove"].click()
    dock.wait(lambda: widget.listings.value[published].state == "in catalogue")
    assert widget.table.chosen == widget.listings.value[published]
    assert read_preferences().default_model == name


@pytest.mark.slow
def test_quantize_then_look_at_the_report_then_accept(open_dock: Any) -> None:
    dock = open_dock(cells())
    dock.begin_to_quantize(planes=4)
    stages: list[str] = []
    dock.widget.progress.progressed.connect(lambda each: stages.append(each.stage))
    dock.finish()
    assert "Quantizing the image encoder" in stages
    view, decision = dock.widget.pages.report_view, dock.widget.decision
    # Nobody is offered what was not accepted.
    assert "small é" not in {each.name for each in list_models()}
    assert decision.isVisibleTo(dock.widget)
    assert view.report.b.name == "small é"
    assert view.advice_label.text() == view.report.advice.sentence
    assert len(view.pictures) == len(view.report.worst) > 0
    assert view.table.rowCount() == 13
    # One after the other.
    assert not dock.can("tune", STARTER)
    decision.accept_button.click()
    dock.wait(lambda: "small é" in dock.names)
    assert dock.said == "small é is in the list of models."
    assert left_behind() == ["small é"]
    report = models_dir() / "small é" / "report"
    assert (report / "report.md").is_file()
    assert (report / "report.json").is_file()
    assert workers() == set()
    assert dock.widget.chosen.name == "small é"
    dock.press("report", "small é")
    dock.wait(lambda: dock.widget.pages.report_view.isVisibleTo(dock.widget))
    assert not decision.isVisibleTo(dock.widget)
    check_that_damage_is_caught(dock, models_dir() / "small é")


def check_that_damage_is_caught(dock: Dock, folder: Path) -> None:
    """Damage the scales of a model: self-test, report and choice notice."""
    damage_scales(folder)
    info = read_model_info(folder)
    # As if its report had been made before.
    quantization = replace(info.quantization, is_advised=True, advice="Use it.")
    write_model_info(folder, replace(info, quantization=quantization))
    dock.widget.listings.refresh()
    dock.wait(lambda: dock.can("default", "small é"))
    assert choose_default(list_models(), "small é") == "small é"
    dock.press("default", "small é")
    dock.finish()
    assert "gives wrong masks on CPU" in dock.said
    assert read_preferences().default_model == STARTER
    dock.wait(lambda: not dock.can("default", "small é"))
    assert "wrong masks" in dock.widget.about_label.text()
    assert choose_default(list_models(), "small é") == STARTER
    dock.press("compare", "small é")
    dock.widget.pages.compare_form.start_button.click()
    dock.finish()
    assert dock.widget.pages.report_view.advice_label.text().startswith("Keep starter: ")


@pytest.mark.slow
def test_a_taken_name_discard_and_closing_the_dock_leave_nothing_behind(open_dock: Any) -> None:
    dock = open_dock(cells(2))
    dock.begin_to_quantize()
    dock.finish()
    assert len(left_behind()) == 1
    # The name is taken while the user looks at the report: nothing is lost.
    add_model("small é")
    dock.widget.decision.accept_button.click()
    dock.wait(lambda: "small é-2" in dock.names)
    taken = "small é-2 is in the list of models: the name small é was taken meanwhile."
    assert dock.said == taken
    assert dock.widget.chosen.name == "small é-2"
    kept = ["small é", "small é-2"]
    dock.begin_to_quantize(name="third")
    dock.finish()
    assert len(left_behind()) == 3
    dock.widget.decision.discard_button.click()
    dock.wait(lambda: left_behind() == kept)
    assert dock.said == "third is discarded."
    dock.begin_to_quantize(name="another")
    dock.wait(lambda: "Quantizing" in dock.said, LONG_MS)
    dock.viewer.window.remove_dock_widget(dock.widget)
    dock.wait(lambda: not workers() and left_behind() == kept)
    dock.wait(lambda: not dock.widget.progress.is_running)
    dock.widget.deleteLater()


def test_cancel_ends_within_a_second_and_leaves_nothing_behind(open_dock: Any) -> None:
    dock = open_dock(cells(2))
    dock.begin_to_quantize()
    dock.wait(lambda: "Quantizing" in dock.said, LONG_MS)
    assert len(workers()) == (sys.platform == "linux")
    dock.widget.cancel_button.click()
    dock.wait(lambda: dock.said == "Cancelled: nothing was written.")
    assert (workers(), left_behind()) == (set(), [])
    # The next one begins.
    assert dock.can("quantize", STARTER)


class HeldJob:
    """A job that ends when it is released."""

    def __init__(self) -> None:
        self.report = None
        self.released = threading.Event()
        self.cancelled = threading.Event()

    def run(self) -> Iterator[Progress]:
        self.released.wait(WAIT_MS / 1000)
        yield Progress("Done", 1.0)

    def cancel(self) -> None:
        self.cancelled.set()


def test_a_cancel_at_the_moment_it_ends_is_a_cancel(open_dock: Any, monkeypatch: Any) -> None:
    dock = open_dock(cells(2))
    job = HeldJob()
    job.released.set()
    monkeypatch.setattr(dock.widget.pages.quantize_form, "make_run", lambda: job)
    dock.widget.quantize()
    # It has ended, which the window has not been told yet.
    dock.widget.progress._job._thread.join()
    dock.widget.cancel_button.click()
    dock.finish()
    assert job.cancelled.wait(WAIT_MS / 1000)
    assert dock.said == "Cancelled: nothing was written."
    assert not dock.widget.decision.is_open


def test_layers_that_come_while_a_job_runs_are_offered_after_it(open_dock: Any) -> None:
    dock = open_dock(cells(2))
    job = HeldJob()
    dock.widget._runs.start(lambda: job, lambda _: None)
    dock.viewer.add_image(np.zeros((30, 40)), name="new")
    dock.widget.reset_choices()
    pages = dock.widget.pages
    combos = [form.images.images_combo for form in (pages.quantize_form, pages.compare_form)]
    # What is asked does not change meanwhile.
    assert [combo.findText("new") for combo in combos] == [-1, -1]
    job.released.set()
    dock.finish()
    assert min(combo.findText("new") for combo in combos) >= 0


def test_a_folder_that_cannot_be_written_to_is_one_sentence(open_dock: Any) -> None:
    dock = open_dock(cells(2))
    models_dir().parent.mkdir(parents=True)
    models_dir().write_text("not a folder")
    dock.begin_to_quantize()
    dock.finish()
    assert "cannot be written" in dock.said
    assert models_dir().is_file()
    assert workers() == set()


def test_what_is_decided_on_stays_in_view(open_dock: Any) -> None:
    add_model("other")
    dock = open_dock()
    dock.widget.decision.undecided.run = SimpleNamespace(cancel=lambda: None)
    dock.widget.table.choose("other")
    dock.widget._show_chosen()
    able = {name for name, each in dock.widget.buttons.by_name.items() if each.isEnabled()}
    assert able == {"folder"}


def test_too_little_memory_is_said_and_it_does_not_begin(open_dock: Any, monkeypatch: Any) -> None:
    dock = open_dock(cells(2))
    dock.press("quantize")
    form = dock.widget.pages.quantize_form
    dock.wait(form.start_button.isEnabled)
    assert "GB of memory" in form.need_label.text()
    assert "minute" in form.need_label.text() or " min" in form.need_label.text()
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=100_000_000))
    form.find_need()
    dock.wait(lambda: "only 0.1 GB are free" in form.need_label.text())
    assert not form.start_button.isEnabled()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("starter", "choose another name"),
        ("good", "already a model"),
        ("a/b", "cannot be the name"),
    ],
)
def test_a_name_that_cannot_be_used_is_one_sentence(open_dock: Any, name: str, words: str) -> None:
    add_model("good")
    dock = open_dock(cells(2))
    dock.begin_to_quantize(name=name)
    assert words in dock.said
    assert not dock.widget.progress.is_running
    assert left_behind() == ["good"]


def test_without_images_the_sample_data_are_there(open_dock: Any) -> None:
    dock = open_dock()
    images = dock.widget.pages.quantize_form.images
    assert images.images_combo.currentText() == "sample data"
    planes = list(images.samples()(5, 64))
    assert len(planes) == 5
    assert {plane.rgb.shape for plane in planes} == {(128, 128, 3)}
    assert all(plane.labels.shape == (128, 128) and plane.labels.any() for plane in planes)


def test_sample_data_stay_chosen_where_layers_come(open_dock: Any) -> None:
    dock = open_dock(cells(2))
    combo = dock.widget.pages.quantize_form.images.images_combo
    combo.setCurrentIndex(combo.findText("sample data"))
    dock.viewer.add_image(cells(1), name="another")
    assert combo.findText("another") >= 0
    assert combo.currentText() == "sample data"


def test_planes_are_sampled_over_a_stack_and_labels_go_with_them(open_dock: Any) -> None:
    stack = np.arange(12, dtype=np.uint8)[:, None, None] * np.ones((1, 40, 50), np.uint8)
    dock = open_dock(stack)
    dock.viewer.add_labels(stack.astype(np.int32), name="objects")
    images = dock.widget.pages.quantize_form.images
    dock.widget.reset_choices()
    images.labels_combo.setCurrentText("objects")
    assert images.has_labels
    planes = list(images.samples()(4, 512))
    assert [int(plane.labels[0, 0]) for plane in planes] == [0, 4, 7, 11]
    # 8 bits go to the network as they are.
    assert [int(plane.rgb[0, 0, 0]) for plane in planes] == [0, 4, 7, 11]


@pytest.mark.parametrize("letters", ["cyx", "xyz", "ztyx", "cxzy"])
def test_labels_go_with_their_plane_whatever_the_axes(open_dock: Any, letters: str) -> None:
    lengths = {"c": 3, "z": 5, "t": 2, "y": 30, "x": 40}
    shape = tuple(lengths[letter] for letter in letters)
    # What is bright is an object, in each channel; each plane has others.
    bright = np.random.default_rng(0).random(shape) < 0.5
    if "c" in letters:
        bright[1:] = bright[0]
    dock = open_dock()
    dock.viewer.add_image(bright * np.uint8(200), axis_labels=tuple(letters), name="cells")
    dock.viewer.add_labels(bright.astype(np.int32), name="objects")
    dock.widget.reset_choices()
    images = dock.widget.pages.quantize_form.images
    images.images_combo.setCurrentText("cells")
    images.labels_combo.setCurrentText("objects")
    assert images.has_labels
    planes = list(images.samples()(20, 512))
    assert len(planes) == {"cyx": 1, "xyz": 5, "ztyx": 10, "cxzy": 5}[letters]
    for plane in planes:
        np.testing.assert_array_equal(plane.rgb[..., 0] > 0, plane.labels > 0)


def test_a_folder_of_images_can_be_chosen(open_dock: Any, tmp_path: Path) -> None:
    import tifffile

    folder = tmp_path / "imágenes de células"
    folder.mkdir()
    for number in range(3):
        tifffile.imwrite(folder / f"{number}.tif", np.full((30, 40), number, np.uint8))
    (folder / "notes.txt").write_text("no image")
    dock = open_dock()
    images = dock.widget.pages.quantize_form.images
    images.choose_folder(folder)
    assert images.images_combo.currentText() == "imágenes de células"
    assert [int(plane.rgb.max()) for plane in images.samples()(2, 512)] == [0, 2]


@pytest.mark.slow
def test_compare_shows_a_report_and_saves_it(open_dock: Any) -> None:
    add_model("good")
    dock = open_dock(cells(1)[0])
    dock.press("compare", "good")
    assert dock.widget.pages.compare_form.original.name == STARTER
    dock.widget.pages.compare_form.start_button.click()
    dock.finish()
    view = dock.widget.pages.report_view
    assert view.report.b.name == "good"
    # The same weights: each is as far from f32 as the other.
    assert view.report.b.masks.mean == view.report.a.masks.mean > 0.9
    assert not dock.widget.decision.isVisibleTo(dock.widget)
    (folder,) = reports_dir().iterdir()
    assert (folder / "report.md").is_file()
    assert str(folder) in dock.said


@pytest.mark.slow
def test_tune_shows_what_was_tried_and_auto_uses_it(open_dock: Any) -> None:
    from napari_sam2_openvino import load_model

    dock = open_dock()
    dock.press("tune")
    dock.finish()
    table = dock.widget.pages.tuning_view.table
    assert "is quickest with CPU" in dock.widget.pages.tuning_view.title_label.text()
    assert table.item(0, 3).text().startswith("right")
    best = table.item(0, 1).text()
    assert load_model(STARTER).precision == best
    (listing,) = (each for each in list_models() if each.name == STARTER)
    assert listing.runs_on.startswith(f"CPU {best}")
    dock.wait(lambda: dock.widget.listings.value[0].runs_on == listing.runs_on)


def test_windows_begin_with_a_model_that_gives_the_right_masks(open_dock: Any) -> None:
    add_model("good")
    dock = open_dock()
    dock.press("default", "good")
    dock.finish()
    assert dock.said == "Windows begin with good from now on."
    assert read_preferences().default_model == "good"
    assert not dock.can("default", "good")


def test_remove_asks(open_dock: Any, monkeypatch: Any) -> None:
    add_model("good é")
    dock = open_dock()
    answers = [QMessageBox.StandardButton.No, QMessageBox.StandardButton.Yes]
    asked: list[str] = []

    def question(_parent: Any, _title: str, text: str) -> Any:
        asked.append(text)
        return answers[len(asked) - 1]

    monkeypatch.setattr(QMessageBox, "question", question)
    dock.press("remove", "good é")
    assert left_behind() == ["good é"]
    dock.press("remove", "good é")
    dock.wait(lambda: "good é" not in dock.names)
    assert left_behind() == []
    assert dock.said == "good é is removed."
    assert "good é" in asked[0]


def test_a_model_that_appears_or_goes_is_noticed(open_dock: Any) -> None:
    dock = open_dock()
    add_model("new")
    dock.wait(lambda: "new" in dock.names)
    shutil.rmtree(models_dir() / "new")
    dock.wait(lambda: "new" not in dock.names)


def test_an_entry_that_comes_as_a_file_is_explained_in_the_dialog(open_dock: Any) -> None:
    dock = open_dock()
    dock.press("convert", "MedSAM2")
    dialog = dock.widget.convert_dialog
    assert dialog.checkpoint_combo.currentText() == ""
    assert (dialog.name_edit.text(), dialog.size_spin.value()) == ("MedSAM2", 512)
    assert "https://github.com/bowang-lab/MedSAM2" in dialog.progress.message_label.text()
    dialog.checkpoint_combo.setCurrentText("/data/MedSAM2_latest.pt")
    assert dialog.name_edit.text() == "MedSAM2"
    dock.press("convert", "sam2.1_hiera_tiny")
    assert dialog.checkpoint_combo.currentText() == "sam2.1_hiera_tiny"
    assert dialog.size_spin.value() == 0
    dialog.reject()


@pytest.fixture
def server(monkeypatch: Any) -> Iterator[Server]:
    """Offer a checkpoint of the catalogue from this machine."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        entry = replace(
            CATALOGUE[0],
            url=f"http://127.0.0.1:{server.server_port}/c.pt",
            n_bytes=len(CONTENT),
            sha256=hashlib.sha256(CONTENT).hexdigest(),
        )
        for module in (catalogue, models):
            monkeypatch.setattr(module, "CATALOGUE", (entry, *CATALOGUE[1:]))
        yield server
        server.released.set()
        server.shutdown()
        thread.join()


def test_a_download_is_cancelled_and_the_next_one_is_whole(open_dock: Any, server: Server) -> None:
    name = "sam2.1_hiera_tiny"
    server.held_after = len(CONTENT) // 2
    dock = open_dock()
    assert server.requests == 0
    dock.press("download", name)
    dock.wait(lambda: " of 2 MB" in dock.said)
    assert not dock.can("download", "sam2.1_hiera_small")
    dock.widget.cancel_button.click()
    dock.wait(lambda: dock.said == "Cancelled: nothing was written.")
    assert list(checkpoints_dir().iterdir()) == []
    server.held_after = len(CONTENT)
    dock.press("download", name)
    dock.wait(lambda: dock.said == f"{name} is downloaded; Convert makes a model of it.")
    assert [path.name for path in checkpoints_dir().iterdir()] == ["c.pt"]
    dock.wait(lambda: dock.can("remove", name))
    assert dock.widget.chosen.state == "downloaded"
    assert not dock.can("download", name)


def test_a_cancel_after_the_download_says_that_the_checkpoint_is_kept(
    open_dock: Any, server: Server
) -> None:
    name = "sam2.1_hiera_tiny"
    server.held_after = len(CONTENT) // 2
    dock = open_dock()
    dock.press("convert", name)
    dialog = dock.widget.convert_dialog

    def said() -> str:
        return str(dialog.progress.message_label.text())

    dialog.convert_button.click()
    dock.wait(lambda: " of 2 MB" in said())
    dialog.cancel_button.click()
    dock.wait(lambda: said() == "Cancelled: nothing was written.")
    server.held_after = len(CONTENT)
    dialog.progress.progressed.connect(
        lambda progress: dialog.cancel() if progress.stage == "Downloaded" else None
    )
    dialog.convert_button.click()
    kept = f"Cancelled: no model was written. The checkpoint of {name} is kept."
    dock.wait(lambda: said() == kept)
    assert [path.name for path in checkpoints_dir().iterdir()] == ["c.pt"]
    assert left_behind() == []
