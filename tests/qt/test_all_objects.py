"""The tab "All objects": search, sliders, planes, commit, in a real viewer."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.drawn_candidates import disc

from napari_sam2_openvino._session.engines import Sam2Engine
from napari_sam2_openvino.core.object_parameters import CandidateFilter

HW = (120, 160)
PLACES = ((30, 30, 20), (30, 90, 16), (80, 60, 12), (85, 120, 10))
DISCS = [disc(*place, HW) for place in PLACES]


def picture(*numbers: int) -> Any:
    """Return an image of some of the discs."""
    image = np.full(HW, 20, np.uint8)
    for number in numbers:
        image[DISCS[number]] = 200
    return image


class Search:
    """What a user does in the tab."""

    def __init__(self, window: Any) -> None:
        self.window = window
        self.tab = window.widget.all_objects_tab
        self.finder = window.widget.finder

    def run(self) -> None:
        self.window.wait(lambda: self.window.session.engine is not None)
        self.window.settle()
        self.tab.run_button.click()
        self.settle()

    def settle(self) -> None:
        self.window.qtbot.wait(60)
        self.window.wait(lambda: not self.finder.search.is_running and self.finder.is_settled)
        self.window.qtbot.wait(30)

    def enter(self, form: str, **values: Any) -> None:
        for name, value in values.items():
            getattr(self.tab, f"{form}_form").entries[name].value = value
        self.settle()

    @property
    def layer(self) -> Any:
        """The preview of what was found."""
        found = [each for each in self.window.viewer.layers if each.name == "cells found"]
        return found[0] if found else None

    def shown(self) -> Any:
        """What the preview shows, as a mask of the plane."""
        return np.squeeze(self.layer.data) > 0


@pytest.fixture
def search(open_window: Any) -> Search:
    return Search(open_window(picture(0, 1, 2, 3)))


def test_objects_are_found_shown_and_committed_as_one_step(search: Search) -> None:
    assert "Nothing was searched" in search.tab.count_label.text()
    assert not search.tab.commit_button.isEnabled()
    search.run()
    assert np.array_equal(search.shown(), DISCS[0] | DISCS[1])
    assert search.tab.commit_button.text() == "Commit 2 objects"
    search.enter("filter", pred_iou_thresh=0.1)
    assert search.finder.n_objects == 3
    assert "None was kept of a predicted IoU below 0.25" in search.tab.count_label.text()
    search.enter("filter", pred_iou_thresh=0.3)
    assert np.array_equal(search.shown(), DISCS[0] | DISCS[1] | DISCS[2])
    search.tab.commit_button.click()
    search.window.wait(lambda: search.window.labels is not None)
    search.settle()
    labels = search.window.labels
    assert [np.array_equal(labels.data == n + 1, DISCS[n]) for n in range(3)] == [True] * 3
    table = labels.features.set_index("index")
    assert table["area"].tolist() == [disc.sum() for disc in DISCS[:3]]
    assert table["iou_prediction"].tolist() == pytest.approx([0.9, 0.58, 0.32], abs=0.02)
    assert table["stability_score"].tolist() == [1.0] * 3
    assert table["solidity"].min() > 0.9
    # What is labelled already is shown no more, and undo brings all of it back.
    assert not search.shown().any()
    labels.undo()
    search.window.wait(lambda: search.shown().any())
    assert not labels.data.any()
    search.window.wait(lambda: len(labels.features) == 0)
    assert np.array_equal(search.shown(), DISCS[0] | DISCS[1] | DISCS[2])


def test_what_is_shown_goes_with_its_image_and_with_the_dock(search: Search) -> None:
    viewer = search.window.viewer
    search.run()
    shown = search.layer
    viewer.layers.remove("cells")
    search.window.wait(lambda: shown not in viewer.layers)
    viewer.add_image(picture(0, 1), name="cells")
    search.run()
    assert search.layer is not None
    search.window.widget.close()
    assert search.layer is None


def test_a_dock_that_is_closed_hears_of_layers_no_more(
    search: Search, open_widget: Callable[..., Any]
) -> None:
    removed = search.window.viewer.layers.events.removed

    def n_listening() -> int:
        return str(removed.callbacks).count("_on_layer_removed")

    before = n_listening()
    another = open_widget(search.window)
    another.settle()
    assert n_listening() > before
    another.widget.close()
    assert n_listening() == before


def test_existing_objects_are_kept(search: Search) -> None:
    viewer = search.window.viewer
    existing = np.zeros(HW, np.uint16)
    existing[DISCS[0] & (np.indices(HW)[0] > 20)] = 40
    existing[100:110, 5:15] = 41
    target = viewer.add_labels(existing.copy(), name="mine")
    search.window.widget.choices.target_combo.value = target
    search.run()
    # Too little of the first is left, and nothing of it is shown over what is there.
    assert np.array_equal(search.shown(), DISCS[1])
    assert "1 more are hidden" in search.tab.count_label.text()
    search.window.do("commit_found")
    search.window.wait(lambda: target.data.max() > 41)
    assert np.array_equal(target.data[existing > 0], existing[existing > 0])
    assert np.array_equal(target.data == 42, DISCS[1])


def test_each_plane_keeps_what_was_found_on_it(open_window: Any) -> None:
    search = Search(open_window(np.stack([picture(0, 1), picture(2, 3), picture(1, 2)])))
    window = search.window
    window.show_plane(0)
    search.run()
    first = search.shown()
    assert np.array_equal(first, DISCS[0] | DISCS[1])
    window.show_plane(1)
    window.settle()
    assert search.layer.data.size == 1
    assert "Nothing was searched" in search.tab.count_label.text()
    search.run()
    assert np.array_equal(search.shown(), DISCS[2] | DISCS[3])
    assert search.layer.data_to_world((0, 0, 0))[0] == 1
    n_encodes = window.engine.n_encodes
    window.show_plane(0)
    window.wait(lambda: search.layer.data.size > 1 and np.array_equal(search.shown(), first))
    assert search.layer.data_to_world((0, 0, 0))[0] == 0
    assert window.engine.n_encodes == n_encodes
    search.enter("filter", min_area=1000)
    assert np.array_equal(search.shown(), DISCS[0])


def test_a_search_can_be_stopped_and_prompts_are_answered_meanwhile(open_window: Any) -> None:
    search = Search(open_window(picture(0, 1, 2, 3), decode_seconds=0.05))
    window = search.window
    window.wait(lambda: window.session.engine is not None)
    window.settle()
    search.enter("generator", points_per_side=300)
    window.do("find_objects")
    assert window.widget.tabs.currentWidget() is search.tab
    window.wait(lambda: search.tab.progress_bar.value() > 3)
    assert "left" in search.tab.progress_label.text()
    assert search.tab.run_button.text() == "Stop"
    window.click(60, 80)
    window.wait(lambda: window.answer is not None)
    assert search.finder.search.is_running
    search.tab.run_button.click()
    assert not search.finder.search.is_running
    assert search.tab.run_button.text() == "Find all objects"
    window.settle()
    assert search.layer is None
    search.enter("generator", points_per_side=2)
    search.run()
    assert search.shown().any()


def test_another_model_ends_the_search_and_begins_with_nothing(open_window: Any) -> None:
    search = Search(open_window(picture(0, 1, 2, 3), decode_seconds=0.05))
    window = search.window
    search.enter("generator", points_per_side=2)
    search.run()
    assert search.shown().any()
    search.enter("generator", points_per_side=300)
    window.do("find_objects")
    window.wait(lambda: search.tab.progress_bar.value() > 0)
    window.session.set_model("another")
    window.wait(lambda: window.session.engine is not None)
    assert not search.finder.search.is_running
    window.settle()
    assert search.finder.n_objects == 0
    assert search.layer.data.size == 1
    window.session.set_model("starter")
    window.wait(lambda: search.finder.n_objects == 2)


def test_the_preview_is_no_target_and_comes_back_when_it_is_removed(search: Search) -> None:
    search.run()
    names = [each for each, _ in search.window.widget.choices._find_targets(None)]
    assert names == ["new layer"]
    search.window.viewer.layers.remove(search.layer)
    search.window.qtbot.wait(50)
    search.enter("filter", pred_iou_thresh=0.3)
    assert search.shown().any()


def test_what_was_found_is_remembered_on_disk_if_asked(open_window: Any) -> None:
    image = picture(0, 1)
    first = Search(open_window(image))
    first.run()
    second = Search(open_window(image))
    second.tab.remember_box.setChecked(True)
    second.window.settle()
    # Nobody had asked the first one.
    assert second.layer is None
    second.run()
    n_encodes = second.window.engine.n_encodes
    assert n_encodes >= 1
    third = Search(open_window(image))
    third.tab.remember_box.setChecked(True)
    third.window.wait(lambda: third.layer is not None and third.shown().any())
    assert np.array_equal(third.shown(), DISCS[0] | DISCS[1])


def test_values_go_back_to_what_the_model_recommends(search: Search) -> None:
    search.run()
    assert search.tab.filter_form.value == CandidateFilter(0.5, 0.5)
    search.enter("filter", pred_iou_thresh=0.95)
    assert search.finder.n_objects == 0
    search.tab.reset_button.click()
    search.settle()
    assert search.finder.n_objects == 2
    assert search.tab.filter_form.value == CandidateFilter(0.5, 0.5)


def test_without_an_image_a_sentence_says_so(open_window: Any) -> None:
    window = open_window()
    window.do("find_objects")
    assert not window.widget.finder.search.is_running
    window.do("commit_found")
    assert "find some first" in window.status


def test_the_starter_finds_discs(open_window: Any) -> None:
    from scipy.ndimage import gaussian_filter

    hw = (160, 160)
    places = ((35, 35, 18), (40, 118, 20), (120, 42, 20), (118, 120, 18))
    discs = [disc(*place, hw) for place in places]
    image = gaussian_filter(20.0 + 180 * np.any(discs, axis=0), 1).astype(np.uint8)
    search = Search(open_window(image, load_engine=Sam2Engine))
    search.window.wait(lambda: search.window.session.engine is not None)
    search.enter("generator", points_per_side=12)
    search.enter(
        "filter",
        pred_iou_thresh=0.3,
        stability_score_thresh=0.5,
        max_overlap=0.2,
        remove_background=True,
    )
    search.run()
    search.tab.commit_button.click()
    search.window.wait(lambda: search.window.labels is not None)
    labels = search.window.labels.data
    iou = [
        max(
            (mask & own).sum() / (mask | own).sum()
            for own in (labels == number for number in range(1, labels.max() + 1))
        )
        for mask in discs
    ]
    assert np.count_nonzero(np.array(iou) > 0.75) >= 3
