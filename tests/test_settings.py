"""Preferences: stored by napari, the same after a restart, refused in a sentence."""

from dataclasses import replace
from typing import Any

import pytest
from npe2 import PluginManifest

from napari_sam2_openvino import _settings
from napari_sam2_openvino._settings import (
    Preferences,
    on_preferences_changed,
    read_preferences,
    save_preferences,
)
from napari_sam2_openvino.core.errors import InputError

CHANGED = {
    "live_preview": False,
    "hover_preview": True,
    "class_names": ("nucleus", "dead cell", "körnige Zelle"),
    "autosave": False,
    "encode_ahead": False,
    "memory_cache_gb": 2.5,
    "disk_cache_gb": 0.0,
    "default_model": "tiny é",
}


@pytest.fixture
def installed(plugin_settings: None, npe2pm: Any) -> None:  # noqa: ARG001
    """Make a napari that knows this plugin and nothing that was stored before."""
    npe2pm.register(PluginManifest.from_distribution(_settings.PLUGIN))


@pytest.mark.usefixtures("installed")
def test_the_manifest_and_the_code_have_the_same_defaults() -> None:
    preferences = read_preferences()
    usual = Preferences(keys=preferences.keys)
    assert preferences == usual
    assert preferences.keys["commit"] == "W"


@pytest.mark.usefixtures("installed")
def test_what_is_saved_is_there_after_a_restart() -> None:
    from napari.settings import _clear_plugin_settings_cache, get_plugin_settings

    assert {*CHANGED} == {*Preferences.__dataclass_fields__} - {"keys"}
    save_preferences(**CHANGED)
    get_plugin_settings(_settings.PLUGIN).keys.commit = "F2"
    path = get_plugin_settings(_settings.PLUGIN).config_path
    assert path.exists()
    _clear_plugin_settings_cache()
    preferences = read_preferences()
    assert {name: getattr(preferences, name) for name in CHANGED} == CHANGED
    assert preferences.keys["commit"] == "F2"


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("name", CHANGED)
def test_each_preference_has_a_place_of_its_own(name: str) -> None:
    before = read_preferences()
    save_preferences(**{name: CHANGED[name]})
    assert read_preferences() == replace(before, **{name: CHANGED[name]})


@pytest.mark.usefixtures("installed")
def test_changes_are_told_until_it_is_ended() -> None:
    told: list[Preferences] = []
    end = on_preferences_changed(lambda: told.append(read_preferences()))
    save_preferences(hover_preview=True)
    save_preferences(hover_preview=True)
    assert [each.hover_preview for each in told] == [True]
    end()
    end()
    save_preferences(hover_preview=False)
    assert len(told) == 1


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("name", "value"), [("memory_cache_gb", -1.0), ("class_names", ("one, two",))]
)
def test_a_bad_value_is_refused_and_changes_nothing(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=r"one, two|memory cache gb"):
        save_preferences(**{name: value})
    assert getattr(read_preferences(), name) == getattr(Preferences(), name)


@pytest.mark.usefixtures("plugin_settings")
def test_where_napari_does_not_know_the_plugin_defaults_hold() -> None:
    assert read_preferences() == Preferences()
    save_preferences(autosave=False)
    assert read_preferences() == Preferences()
    on_preferences_changed(lambda: None)()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ()),
        (" , ,", ()),
        ("a,b , c", ("a", "b", "c")),
        ("a, a,b", ("a", "b")),
        ("dead cell", ("dead cell",)),
    ],
)
def test_names_are_separated_by_commas(text: str, names: tuple[str, ...]) -> None:
    assert _settings.split_names(text) == names
    assert _settings.split_names(_settings.join_names(names)) == names
