"""Commands of the palette: they find the widget that is open, or open it."""

from typing import Any

import pytest

from napari_sam2_openvino._qt.commands import run_verb


def test_a_command_does_its_verb_in_the_open_widget(open_window: Any) -> None:
    from napari._app_model import get_app_model

    window = open_window()
    done: list[str] = []
    window.widget.verbs = {"undo": lambda: done.append("undo")}
    get_app_model().commands.execute_command("napari-sam2-openvino.undo").result()
    assert done == ["undo"]


@pytest.mark.parametrize("proxy", [True, False])
def test_what_the_widget_cannot_do_is_said(
    open_window: Any, monkeypatch: pytest.MonkeyPatch, proxy: bool
) -> None:
    from napari.utils._proxies import PublicOnlyProxy

    from napari_sam2_openvino._qt import commands

    window = open_window()
    window.widget.verbs = {}
    said: list[str] = []
    monkeypatch.setattr(commands, "show_info", said.append)
    run_verb(PublicOnlyProxy(window.viewer) if proxy else window.viewer, "undo")
    assert said == ["“Undo the prompts” cannot be done now."]


def test_without_a_widget_one_is_opened(make_napari_viewer: Any, qtbot: Any) -> None:
    from napari_sam2_openvino._qt.segment_widget import SegmentWidget

    viewer = make_napari_viewer()
    run_verb(viewer, "clear")
    run_verb(viewer, "clear")
    found = [w for w in viewer.window.dock_widgets.values() if isinstance(w, SegmentWidget)]
    assert len(found) == 1
    qtbot.waitUntil(lambda: not found[0].annotator.session.is_busy, timeout=60_000)
    found[0].annotator.close()


def test_every_action_of_the_table_can_be_done(open_window: Any) -> None:
    from napari_sam2_openvino._qt.actions import ACTIONS

    assert set(open_window().widget.verbs) == {action.verb for action in ACTIONS}


@pytest.mark.parametrize("proxy", [True, False])
def test_the_dock_for_models_is_opened_once(open_window: Any, qtbot: Any, proxy: bool) -> None:
    from napari_sam2_openvino._qt.models_widget import ModelsWidget

    window = open_window(proxy=proxy)
    docks = window.viewer.window.dock_widgets
    for _ in range(2):
        window.widget.prompts_tab.models_button.click()
    (dock,) = (each for each in docks.values() if isinstance(each, ModelsWidget))
    qtbot.waitUntil(lambda: dock.chosen is not None, timeout=60_000)
    dock.close()
