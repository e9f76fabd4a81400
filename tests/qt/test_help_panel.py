"""The page of keys: everything is on it, and it says the same as the table."""

from typing import Any

import pytest

from napari_sam2_openvino._qt.actions import KEYS, NAPARI_KEYS
from napari_sam2_openvino._qt.help_panel import HelpPanel
from napari_sam2_openvino._qt.keys import rebind


@pytest.fixture
def panel(qtbot: Any) -> HelpPanel:
    panel = HelpPanel()
    qtbot.addWidget(panel)
    panel.resize(290, 700)
    panel.show()
    return panel


def text(panel: HelpPanel) -> str:
    return panel.browser.toPlainText().replace("\xa0", " ")


def test_every_key_is_listed_with_what_it_does(panel: HelpPanel) -> None:
    lines = [line.strip() for line in text(panel).splitlines()]
    for action in KEYS:
        assert action.title in lines
        assert action.keys[0] in " ".join(lines)
        assert action.tip not in lines
    for key, _, what in NAPARI_KEYS:
        assert what in text(panel)
        assert key.split(", ")[0] in text(panel)


def test_in_detail_it_gives_the_tips(panel: HelpPanel) -> None:
    panel.details_box.setChecked(True)
    assert all(action.tip in text(panel) for action in KEYS)
    panel.details_box.setChecked(False)
    assert not any(action.tip in text(panel) for action in KEYS)


def test_keys_that_the_user_changed_are_shown(panel: HelpPanel) -> None:
    assert "F7" not in text(panel)
    actions, _ = rebind({"commit": "F7", "undo": ""})
    panel.set_actions(actions)
    assert "F7" in text(panel)
    assert "Undo the prompts" not in text(panel)


def test_it_fits_into_a_narrow_dock(panel: HelpPanel) -> None:
    assert panel.minimumSizeHint().width() <= 300
    assert not panel.browser.horizontalScrollBar().isVisible()
