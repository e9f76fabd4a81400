"""Sessions as files, prompts from elsewhere, and windows that are closed in the middle."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_sam2_openvino._session.engines import Sam2Engine
from napari_sam2_openvino._settings import save_preferences
from napari_sam2_openvino.core.paths import sessions_dir

RNG = np.random.default_rng(3)
STACK = RNG.integers(0, 200, (3, 60, 80)).astype(np.uint8)


@pytest.fixture
def discs() -> Any:
    """Two planes of bright discs on dark."""
    rows, columns = np.mgrid[:96, :128]
    image = np.full((2, 96, 128), 20, np.uint8)
    for plane, y, x in ((0, 30, 40), (0, 60, 90), (1, 50, 60)):
        image[plane][(rows - y) ** 2 + (columns - x) ** 2 <= 144] = 200
    return image


def save(window: Any, path: Path) -> None:
    window.widget.files.save(path)
    window.wait(lambda: window.status == f"The session is saved in {path}.")


def commit_and_save(window: Any, path: Path) -> None:
    """Commit an object of the first plane, and save the session."""
    window.click(0, 30, 40)
    window.settle()
    window.do("commit")
    window.settle()
    save(window, path)


def save_one_object(open_window: Any, image: Any, path: Path) -> Any:
    """Return a window with an object that was committed and saved."""
    window = open_window(image, load_engine=Sam2Engine)
    window.show_plane(0)
    window.settle()
    commit_and_save(window, path)
    return window


def open_session(window: Any, path: Path) -> None:
    window.widget.files.open(path)
    window.wait(lambda: window.status == "The session is open.", timeout=60_000)
    window.settle()


def test_a_session_brings_back_labels_and_drafts_to_the_bit(
    open_window: Any, discs: Any, tmp_path: Path
) -> None:
    path = tmp_path / "mine é.json"
    first = open_window(discs, load_engine=Sam2Engine)
    first.show_plane(0)
    first.settle()
    for place in ((0, 30, 40), (0, 60, 90)):
        first.click(*place)
        first.settle()
        first.do("commit")
        first.settle()
    first.widget.objects.set_class([2], "cell")
    first.show_plane(1)
    first.settle()
    first.do("toggle_for_all")
    first.do("toggle_polarity")
    first.click(1, 80, 100)
    first.do("toggle_polarity")
    first.click(1, 50, 60)
    first.settle()
    first.do("next_mask")
    first.settle()
    first.do("shrink_mask")
    first.settle()
    save(first, path)
    assert json.loads(path.read_text())["objects"]
    drawn = first.answer
    points = first.layers.points
    second = open_window(discs, load_engine=Sam2Engine)
    second.show_plane(1)
    second.settle()
    open_session(second, path)
    np.testing.assert_array_equal(second.labels.data, first.labels.data)
    assert second.labels.data.max() == 2
    assert second.table()[2].class_name == "cell"
    # What counts for all is drawn after the rest; that is no matter.
    order = np.argsort(points.data[:, 1])
    np.testing.assert_array_equal(second.layers.points.data, points.data[order])
    expected = points.features.iloc[order].reset_index(drop=True)
    assert second.layers.points.features.equals(expected)
    assert second.session.options == first.session.options
    second.wait(lambda: second.answer is not None)
    assert second.answer.mask.origin == drawn.mask.origin
    np.testing.assert_array_equal(second.answer.mask.mask, drawn.mask.mask)
    # The objects can still be edited, in their place.
    second.show_plane(0)
    second.settle()
    second.viewer.cursor.position = (0, 30, 40)
    second.do("edit_object")
    second.settle()
    second.click(0, 33, 43)
    second.settle()
    second.do("commit")
    assert np.unique(second.labels.data).tolist() == [0, 1, 2]
    assert second.labels.data[0, 30, 40] == 1


def test_a_session_tells_what_it_ran_on_and_that_masks_may_differ_elsewhere(
    open_window: Any, discs: Any, tmp_path: Path
) -> None:
    path = tmp_path / "mine.json"
    window = save_one_object(open_window, discs, path)
    saved = json.loads(path.read_text())
    key = window.session.engine.key
    for record in (saved["model"], saved["objects"][0]["model"]):
        assert record["name"] == "starter"
        assert key.endswith(f"-{record['device']}-{record['precision']}")
        assert record["precision"] in {"f32", "bf16", "f16"}
        record.update(key="0-GPU.1-f16", device="GPU.1", precision="f16")
    path.write_text(json.dumps(saved))
    before = window.labels.data
    window.widget.files.open(path)
    window.wait(lambda: window.status.startswith("The session is open."), timeout=60_000)
    assert "(GPU.1, f16) of the session: masks may differ." in window.status
    np.testing.assert_array_equal(window.labels.data, before)


def test_a_session_of_another_image_or_a_damaged_one_changes_nothing(
    window: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    shown: list[str] = []
    monkeypatch.setattr("napari_sam2_openvino._qt.feedback.show_error", shown.append)
    window.click(40, 50)
    window.settle()
    path = tmp_path / "session.json"
    save(window, path)
    window.viewer.add_image(np.zeros((30, 40), np.uint8), name="small")
    window.widget.choices.image_combo.value = window.viewer.layers["small"]
    window.settle()
    window.widget.files.open(path)
    window.wait(lambda: len(shown) == 1)
    assert "120 x 160" in shown[0]
    path.write_text(path.read_text()[:-20])
    window.widget.files.open(path)
    window.wait(lambda: len(shown) == 2)
    assert str(path) in shown[1]
    assert window.layers.points is None


def test_drafts_of_a_session_are_new_objects_whatever_is_in_the_target(
    open_window: Any, tmp_path: Path
) -> None:
    path = tmp_path / "drafts.json"
    window = open_window(STACK)
    window.settle()
    window.click(1, 30, 40)
    window.settle()
    save(window, path)
    window.do("clear")
    window.click(1, 10, 15)
    window.settle()
    window.do("commit")
    window.settle()
    before = window.labels.data.copy()
    assert before[1, 10, 15] == 2
    open_session(window, path)
    window.do("commit")
    window.settle()
    np.testing.assert_array_equal(window.labels.data[before > 0], before[before > 0])
    assert window.labels.data[1, 30, 40] not in (0, 2)


def test_an_image_that_is_chosen_meanwhile_gets_no_session_of_another(
    open_window: Any, discs: Any, tmp_path: Path
) -> None:
    path = tmp_path / "discs.json"
    save_one_object(open_window, discs, path)
    second = open_window(discs, load_engine=Sam2Engine)
    second.settle()
    other = second.viewer.add_image(np.zeros((5, 30, 40), np.uint8), name="other")
    second.annotator.set_image(second.viewer.layers["cells"])
    files, n_layers = second.widget.files, len(second.viewer.layers)
    files.open(path)
    second.wait(lambda: files._job is not None)
    files.open(path)
    second.annotator.set_image(other)
    second.wait(lambda: files._job is None, timeout=60_000)
    assert len(second.viewer.layers) == n_layers
    assert second.status == "The session was not opened: another image was chosen meanwhile."


def test_an_opening_that_is_cancelled_or_fails_leaves_the_channels_as_they_are(
    open_window: Any, discs: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    shown: list[str] = []
    monkeypatch.setattr("napari_sam2_openvino._qt.feedback.show_error", shown.append)
    path = tmp_path / "discs.json"
    window = save_one_object(open_window, discs, path)
    panel, files = window.widget.prompts_tab.image_panel, window.widget.files
    panel.kind_combo.value = "axis"
    panel.index_combos[0].value = 0
    panel.index_combos[1].value = 1
    window.settle()
    view, channels = window.annotator.view, panel.channels
    before = view.view
    assert (before.axis, before.indices) == (0, (0, 1))
    files.open(path)
    window.wait(lambda: files._job is not None)
    files.cancel()
    window.wait(lambda: window.status == "Cancelled: the session was not opened.")
    assert (view.view, panel.channels) == (before, channels)
    saved = json.loads(path.read_text())
    saved["objects"][0]["model"]["name"] = "gone"
    path.write_text(json.dumps(saved))
    files.open(path)
    window.wait(lambda: shown)
    assert (view.view, panel.channels) == (before, channels)


def test_channels_of_a_session_are_taken_over_unless_one_was_removed_meanwhile(
    open_window: Any, discs: Any, tmp_path: Path
) -> None:
    path = tmp_path / "discs.json"
    window = open_window(discs, load_engine=Sam2Engine)
    cells, second = window.viewer.layers["cells"], window.viewer.add_image(discs, name="second")
    window.annotator.set_image(cells)
    panel, view = window.widget.prompts_tab.image_panel, window.annotator.view
    panel.reset_choices()
    panel.kind_combo.value = "layers"
    panel.layer_combos[0].value = second
    panel.layer_combos[1].value = cells
    window.show_plane(0)
    window.settle()
    commit_and_save(window, path)
    panel.kind_combo.value = "one layer"
    window.settle()
    assert view.layers == (cells,)
    open_session(window, path)
    assert view.layers == (second, cells)
    assert panel.channels.layers == (second, cells, None)
    files, n_layers = window.widget.files, len(window.viewer.layers)
    files.open(path)
    window.wait(lambda: files._job is not None)
    window.viewer.layers.remove(second)
    window.wait(lambda: files._job is None, timeout=60_000)
    assert window.status == "The session was not opened: a channel of it was removed meanwhile."
    assert len(window.viewer.layers) == n_layers - 1


def test_a_session_says_if_objects_were_committed_with_other_channels(
    open_window: Any, discs: Any, tmp_path: Path
) -> None:
    path = tmp_path / "discs.json"
    window = open_window(discs, load_engine=Sam2Engine)
    cells, other = window.viewer.layers["cells"], window.viewer.add_image(discs, name="other")
    window.annotator.set_image(cells)
    panel = window.widget.prompts_tab.image_panel
    panel.reset_choices()
    panel.kind_combo.value = "layers"
    panel.layer_combos[0].value = other
    window.show_plane(0)
    window.settle()
    window.click(0, 30, 40)
    window.settle()
    window.do("commit")
    window.settle()
    panel.kind_combo.value = "one layer"
    window.settle()
    save(window, path)
    window.widget.files.open(path)
    window.wait(lambda: window.status.startswith("The session is open."), timeout=60_000)
    assert "One object was made of the channels other, but" in window.status


def test_one_layer_that_is_seen_instead_of_the_image_is_so_again(
    open_window: Any, tmp_path: Path
) -> None:
    path = tmp_path / "one.json"
    window = open_window(np.full((60, 80), 10, np.uint8))
    cells = window.viewer.layers["cells"]
    other = window.viewer.add_image(np.full((60, 80), 200, np.uint8), name="other")
    window.annotator.set_image(cells)
    panel, view = window.widget.prompts_tab.image_panel, window.annotator.view
    panel.reset_choices()
    panel.kind_combo.value = "layers"
    panel.layer_combos[0].value = other
    window.click(30, 40)
    window.settle()
    save(window, path)
    panel.kind_combo.value = "one layer"
    window.settle()
    assert window.answer.prediction.object_score == 10
    open_session(window, path)
    window.settle()
    assert window.annotator.image is cells
    assert (view.layers, panel.channels.layers) == ((other,), (other, None, None))
    assert window.answer.prediction.object_score == 200
    # Where no layer is called so, it is the image.
    other.name = "new name"
    window.settle()
    assert view.layers == (other,)
    window.widget.files.open(path)
    window.wait(lambda: view.layers == (cells,))
    assert panel.channels.kind == "one layer"
    sentence = "The session is open. Layer other is not there: the network sees cells."
    window.wait(lambda: window.status == sentence)


def test_class_names_of_a_session_stay_when_other_preferences_change(
    open_window: Any, tmp_path: Path
) -> None:
    window = open_window(STACK[0])
    window.settle()
    files, panel = window.widget.files, window.widget.prompts_tab.objects_panel
    files.class_names = ("nucleus", "cell")
    save(window, tmp_path / "named.json")
    files.class_names = ()
    open_session(window, tmp_path / "named.json")
    assert panel.class_names == ("nucleus", "cell")
    try:
        save_preferences(live_preview=False)
        window.wait(lambda: not window.annotator.is_live)
        assert panel.class_names == files.class_names == ("nucleus", "cell")
        save_preferences(class_names=("debris",))
        window.wait(lambda: panel.class_names == files.class_names == ("debris",))
    finally:
        save_preferences(live_preview=True, class_names=())


def test_what_is_drawn_is_saved_by_itself_also_when_the_window_is_closed(open_window: Any) -> None:
    window = open_window(STACK)
    window.settle()
    assert not sessions_dir().exists()
    window.click(1, 30, 40)
    window.settle()
    window.wait(lambda: list(sessions_dir().glob("*.json")))
    (path,) = sessions_dir().glob("*.json")
    window.click(1, 50, 60)
    window.settle()
    window.widget.close()
    window.qtbot.waitUntil(lambda: path.read_text().count('"point"') == 2, timeout=10_000)
    assert len(list(sessions_dir().glob("*.json"))) == 1
    again = open_window(STACK)
    again.settle()
    again.show_plane(1)
    open_session(again, path)
    assert again.layers.points.data.tolist() == [[1, 30, 40], [1, 50, 60]]
    # What is undone is the opening, as a whole.
    again.do("undo")
    again.settle()
    assert len(again.layers.points.data) == 0


def test_what_is_drawn_is_saved_by_itself_while_the_user_goes_on(
    open_window: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("napari_sam2_openvino._qt.session_files.AUTOSAVE_MS", 1000)
    window = open_window(STACK)
    window.settle()
    window.do("toggle_many")
    for number in range(40):
        window.click(1, 5 + number, 10 + number)
        window.qtbot.wait(100)
        if list(sessions_dir().glob("*.json")):
            break
    assert window.widget.files._saved is not None
    assert len(window.annotator.drawn) == number + 1 < 40


def test_where_nothing_can_be_saved_it_is_said_once_and_tried_again(open_window: Any) -> None:
    window = open_window(STACK)
    window.settle()
    sessions_dir().parent.mkdir(parents=True, exist_ok=True)
    sessions_dir().write_text("no folder")
    sentences: list[str] = []
    window.annotator.feedback.status_changed.connect(sentences.append)
    for x in (30, 40):
        window.click(1, 30, x)
        window.settle()
        window.wait(lambda: not window.widget.files._timer.isActive())
        window.qtbot.wait(200)
    (said,) = [each for each in sentences if "not saved by itself" in each]
    assert str(sessions_dir()) in said
    sessions_dir().unlink()
    window.click(1, 30, 50)
    window.settle()
    window.wait(lambda: sessions_dir().is_dir() and list(sessions_dir().glob("*.json")))


def test_prompts_come_from_a_table_and_from_any_layer(open_window: Any, tmp_path: Path) -> None:
    window = open_window(STACK)
    window.settle()
    table = tmp_path / "points.csv"
    table.write_text("x,y,z\n20,10,1\n40,30,1\n60,50,2\n")
    window.widget.prompts_tab.files_panel.import_table(table)
    window.wait(lambda: len(window.annotator.drawn) == 2)
    window.settle()
    assert sorted(
        each.prompts.marks[0].vertices[0] for each in window.session.answers.values()
    ) == [
        (20, 10),
        (40, 30),
    ]
    theirs = window.viewer.add_shapes(
        [np.array([[1, 5, 50], [1, 5, 70], [1, 20, 70], [1, 20, 50]])], name="theirs"
    )
    panel = window.widget.prompts_tab.files_panel
    panel._fill_menu()
    titles = [action.text() for action in panel.import_menu.actions()]
    assert titles == ["From a table …", "From layer theirs"]
    panel.import_layer(theirs)
    window.wait(lambda: len(window.annotator.drawn) == 3)
    assert theirs.nshapes == 1
    window.show_plane(2)
    window.wait(lambda: len(window.annotator.drawn) == 1)
    window.settle()
    window.do("undo")
    window.do("undo")
    window.settle()
    assert not window.annotator.drawn


def test_a_table_is_imported_where_it_was_asked_for(open_window: Any, tmp_path: Path) -> None:
    window = open_window(STACK, encode_seconds=0.5)
    window.show_plane(1)
    table = tmp_path / "points.csv"
    table.write_text("x,y\n20,10\n")
    # It is read once the encoder is done with what it does.
    window.widget.prompts_tab.files_panel.import_table(table)
    window.show_plane(2)
    window.wait(lambda: window.layers.points is not None)
    np.testing.assert_array_equal(window.layers.points.data, [[1, 10, 20]])
    window.settle()
    other = window.viewer.add_image(STACK, name="other")
    said: list[str] = []
    window.annotator.feedback.status_changed.connect(said.append)
    window.widget.prompts_tab.files_panel.import_table(table)
    window.annotator.set_image(other)
    window.wait(lambda: "cells was left meanwhile: choose it and import again." in said)
    assert window.layers.points is None


@pytest.mark.parametrize("moment", ["decoding", "scanning", "dragging", "importing", "hovering"])
def test_the_window_may_be_closed_in_the_middle_of_anything(
    open_window: Any, tmp_path: Path, moment: str
) -> None:
    window = open_window(STACK, decode_seconds=0.2)
    window.settle()
    mine = window.viewer.add_labels(np.zeros(STACK.shape, np.uint8), name="mine")
    window.click(1, 30, 40)
    if moment == "scanning":
        window.widget.choices.target_combo.value = mine
        window.settle()
        window.do("commit")
    elif moment == "dragging":
        window.layers.points.events.features()
    elif moment == "importing":
        table = tmp_path / "points.csv"
        table.write_text("x,y\n20,10\n")
        window.widget.prompts_tab.files_panel.import_table(table)
    elif moment == "hovering":
        window.do("toggle_hover")
    else:
        window.wait(lambda: window.session.is_busy)
    window.viewer.window.remove_dock_widget(window.widget)
    n_decoded = len(window.engine.decoded)
    window.qtbot.wait(400)
    assert window.annotator.is_closed
    assert not mine.data.any()
    assert len(window.engine.decoded) <= n_decoded + 1
    assert [each.name for each in window.viewer.layers] == ["cells", "mine", "cells points"]
    window.widget.deleteLater()
