"""Preferences, kept by napari's plugin settings: its dialog shows them, its file stores them."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from napari.settings import get_plugin_settings

from napari_sam2_openvino.core.errors import InputError

PLUGIN = "napari-sam2-openvino"


@dataclass(frozen=True)
class Preferences:
    """What the user prefers, from one start of napari to the next.

    Parameters
    ----------
    live_preview : bool
        Masks follow each edit.
    hover_preview : bool
        The object under the pointer is shown.
    class_names : tuple of str
        Classes that objects can be given, in the order of their keys.
    autosave : bool
        Sessions are saved after each change.
    encode_ahead : bool
        Planes are encoded while nothing else is to be done.
    memory_cache_gb, disk_cache_gb : float
        Budget for embeddings, in units of 10**9 bytes; 0 on disk keeps none.
    default_model : str
        The model that windows begin with.
    keys : dict
        Key by verb, for those that differ from the usual one.
    """

    live_preview: bool = True
    hover_preview: bool = False
    class_names: tuple[str, ...] = ()
    autosave: bool = True
    encode_ahead: bool = True
    memory_cache_gb: float = 1.0
    disk_cache_gb: float = 4.0
    default_model: str = "starter"
    keys: Mapping[str, str] = field(default_factory=dict)


# Category and name in the manifest. A name is part of an environment variable too
# (NAPARI_<category>_<name>), so no category may be called "sam2".
_PLACES = {
    "live_preview": ("preview", "live"),
    "hover_preview": ("preview", "hover"),
    "class_names": ("objects", "class_names"),
    "autosave": ("sessions", "autosave"),
    "encode_ahead": ("embeddings", "encode_ahead"),
    "memory_cache_gb": ("embeddings", "memory_gb"),
    "disk_cache_gb": ("embeddings", "disk_gb"),
    "default_model": ("models", "default"),
}
_KEYS_CATEGORY = "keys"


def read_preferences() -> Preferences:
    """Return the preferences; the defaults where napari does not know this plugin."""
    settings = _settings()
    if settings is None:
        return Preferences()
    values = {name: getattr(getattr(settings, a), b) for name, (a, b) in _PLACES.items()}
    values["class_names"] = split_names(values["class_names"])
    return Preferences(**values, keys=getattr(settings, _KEYS_CATEGORY).model_dump())


def save_preferences(**changes: Any) -> None:
    """Store new values of some preferences, by their names in `Preferences`.

    Where napari does not know this plugin nothing is stored.

    Raises
    ------
    InputError
        If a value is outside its limits, or a name of a class holds a comma.
    """
    for name, value in changes.items():
        category, key = _PLACES[name]
        stored = join_names(value) if name == "class_names" else value
        settings = _settings()
        if settings is None:
            continue
        try:
            setattr(getattr(settings, category), key, stored)
        except ValueError as error:
            raise InputError(
                f"The preference “{name.replace('_', ' ')}” cannot be {value!r}: see its limits "
                "in Preferences."
            ) from error


def on_preferences_changed(callback: Callable[[], None]) -> Callable[[], None]:
    """Call back after any change, made in the dialog or here.

    Returns
    -------
    callable
        Ends it.
    """
    settings = _settings()
    if settings is None:
        return lambda: None

    def changed(_event: Any) -> None:
        callback()

    settings.events.changed.connect(changed)

    def disconnect() -> None:
        # Twice does no harm.
        with suppress(ValueError):
            settings.events.changed.disconnect(changed)

    return disconnect


def split_names(text: str) -> tuple[str, ...]:
    """Return names that are separated by commas, each once."""
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def join_names(names: tuple[str, ...]) -> str:
    """Return names as one text, for `split_names`.

    Raises
    ------
    InputError
        If one of them holds a comma.
    """
    for name in names:
        if "," in name:
            raise InputError(f"The name of a class must be without commas, but is {name!r}.")
    return ", ".join(names)


def _settings() -> Any:
    try:
        return get_plugin_settings(PLUGIN)
    except KeyError:
        # As in a source tree that is not installed, or a plugin that was disabled.
        return None
