"""The tab "Volume": objects through a stack with the real starter, in a real viewer."""

from threading import Event
from typing import Any

import numpy as np
import pytest
import zarr
from qtpy.QtCore import QPoint, Qt
from tests.disc_engine import DiscEngine

from napari_sam2_openvino._layers import plane_writing
from napari_sam2_openvino._qt import carry_sources
from napari_sam2_openvino._qt.plane_strip import OBJECTS_COLOR, PROMPTS_COLOR
from napari_sam2_openvino._qt.score_strip import (
    ODD_COLOR,
    PlaneFinding,
    ScoreStates,
    ScoreStrip,
)

HW = (96, 128)
CENTRE = (50, 62)
RADII = (0, 14, 16, 18, 16, 14, 0, 0)


def discs(radii: Any, *, centre: tuple[int, int] = CENTRE, hw: tuple[int, int] = HW) -> Any:
    """Return planes with a bright disc of each radius; 0 for none."""
    rows, columns = np.mgrid[: hw[0], : hw[1]]
    distance = np.hypot(rows - centre[0], columns - centre[1])
    noise = np.random.default_rng(0).normal(0, 4, (len(radii), *hw))
    planes = np.stack([np.where(distance < radius, 180, 40) for radius in radii])
    return np.clip(planes + noise, 0, 255).astype(np.uint8)


class Volume:
    """What a user does in the tab."""

    def __init__(self, window: Any) -> None:
        self.window = window
        self.tab = window.widget.volume_tab
        self.carrier = window.widget.carrier
        window.wait(lambda: window.session.engine is not None)
        window.settle()

    @property
    def labels(self) -> Any:
        return self.window.labels.data

    def box(self, plane: int, *corners: float) -> None:
        """Draw a box on a plane."""
        self.window.show_plane(plane)
        self.window.settle()
        self.window.draw_box(*corners, plane)
        self.window.settle()

    def choose(self, **values: Any) -> None:
        """Choose in the upper form."""
        for name, value in values.items():
            self.tab.scope_form.entries[name].value = value
        self.window.wait(
            lambda: all(getattr(self.carrier.scope, key) == each for key, each in values.items())
        )

    def run(self) -> None:
        self.tab.run_button.click()
        self.settle()

    def settle(self) -> None:
        self.window.wait(lambda: not self.carrier.is_running)
        self.window.settle()

    def areas(self, label: int = 1) -> list[int]:
        axes = tuple(range(1, self.labels.ndim))
        return np.count_nonzero(self.labels == label, axis=axes).tolist()


@pytest.fixture
def volume(open_window: Any, starter: Any) -> Volume:
    return Volume(open_window(discs(RADII), load_engine=lambda _name: starter))


BOX = (30, 40, 70, 84)


def test_an_object_goes_through_the_stack_and_back(volume: Volume) -> None:
    volume.box(3, *BOX)
    drawn = volume.window.answer.area
    volume.window.widget.objects.set_class([1], "nucleus")
    volume.run()
    areas = volume.areas()
    assert [area > 0 for area in areas] == [radius > 0 for radius in RADII]
    assert areas[3] == drawn
    assert "One object is on 5 planes" in volume.window.status
    assert volume.tab.strip.states.found[3].is_known
    assert not volume.tab.strip.states.found[6].area
    row = volume.window.table()[1]
    assert (row.area, row.class_name) == (drawn, "nucleus")
    volume.tab.take_back_button.click()
    volume.settle()
    assert not volume.labels.any()
    assert not volume.carrier.can_take_back
    assert not volume.tab.strip.states.found
    volume.window.wait(lambda: not volume.window.table())


def test_only_pixels_that_are_still_its_own_are_taken_back(volume: Volume) -> None:
    volume.box(3, *BOX)
    volume.run()
    volume.window.labels.data_setitem((np.array([4, 4]), np.array([50, 51]), np.array([62, 62])), 9)
    volume.window.do("take_back_propagation")
    volume.settle()
    assert np.count_nonzero(volume.labels) == 2
    assert volume.areas(9)[4] == 2


def test_existing_objects_are_kept(open_window: Any, starter: Any) -> None:
    volume = Volume(open_window(discs(RADII), load_engine=lambda _name: starter))
    existing = np.zeros((len(RADII), *HW), np.uint16)
    existing[:, :50] = 40
    target = volume.window.viewer.add_labels(existing.copy(), name="mine")
    volume.window.widget.choices.target_combo.value = target
    volume.box(3, *BOX)
    volume.run()
    assert np.array_equal(target.data == 40, existing == 40)
    assert [area > 0 for area in volume.areas(41)] == [radius > 0 for radius in RADII]
    # Its prompts have the number that it has in the layer.
    assert list(volume.window.annotator.drawn) == [41]
    volume.window.do("take_back_propagation")
    volume.settle()
    assert np.array_equal(target.data, existing)


def test_a_correction_is_carried_on_and_what_lies_behind_stays(volume: Volume) -> None:
    volume.box(3, *BOX)
    volume.run()
    before = volume.labels.copy()
    volume.box(4, 44, 52, 56, 72)
    assert list(volume.window.annotator.drawn) == [1]
    volume.choose(direction="forward")
    volume.run()
    assert np.array_equal(volume.labels[:4], before[:4])
    corrected = volume.window.answer.area
    assert volume.areas()[4] == corrected != np.count_nonzero(before[4])
    assert volume.tab.strip.states.found[4].is_known
    assert not np.array_equal(volume.labels[5], before[5])
    volume.window.do("take_back_propagation")
    volume.settle()
    assert np.array_equal(volume.labels, before)
    volume.window.do("take_back_propagation")
    volume.settle()
    assert not volume.labels.any()


def test_from_a_plane_without_prompts_it_goes_on_from_what_is_labelled(volume: Volume) -> None:
    volume.box(3, *BOX)
    volume.tab.range_slider.setValue((2, 4))
    volume.run()
    assert [area > 0 for area in volume.areas()] == [2 <= plane <= 4 for plane in range(8)]
    volume.window.show_plane(4)
    volume.window.settle()
    volume.tab.range_slider.setValue((0, 7))
    volume.choose(direction="forward")
    volume.run()
    assert [area > 0 for area in volume.areas()] == [2 <= plane <= 5 for plane in range(8)]


def carried_before(open_window: Any, starter: Any) -> tuple[Volume, Any]:
    """Return a window with what an earlier one has carried, the object in hand on plane 3."""
    earlier = np.stack([discs_at(radius) for radius in RADII]).astype(np.uint16) * 5
    # It was wider there, and on a plane beyond its end.
    earlier[4, 40:44, 20:110] = 5
    earlier[6, 48:53, 60:65] = 5
    volume = Volume(open_window(discs(RADII), load_engine=lambda _name: starter))
    target = volume.window.viewer.add_labels(earlier.copy(), name="earlier")
    volume.window.widget.choices.target_combo.value = target
    volume.window.show_plane(3)
    volume.window.settle()
    volume.choose(objects="all of this plane")
    return volume, earlier


def discs_at(radius: int) -> Any:
    return np.hypot(*(np.indices(HW) - np.reshape(CENTRE, (2, 1, 1)))) < radius


def test_what_another_window_has_carried_stays_unless_it_is_to_be_replaced(
    open_window: Any, starter: Any
) -> None:
    volume, earlier = carried_before(open_window, starter)
    volume.run()
    added = volume.labels == 5
    assert added[earlier == 5].all()
    assert "older pixels of theirs stayed" in volume.window.status
    volume.window.do("take_back_propagation")
    volume.settle()
    np.testing.assert_array_equal(volume.labels, earlier)

    volume.choose(replace=True)
    volume.run()
    assert "older pixels" not in volume.window.status
    assert not volume.labels[4, 40:44, 100:].any()
    assert [area > 0 for area in volume.areas(5)] == [radius > 0 for radius in RADII]
    np.testing.assert_array_equal(volume.labels[3], earlier[3])
    volume.window.do("take_back_propagation")
    volume.settle()
    np.testing.assert_array_equal(volume.labels, earlier)


def test_a_propagation_is_stopped_and_what_is_there_stays(open_window: Any, starter: Any) -> None:
    stack = discs((16,) * 60)
    volume = Volume(open_window(stack, load_engine=lambda _name: starter))
    volume.box(0, *BOX)
    volume.window.do("propagate")
    assert volume.window.widget.tabs.currentWidget() is volume.tab
    assert volume.tab.run_button.text() == "Stop"
    volume.window.wait(lambda: volume.labels is not None and volume.labels[3].any())
    # A click in the meantime is answered.
    volume.window.do("next_object")
    volume.window.click(0, 20, 20)
    volume.window.wait(lambda: volume.window.answer is not None)
    said: list[str] = []
    volume.window.annotator.feedback.status_changed.connect(said.append)
    volume.window.do("propagate")
    volume.settle()
    assert any("Stopped: what is on" in each for each in said)
    areas = volume.areas()
    n_done = np.count_nonzero(areas)
    assert 4 <= n_done < 60
    assert all(areas[:n_done])
    volume.window.do("take_back_propagation")
    volume.settle()
    assert not volume.labels.any()


@pytest.fixture
def hold(monkeypatch: Any) -> Any:
    """Return a function that makes another one wait: it gives when that has begun, and a go."""
    gates: list[Event] = []

    def hold_it(module: Any, name: str) -> tuple[Event, Event]:
        real, begun, go = getattr(module, name), Event(), Event()
        gates.append(go)

        def held(*arguments: Any, **options: Any) -> Any:
            begun.set()
            go.wait(30)
            return real(*arguments, **options)

        monkeypatch.setattr(module, name, held)
        return begun, go

    yield hold_it
    for each in gates:
        each.set()


def test_what_is_being_written_when_it_is_stopped_is_told_of_and_listed(
    volume: Volume, hold: Any
) -> None:
    window = volume.window
    volume.box(3, *BOX)
    begun, go = hold(plane_writing, "write_objects")
    volume.carrier.run()
    window.wait(begun.is_set)
    said: list[str] = []
    window.annotator.feedback.status_changed.connect(said.append)
    volume.carrier.cancel()
    assert said[-1] == "Stopped: what is on one plane stays."
    go.set()
    window.wait(window.labels.data.any)
    window.wait(lambda: 1 in window.table())
    assert np.count_nonzero(volume.areas()) == 1
    assert window.table()[1].area == sum(volume.areas())


def test_an_object_that_is_committed_while_the_target_is_read_keeps_its_label(
    volume: Volume, hold: Any
) -> None:
    window = volume.window
    existing = np.zeros((len(RADII), *HW), np.uint16)
    existing[0, :5, :5] = 1
    target = window.viewer.add_labels(existing, name="mine")
    window.widget.choices.target_combo.value = target
    volume.box(3, *BOX)
    begun, go = hold(carry_sources, "largest_label")
    volume.carrier.run()
    window.wait(begun.is_set)
    window.do("commit")
    window.wait(target.data[3].any)
    go.set()
    volume.settle()
    assert set(np.unique(target.data).tolist()) == {0, 1, 2}
    assert [area > 0 for area in volume.areas(2)] == [radius > 0 for radius in RADII]


def test_every_object_of_a_plane(volume: Volume) -> None:
    existing = np.zeros((len(RADII), *HW), np.uint16)
    existing[3] = np.hypot(*(np.indices(HW) - np.reshape(CENTRE, (2, 1, 1)))) < 18
    existing[3] *= 7
    # Another object that has the same number by chance.
    existing[6, :9, :9] = 7
    target = volume.window.viewer.add_labels(existing.copy(), name="mine")
    volume.window.widget.choices.target_combo.value = target
    volume.window.show_plane(3)
    volume.window.settle()
    volume.choose(objects="all of this plane")
    volume.run()
    assert [area > 0 for area in volume.areas(7)] == [False, *(True,) * 6, False]
    assert volume.areas(7)[6] == 81
    assert np.array_equal(target.data[3], existing[3])


def test_what_a_search_has_found_goes_through_the_stack(volume: Volume) -> None:
    volume.window.show_plane(3)
    volume.window.settle()
    finder = volume.window.widget.finder
    volume.choose(objects="all found on this plane")
    volume.run()
    assert "find all objects first" in volume.window.status
    tab = volume.window.widget.all_objects_tab
    tab.generator_form.entries["points_per_side"].value = 6
    tab.filter_form.entries["remove_background"].value = True
    volume.window.qtbot.wait(150)
    volume.window.do("find_objects")
    volume.window.wait(lambda: finder.sifted is not None and finder.is_settled)
    assert finder.n_objects
    volume.window.do("propagate")
    volume.settle()
    label = int(volume.labels[3, CENTRE[0], CENTRE[1]])
    assert [area > 0 for area in volume.areas(label)][2:5] == [True] * 3
    assert not volume.labels[7].any()


@pytest.mark.parametrize("what", ["image", "target", "model", "pixels", "removed target"])
def test_a_change_in_the_middle_ends_it_and_what_is_written_stays(
    open_window: Any, starter: Any, what: str
) -> None:
    engines = {"starter": starter}
    volume = Volume(
        open_window(
            discs((16,) * 60), load_engine=lambda name: engines.get(name) or DiscEngine(name)
        )
    )
    window = volume.window
    volume.box(0, *BOX)
    other = window.viewer.add_image(discs((10,) * 60), name="other")
    empty = window.viewer.add_labels(np.zeros((60, *HW), np.uint8), name="empty")
    window.settle()
    window.do("propagate")
    window.wait(lambda: window.labels is not None and window.labels.data[2].any())
    written = window.labels
    if what == "image":
        window.annotator.set_image(other)
    elif what == "target":
        window.annotator.set_target(empty)
    elif what == "model":
        window.session.set_model("another")
    elif what == "pixels":
        window.viewer.layers["cells"].data = discs((12,) * 60)
    else:
        window.viewer.layers.remove(written)
    assert not volume.carrier.is_running
    volume.settle()
    areas = written.data.any(axis=(1, 2))
    assert areas[2]
    assert not areas[-1]
    window.qtbot.wait(200)
    assert np.array_equal(written.data.any(axis=(1, 2)), areas)
    assert not empty.data.any()


def test_other_axes_stay_where_they_are(open_window: Any, starter: Any) -> None:
    image = np.stack([discs(RADII), discs((0,) * len(RADII))])
    volume = Volume(open_window(image, load_engine=lambda _name: starter))
    volume.window.viewer.dims.set_current_step(0, 0)
    volume.window.show_plane(2, axis=1)
    volume.window.show_plane(3, axis=1)
    volume.window.settle()
    volume.window.draw_box(*BOX, 0, 3)
    volume.window.settle()
    assert "8 planes" in volume.tab.about_label.text()
    volume.run()
    found = np.count_nonzero(volume.labels, axis=(2, 3)) > 0
    assert found[0].tolist() == [radius > 0 for radius in RADII]
    assert not found[1].any()
    # Along the other axis there are two planes, and nothing was carried there.
    volume.window.show_plane(1, axis=0)
    volume.window.settle()
    assert "2 planes" in volume.tab.about_label.text()
    assert not volume.tab.strip.states.found


def test_planes_of_another_direction(open_window: Any, starter: Any) -> None:
    image = np.ascontiguousarray(np.moveaxis(discs(RADII), 0, 2))
    volume = Volume(open_window(image, load_engine=lambda _name: starter))
    volume.window.viewer.dims.order = (2, 1, 0)
    volume.window.show_plane(3, axis=2)
    volume.window.settle()
    assert volume.window.annotator.plane.transposed
    corners = [(BOX[0], BOX[1]), (BOX[0], BOX[3]), (BOX[2], BOX[3]), (BOX[2], BOX[1])]
    volume.window.do("draw_box")
    volume.window.layers.shapes.add_rectangles([[y, x, 3] for y, x in corners])
    volume.window.settle()
    volume.run()
    areas = np.count_nonzero(volume.labels == 1, axis=(0, 1))
    assert [area > 0 for area in areas] == [radius > 0 for radius in RADII]
    assert volume.labels[(*CENTRE, 4)] == 1
    volume.window.do("take_back_propagation")
    volume.settle()
    assert not volume.labels.any()


@pytest.mark.parametrize("chunks", [(1, 32, 32), (4, 32, 32)])
def test_a_target_on_disk(open_window: Any, starter: Any, tmp_path: Any, chunks: Any) -> None:
    volume = Volume(open_window(discs(RADII), load_engine=lambda _name: starter))
    store = zarr.create_array(
        store=str(tmp_path / "labels.zarr"), shape=(8, *HW), chunks=chunks, dtype="uint16"
    )
    target = volume.window.viewer.add_labels(store, name="on disk")
    volume.window.widget.choices.target_combo.value = target
    volume.box(3, *BOX)
    volume.run()
    assert [bool(each.any()) for each in store[:]] == [radius > 0 for radius in RADII]
    # What is in view is what is there.
    shown = np.asarray(target.get_value((3, *CENTRE)))
    assert shown == store[(3, *CENTRE)] == 1
    volume.window.do("take_back_propagation")
    volume.settle()
    assert not store[:].any()


def test_a_stack_of_one_plane_and_an_image_without_planes(open_window: Any, starter: Any) -> None:
    volume = Volume(open_window(discs((18,)), load_engine=lambda _name: starter))
    volume.box(0, *BOX)
    volume.run()
    assert volume.areas() == [volume.window.answer.area]
    flat = Volume(open_window(discs((18,))[0], load_engine=lambda _name: starter))
    flat.window.do("propagate")
    assert "has none" in flat.window.status
    assert not flat.carrier.is_running


def test_prompts_on_the_last_plane_and_empty_planes(open_window: Any, starter: Any) -> None:
    volume = Volume(open_window(discs((0, 0, 0, 16, 18)), load_engine=lambda _name: starter))
    volume.box(4, *BOX)
    volume.run()
    assert [area > 0 for area in volume.areas()] == [False, False, False, True, True]


def test_what_cannot_be_done_is_said(volume: Volume) -> None:
    window = volume.window
    window.do("take_back_propagation")
    assert "no propagation" in window.status
    window.show_plane(3)
    window.settle()
    volume.run()
    assert "draw one first" in window.status
    volume.box(3, *BOX)
    assert "by projection" in volume.tab.about_label.text()
    volume.tab.volume_form.entries["method"].value = "memory"
    window.wait(lambda: volume.carrier.parameters.method == "memory")
    volume.run()
    assert "has no memory" in window.status
    assert window.labels is None


def test_the_current_object_alone_wherever_it_has_prompts(volume: Volume) -> None:
    volume.box(3, *BOX)
    volume.window.do("next_object")
    volume.box(4, 60, 95, 90, 125)
    volume.window.annotator.drafting.select(1)
    volume.window.settle()
    volume.choose(objects="current object")
    volume.run()
    assert [area > 0 for area in volume.areas(1)] == [radius > 0 for radius in RADII]
    assert set(np.unique(volume.labels)) == {0, 1}


def test_labels_that_were_replaced_are_not_taken_back(volume: Volume) -> None:
    volume.box(3, *BOX)
    volume.run()
    assert volume.carrier.can_take_back
    volume.window.labels.data = volume.labels.copy()
    assert not volume.carrier.can_take_back
    volume.window.do("take_back_propagation")
    assert volume.areas()[3] > 0


def test_the_strip_says_where_to_look() -> None:
    areas = [0, 50, 60, 0, 62, 61, 20, 61, 60, 10]
    found = {plane: PlaneFinding(area, 0.9) for plane, area in enumerate(areas)}
    states = ScoreStates(len(areas), 0, found)
    assert [plane for plane in found if states.is_odd(plane)] == [3, 6, 9]
    known = {**found, 6: PlaneFinding(20, 0.9, is_known=True)}
    assert not ScoreStates(len(areas), 0, known).is_odd(6)


def test_the_strip_is_painted_and_a_click_goes_to_a_plane(qtbot: Any) -> None:
    strip = ScoreStrip()
    qtbot.addWidget(strip)
    strip.resize(308, 64)
    strip.show()
    qtbot.waitExposed(strip)
    found = {plane: PlaneFinding(area, 0.9) for plane, area in enumerate([40, 42, 90, 41, 0])}
    strip.set_states(ScoreStates(10, 3, {**found, 0: PlaneFinding(40, 0.9, is_known=True)}))
    image = strip.grab().toImage()
    colors = {
        (
            image.pixelColor(x, y).red(),
            image.pixelColor(x, y).green(),
            image.pixelColor(x, y).blue(),
        )
        for x in range(308)
        for y in range(64)
    }
    for color in (OBJECTS_COLOR, ODD_COLOR, PROMPTS_COLOR):
        assert (color.red(), color.green(), color.blue()) in colors
    clicked: list[int] = []
    strip.plane_clicked.connect(clicked.append)
    qtbot.mousePress(strip, Qt.MouseButton.LeftButton, pos=QPoint(4 + 75, 30))
    assert clicked == [2]
    assert "look at it" in strip.describe(2)
    strip.set_states(ScoreStates(5000, 0, {plane: PlaneFinding(9, 0.5) for plane in range(5000)}))
    strip.grab()
