"""Keys that the user changed, as the window names them."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from qtpy.QtWidgets import QAbstractButton, QComboBox

from napari_sam2_openvino._qt import segment_widget
from napari_sam2_openvino._qt.actions import KEYS

IMAGE = np.random.default_rng(0).integers(0, 4000, (40, 50)).astype(np.uint16)
CHANGED = {
    each.verb: f"Ctrl+Alt+{chr(ord('A') + number)}"
    for number, each in enumerate(each for each in KEYS if each.verb != "set_class")
}


@pytest.fixture
def change_keys(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that makes windows to come begin with keys of one's own."""

    def change(keys: dict[str, str]) -> None:
        preferences = replace(segment_widget.read_preferences(), keys=keys)
        monkeypatch.setattr(segment_widget, "read_preferences", lambda: preferences)

    return change


def draw(window: Any) -> None:
    """Put a click that is answered."""
    window.settle()
    window.click(5, 5)
    window.settle()


def test_buttons_tooltips_and_status_name_the_keys_that_count(
    change_keys: Any, open_window: Any
) -> None:
    change_keys({"commit": "F8", "next_mask": "F9", "toggle_polarity": "F10"})
    window = open_window(IMAGE)
    draw(window)
    panel = window.widget.prompts_tab.prompts_panel
    assert panel.buttons["commit"].text() == "Commit (F8)"
    assert "Key F8." in panel.buttons["commit"].toolTip()
    assert "Key F10." in panel.positive_radio.toolTip()
    assert "(F9 shows the next)" in window.status
    assert "F8 commits" in window.status
    window.annotator.set_live(False)
    window.click(6, 6)
    window.wait(lambda: window.status.startswith("Not live: F8 makes the mask"))


def test_a_verb_without_a_key_is_named_by_its_button(change_keys: Any, open_window: Any) -> None:
    change_keys({"commit": "", "next_mask": ""})
    window = open_window(IMAGE)
    draw(window)
    assert window.widget.prompts_tab.prompts_panel.buttons["commit"].text() == "Commit"
    assert "(Next mask shows the next)" in window.status
    assert "Commit commits" in window.status


def test_no_usual_key_is_named_where_all_are_changed(change_keys: Any, open_window: Any) -> None:
    change_keys(CHANGED)
    widget = open_window(IMAGE).widget
    children = [*widget.findChildren(QAbstractButton), *widget.findChildren(QComboBox)]
    keys = {key for each in children for key in re.findall(r"Key (\S+)\.", each.toolTip())}
    assert len(keys) > 10
    assert keys <= set(CHANGED.values())
