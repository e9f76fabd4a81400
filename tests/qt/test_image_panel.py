"""Channels and intensities: what is shown for which choice, and what is told."""

from typing import Any

import pytest
from qtpy.QtCore import Qt

from napari_sam2_openvino._qt.image_panel import AxisChoice, ChannelChoice, ImagePanel
from napari_sam2_openvino.core.parameters import Normalization

LAYERS = {"nuclei": object(), "actin": object()}
NUCLEI, ACTIN = LAYERS.values()


class World:
    """What a viewer has, as far as the panel asks."""

    def __init__(self) -> None:
        self.layers = dict(LAYERS)
        self.axes = [AxisChoice(1, "channel", 3), AxisChoice(0, "t", 2)]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def panel(qtbot: Any, world: World) -> ImagePanel:
    panel = ImagePanel(lambda _combo: list(world.layers.items()), lambda: world.axes)
    qtbot.addWidget(panel)
    panel.show()
    return panel


def heard(signal: Any) -> list[Any]:
    values: list[Any] = []
    signal.connect(values.append)
    return values


def visible(panel: ImagePanel) -> tuple[bool, bool]:
    return panel.layer_combos[0].native.isVisible(), panel.axis_combo.native.isVisible()


def test_at_first_it_is_the_image_alone(panel: ImagePanel) -> None:
    assert panel.channels == ChannelChoice()
    assert visible(panel) == (False, False)
    assert panel.contrast_button.isHidden()


def test_layers_are_chosen_one_by_one(panel: ImagePanel) -> None:
    told = heard(panel.channels_changed)
    panel.kind_combo.value = "layers"
    assert visible(panel) == (True, False)
    panel.layer_combos[0].value = NUCLEI
    panel.layer_combos[2].value = ACTIN
    assert told[-1] == ChannelChoice("layers", layers=(NUCLEI, None, ACTIN))
    panel.kind_combo.value = "one layer"
    assert told[-1] == ChannelChoice()
    assert len(told) == 4


def test_entries_along_an_axis_follow_its_length(panel: ImagePanel) -> None:
    told = heard(panel.channels_changed)
    panel.kind_combo.value = "axis"
    assert visible(panel) == (False, True)
    panel.index_combos[1].value = 2
    assert told[-1] == ChannelChoice("axis", axis=1, indices=(None, 2, None))
    # The other axis has no third entry.
    panel.axis_combo.value = 0
    assert told[-1] == ChannelChoice("axis", axis=0)
    assert panel.index_combos[1].choices == (None, 0, 1)


@pytest.mark.parametrize(
    "choice",
    [
        ChannelChoice(),
        ChannelChoice("layers", layers=(NUCLEI, ACTIN, None)),
        ChannelChoice("axis", axis=0, indices=(1, None, 0)),
    ],
)
def test_setting_channels_is_silent_and_comes_back_unchanged(
    panel: ImagePanel, choice: ChannelChoice
) -> None:
    told = heard(panel.channels_changed)
    panel.channels = choice
    assert panel.channels == choice
    assert visible(panel) == (choice.kind == "layers", choice.kind == "axis")
    assert told == []


def test_a_layer_that_is_gone_is_told_and_no_longer_held(panel: ImagePanel, world: World) -> None:
    panel.channels = ChannelChoice("layers", layers=(NUCLEI, ACTIN, None))
    told = heard(panel.channels_changed)
    panel.reset_choices()
    assert told == []
    del world.layers["actin"]
    panel.reset_choices()
    assert told == [ChannelChoice("layers", layers=(NUCLEI, None, None))]


def test_an_image_without_channels_goes_back_to_itself(panel: ImagePanel, world: World) -> None:
    panel.channels = ChannelChoice("axis", axis=1, indices=(0, 1, None))
    told = heard(panel.channels_changed)
    world.axes = []
    panel.reset_choices()
    assert told == [ChannelChoice()]
    assert visible(panel) == (False, False)


def test_intensities_show_what_they_need(panel: ImagePanel, qtbot: Any) -> None:
    form = panel.normalization_form
    rows = ("low_percentile", "high_percentile", "whole_stack")

    def shown() -> list[bool]:
        return [form.is_row_visible(name) for name in rows]

    told = heard(panel.normalization_changed)
    assert shown() == [False, False, False]
    form.entries["mode"].value = "percentiles"
    assert shown() == [True, True, False]
    panel.set_is_stack(True)
    assert shown() == [True, True, True]
    form.entries["mode"].value = "minimum to maximum"
    assert shown() == [False, False, True]
    qtbot.waitUntil(lambda: bool(told))
    assert told == [Normalization("minimum to maximum")]
    panel.normalization = Normalization("as displayed")
    assert shown() == [False, False, False]
    assert panel.normalization == Normalization("as displayed")
    assert len(told) == 1


def test_contrast_is_offered_and_taken_by_its_button_only(panel: ImagePanel, qtbot: Any) -> None:
    panel.offer_contrast(True)
    assert panel.contrast_button.isVisible()
    with qtbot.waitSignal(panel.use_contrast_clicked):
        qtbot.mouseClick(panel.contrast_button, Qt.MouseButton.LeftButton)
    panel.offer_contrast(False)
    assert panel.contrast_button.isHidden()


def test_what_the_network_sees_is_shown_by_its_button(panel: ImagePanel, qtbot: Any) -> None:
    with qtbot.waitSignal(panel.show_input_clicked):
        qtbot.mouseClick(panel.show_input_button, Qt.MouseButton.LeftButton)
    panel.show_region("Region 1024 x 1024 px at (0, 0).")
    assert panel.region_label.isVisible()
    panel.show_region("")
    assert panel.region_label.isHidden()


def test_it_fits_into_a_narrow_dock(panel: ImagePanel, world: World) -> None:
    world.layers["a layer whose name is that of a file, with its path and all " * 3] = object()
    panel.reset_choices()
    for choice in (ChannelChoice("layers"), ChannelChoice("axis", axis=1)):
        panel.channels = choice
        assert panel.minimumSizeHint().width() <= 300
