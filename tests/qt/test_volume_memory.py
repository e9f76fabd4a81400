"""The tab "Volume" with a model that remembers: a micro SAM 2, converted with its memory graphs.

Its weights are random, so where an object is says nothing; that planes come from memory, one by
one, and that each verb does to them what it says, is what counts.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.qt.test_volume import BOX, HW, Volume
from tests.video_parity import convert_micro, make_planes

from napari_sam2_openvino import SAM2VideoPredictor, load_model
from napari_sam2_openvino._session.engines import Sam2Engine
from napari_sam2_openvino.core.volume_parameters import VolumeParameters

MICRO_CONFIG = Path(__file__).parent.parent / "conversion" / "micro.yaml"
SEED = 7


@pytest.fixture(scope="module")
def micro_folder(tmp_path_factory: Any) -> Path:
    """A model folder with memory graphs."""
    return convert_micro(tmp_path_factory.mktemp("memory"), MICRO_CONFIG, SEED)[1]


@pytest.fixture(scope="module")
def micro(micro_folder: Path, tmp_path_factory: Any) -> Any:
    """The engine of a window, loaded once."""
    patch = pytest.MonkeyPatch()
    patch.setenv("NAPARI_SAM2_HOME", str(tmp_path_factory.mktemp("home")))
    yield Sam2Engine(str(micro_folder))
    patch.undo()


@pytest.fixture
def open_volume(open_window: Any, micro: Any) -> Any:
    """Return a function that opens a stack with memory chosen."""

    def open_it(stack: Any) -> Volume:
        volume = Volume(open_window(stack, load_engine=lambda _name: micro))
        volume.tab.volume_form.entries["method"].value = "memory"
        volume.window.wait(lambda: volume.carrier.parameters.method == "memory")
        return volume

    return open_it


def by_predictor(folder: Path, stack: Any, known: dict[int, Any], *passes: Any) -> dict[int, Any]:
    """Return what the video predictor finds: masks by plane.

    Each pass is the plane that it begins at, and whether it goes backwards.
    """
    parameters = VolumeParameters(method="memory")
    predictor = SAM2VideoPredictor(load_model(folder, device="auto"), parameters)
    state = predictor.init_state(stack)
    for plane, mask in known.items():
        predictor.add_new_mask(state, plane, 1, mask)
    found = {}
    for begin, reverse in passes:
        for each in predictor.propagate_in_video(state, begin, reverse=reverse):
            found[each.frame_idx] = each.masks[0]
    return found


def test_planes_come_one_by_one_from_memory_and_all_of_them_go(
    open_volume: Any, micro_folder: Path
) -> None:
    stack = make_planes(0, HW, 10)
    volume = open_volume(stack)
    volume.box(3, *BOX)
    assert "by memory" in volume.tab.about_label.text()
    drawn = volume.window.answer
    volume.choose(until_it_ends=False)
    filled: list[int] = []
    volume.carrier.progressed.connect(
        lambda _: (
            filled.append(np.count_nonzero(volume.areas())) if volume.labels is not None else None
        )
    )
    volume.run()
    known = {3: volume.labels[3] == 1}
    assert np.count_nonzero(known[3]) == drawn.area
    expected = by_predictor(micro_folder, stack, known, (3, False), (2, True)) | known
    np.testing.assert_array_equal(volume.labels == 1, [expected[plane] for plane in range(10)])
    areas = volume.areas()
    # It comes back after a gap, which only memory can do.
    gap = areas.index(0)
    assert gap > 3
    assert any(areas[gap:])
    assert filled == sorted(filled)
    assert set(range(1, np.count_nonzero(areas) + 1)) <= set(filled)
    scores = volume.tab.strip.states.found
    assert all((scores[plane].score > 0.5) == (area > 0) for plane, area in enumerate(areas))
    volume.tab.take_back_button.click()
    volume.settle()
    assert not volume.labels.any()


def test_a_plane_is_corrected_and_what_follows_remembers_both(
    open_volume: Any, micro_folder: Path
) -> None:
    stack = make_planes(0, HW, 8)
    volume = open_volume(stack)
    volume.choose(until_it_ends=False)
    volume.box(2, *BOX)
    volume.run()
    before = volume.labels.copy()
    volume.box(4, 10, 10, 50, 50)
    volume.window.click(4, 60, 100)
    volume.window.settle()
    corrected = volume.window.answer
    volume.choose(direction="forward")
    volume.run()
    np.testing.assert_array_equal(volume.labels[:4], before[:4])
    assert volume.areas()[4] == corrected.area != np.count_nonzero(before[4])
    known = {plane: volume.labels[plane] == 1 for plane in (2, 4)}
    expected = by_predictor(micro_folder, stack, known, (5, False))
    np.testing.assert_array_equal(
        volume.labels[5:] == 1, [expected[plane] for plane in range(5, 8)]
    )
    assert not np.array_equal(volume.labels[5:], before[5:])
    volume.window.do("take_back_propagation")
    volume.settle()
    np.testing.assert_array_equal(volume.labels, before)
    volume.window.do("take_back_propagation")
    volume.settle()
    assert not volume.labels.any()


def test_it_is_stopped_goes_on_from_its_last_plane_and_is_taken_back(open_volume: Any) -> None:
    stack = np.repeat(make_planes(3, HW, 3)[:1], 60, axis=0)
    volume = open_volume(stack)
    volume.box(0, *BOX)
    volume.window.do("propagate")
    volume.window.wait(lambda: volume.labels is not None and volume.labels[3].any())
    volume.window.do("propagate")
    volume.settle()
    stopped = volume.labels.copy()
    n_done = np.count_nonzero(volume.areas())
    assert 4 <= n_done < 60
    volume.window.show_plane(n_done - 1)
    volume.window.settle()
    volume.choose(direction="forward")
    volume.tab.range_slider.setValue((0, n_done + 4))
    volume.run()
    assert [area > 0 for area in volume.areas()] == [plane < n_done + 5 for plane in range(60)]
    np.testing.assert_array_equal(volume.labels[:n_done], stopped[:n_done])
    volume.window.do("take_back_propagation")
    volume.settle()
    np.testing.assert_array_equal(volume.labels, stopped)
    volume.window.do("take_back_propagation")
    volume.settle()
    assert not volume.labels.any()
