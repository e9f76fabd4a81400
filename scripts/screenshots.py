"""Walk through the window as a user does, with real clicks and keys, and take the pictures of docs.

    python scripts/screenshots.py                     all walks, pictures into docs/images
    python scripts/screenshots.py many planes --folder /somewhere

Needs a display (`xvfb-run` is one) and the package with its samples. A step that does not do what
it should ends the walk with a sentence.
"""

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import napari
import numpy as np
import psutil
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_sam2_openvino._qt.commands import export_objects
from napari_sam2_openvino._qt.export_dialog import ExportDialog
from napari_sam2_openvino._sample_data import example_prompts

PLUGIN = "napari-sam2-openvino"
IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
ANSWER_SECONDS = 60.0


def wait(seconds: float, is_there: Callable[[], bool] = lambda: False) -> bool:
    """Keep the window alive until something is there or the time is up; return whether it is."""
    end = perf_counter() + seconds
    while not is_there() and perf_counter() < end:
        QApplication.processEvents()
        sleep(0.005)
    return is_there()


def check(is_so: bool, what: str) -> None:
    """End the walk if something is not as it should be."""
    if not is_so:
        sys.exit(f"The walk ended: {what}.")
    print(f"  {what}")


class User:
    """Clicks and presses keys on the canvas of a viewer, in pixels of the image."""

    def __init__(self, viewer: napari.Viewer, widget: Any) -> None:
        self.viewer = viewer
        self.widget = widget
        self.annotator = widget.annotator
        self.session = widget.annotator.session
        # No public way leads to the canvas.
        self._canvas = viewer.window._qt_viewer.canvas.native

    @property
    def target(self) -> Any:
        """The Labels layer that is committed to."""
        return self.annotator.target

    def click(self, y: float, x: float) -> None:
        """Click, and wait for the masks."""
        QTest.mouseClick(self._canvas, Qt.MouseButton.LeftButton, pos=self._at(y, x))
        self.settle()

    def drag(self, *places: tuple[float, float]) -> None:
        """Press, move along places and release, and wait for the masks."""
        QTest.mousePress(self._canvas, Qt.MouseButton.LeftButton, pos=self._at(*places[0]))
        for start, end in pairwise(places):
            for way in np.linspace(0, 1, 8):
                y, x = (1 - way) * np.array(start) + way * np.array(end)
                QTest.mouseMove(self._canvas, self._at(y, x))
                wait(0.02)
        QTest.mouseRelease(self._canvas, Qt.MouseButton.LeftButton, pos=self._at(*places[-1]))
        self.settle()

    def point_at(self, y: float, x: float) -> None:
        """Move the pointer."""
        QTest.mouseMove(self._canvas, self._at(y, x))
        wait(0.1)

    def press(self, key: Qt.Key, shift: bool = False) -> None:
        """Press a key while the canvas has the focus."""
        modifier = Qt.KeyboardModifier.ShiftModifier if shift else Qt.KeyboardModifier.NoModifier
        QTest.keyClick(self._canvas, key, modifier)
        self.settle()

    def settle(self) -> None:
        """Wait until everything that is drawn has its mask."""
        wait(0.15)
        if not wait(ANSWER_SECONDS, self._is_settled):
            sys.exit(f"There was no mask after {ANSWER_SECONDS} s: {self.status}")
        wait(0.15)

    @property
    def status(self) -> str:
        """What the widget says."""
        return str(self.widget.status_label.text())

    def save(self, path: Path) -> None:
        """Save a picture of the whole window."""
        wait(0.5)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.viewer.screenshot(str(path), canvas_only=False, flash=False)
        print(path)

    def _is_settled(self) -> bool:
        return not self.session.is_busy and all(
            self.session.answer(key) is not None for key in self.annotator.drawn
        )

    def _at(self, y: float, x: float) -> QPoint:
        camera = self.viewer.scene.camera
        world = np.array([y, x]) * self.annotator.image.scale[-2:]
        centre = np.array([self._canvas.height(), self._canvas.width()]) / 2
        row, column = (world - camera.center[-2:]) * camera.zoom + centre
        return QPoint(round(column), round(row))


def open_sample(key: str) -> User:
    """Open napari on a sample with the widget docked."""
    viewer = napari.Viewer(title="napari")
    viewer.window.resize(1280, 960)
    image, *others = viewer.open_sample(PLUGIN, key)
    for layer in others:
        layer.visible = False
    _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "SAM 2 Segment")
    viewer.layers.selection.active = image
    wait(0.5)
    viewer.reset_view()
    wait(0.5)
    user = User(viewer, widget)
    user.settle()
    return user


def objects_of(labels: np.ndarray, count: int) -> list[tuple[int, np.ndarray]]:
    """Return some objects of a ground truth as (label, innermost (y, x))."""
    prompts = example_prompts(labels, count=count)
    return [(obj_id, each.point_coords[0, ::-1]) for obj_id, each in prompts.items()]


def segment(folder: Path) -> None:
    """Click, correct, choose a mask, commit; undo of prompts and of labels."""
    user = open_sample("nuclei")
    truth = user.viewer.layers["nuclei ground truth"].data
    (last, place), *earlier = objects_of(truth, 8)
    user.widget.prompts_tab.prompts_panel.buttons["draw_points"].click()
    for _, here in earlier:
        user.click(*here)
        user.press(Qt.Key.Key_W)
    n_objects = len(np.unique(user.target.data)) - 1
    check(n_objects == len(earlier), f"{len(earlier)} clicks and W committed {n_objects} objects")
    check(len(user.target.features) == n_objects, "each has a row of features")
    user.click(*place)
    before = user.status
    user.press(Qt.Key.Key_K)
    check(user.status != before, f"K shows another mask: {user.status}")
    user.press(Qt.Key.Key_U)
    check(user.status == before, "U takes that back")
    user.press(Qt.Key.Key_Q)
    rows, columns = np.nonzero(truth == last)
    lowest = rows.argmax()
    user.click(rows[lowest] + 15, columns[lowest])
    check(len(user.annotator.drawn[user.annotator.focus].marks) == 2, "a negative click is drawn")
    user.save(folder / "segment.png")
    user.press(Qt.Key.Key_J)
    check(not user.annotator.drawn, "J clears the object")
    user.press(Qt.Key.Key_U)
    check(bool(user.annotator.drawn), "U brings it back")
    user.target.undo()
    wait(1)
    check(len(user.target.features) == n_objects - 1, "napari's undo takes its row along")
    user.viewer.close()


def tools(folder: Path) -> None:
    """Box, lasso, scribble, and an object that is committed again."""
    user = open_sample("nuclei")
    truth = user.viewer.layers["nuclei ground truth"].data
    for number, (obj_id, _) in enumerate(objects_of(truth, 3)):
        rows, columns = np.nonzero(truth == obj_id)
        top, bottom, left, right = rows.min(), rows.max(), columns.min(), columns.max()
        middle = (top + bottom) / 2, (left + right) / 2
        radii = (bottom - top) / 2, (right - left) / 2
        angles = np.linspace(0, 2 * np.pi, 13)
        around = [
            (middle[0] + radii[0] * np.sin(angle), middle[1] + radii[1] * np.cos(angle))
            for angle in angles
        ]
        if number == 0:
            user.widget.prompts_tab.prompts_panel.buttons["draw_box"].click()
            user.drag((top, left), (bottom, right))
        elif number == 1:
            user.widget.prompts_tab.prompts_panel.buttons["draw_lasso"].click()
            user.drag(*around)
        else:
            user.widget.prompts_tab.prompts_panel.buttons["draw_scribble"].click()
            user.drag((middle[0], left + radii[1] / 2), (middle[0], right - radii[1] / 2))
        kinds = {mark.kind for mark in user.annotator.drawn[user.annotator.focus].marks}
        check(len(kinds) == 1, f"drawn and answered: {kinds.pop()}")
        user.press(Qt.Key.Key_N)
    check(len(user.annotator.drawn) == 3, "N keeps each object as a draft")
    user.save(folder / "tools.png")
    user.press(Qt.Key.Key_W, shift=True)
    check(len(user.target.features) == 3, "Shift+W commits all of them")
    obj_id, place = objects_of(truth, 3)[0]
    user.point_at(*place)
    user.press(Qt.Key.Key_G)
    check(bool(user.annotator.drawn), "G brings the object under the pointer back")
    user.press(Qt.Key.Key_W)
    check(len(user.target.features) == 3, "and W replaces it")
    user.viewer.close()


def many(folder: Path) -> None:
    """Each prompt an object of its own, a negative one for all, preview under the pointer."""
    user = open_sample("nuclei")
    truth = user.viewer.layers["nuclei ground truth"].data
    places = [place for _, place in objects_of(truth, 12)]
    user.widget.prompts_tab.prompts_panel.buttons["draw_points"].click()
    user.press(Qt.Key.Key_M, shift=True)
    for place in places[:-1]:
        user.click(*place)
    check(len(user.annotator.drawn) == len(places) - 1, "each click is an object")
    user.press(Qt.Key.Key_Q)
    empty = np.argwhere(truth == 0)[5000]
    user.click(*empty)
    marks = [each.marks for each in user.annotator.drawn.values()]
    check(all(len(each) == 2 for each in marks), "a negative click counts for all")
    user.press(Qt.Key.Key_H)
    user.point_at(*places[-1])
    check(wait(20, lambda: -1 in user.session.answers), "H shows the object under the pointer")
    user.save(folder / "many.png")
    user.press(Qt.Key.Key_H)
    user.press(Qt.Key.Key_W, shift=True)
    check(len(user.target.features) == len(places) - 1, "all are committed")
    user.target.undo()
    check(not user.target.data.any(), "as one step of napari's undo")
    user.viewer.close()


def planes(folder: Path) -> None:
    """Prompt planes of a stack; look at the strip and the input; save and open the session."""
    user = open_sample("stack")
    truth = user.viewer.layers[1].data
    user.widget.prompts_tab.prompts_panel.buttons["draw_points"].click()
    n_planes = truth.shape[0]
    for number in (n_planes // 2, n_planes // 2 + 2):
        user.viewer.dims.set_point(0, number * user.annotator.image.scale[0])
        user.settle()
        user.click(*objects_of(truth[number], 1)[0][1])
        if number == n_planes // 2:
            user.press(Qt.Key.Key_W)
    check(
        wait(ANSWER_SECONDS, lambda: len(user.session.ready) == n_planes),
        "every plane is encoded while nothing else is to be done",
    )
    states = user.widget.prompts_tab.strip.states
    check(len(states.with_objects) == 1 and len(states.with_prompts) == 1, "the strip shows both")
    user.save(folder / "planes.png")
    user.widget.prompts_tab.image_panel.show_input_button.click()
    check(
        wait(ANSWER_SECONDS, lambda: "network" in user.viewer.layers[-1].name),
        "what the network sees is a layer",
    )
    user.viewer.layers.pop()
    with tempfile.TemporaryDirectory() as home:
        path = Path(home) / "session é.json"
        user.widget.files.save(path)
        check(wait(ANSWER_SECONDS, path.exists), "the session is saved")
        before = user.target.data.copy()
        user.widget.files.open(path)
        check(
            wait(ANSWER_SECONDS, lambda: user.status == "The session is open."),
            "the session is opened again",
        )
        check(bool((user.target.data == before).all()), "with the same labels")
    user.viewer.close()


def all_objects(folder: Path) -> None:
    """Find every object, stop a search, move sliders, commit, and take it back."""
    user = open_sample("nuclei")
    tab, finder = user.widget.all_objects_tab, user.widget.finder
    tab.generator_form.entries["points_per_side"].value = 64
    wait(0.3)
    user.press(Qt.Key.Key_K, shift=True)
    check(user.widget.tabs.currentWidget() is tab, "Shift+K opens the tab and searches")
    check(wait(ANSWER_SECONDS, lambda: tab.progress_bar.value() > 0), "it says how far it is")
    started = perf_counter()
    tab.run_button.click()
    check(wait(1, lambda: not finder.search.is_running), "Stop ends it")
    print(f"  after {1e3 * (perf_counter() - started):.0f} ms")
    tab.reset_button.click()
    wait(0.3)
    tab.run_button.click()
    check(wait(ANSWER_SECONDS, lambda: finder.sifted is not None), "the objects are shown")
    before = finder.n_objects
    tab.filter_form.entries["pred_iou_thresh"].value = 0.9
    check(wait(5, lambda: finder.n_objects < before), "a higher score shows fewer")
    tab.reset_button.click()
    check(wait(5, lambda: finder.n_objects == before), "and the recommended ones the same again")
    wait(0.5)
    user.save(folder / "objects.png")
    tab.commit_button.click()
    check(wait(ANSWER_SECONDS, lambda: user.target is not None), "they are committed")
    check(wait(5, lambda: finder.n_objects == 0), "and no longer offered")
    check(len(user.target.features) == before, f"each of the {before} has a row of features")
    user.target.undo()
    check(wait(5, lambda: finder.n_objects == before), "as one step of napari's undo")
    user.viewer.close()


def volume(folder: Path) -> None:
    """Carry an object through a stack, stop, go on, correct a plane, carry on, take it all back."""
    user = open_sample("stack")
    tab, carrier = user.widget.volume_tab, user.widget.carrier
    truth = user.viewer.layers[1].data
    middle = truth.shape[0] // 2
    _go_to(user, middle)
    user.widget.prompts_tab.prompts_panel.buttons["draw_box"].click()
    obj_id, _ = objects_of(truth[middle], 1)[0]
    user.drag(*_corners(truth[middle] == obj_id))
    user.press(Qt.Key.Key_G, shift=True)
    check(user.widget.tabs.currentWidget() is tab, "Shift+G opens the tab and carries the object")
    check(wait(ANSWER_SECONDS, lambda: len(_planes(user)) >= 2), "the first planes are there")
    user.press(Qt.Key.Key_G, shift=True)
    check(wait(5, lambda: not carrier.is_running), "and it is stopped by the same key")
    kept = len(_planes(user))
    check(kept >= 2, f"{kept} planes stay")
    tab.run_button.click()
    check(wait(ANSWER_SECONDS, lambda: not carrier.is_running), "it is carried to its end")
    before = user.target.data.copy()
    found = _planes(user)
    check(len(found) >= kept, f"on planes {found[0]} to {found[-1]}: {user.status}")
    place = found[-2]
    width = tab.strip.width() / truth.shape[0]
    at = QPoint(round((place + 0.5) * width), tab.strip.height() // 2)
    QTest.mouseClick(tab.strip, Qt.MouseButton.LeftButton, pos=at)
    user.settle()
    check(tab.strip.states.current == place, f"a click on the strip goes to plane {place}")
    user.widget.prompts_tab.prompts_panel.buttons["draw_box"].click()
    user.drag(*_corners(before[place] > 0, shrunk=3))
    tab.scope_form.entries["direction"].value = "forward"
    wait(0.3)
    tab.run_button.click()
    check(wait(ANSWER_SECONDS, lambda: not carrier.is_running), "corrected there and carried on")
    changed = np.flatnonzero((user.target.data != before).any(axis=(1, 2)))
    check(changed.min() == place, "planes before it stay as they were")
    user.save(folder / "volume.png")
    tab.take_back_button.click()
    check(wait(ANSWER_SECONDS, lambda: not carrier.is_running), "it is taken back")
    check(bool((user.target.data == before).all()), "which leaves the labels of before")
    for _ in range(2):
        tab.take_back_button.click()
        wait(ANSWER_SECONDS, lambda: not carrier.is_running)
    check(not user.target.data.any(), "and everything before as well")
    user.viewer.close()


def _go_to(user: User, plane: int) -> None:
    user.viewer.dims.set_point(0, plane * user.annotator.image.scale[0])
    user.settle()


def _planes(user: User) -> list[int]:
    """Return the planes that have objects in the target."""
    if user.target is None:
        return []
    return [int(plane) for plane in np.flatnonzero(user.target.data.any(axis=(1, 2)))]


def _corners(mask: np.ndarray, shrunk: int = 0) -> tuple[tuple[float, float], ...]:
    """Return two corners of the box around a mask."""
    rows, columns = np.nonzero(mask)
    top, left = rows.min() + shrunk, columns.min() + shrunk
    return (top, left), (rows.max() - shrunk, columns.max() - shrunk)


def batch(folder: Path) -> None:
    """Segment a z-stack in the window for batches: try a plane, then all, then export objects."""
    viewer = napari.Viewer(title="napari")
    viewer.window.resize(1280, 960)
    image, truth = viewer.open_sample(PLUGIN, "stack")
    truth.visible = False
    viewer.layers.selection.active = image
    with tempfile.TemporaryDirectory() as place, contextlib.chdir(place):
        _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "SAM 2 Batch")
        wait(2)
        widget.output_edit.setText("stack labels.zarr")
        widget.forms.generator_form.entries["points_per_side"].value = 12
        widget.forms.linking_form.entries["link"].value = "z"
        viewer.dims.set_current_step(0, image.data.shape[0] // 2)
        widget.try_button.click()
        check(
            wait(ANSWER_SECONDS, lambda: not widget.progress.is_running),
            "one plane is tried: " + widget.progress.message_label.text(),
        )
        check(any("one plane" in each.name for each in viewer.layers), "and shown")
        widget.run_button.click()
        check(
            wait(ANSWER_SECONDS, lambda: "per minute" in widget.progress.message_label.text()),
            "the batch tells how fast it is",
        )
        check(
            wait(ANSWER_SECONDS, lambda: "stack labels" in viewer.layers), "its labels are a layer"
        )
        wait(
            ANSWER_SECONDS,
            lambda: (
                not widget.progress.is_running
                or widget.progress.progress_bar.value() > widget.progress.progress_bar.maximum() / 2
            ),
        )
        viewer.reset_view()
        wait(0.5)
        folder.mkdir(parents=True, exist_ok=True)
        viewer.screenshot(str(folder / "batch.png"), canvas_only=False, flash=False)
        check(
            wait(10 * ANSWER_SECONDS, lambda: not widget.progress.is_running),
            "the batch ends: " + widget.progress.message_label.text(),
        )
        labels = viewer.layers["stack labels"]
        check(bool(np.asarray(labels.data).any()), "with objects")
        export(viewer, labels, folder, Path(place))
        viewer.close()


def models(folder: Path) -> None:
    """Quantize the starter on an open stack, look at the report, accept; cancel a second run."""
    viewer = napari.Viewer(title="napari")
    viewer.window.resize(1280, 960)
    image, truth = viewer.open_sample(PLUGIN, "stack")
    truth.visible = False
    viewer.layers.selection.active = image
    _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "SAM 2 Models")
    check(wait(ANSWER_SECONDS, lambda: widget.chosen is not None), "the models are in a table")
    home = Path(os.environ["NAPARI_SAM2_HOME"])
    quantize(widget)
    check(
        wait(10 * ANSWER_SECONDS, lambda: not widget.progress.is_running),
        "the report is made: " + widget.progress.message_label.text(),
    )
    check(len(widget.pages.report_view.pictures) > 0, "with the worst masks side by side")
    kept = {path.name for path in (home / "models").iterdir()}
    check(all(name.startswith(".proposed") for name in kept), "nothing is kept before it is asked")
    wait(1)
    save_window(viewer, folder / "models.png")
    widget.decision.accept_button.click()
    said = widget.progress.message_label.text
    check(wait(ANSWER_SECONDS, lambda: "in the list" in said()), "it is accepted: " + said())
    check((home / "models" / "starter-int8").is_dir(), "and has its name")
    wait(1)
    before = files_in(home)
    quantize(widget)
    check(
        wait(ANSWER_SECONDS, lambda: "Quantizing" in widget.progress.message_label.text()),
        "a second run begins",
    )
    check(len(children()) > 0 or not Path("/proc").is_dir(), "in a child process")
    started = perf_counter()
    widget.cancel_button.click()
    check(wait(1, lambda: not widget.progress.is_running and not children()), "Cancel ends it")
    print(f"  after {1e3 * (perf_counter() - started):.0f} ms")
    check(files_in(home) == before, "and nothing is left behind, no process and no file")
    widget.table.choose("starter")
    widget.buttons.by_name["tune"].click()
    check(wait(10 * ANSWER_SECONDS, lambda: not widget.progress.is_running), "devices are tried")
    title = widget.pages.tuning_view.title_label.text()
    check("is quickest with" in title, title)
    wait(1)
    save_window(viewer, folder / "tune.png")
    viewer.close()


def quantize(widget: Any) -> None:
    """Press the buttons that quantize the starter on the open image."""
    wait(0.5)
    widget.table.choose("starter")
    widget.buttons.by_name["quantize"].click()
    form = widget.pages.quantize_form
    check(
        wait(ANSWER_SECONDS, form.start_button.isEnabled),
        "what it needs is told: " + form.need_label.text(),
    )
    form.start_button.click()


def children() -> list[psutil.Process]:
    """Return the processes that this one has started and that live."""
    return psutil.Process().children(recursive=True)


def files_in(home: Path) -> set[str]:
    """Return what lies in the folders of models, checkpoints and reports."""
    folders = [home / name for name in ("models", "checkpoints", "reports")]
    return {str(path) for folder in folders for path in folder.rglob("*")}


def save_window(viewer: napari.Viewer, path: Path) -> None:
    """Save a picture of the whole window."""
    path.parent.mkdir(parents=True, exist_ok=True)
    viewer.screenshot(str(path), canvas_only=False, flash=False)
    print(path)


def export(viewer: napari.Viewer, labels: Any, folder: Path, place: Path) -> None:
    """Write the objects of a layer as measurements."""
    viewer.layers.selection.active = labels
    export_objects(viewer)
    (dialog,) = (each for each in QApplication.topLevelWidgets() if isinstance(each, ExportDialog))
    wait(0.5)
    dialog.format_combo.setCurrentText("Measurements (CSV)")
    dialog.file_edit.setText("objects.csv")
    wait(0.5)
    dialog.grab().save(str(folder / "export.png"))
    dialog.export_button.click()
    check(
        wait(ANSWER_SECONDS, (place / "objects.csv").exists), "objects are exported as measurements"
    )
    wait(ANSWER_SECONDS, lambda: not dialog.progress.is_running)
    dialog.reject()


WALKS = {
    "segment": segment,
    "tools": tools,
    "many": many,
    "planes": planes,
    "all_objects": all_objects,
    "volume": volume,
    "batch": batch,
    "models": models,
}


def main() -> None:
    """Take all walks, or those that are named."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("walks", nargs="*", help=f"of {', '.join(WALKS)}; all without any")
    parser.add_argument("--folder", type=Path, default=IMAGES, help="default: %(default)s")
    arguments = parser.parse_args()
    unknown = set(arguments.walks) - set(WALKS)
    if unknown:
        parser.error(f"there is no walk {unknown.pop()!r}: choose of {', '.join(WALKS)}")
    with tempfile.TemporaryDirectory() as home:
        # The user's own settings, models and sessions stay out of it.
        os.environ["NAPARI_SAM2_HOME"] = home
        for name in arguments.walks or WALKS:
            print(name)
            WALKS[name](arguments.folder)


if __name__ == "__main__":
    main()
