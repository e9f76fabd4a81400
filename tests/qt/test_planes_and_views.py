"""Planes of a stack, what the network sees, and images of every shape, in a real viewer."""

from typing import Any

import numpy as np
import pytest

from napari_sam2_openvino._layers.planes import affine_matrix
from napari_sam2_openvino._qt.image_panel import ChannelChoice
from napari_sam2_openvino._session.jobs import State
from napari_sam2_openvino.core.parameters import Normalization

RNG = np.random.default_rng(5)
STACK = RNG.integers(0, 4000, (5, 60, 80)).astype(np.uint16)


def test_the_strip_tells_of_planes_and_a_jump_back_costs_nothing(open_window: Any) -> None:
    window = open_window(STACK)
    window.settle()
    for plane in (1, 3):
        window.show_plane(plane)
        window.settle()
        window.click(plane, 30, 40)
        window.settle()
    window.do("commit")
    window.settle()
    states = window.widget.overview.states()
    assert (states.n_planes, states.current) == (5, 3)
    assert (states.with_prompts, states.with_objects) == ({1}, {3})
    assert states.ready == {1, 2, 3}
    assert window.widget.prompts_tab.strip.isVisibleTo(window.widget)
    counts = window.engine.n_encodes, len(window.engine.decoded)
    window.do("previous_plane")
    window.settle()
    assert window.annotator.plane.index[0] == 1
    assert window.answer.mask.mask.sum() == 81
    assert window.preview.data.any()
    window.do("next_plane")
    window.settle()
    assert window.annotator.plane.index[0] == 3
    assert counts == (window.engine.n_encodes, len(window.engine.decoded))
    window.widget.prompts_tab.strip.plane_clicked.emit(4)
    window.settle()
    assert window.viewer.dims.current_step[0] == 4
    assert [each.obj_id for each in window.widget.objects.rows()] == []


def test_planes_are_encoded_ahead_and_a_click_comes_first(open_window: Any) -> None:
    window = open_window(STACK, ahead=True, encode_seconds=0.4)
    window.wait(lambda: window.session.state is State.ENCODING_AHEAD)
    assert window.status.startswith("Ready")
    assert not window.widget.progress_bar.isVisibleTo(window.widget)
    n_cancelled = window.engine.n_cancelled
    window.click(2, 30, 40)
    window.wait(lambda: window.answer is not None)
    assert window.engine.n_cancelled <= n_cancelled + 1
    window.wait(lambda: window.widget.overview.states().ready == frozenset(range(5)))
    n_encodes = window.engine.n_encodes
    for plane in range(5):
        window.show_plane(plane)
        window.settle()
    assert window.engine.n_encodes == n_encodes


def test_two_layers_or_an_axis_are_channels(open_window: Any) -> None:
    window = open_window(STACK[:2])
    second = window.viewer.add_image(STACK[2:4], name="second")
    window.settle()
    cells, panel = window.viewer.layers["cells"], window.widget.prompts_tab.image_panel
    panel.channels_changed.emit(ChannelChoice("layers", layers=(cells, second, None)))
    window.settle()
    assert window.annotator.view.layers == (cells, second)
    assert window.session.state is State.READY
    panel.channels_changed.emit(ChannelChoice("axis", axis=0, indices=(1, 0, None)))
    window.settle()
    assert window.annotator.view.view.indices == (1, 0)
    window.do("show_input")
    window.wait(lambda: len(window.viewer.layers) == 3)
    seen = window.viewer.layers[-1].data.reshape(60, 80, 3)
    assert seen[..., 0].std() > 0
    assert (seen[..., 0] != seen[..., 1]).any()
    panel.channels_changed.emit(ChannelChoice())
    window.settle()
    n_encodes = window.engine.n_encodes
    panel.channels_changed.emit(ChannelChoice("layers", layers=(cells, second, None)))
    window.viewer.layers.remove(second)
    window.settle()
    assert window.annotator.view.layers == (cells,)
    assert window.engine.n_encodes <= n_encodes + 2


def test_another_image_is_seen_whole_and_the_panel_says_so(open_window: Any) -> None:
    window = open_window(STACK)
    cells = window.viewer.layers["cells"]
    other = window.viewer.add_image(STACK[:2], name="other")
    window.annotator.set_image(cells)
    window.settle()
    panel, view = window.widget.prompts_tab.image_panel, window.annotator.view

    panel.kind_combo.value = "axis"
    panel.index_combos[0].value = 0
    panel.index_combos[1].value = 2
    panel.grey_box.setChecked(True)
    window.settle()
    assert (view.view.axis, view.view.indices, view.view.as_grey) == (0, (0, 2), True)
    window.widget.choices.image_combo.value = other
    window.settle()
    assert panel.channels == ChannelChoice()
    panel.kind_combo.value = "axis"
    assert panel.index_combos[0].choices == (None, 0, 1)
    window.widget.choices.image_combo.value = cells
    window.settle()
    assert (view.view.axis, view.view.indices, view.view.as_grey) == (0, (0, 2), True)
    chosen = ChannelChoice("axis", axis=0, indices=(0, 2, None), as_grey=True)
    assert panel.channels == chosen
    panel.index_combos[1].value = 1
    window.settle()
    assert (view.view.indices, view.view.as_grey) == ((0, 1), True)


def test_grey_stays_with_the_image_that_it_was_chosen_for(open_window: Any) -> None:
    window = open_window(STACK)
    window.settle()
    panel = window.widget.prompts_tab.image_panel
    panel.kind_combo.value = "axis"
    panel.index_combos[0].value = 0
    panel.grey_box.setChecked(True)
    window.settle()
    colours = np.zeros((60, 80, 3), np.uint8)
    colours[..., 0] = 255
    window.widget.choices.image_combo.value = window.viewer.add_image(colours, name="colours")
    window.settle()
    assert not window.annotator.view.view.as_grey
    window.do("show_input")
    window.wait(lambda: "colours as the network sees it" in window.viewer.layers)
    seen = window.viewer.layers["colours as the network sees it"].data
    np.testing.assert_array_equal(seen, colours)


def test_pixels_that_are_replaced_meanwhile_are_seen_when_the_image_is_chosen_again(
    open_window: Any,
) -> None:
    window = open_window(np.full((60, 80), 10, np.uint8))
    cells = window.viewer.layers["cells"]
    other = window.viewer.add_image(STACK[0], name="other")
    combo = window.widget.choices.image_combo
    combo.value = cells
    window.click(30, 40)
    window.settle()
    assert window.answer.prediction.object_score == 10
    combo.value = other
    window.settle()
    n_encodes = window.engine.n_encodes
    cells.data = np.full((60, 80), 200, np.uint8)
    window.settle()
    # Of no concern to the image in use.
    assert window.engine.n_encodes == n_encodes
    combo.value = cells
    window.settle()
    assert window.answer.prediction.object_score == 200


def test_the_plane_that_was_asked_for_is_shown_where_it_lies(open_window: Any) -> None:
    stack = np.stack([np.full((60, 80), 20 * number, np.uint8) for number in range(6)])
    window = open_window(stack, encode_seconds=0.5)
    window.show_plane(2)
    window.wait_for_encode()
    window.wait(lambda: window.annotator.plane.index[0] == 2)
    window.do("show_input")
    window.show_plane(5)
    window.wait(lambda: "cells as the network sees it" in window.viewer.layers)
    seen = window.viewer.layers["cells as the network sees it"]
    assert (seen.data_to_world((0,) * 3)[0], seen.data.max()) == (2, 40)


def test_axes_of_channels_are_those_that_are_not_in_view(open_window: Any) -> None:
    window = open_window(STACK[:, :20, :24])
    window.settle()
    panel, dims = window.widget.prompts_tab.image_panel, window.viewer.dims
    panel.kind_combo.value = "axis"
    panel.index_combos[0].value = 2
    window.settle()
    assert panel.axis_combo.choices == (0,)
    dims.order = (1, 0, 2)
    window.settle()
    # What is in use stays, with a sentence that says what is wrong.
    assert panel.axis_combo.choices == (0, 1)
    assert panel.channels.axis == window.annotator.view.view.axis == 0
    panel.axis_combo.value = 1
    window.settle()
    assert panel.axis_combo.choices == (1,)
    dims.order = (2, 1, 0)
    window.settle()
    assert panel.axis_combo.choices == (1, 2)


def test_the_strip_leaves_out_planes_of_a_target_of_other_axes(open_window: Any) -> None:
    window = open_window(STACK[0])
    window.settle()
    window.click(30, 40)
    window.settle()
    window.do("commit")
    window.settle()
    flat = window.labels
    stack = window.viewer.add_image(STACK, name="stack")
    window.widget.choices.image_combo.value = stack
    window.settle()
    window.widget.choices.target_combo.value = flat
    for plane in (1, 3):
        window.show_plane(plane)
        window.settle()
    states = window.widget.overview.states()
    assert (states.n_planes, states.current, states.with_objects) == (5, 3, set())


def test_the_strip_leaves_out_prompts_of_another_direction(open_window: Any) -> None:
    window = open_window(STACK)
    window.settle()
    window.show_plane(1)
    window.settle()
    window.click(1, 30, 40)
    window.settle()
    window.viewer.dims.order = (1, 0, 2)
    window.show_plane(20, axis=1)
    window.settle()
    window.click(4, 20, 30)
    window.settle()
    assert window.annotator.drawn
    overview = window.widget.overview
    assert overview.states().with_prompts == {20}
    window.viewer.dims.order = (0, 1, 2)
    window.show_plane(2)
    window.settle()
    assert overview.states().with_prompts == {1}
    window.do("next_plane")
    assert window.status == "No further plane has prompts or objects."


def test_contrast_never_encodes_but_is_offered(window: Any) -> None:
    panel = window.widget.prompts_tab.image_panel
    panel.normalization_changed.emit(Normalization(mode="as displayed"))
    window.settle()
    n_encodes = window.engine.n_encodes
    offers: list[bool] = []
    window.annotator.view.contrast_offered.connect(offers.append)
    cells = window.viewer.layers["cells"]
    cells.contrast_limits = (100, 900)
    window.click(40, 50)
    window.settle()
    assert (offers[-1], window.engine.n_encodes) == (True, n_encodes)
    panel.use_contrast_clicked.emit()
    window.settle()
    assert (offers[-1], window.engine.n_encodes) == (False, n_encodes + 1)
    assert window.answer is not None
    cells.gamma = 0.5
    assert offers[-1]


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (2, 1, 0)])
def test_everything_lies_over_the_image_however_it_is_placed(
    open_window: Any, order: tuple[int, ...]
) -> None:
    stack = RNG.integers(0, 255, (40, 60, 80)).astype(np.uint8)
    placed = {"scale": (3, 0.5, 0.25), "translate": (7, -20, 11)}
    if order[0] == 0:
        placed["rotate"] = np.array([[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]])
    window = open_window(stack, image_options=placed)
    window.viewer.dims.order = order
    window.viewer.dims.set_current_step(order[0], 20)
    window.settle()
    place = [19, 29, 41]
    place[order[0]] = window.annotator.plane.index[order[0]]
    cells = window.viewer.layers["cells"]
    window.click(*place)
    window.settle()
    rows, columns = order[1:]
    expected = place[columns], place[rows]
    assert window.clicks == [expected]
    shown = np.argwhere(window.preview.data)
    there = cells.world_to_data(window.preview.data_to_world(shown[0]))
    assert np.linalg.norm(np.subtract(there, place)) < 6
    window.do("commit")
    found = np.argwhere(window.labels.data)
    np.testing.assert_allclose(found.mean(axis=0), place)
    np.testing.assert_allclose(affine_matrix(window.labels), affine_matrix(cells))
    window.do("show_input")
    window.wait(lambda: any("network" in each.name for each in window.viewer.layers))
    seen = next(each for each in window.viewer.layers if "network" in each.name)
    np.testing.assert_allclose(
        seen.data_to_world((0, 0, 0))[order[1:][0]],
        cells.data_to_world([place[axis] if axis == order[0] else 0 for axis in range(3)])[
            order[1:][0]
        ],
    )
    plane = np.take(stack, place[order[0]], axis=order[0])
    np.testing.assert_array_equal(np.squeeze(seen.data)[..., 0], plane)


def test_multiscale_images_are_read_at_full_resolution(open_window: Any) -> None:
    image = RNG.integers(0, 255, (400, 600)).astype(np.uint8)
    window = open_window([image, image[::2, ::2]], image_options={"multiscale": True})
    window.settle()
    window.click(300, 500)
    window.settle()
    assert window.clicks == [(500, 300)]
    window.do("commit")
    assert window.labels.data.shape == (400, 600)
    np.testing.assert_array_equal(np.argwhere(window.labels.data).mean(axis=0), (300, 500))


def test_a_large_lazy_image_is_read_in_regions(open_window: Any, tmp_path: Any) -> None:
    dask = pytest.importorskip("dask.array")
    largest: list[int] = []

    def block(block_info: Any = None) -> Any:
        (rows, columns) = block_info[None]["array-location"]
        shape = rows[1] - rows[0], columns[1] - columns[0]
        largest.append(shape[0] * shape[1])
        return np.full(shape, rows[0] // 500 % 200, np.uint8)

    image = dask.map_blocks(block, chunks=((500,) * 40, (500,) * 40), dtype=np.uint8)
    levels = [image[::step, ::step] for step in (1, 4, 16)]
    window = open_window(levels, image_size=512, image_options={"multiscale": True})
    window.settle()
    window.viewer.camera.center = (0, 10_000, 12_000)
    window.viewer.camera.zoom = 1
    window.qtbot.wait(100)
    data = np.memmap(tmp_path / "labels", np.uint16, "w+", shape=image.shape)
    window.widget.choices.target_combo.value = window.viewer.add_labels(data, name="mine")
    largest.clear()
    window.click(10_000, 12_000)
    window.settle()
    region, prompts = window.engine.decoded[-1]
    assert max(region.hw) <= 4096
    assert region.row <= 10_000 < region.row + region.height
    assert sum(largest) <= 2 * 4608**2
    assert prompts.marks[0].vertices == ((12_000, 10_000),)
    # A box that is larger gets a larger region, read coarsely.
    window.do("next_object")
    window.draw_box(6000, 6000, 11_000, 12_000)
    window.settle()
    region, _ = window.engine.decoded[-1]
    assert max(region.hw) >= 6000
    assert region.step > 4
    window.do("previous_object")
    window.settle()
    window.do("commit")
    window.wait(lambda: data[10_000, 12_000] == 1, timeout=60_000)
