"""The window for stacks, files and folders, with a segmenter that is quick."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from napari.layers import Labels
from tests.batch.segmenters import BrightSpots

from napari_sam2_openvino._files.images import open_image
from napari_sam2_openvino._layers.planes import affine_matrix
from napari_sam2_openvino._qt.batch_widget import BatchWidget
from napari_sam2_openvino.core.paths import models_dir, starter_dir

WAIT_MS = 30_000


def squares(n_planes: int = 6) -> Any:
    """Make a stack with one square more on each plane: 1, 2, 3, ..."""
    stack = np.zeros((n_planes, 40, 90), np.uint8)
    for number, plane in enumerate(stack):
        for square in range(number + 1):
            plane[10:20, 10 * square + 2 : 10 * square + 8] = 255
    return stack


def counts(labels: Any) -> list[int]:
    return [len(np.unique(plane)) - 1 for plane in np.asarray(labels)]


@pytest.fixture
def open_batch(make_napari_viewer: Any, qtbot: Any, tmp_path: Path, sam2_home: Path) -> Any:
    assert not sam2_home.exists()

    def open_it(*images: Any, seconds: float = 0.0, **options: Any) -> tuple[Any, BatchWidget]:
        viewer = make_napari_viewer()
        for number, image in enumerate(images):
            viewer.add_image(image, name=f"cells {number}", **options)
        widget = BatchWidget(viewer, make_recipe=lambda *_: BrightSpots(seconds=seconds))
        viewer.window.add_dock_widget(widget, name="SAM 2 Batch")
        widget.output_edit.setText(str(tmp_path / "lábels.zarr"))
        settle(widget, qtbot)
        return viewer, widget

    return open_it


def settle(widget: BatchWidget, qtbot: Any) -> None:
    """Wait until all that is read in the background is there."""
    done: list[None] = []
    widget._worker(lambda: None, done.append, done.append)
    qtbot.waitUntil(lambda: bool(done), timeout=WAIT_MS)


def said(widget: BatchWidget) -> str:
    return str(widget.progress.message_label.text())


def finish(widget: BatchWidget, qtbot: Any, do: Callable[[], Any]) -> str:
    do()
    qtbot.waitUntil(lambda: not widget.progress.is_running, timeout=WAIT_MS)
    qtbot.wait(50)
    return said(widget)


def layer_of(viewer: Any, name: str) -> Any:
    (layer,) = [each for each in viewer.layers if each.name == name and isinstance(each, Labels)]
    return layer


def test_a_stack_becomes_labels_that_open_while_they_grow(
    open_batch: Any, qtbot: Any, tmp_path: Path
) -> None:
    viewer, widget = open_batch(
        squares(),
        seconds=0.4,
        scale=(2, 0.5, 0.5),
        units=("um", "um", "um"),
        translate=(6, 1, 2),
    )
    assert "z 6, y 40, x 90" in widget.input.axes_label.text()
    widget.run_button.click()
    qtbot.waitUntil(lambda: "lábels" in viewer.layers, timeout=WAIT_MS)
    assert widget.progress.is_running
    assert not widget.run_button.isEnabled()
    layer = layer_of(viewer, "lábels")
    assert counts(layer.data)[-1] == 0
    assert layer.scale.tolist() == [2, 0.5, 0.5]
    assert layer.translate.tolist() == [6, 1, 2]
    assert [str(unit) for unit in layer.units] == ["micrometer"] * 3
    qtbot.waitUntil(lambda: "planes per minute" in said(widget), timeout=WAIT_MS)
    assert "left" in said(widget)
    qtbot.waitUntil(lambda: not widget.progress.is_running, timeout=WAIT_MS)
    assert "21 objects on 6 planes" in said(widget)
    assert counts(layer.data) == [1, 2, 3, 4, 5, 6]
    with open_image(tmp_path / "lábels.zarr") as file:
        assert (file.axes, file.scale) == ("ZYX", (2, 0.5, 0.5))


def test_cancel_keeps_what_is_done_and_resume_does_the_rest(
    open_batch: Any, qtbot: Any, tmp_path: Path
) -> None:
    viewer, widget = open_batch(squares(), seconds=0.3)
    widget.run_button.click()
    qtbot.waitUntil(lambda: "2 of 6 planes" in said(widget), timeout=WAIT_MS)
    finish(widget, qtbot, widget.cancel_button.click)
    assert said(widget).startswith("Cancelled: ")
    assert said(widget).endswith("Resume goes on.")
    with open_image(tmp_path / "lábels.zarr") as file:
        done = counts(file.levels[0])
    assert done[:2] == [1, 2]
    assert done[-1] == 0
    assert "was begun already" in finish(widget, qtbot, widget.run_button.click)
    assert "21 objects on 6 planes" in finish(widget, qtbot, widget.resume_button.click)
    with open_image(tmp_path / "lábels.zarr") as file:
        assert counts(file.levels[0]) == [1, 2, 3, 4, 5, 6]
    assert len([each for each in viewer.layers if isinstance(each, Labels)]) == 1


def test_labels_are_replaced_only_if_that_is_said(
    open_batch: Any, qtbot: Any, tmp_path: Path
) -> None:
    _, widget = open_batch(squares(5))
    path = tmp_path / "mine.tif"
    tifffile.imwrite(path, np.zeros((4, 4), np.uint8))
    widget.output_edit.setText(str(path))
    assert "is there already" in finish(widget, qtbot, widget.run_button.click)
    assert tifffile.imread(path).shape == (4, 4)
    widget.replace_check.setChecked(True)
    assert "15 objects on 5 planes" in finish(widget, qtbot, widget.run_button.click)
    assert counts(tifffile.imread(path)) == [1, 2, 3, 4, 5]


def test_a_tiff_opens_when_it_is_done(open_batch: Any, qtbot: Any, tmp_path: Path) -> None:
    viewer, widget = open_batch(squares(3), axis_labels=("z", "y", "x"))
    widget.output_edit.setText(str(tmp_path / "labels.tif"))
    finish(widget, qtbot, widget.run_button.click)
    qtbot.waitUntil(lambda: "labels" in viewer.layers, timeout=WAIT_MS)
    assert counts(layer_of(viewer, "labels").data) == [1, 2, 3]


def test_a_plane_is_tried_first(open_batch: Any, qtbot: Any, tmp_path: Path) -> None:
    viewer, widget = open_batch(squares(), scale=(2, 0.5, 0.5), translate=(4, 1, 1))
    viewer.dims.set_current_step(0, 3)
    text = finish(widget, qtbot, widget.try_button.click)
    assert text.startswith("z=3: 4 objects")
    assert "6 planes take" in text
    layer = layer_of(viewer, "SAM 2 Batch, one plane")
    assert layer.data.shape == (1, 40, 90)
    assert layer.data.max() == 4
    assert layer.translate.tolist() == [4 + 3 * 2, 1, 1]
    viewer.dims.set_current_step(0, 1)
    assert finish(widget, qtbot, widget.try_button.click).startswith("z=1: 2 objects")
    assert layer_of(viewer, "SAM 2 Batch, one plane").data.max() == 2
    # Nothing is written, and it goes when the real thing begins.
    assert list(tmp_path.iterdir()) == []
    finish(widget, qtbot, widget.run_button.click)
    assert "SAM 2 Batch, one plane" not in viewer.layers


def test_axes_can_be_named_before_anything_starts(
    open_batch: Any, qtbot: Any, tmp_path: Path
) -> None:
    _, widget = open_batch(squares(3))
    assert "channel 3" in widget.input.axes_label.text()
    assert "guessed" in widget.input.axes_label.text()
    widget.input.axes_edit.setText("tyx")
    widget.input.axes_edit.editingFinished.emit()
    assert widget.input.axes_label.text() == "TYX: time 3, y 40, x 90."
    finish(widget, qtbot, widget.run_button.click)
    with open_image(tmp_path / "lábels.zarr") as file:
        assert file.axes == "TYX"
    widget.input.axes_edit.setText("yx")
    widget.input.axes_edit.editingFinished.emit()
    assert "one letter for each axis" in widget.input.axes_label.text()


def test_files_and_folders(open_batch: Any, qtbot: Any, tmp_path: Path) -> None:
    viewer, widget = open_batch()
    folder = tmp_path / "imáges"
    folder.mkdir()
    for number in (1, 2):
        tifffile.imwrite(folder / f"{number}.tif", squares(6)[:number], metadata={"axes": "ZYX"})
    (folder / "broken.tif").write_bytes(b"not a TIFF")
    widget.output_edit.clear()
    widget.input.choose_paths([folder])
    qtbot.waitUntil(lambda: widget.input.described is not None, timeout=WAIT_MS)
    assert widget.output_edit.text() == str(tmp_path / "imáges labels")
    widget.format_combo.setCurrentIndex(1)
    text = finish(widget, qtbot, widget.run_button.click)
    assert "4 objects on 3 planes of 3 images; 1 failed" in text
    assert "broken.tif cannot be read" in widget.report_label.text()
    assert counts(tifffile.imread(tmp_path / "imáges labels" / "2.tif")) == [1, 2]
    # The first file's middle plane.
    text = finish(widget, qtbot, widget.try_button.click)
    assert text.startswith("z=0: 1 object in")
    assert layer_of(viewer, "SAM 2 Batch, one plane").data.shape == (40, 90)


def test_labels_of_a_file_lie_where_the_file_says(
    open_batch: Any, qtbot: Any, tmp_path: Path
) -> None:
    viewer, widget = open_batch()
    path = tmp_path / "image.ome.tif"
    about = {"PhysicalSizeX": 0.25, "PhysicalSizeXUnit": "µm", "PhysicalSizeZ": 2}
    tifffile.imwrite(path, squares(), ome=True, metadata={"axes": "ZYX", **about})
    widget.output_edit.clear()
    widget.input.choose_paths([path])
    qtbot.waitUntil(lambda: widget.input.described is not None, timeout=WAIT_MS)
    assert widget.output_edit.text() == str(tmp_path / "image labels.zarr")
    finish(widget, qtbot, widget.run_button.click)
    qtbot.waitUntil(lambda: "image labels" in viewer.layers, timeout=WAIT_MS)
    layer = layer_of(viewer, "image labels")
    assert layer.scale.tolist() == [2, 1, 0.25]
    assert layer.axis_labels == ("z", "y", "x")


def test_a_folder_that_is_called_as_a_layer_is(open_batch: Any, qtbot: Any, tmp_path: Path) -> None:
    viewer, widget = open_batch(squares(1))
    viewer.add_points([[0, 1, 1]], name="x")
    folder, table = tmp_path / "cells 0", tmp_path / "what x points at"
    folder.mkdir()
    tifffile.imwrite(folder / "a.tif", squares(1)[0])
    table.write_text("x,y\n1,1\n")
    widget.input.choose_paths([folder])
    assert (widget.input.paths, widget.input.layers) == ((folder,), ())
    widget.prompts.choose_table(table)
    assert widget.prompts.combo.currentData() == table
    settle(widget, qtbot)


def test_a_name_that_the_user_gave_stays_and_its_end_says_the_format(
    open_batch: Any, tmp_path: Path
) -> None:
    _, widget = open_batch(squares(1), squares(2))
    widget.output_edit.clear()
    widget.input.image_combo.setCurrentText("cells 1")
    assert widget.output_edit.text() == str(Path.cwd() / "cells 1 labels.zarr")
    widget.input.image_combo.setCurrentText("cells 0")
    widget.format_combo.setCurrentIndex(1)
    assert widget.output_edit.text() == str(Path.cwd() / "cells 0 labels.tif")
    mine = tmp_path / "mine.tif"
    widget.output_edit.setText(str(mine))
    widget.input.image_combo.setCurrentText("cells 1")
    assert widget.output_edit.text() == str(mine)
    widget.format_combo.setCurrentIndex(0)
    assert widget.output_edit.text() == str(mine.with_suffix(".zarr"))
    widget.output_edit.setText(str(tmp_path))
    widget.format_combo.setCurrentIndex(1)
    assert widget.output_edit.text() == str(tmp_path)


def test_what_is_tried_is_what_is_chosen_now(open_batch: Any, qtbot: Any) -> None:
    viewer, widget = open_batch(squares(1)[0], squares(5)[4])
    first, second = viewer.layers
    viewer.layers.selection = {first}
    widget.input.image_combo.setCurrentText("selected layers")
    viewer.layers.selection = {second}
    assert "5 objects" in finish(widget, qtbot, widget.try_button.click)
    second.data = squares(2)[1]
    assert "2 objects" in finish(widget, qtbot, widget.try_button.click)
    viewer.layers.selection = set()
    assert "Choose an image" in finish(widget, qtbot, widget.try_button.click)


@pytest.mark.parametrize("channels", [False, True])
def test_labels_lie_where_a_turned_layer_does(open_batch: Any, qtbot: Any, channels: bool) -> None:
    image = squares(2)[:, None] if channels else squares(2)
    turn = np.eye(image.ndim)
    turn[-2:, -2:] = (0.8, -0.6), (0.6, 0.8)
    affine = np.eye(image.ndim + 1)
    affine[-2, -3] = 0.5
    viewer, widget = open_batch(
        image,
        scale=(2, 3, 0.5, 0.25)[-image.ndim :],
        translate=(5, 7, 1, 2)[-image.ndim :],
        rotate=turn,
        affine=affine,
        axis_labels=("z", "c", "y", "x") if channels else ("z", "y", "x"),
    )
    kept = [0, -3, -2, -1] if channels else [0, 1, 2, 3]
    expected = affine_matrix(viewer.layers[0])[np.ix_(kept, kept)]
    finish(widget, qtbot, widget.try_button.click)
    trial = layer_of(viewer, "SAM 2 Batch, one plane")
    here = np.eye(4)
    here[0, -1] = viewer.dims.current_step[0]
    np.testing.assert_allclose(affine_matrix(trial), expected @ here, atol=1e-12)
    finish(widget, qtbot, widget.run_button.click)
    qtbot.waitUntil(lambda: "lábels" in viewer.layers, timeout=WAIT_MS)
    labels = layer_of(viewer, "lábels")
    np.testing.assert_allclose(affine_matrix(labels), expected, atol=1e-12)


def test_labels_lie_on_a_layer_that_has_x_before_y(open_batch: Any, qtbot: Any) -> None:
    image = squares(3).swapaxes(1, 2)
    viewer, widget = open_batch(
        image, scale=(3, 0.5, 0.25), translate=(7, 1, 2), axis_labels=("z", "x", "y")
    )
    finish(widget, qtbot, widget.try_button.click)
    layer, trial = viewer.layers[0], layer_of(viewer, "SAM 2 Batch, one plane")
    finish(widget, qtbot, widget.run_button.click)
    qtbot.waitUntil(lambda: "lábels" in viewer.layers, timeout=WAIT_MS)
    labels = layer_of(viewer, "lábels")
    assert labels.data.shape == (3, 40, 90)
    place = viewer.dims.current_step[0]
    for z, x, y in [(0, 5, 15), (1, 15, 15), (2, 5, 15), (2, 25, 15)]:
        world = layer.data_to_world((z, x, y))
        np.testing.assert_allclose(labels.world_to_data(world), (z, y, x), atol=1e-9)
        viewer.dims.set_point(0, world[0])
        assert labels.get_value(world, world=True)
        if z == place:
            assert trial.get_value(world, world=True)


def test_of_a_file_of_several_images_the_window_tells_which_one_it_is(
    open_batch: Any, qtbot: Any, tmp_path: Path
) -> None:
    with tifffile.TiffWriter(tmp_path / "slide.tif", ome=True) as writer:
        for side in (64, 16):
            writer.write(np.zeros((side, side), np.uint8))
    _, widget = open_batch()
    widget.input.choose_paths([tmp_path / "slide.tif"])
    settle(widget, qtbot)
    assert widget.input.axes_label.text() == (
        "YX: y 64, x 64; the largest of 2 images of the file."
    )


def test_selected_layers_go_into_a_folder(open_batch: Any, qtbot: Any, tmp_path: Path) -> None:
    viewer, widget = open_batch(squares(1)[0], squares(2)[1])
    viewer.layers.selection = set(viewer.layers)
    widget.input.image_combo.setCurrentText("selected layers")
    assert "1 more are chosen" in widget.input.axes_label.text()
    widget.output_edit.setText(str(tmp_path / "all"))
    assert "3 objects on 2 planes of 2 images" in finish(widget, qtbot, widget.run_button.click)
    assert {each.name for each in (tmp_path / "all").iterdir() if each.suffix == ".zarr"} == {
        "cells 0.zarr",
        "cells 1.zarr",
    }


def test_parameters_of_the_forms_reach_the_batch(
    open_batch: Any, qtbot: Any, tmp_path: Path
) -> None:
    _, widget = open_batch(squares(6))
    widget.forms.planes_edit.setText("z=1:4")
    widget.forms.linking_form.entries["link"].value = "z"
    widget.forms.filter_form.entries["min_area"].value = 30
    parameters = widget.forms.parameters
    assert parameters.linking.link == "z"
    assert parameters.objects.filter.min_area == 30
    finish(widget, qtbot, widget.run_button.click)
    with open_image(tmp_path / "lábels.zarr") as file:
        labels = np.asarray(file.levels[0])
    assert counts(labels) == [0, 2, 3, 4, 0, 0]
    # The first square has one id through z.
    assert len(set(labels[1:4, 15, 5].tolist())) == 1
    widget.forms.channels_edit.setText("red")
    assert "Channels are numbers" in finish(widget, qtbot, widget.run_button.click)


def test_closing_the_dock_ends_the_batch_and_keeps_what_is_done(
    open_batch: Any, qtbot: Any, tmp_path: Path
) -> None:
    viewer, widget = open_batch(squares(), seconds=0.3)
    widget.run_button.click()
    qtbot.waitUntil(lambda: "2 of 6 planes" in said(widget), timeout=WAIT_MS)
    viewer.window.remove_dock_widget(widget)
    qtbot.waitUntil(lambda: not widget.progress.is_running, timeout=WAIT_MS)
    with open_image(tmp_path / "lábels.zarr") as file:
        done = counts(file.levels[0])
    assert done[:2] == [1, 2]
    assert done[-1] == 0
    widget.deleteLater()


def test_what_cannot_be_is_said_in_one_sentence(open_batch: Any, qtbot: Any) -> None:
    viewer, widget = open_batch()
    assert "Choose an image layer" in finish(widget, qtbot, widget.run_button.click)
    assert "Choose an image" in finish(widget, qtbot, widget.try_button.click)
    viewer.add_image(squares(), name="new")
    assert widget.input.image_combo.currentText() == "new"
    widget.output_edit.setText("")
    assert "Say where the labels go" in finish(widget, qtbot, widget.run_button.click)
    viewer.dims.ndisplay = 3
    assert "2D" in finish(widget, qtbot, widget.try_button.click)


@pytest.mark.usefixtures("sam2_home")
def test_the_starter_segments_a_stack_from_the_window(
    make_napari_viewer: Any, qtbot: Any, tmp_path: Path
) -> None:
    from napari_sam2_openvino.synthetic import make_scene

    scene = make_scene("fluorescence", seed=7).image
    viewer = make_napari_viewer()
    viewer.add_image(np.stack([scene, scene[::-1]]), name="stack", axis_labels=("z", "y", "x"))
    _, widget = viewer.window.add_plugin_dock_widget("napari-sam2-openvino", "SAM 2 Batch")
    settle(widget, qtbot)
    widget.forms.generator_form.entries["points_per_side"].value = 8
    widget.forms.filter_form.entries["pred_iou_thresh"].value = 0.5
    widget.forms.filter_form.entries["stability_score_thresh"].value = 0.5
    widget.output_edit.setText(str(tmp_path / "labels.zarr"))
    assert "on 2 planes" in finish(widget, qtbot, widget.run_button.click)
    assert min(counts(layer_of(viewer, "labels").data)) > 3


@pytest.mark.usefixtures("sam2_home")
@pytest.mark.parametrize("is_table", [True, False])
def test_the_same_box_is_segmented_on_every_plane(
    make_napari_viewer: Any, qtbot: Any, tmp_path: Path, is_table: bool
) -> None:
    stack = np.full((6, 60, 80), 20, np.uint8)
    stack[:, 10:30, 15:45] = 200
    viewer = make_napari_viewer()
    viewer.add_image(stack, name="stack")
    widget = BatchWidget(viewer)
    viewer.window.add_dock_widget(widget, name="SAM 2 Batch")
    settle(widget, qtbot)
    assert widget.prompts.combo.count() == 1
    box = [[2, 8, 13], [2, 8, 47], [2, 32, 47], [2, 32, 13]]
    viewer.add_shapes([box], shape_type="rectangle", name="my box")
    table = tmp_path / "prompts.csv"
    table.write_text("x0,y0,x1,y1\n13,8,47,32\n")
    if is_table:
        widget.prompts.choose_table(table)
    else:
        widget.prompts.combo.setCurrentText("what my box points at")
    assert widget.prompts.own_check.isHidden() == is_table
    widget.output_edit.setText(str(tmp_path / "labels.zarr"))
    assert "6 objects on 6 planes" in finish(widget, qtbot, widget.run_button.click)
    labels = np.asarray(layer_of(viewer, "labels").data)
    assert set(np.unique(labels).tolist()) == {0, 1}
    truth = stack > 100
    overlap = [(a & b).sum() / (a | b).sum() for a, b in zip(labels > 0, truth, strict=True)]
    assert min(overlap) > 0.8
    if not is_table:
        widget.prompts.own_check.setChecked(True)
        widget.output_edit.setText(str(tmp_path / "one plane.zarr"))
        finish(widget, qtbot, widget.run_button.click)
        labels = np.asarray(layer_of(viewer, "one plane").data)
        assert labels.any(axis=(1, 2)).tolist() == [False, False, True, False, False, False]


def test_a_model_that_goes_while_it_is_chosen_gives_way(open_batch: Any, qtbot: Any) -> None:
    _, widget = open_batch(squares())
    qtbot.waitUntil(lambda: bool(widget.listings.value), timeout=WAIT_MS)
    shutil.copytree(starter_dir(), models_dir() / "mine é")
    qtbot.waitUntil(lambda: widget.model_combo.findText("mine é") >= 0, timeout=WAIT_MS)
    assert widget.model_combo.currentText() == "starter"
    widget.model_combo.setCurrentText("mine é")
    shutil.rmtree(models_dir() / "mine é")
    qtbot.waitUntil(lambda: widget.model_combo.findText("mine é") < 0, timeout=WAIT_MS)
    assert widget.model_combo.currentText() == "starter"
    assert said(widget) == "Model mine é is no longer there: starter is used from now on."
