"""The table of keys: free in napari, in step with docs, rebindable, and heard on the canvas."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Image, Labels, Layer, Points, Shapes
from napari.utils.key_bindings import coerce_keybinding
from qtpy.QtCore import Qt
from qtpy.QtGui import QAction, QKeySequence
from qtpy.QtTest import QTest

from napari_sam2_openvino._qt.actions import (
    ACTIONS,
    KEYS,
    NAPARI_KEYS,
    find_action,
    keys_table,
    tooltip,
)
from napari_sam2_openvino._qt.keys import Keys, bindings, rebind

ALL_KEYS = [key for action in KEYS for key in action.keys]


def test_each_verb_and_each_key_is_there_once() -> None:
    assert set(Counter(ALL_KEYS).values()) == {1}
    assert set(Counter(action.verb for action in ACTIONS).values()) == {1}
    assert all(action.title and action.tip.endswith(".") for action in ACTIONS)


def test_keys_are_spelled_as_napari_spells_them() -> None:
    assert [str(coerce_keybinding(key)) for key in ALL_KEYS] == ALL_KEYS


def napari_keys(viewer: Any) -> set[str]:
    """Return all keys of napari: of its settings, its layers, its viewer and its menus."""
    from napari._app_model import get_app_model
    from napari.settings import get_settings

    shortcuts = get_settings().shortcuts.shortcuts
    found = {str(key) for keys in shortcuts.values() for key in keys}
    for owner in (Layer, Points, Shapes, Labels, Image, *type(viewer).__mro__):
        found |= {str(key) for key in getattr(owner, "class_keymap", {})}
    found |= {str(rule.keybinding) for rule in get_app_model().keybindings}
    for action in viewer.window._qt_window.findChildren(QAction):
        found |= {sequence.toString() for sequence in action.shortcuts()}
    return found - {""}


def test_no_key_is_one_of_naparis_own(make_napari_viewer: Any) -> None:
    taken = napari_keys(make_napari_viewer())
    # What the search must find, if it still looks where napari keeps its keys.
    assert {"Ctrl+Z", "P", "Shift+L", "Shift+Up", "Ctrl+R", "M", "Ctrl+Shift+P", "Left"} <= taken
    assert not taken & set(ALL_KEYS)


def test_the_keys_of_napari_that_are_explained_are_naparis(make_napari_viewer: Any) -> None:
    taken = napari_keys(make_napari_viewer())
    assert {key for keys, _, _ in NAPARI_KEYS for key in keys.split(", ")} <= taken


def test_the_page_in_the_docs_is_that_of_the_table() -> None:
    page = Path(__file__).parents[2].joinpath("docs", "keys.md").read_text(encoding="utf-8")
    assert keys_table() in page, f"docs/keys.md must have this table:\n{keys_table()}"
    for keys, layers, what in NAPARI_KEYS:
        spelled = ", ".join(f"`{key}`" for key in keys.split(", "))
        assert f"| {spelled} | {layers} | {what} |" in page


def test_tooltips_end_with_the_key() -> None:
    assert tooltip("commit").endswith(" Key W.</qt>")
    assert "Key" not in tooltip("save_session")
    actions, _ = rebind({"commit": "F8", "undo": ""})
    assert tooltip("commit", actions).endswith(" Key F8.</qt>")
    assert "Key" not in tooltip("undo", actions)


def test_only_verbs_that_are_given_are_bound_and_numbers_reach_them() -> None:
    called: list[Any] = []
    bound = bindings({"undo": lambda: called.append("undo"), "set_class": called.append})
    assert set(bound) == {"U", *(f"Alt+{number}" for number in range(10))}
    for key in ("U", "Alt+0", "Alt+7"):
        bound[key]()
    assert called == ["undo", 0, 7]


def test_a_key_of_ones_own_replaces_the_usual_one() -> None:
    actions, problems = rebind({"commit": "f2", "undo": " ", "set_class": "X", "unknown": "Y"})
    assert problems == []
    assert find_action("commit", actions).keys == ("F2",)
    assert find_action("undo", actions).keys == ()
    assert find_action("set_class", actions) == find_action("set_class")
    assert set(bindings({"commit": print, "undo": print}, actions)) == {"F2"}


def test_two_actions_may_change_places() -> None:
    actions, problems = rebind({"commit": "Q", "toggle_polarity": "W"})
    assert problems == []
    assert find_action("commit", actions).keys == ("Q",)
    assert find_action("toggle_polarity", actions).keys == ("W",)


@pytest.mark.parametrize("key", ["nonsense", "Ctrl", "Shift+", "Q W", "²", "++"])
def test_what_is_no_key_is_refused_in_a_sentence(key: str) -> None:
    actions, problems = rebind({"commit": key})
    assert actions == ACTIONS
    assert len(problems) == 1
    assert repr(key) in problems[0]


@pytest.mark.parametrize("overrides", [{"commit": "U"}, {"commit": "F2", "undo": "F2"}])
def test_one_key_never_does_two_things(overrides: dict[str, str]) -> None:
    actions, problems = rebind(overrides)
    keys = [key for action in actions for key in action.keys]
    assert len(set(keys)) == len(keys)
    assert problems


def test_a_key_that_is_refused_leaves_the_others() -> None:
    actions, problems = rebind({"commit": "U", "clear": "F3"})
    assert find_action("commit", actions).keys == ("W",)
    assert find_action("clear", actions).keys == ("F3",)
    assert len(problems) == 1


def test_places_changed_with_a_key_that_is_refused_end_as_usual() -> None:
    actions, problems = rebind({"commit": "Q", "toggle_polarity": "U"})
    keys = [key for action in actions for key in action.keys]
    assert len(set(keys)) == len(keys)
    assert problems


def press(native: Any, key: str) -> None:
    """Press a key in napari's spelling, as the keyboard does."""
    combination = QKeySequence(key)[0]
    QTest.keyClick(native, combination.key(), combination.keyboardModifiers())


def test_every_key_is_heard_whatever_layer_is_selected(make_napari_viewer: Any, qtbot: Any) -> None:
    viewer = make_napari_viewer(show=True)
    layers = [
        viewer.add_image(np.zeros((4, 30, 30), np.uint8)),
        viewer.add_labels(np.zeros((4, 30, 30), int)),
        viewer.add_points([[0, 5, 5]]),
        viewer.add_shapes([[[0, 1, 1], [0, 9, 9]]], shape_type="path"),
    ]
    heard: list[str] = []
    verbs = {action.verb: lambda *_, verb=action.verb: heard.append(verb) for action in KEYS}
    keys = Keys(bindings(verbs))
    keys.bind(viewer)
    native = viewer.window._qt_viewer.canvas.native
    native.setFocus(Qt.FocusReason.OtherFocusReason)
    for layer in layers:
        viewer.layers.selection.active = layer
        qtbot.wait(20)
        for action in KEYS:
            for key in action.keys:
                heard.clear()
                press(native, key)
                assert heard == [action.verb], (key, layer)
    keys.release(viewer)
    press(native, "W")
    assert heard == [KEYS[-1].verb]
