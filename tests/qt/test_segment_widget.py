"""The widget in a real viewer, with a model that draws discs."""

import shutil
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from napari.layers import Labels, Layer

from napari_sam2_openvino._layers import preview
from napari_sam2_openvino._session.engines import Sam2Engine
from napari_sam2_openvino._session.jobs import State
from napari_sam2_openvino._settings import save_preferences
from napari_sam2_openvino.core.model_folder import (
    Quantization,
    read_model_info,
    write_model_info,
)
from napari_sam2_openvino.core.paths import models_dir, starter_dir

STACK = np.random.default_rng(1).integers(0, 4000, (5, 60, 80)).astype(np.uint16)


def names(window: Any) -> list[str]:
    return [layer.name for layer in window.viewer.layers]


def labels_of(window: Any) -> Labels:
    return window.viewer.layers["cells objects"]


def test_the_only_image_is_chosen_and_encoded_before_anyone_clicks(window: Any) -> None:
    assert window.widget.choices.image_combo.value == window.viewer.layers["cells"]
    assert window.engine.n_encodes == 1
    assert names(window) == ["cells"]
    assert window.status.startswith("Ready")
    assert not window.widget.progress_bar.isVisibleTo(window.widget)


def test_a_click_shows_a_preview_and_commit_writes_it(window: Any) -> None:
    window.click(40, 50)
    window.settle()
    assert window.clicks == [(50, 40)]
    assert window.status.startswith("Predicted IoU 0.90")
    rows, columns = np.nonzero(window.preview.data)
    assert window.preview.data_to_world((rows.min(), columns.min())) == pytest.approx((35, 45))
    window.press("W")
    labels = labels_of(window)
    disc = np.hypot(*np.mgrid[-40:80, -50:110]) <= 5
    np.testing.assert_array_equal(labels.data, disc)
    assert window.answer is None
    window.settle()
    assert len(window.layers.points.data) == 0
    assert not window.preview.data.any()
    assert window.status.startswith("Object 1: 81 pixels")
    assert window.widget.choices.target_combo.value == labels
    labels.undo()
    assert not labels.data.any()


def test_objects_get_ids_in_turn_and_keep_their_pixels(window: Any) -> None:
    for x in (50, 53):
        window.click(40, x)
        window.settle()
        window.do("commit")
    data = labels_of(window).data
    assert data.max() == 2
    assert (data == 1).sum() == 81
    assert data[40, 53] == 1
    assert data[40, 58] == 2
    assert window.engine.n_encodes == 1


def test_box_and_negative_point_together(window: Any) -> None:
    window.draw_box(20, 30, 60, 70)
    window.press("Q")
    assert window.widget.prompts_tab.prompts_panel.negative_radio.isChecked()
    window.click(40, 50)
    window.settle()
    box = [(30, 20), (70, 60)]
    assert window.marks == [("box", box, True), ("point", [(50, 40)], False)]
    window.press("W")
    data = labels_of(window).data
    assert data[40, 50] == 0
    assert data[21, 31] == 1
    # The next object begins with a positive point.
    assert window.widget.prompts_tab.prompts_panel.positive_radio.isChecked()


def test_commit_twice_writes_once_and_a_click_right_after_it_is_kept(window: Any) -> None:
    window.click(40, 50)
    window.settle()
    window.press("W")
    window.press("W")
    assert window.status == "Nothing to commit: click on an object first."
    window.click(80, 50)
    window.settle()
    window.press("W")
    window.click(20, 100)
    window.settle()
    assert window.clicks == [(100, 20)]
    assert np.unique(labels_of(window).data).tolist() == [0, 1, 2]


def test_clear_removes_the_prompts_and_the_preview(window: Any) -> None:
    window.click(40, 50)
    window.draw_box(20, 30, 60, 70)
    window.settle()
    assert window.preview.data.any()
    window.press("J")
    window.settle()
    layers = window.layers
    assert (len(layers.points.data), len(layers.shapes.data)) == (0, 0)
    assert not window.preview.data.any()
    layers.draw("points").add((10, 10))
    window.settle()
    assert [kind for kind, _, _ in window.marks] == ["point"]


def test_commit_goes_to_the_layer_that_was_chosen_above_its_largest_label(window: Any) -> None:
    mine = window.viewer.add_labels(np.zeros((120, 160), np.int32), name="mine")
    mine.data[0, 0] = 41
    window.widget.choices.target_combo.value = mine
    window.click(40, 50)
    window.settle()
    window.do("commit")
    window.wait(lambda: mine.data[40, 50] == 42)
    mine.data_setitem((np.array([1]), np.array([1])), 60)
    window.click(80, 50)
    window.settle()
    window.do("commit")
    window.wait(lambda: mine.data[80, 50] == 61)
    assert names(window).count("cells objects") == 0


def test_a_layer_that_does_not_fit_is_refused_and_nothing_is_lost(window: Any) -> None:
    other = window.viewer.add_labels(np.zeros((10, 10), np.uint8), name="other")
    window.widget.choices.target_combo.value = other
    window.click(40, 50)
    window.settle()
    window.do("commit")
    assert "has shape 10 x 10, but cells has 120 x 160" in window.status
    assert not other.data.any()
    assert len(window.layers.points.data) == 1


def test_prompts_belong_to_their_plane(open_window: Any) -> None:
    window = open_window(STACK, image_options={"scale": (3, 0.5, 0.5)})
    window.settle()
    window.show_plane(1)
    window.settle()
    window.click(1, 30, 40)
    window.settle()
    assert window.answer is not None
    window.show_plane(3)
    window.settle()
    assert window.answer is None
    assert not window.preview.data.any()
    window.show_plane(1)
    window.settle()
    window.do("commit")
    data = labels_of(window).data
    assert data.shape == STACK.shape
    assert data.any(axis=(1, 2)).tolist() == [False, True, False, False, False]
    assert window.engine.n_encodes == len({2, 1, 3})


def test_a_point_is_no_prompt_on_planes_of_other_directions(open_window: Any) -> None:
    window = open_window(STACK)
    window.show_plane(2)
    window.click(2, 30, 40)
    window.settle()
    window.viewer.dims.order = (1, 0, 2)
    window.show_plane(30, axis=1)
    window.settle()
    assert not window.annotator.drawn
    # What is drawn there is an object of its own.
    window.click(3, 30, 60)
    window.settle()
    assert list(window.annotator.drawn) == [2]
    assert window.clicks == [(60, 3)]
    window.viewer.dims.order = (0, 1, 2)
    window.show_plane(2)
    window.settle()
    assert list(window.annotator.drawn) == [1]
    window.show_plane(3)
    window.settle()
    assert not window.annotator.drawn


def test_transposed_planes_are_segmented_as_they_are_seen(open_window: Any) -> None:
    window = open_window(STACK)
    window.viewer.dims.order = (0, 2, 1)
    window.show_plane(1)
    window.settle()
    window.click(1, 20, 60)
    window.settle()
    assert window.clicks == [(20, 60)]
    window.do("commit")
    ys, xs = np.nonzero(labels_of(window).data[1])
    assert (ys.min(), ys.max(), xs.min(), xs.max()) == (15, 25, 55, 65)


def test_objects_are_the_same_on_a_plane_seen_the_other_way_round(open_window: Any) -> None:
    window = open_window(STACK)
    window.show_plane(1)
    window.settle()
    window.click(1, 20, 60)
    window.settle()
    window.viewer.dims.order = (0, 2, 1)
    window.settle()
    assert window.clicks == [(20, 60)]
    window.click(1, 24, 62)
    window.settle()
    assert window.clicks == [(20, 60), (24, 62)]
    assert list(window.annotator.drawn) == [1]
    window.do("next_mask")
    window.settle()
    window.viewer.dims.order = (0, 1, 2)
    window.settle()
    assert window.clicks == [(60, 20), (62, 24)]
    assert list(window.annotator.drawn) == [1]
    # Each object once, as it was drawn.
    drafts = window.widget.files.session().objects
    assert [(each.obj_id, each.plane.transposed) for each in drafts] == [(1, False)]
    window.do("commit")
    assert labels_of(window).data[1, 20, 60] == 1
    window.viewer.dims.order = (0, 2, 1)
    window.settle()
    assert not window.annotator.drawn


def test_what_counts_for_all_objects_does_so_from_every_side(open_window: Any) -> None:
    window = open_window(STACK)
    window.viewer.dims.order = (0, 2, 1)
    window.show_plane(1)
    window.settle()
    window.do("toggle_for_all")
    window.do("toggle_polarity")
    window.click(1, 24, 62)
    window.do("toggle_polarity")
    window.settle()
    window.viewer.dims.order = (0, 1, 2)
    window.settle()
    window.click(1, 20, 60)
    window.settle()
    assert window.clicks == [(62, 24), (60, 20)]
    window.viewer.dims.order = (1, 0, 2)
    window.show_plane(24, axis=1)
    window.settle()
    window.click(2, 24, 70)
    window.settle()
    assert window.clicks == [(62, 1), (70, 2)]
    assert list(window.annotator.drawn) == [2]


def test_what_counts_for_all_objects_is_not_copied_into_one_that_is_edited(window: Any) -> None:
    window.do("toggle_for_all")
    window.do("toggle_polarity")
    window.click(90, 20)
    window.do("toggle_polarity")
    window.click(40, 50)
    window.settle()
    window.do("commit")
    window.settle()
    for _ in range(2):
        window.viewer.cursor.position = (40, 50)
        window.do("edit_object")
        window.settle()
        assert window.clicks == [(20, 90), (50, 40)]
        assert window.layers.points.features["obj_id"].tolist() == [0, 1]
        window.do("commit")
        window.settle()
    # What counted for all and is gone stays part of the object.
    window.layers.points.selected_data = {0}
    window.layers.points.remove_selected()
    window.settle()
    window.do("edit_object")
    window.settle()
    assert window.clicks == [(20, 90), (50, 40)]
    assert window.layers.points.features["obj_id"].tolist() == [1, 1]


def test_3d_view_is_explained_and_left_again(open_window: Any) -> None:
    window = open_window(STACK)
    window.settle()
    window.viewer.dims.ndisplay = 3
    window.settle()
    assert "from 3D to 2D" in window.status
    window.do("commit")
    window.viewer.dims.ndisplay = 2
    window.settle()
    assert window.status.startswith("Ready")
    assert window.engine.n_encodes == 1


def test_rgb_images_are_segmented(open_window: Any) -> None:
    window = open_window(np.zeros((60, 80, 3), np.uint8), image_options={"rgb": True})
    window.click(30, 40)
    window.settle()
    window.do("commit")
    assert labels_of(window).data.shape == (60, 80)
    assert labels_of(window).data.sum() == 81


def test_a_point_outside_is_told_once_and_moved_back(window: Any, monkeypatch: Any) -> None:
    shown: list[str] = []
    monkeypatch.setattr("napari_sam2_openvino._qt.feedback.show_error", shown.append)
    window.click(40, 500)
    window.settle()
    window.layers.points.size = 12
    window.settle()
    assert len(shown) == 1
    assert "outside the image" in window.status
    window.layers.points.data = [[40, 50]]
    window.settle()
    assert window.status.startswith("Predicted IoU")


def test_a_model_that_cannot_be_loaded_is_one_notification(
    make_napari_viewer: Any, qtbot: Any, monkeypatch: Any
) -> None:
    from napari_sam2_openvino._qt.segment_widget import SegmentWidget
    from napari_sam2_openvino.core.errors import ModelNotFoundError

    def load(_name: str) -> Any:
        raise ModelNotFoundError("There is no model starter: install the package again.")

    shown: list[str] = []
    monkeypatch.setattr("napari_sam2_openvino._qt.feedback.show_error", shown.append)
    viewer = make_napari_viewer()
    viewer.add_image(np.zeros((60, 80)))
    widget = SegmentWidget(viewer, load_engine=load)
    viewer.window.add_dock_widget(widget)
    qtbot.waitUntil(lambda: "There is no model" in widget.status_label.text(), timeout=30_000)
    qtbot.wait(60)
    # The next edit tries again, and fails again.
    widget.verbs["draw_points"]()
    widget.annotator.drafting.layers.points.add((10, 10))
    qtbot.wait(100)
    assert widget.annotator.session.state is State.FAILED
    assert shown == ["There is no model starter: install the package again."]
    widget.annotator.close()


def test_the_plane_is_read_again_when_the_image_is_replaced(window: Any) -> None:
    window.click(40, 50)
    window.settle()
    window.viewer.layers["cells"].data = np.ones((120, 160), np.uint8)
    window.settle()
    assert window.engine.n_encodes == 2
    assert window.answer is not None


def test_prompts_follow_the_image_when_it_is_scaled(window: Any) -> None:
    window.click(40, 50)
    window.settle()
    window.viewer.layers["cells"].scale = (0.5, 2)
    window.settle()
    assert window.clicks == [(50, 40)]
    rows, columns = np.nonzero(window.preview.data)
    corner = window.preview.data_to_world((rows.min(), columns.min()))
    assert corner == pytest.approx((35 * 0.5, 45 * 2))


def test_units_of_the_image_may_change(open_window: Any) -> None:
    window = open_window(np.zeros((120, 160), np.uint8), image_options={"units": ("nm", "nm")})
    window.click(40, 50)
    window.settle()
    window.viewer.layers["cells"].units = ("um", "um")
    window.viewer.layers["cells"].axis_labels = ("y", "x")
    window.click(60, 70)
    window.settle()
    assert window.status.startswith("Predicted IoU")
    assert len(window.marks) == 2
    assert window.preview.axis_labels == ("y", "x")


def test_layers_may_be_renamed_removed_and_made_again(window: Any) -> None:
    layers = window.viewer.layers
    window.click(40, 50)
    window.settle()
    window.layers.points.name = "renamed"
    layers["cells"].name = "other cells"
    window.settle()
    assert window.widget.choices.image_combo.current_choice == "other cells"
    layers.remove("renamed")
    window.settle()
    assert window.answer is None
    layers.remove(window.preview)
    window.settle()
    window.click(60, 70)
    window.settle()
    assert window.clicks == [(70, 60)]
    assert window.preview.data.any()
    window.do("commit")
    layers.remove("other cells objects")
    assert window.annotator.target is None
    window.click(60, 70)
    window.settle()
    window.do("commit")
    assert layers["other cells objects"].data[60, 70] == 3


def test_each_image_keeps_its_prompts(window: Any) -> None:
    window.click(80, 90)
    window.settle()
    window.do("commit")
    window.click(40, 50)
    window.settle()
    second = window.viewer.add_image(np.ones((30, 40)), name="second")
    window.qtbot.wait(30)
    window.widget.choices.image_combo.value = second
    window.settle()
    assert window.answer is None
    assert window.annotator.target is window.widget.choices.target_combo.value is None
    window.click(5, 6)
    window.settle()
    assert window.clicks == [(6, 5)]
    window.widget.choices.image_combo.value = window.viewer.layers["cells"]
    window.settle()
    assert [each.vertices for each in window.answer.prompts.marks] == [((50, 40),)]


def test_a_target_is_kept_if_it_is_only_hidden_and_left_with_a_word_if_it_does_not_fit(
    window: Any,
) -> None:
    mine = window.viewer.add_labels(np.zeros((120, 160), np.uint8), name="mine")
    window.widget.choices.target_combo.value = mine
    mine.visible = False
    twin = window.viewer.add_image(np.ones((120, 160)), name="twin")
    window.widget.choices.image_combo.value = twin
    window.settle()
    assert window.annotator.target == mine
    small = window.viewer.add_image(np.ones((30, 40)), name="small")
    window.widget.choices.image_combo.value = small
    window.settle()
    assert window.annotator.target is None
    assert "mine has shape 120 x 160, but small has 30 x 40" in window.status
    assert window.status.endswith("Objects go into a new layer.")


def test_a_widget_that_is_opened_again_goes_on_with_the_prompts(
    window: Any, open_widget: Any
) -> None:
    window.click(40, 50)
    window.do("next_object")
    window.draw_box(20, 30, 60, 70)
    window.settle()
    window.layers.points.name = "renamed"
    points, shapes = window.layers.points, window.layers.shapes
    second = open_widget(window)
    second.settle()
    # Layers that another widget uses are its own.
    assert second.layers.points is None
    second.widget.close()
    window.widget.close()
    third = open_widget(window)
    third.settle()
    assert (third.layers.points, third.layers.shapes) == (points, shapes)
    assert sorted(third.annotator.drawn) == [1, 2]
    assert third.preview.data.any()
    third.click(90, 100)
    third.settle()
    assert names(third).count("cells points") == 0
    assert sorted(map(len, (each.marks for each in third.annotator.drawn.values()))) == [1, 2]
    third.do("undo")
    third.settle()
    assert [len(each.marks) for each in third.annotator.drawn.values()] == [1, 1]


def test_the_image_is_removed_in_the_middle_of_an_encode(open_window: Any) -> None:
    window = open_window(np.zeros((60, 80), np.uint8), encode_seconds=60)
    window.do("draw_points")
    window.wait_for_encode()
    window.viewer.layers.remove("cells")
    window.settle()
    assert names(window) == ["cells points"]
    assert window.session.state is State.IDLE
    assert window.engine.n_cancelled == 1
    assert window.annotator.image is None
    window.viewer.add_image(np.ones((50, 50)), name="next")
    window.wait(lambda: window.annotator.image == window.viewer.layers["next"])


def test_cancel_ends_an_encode_at_once(open_window: Any) -> None:
    window = open_window(np.zeros((60, 80), np.uint8), encode_seconds=60)
    window.wait_for_encode()
    assert window.widget.cancel_button.isVisibleTo(window.widget)
    window.widget.cancel_button.click()
    # By itself it would go on for a minute.
    window.wait(lambda: window.engine.n_cancelled == 1, timeout=10_000)
    assert window.status.startswith("Cancelled")


def test_closing_the_dock_ends_everything(open_window: Any) -> None:
    window = open_window(np.zeros((60, 80), np.uint8), encode_seconds=60)
    window.do("draw_points")
    window.wait_for_encode()
    layers = window.layers
    points, engine = layers.points, window.engine
    window.viewer.window.remove_dock_widget(window.widget)
    window.wait(lambda: engine.n_cancelled == 1)
    points.add((10, 10))
    window.viewer.add_image(np.zeros((5, 5)))
    window.qtbot.wait(60)
    assert engine.n_encodes == 1
    assert not any(map(preview.is_preview, window.viewer.layers))
    assert "W" not in {str(key) for key in window.viewer.keymap}
    window.widget.deleteLater()


def test_closing_the_viewer_in_the_middle_of_an_encode(open_window: Any) -> None:
    window = open_window(np.zeros((60, 80), np.uint8), encode_seconds=60)
    window.click(30, 40)
    window.wait_for_encode()
    engine = window.engine
    window.viewer.close()
    window.wait(lambda: engine.n_cancelled == 1)


def test_it_works_through_the_proxy_that_napari_gives_to_plugins(open_window: Any) -> None:
    window = open_window(np.zeros((60, 80), np.uint8), proxy=True)
    window.settle()
    window.click(30, 40)
    window.settle()
    window.do("commit")
    assert labels_of(window).data.sum() == 81
    window.viewer.layers.remove("cells points")
    window.settle()
    assert window.layers.points is None


def test_the_target_list_leaves_out_previews(window: Any) -> None:
    window.click(40, 50)
    window.settle()
    assert [
        choice for choice in window.widget.choices.target_combo.choices if choice is not None
    ] == []
    assert isinstance(window.preview, Layer)


def test_toggling_polarity_leaves_the_last_point_alone(window: Any) -> None:
    window.click(40, 50)
    window.press("Q")
    window.click(60, 50)
    window.settle()
    assert [sign for _, _, sign in window.marks] == [True, False]


def add_starter(name: str) -> Any:
    """Put a copy of the starter among the user's models."""
    shutil.copytree(starter_dir(), models_dir() / name)
    return models_dir() / name


def test_a_model_that_appears_is_offered_and_one_that_goes_while_in_use_gives_way(
    open_window: Any,
) -> None:
    window = open_window(np.zeros((40, 60), np.uint8))
    combo = window.widget.choices.model_combo
    window.wait(lambda: window.widget.choices.listings.value)
    folder = add_starter("mine é")
    window.wait(lambda: "mine é" in combo.choices)
    assert combo.value == "starter"
    combo.value = "mine é"
    window.settle()
    assert window.session.model_name == "mine é"
    window.click(20, 30)
    window.settle()
    shutil.rmtree(folder)
    window.wait(lambda: window.session.model_name == "starter")
    assert "mine é" not in combo.choices
    window.wait(
        lambda: window.status == "Model mine é is no longer there: starter is used from now on."
    )
    window.settle()
    # What was drawn is there still, and answered by the other one.
    assert window.answer is not None


# Of a name of the catalogue there are two listings.
@pytest.mark.parametrize("name", ["mine", "sam2.1_hiera_tiny"])
def test_a_model_that_is_replaced_while_in_use_is_loaded_anew(open_window: Any, name: str) -> None:
    window = open_window(np.zeros((40, 60), np.uint8), load_engine=Sam2Engine)
    combo = window.widget.choices.model_combo
    folder = add_starter(name)
    window.wait(lambda: name in combo.choices)
    combo.value = name
    window.click(20, 30)
    window.settle()
    key = window.session.engine.key
    new = add_starter(".unfinished-new")
    info = read_model_info(new)
    write_model_info(new, replace(info, source=replace(info.source, sha256="0" * 64)))
    folder.rename(models_dir() / ".replaced-mine")
    new.rename(folder)
    window.wait(lambda: window.status == f"Model {name} was replaced: it is loaded anew.")
    window.settle()
    assert window.session.engine.key != key
    assert (combo.value, window.session.model_name) == (name, name)
    assert window.session.is_settled


@pytest.mark.parametrize("is_advised", [True, False])
def test_a_window_begins_with_the_preferred_model_unless_its_report_advises_against_it(
    open_window: Any, sam2_home: Any, is_advised: bool
) -> None:
    assert sam2_home is not None
    folder = add_starter("mine")
    quantization = Quantization(
        *("fast", "starter", "0", 8, "f32", 0.9, 0.1), is_advised=is_advised, advice="Keep starter."
    )
    write_model_info(folder, replace(read_model_info(folder), quantization=quantization))
    save_preferences(default_model="mine")
    try:
        window = open_window(np.zeros((40, 60), np.uint8))
    finally:
        save_preferences(default_model="starter")
    window.wait(lambda: window.session.model_name is not None)
    assert window.session.model_name == ("mine" if is_advised else "starter")
    labels = dict(window.widget.choices._models)
    assert ("mine (not advised)" in labels) != is_advised
    assert "mine" in window.widget.choices.models


def test_an_object_that_was_refined_the_other_way_round_has_all_of_its_commits(
    open_window: Any,
) -> None:
    window = open_window(STACK)
    window.show_plane(1)
    window.settle()
    window.click(1, 20, 60)
    window.settle()
    window.do("commit")
    window.viewer.dims.order = (0, 2, 1)
    window.settle()
    window.widget.objects.edit(labels_of(window), 1)
    window.wait(lambda: window.annotator.drawn)
    window.click(1, 28, 60)
    window.settle()
    window.do("commit")
    committed = window.widget.files.session().objects
    assert [(each.obj_id, each.plane.transposed) for each in committed] == [(1, False), (1, True)]
    window.viewer.dims.order = (0, 1, 2)
    window.settle()
    # Its first prompts would draw the mask that it had before.
    before = labels_of(window).data.copy()
    window.widget.objects.edit(labels_of(window), 1)
    window.wait(lambda: window.annotator.drawn)
    window.settle()
    assert not window.clicks
    window.do("commit")
    np.testing.assert_array_equal(labels_of(window).data, before)


def test_an_object_that_is_to_be_refined_stays_out_of_another_image(open_window: Any) -> None:
    window = open_window(STACK[0], encode_seconds=0.5)
    labels = np.zeros((60, 80), np.uint8)
    labels[20:40, 20:40] = 5
    theirs = window.viewer.add_labels(labels, name="theirs")
    other = window.viewer.add_image(STACK[1], name="other")
    # It is cut out once the encoder is done with what it does.
    window.widget.objects.edit(theirs, 5)
    window.annotator.set_image(other)
    window.settle()
    assert window.annotator.image == other
    assert not window.annotator.drawn
    window.annotator.set_image(window.viewer.layers["cells"])
    window.settle()
    window.widget.objects.edit(theirs, 5)
    window.wait(lambda: window.annotator.drawn)
