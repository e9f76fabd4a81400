"""Keys of viewer and layers, bound by several widgets and given back in any order."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from napari.utils.key_bindings import coerce_keybinding

from napari_sam2_openvino._qt.actions import ACTIONS, Action, find_action

_NO_KEYS = ("UNKNOWN", "Ctrl", "Shift", "Alt", "Meta")
# Not an object that is called: behind napari's proxy it would come back as another one.
_MARK = "napari_sam2_openvino"


def rebind(overrides: Mapping[str, str]) -> tuple[tuple[Action, ...], list[str]]:
    """Return the actions with keys that the user prefers.

    Parameters
    ----------
    overrides : dict
        Keys by verb; "" for none. Verbs with several keys, and those that do not exist, are
        left alone.

    Returns
    -------
    actions : tuple of Action
    problems : list of str
        A sentence for each key that cannot be used; its action keeps the usual key.
    """
    actions, problems = {each.verb: each for each in ACTIONS}, []
    for verb, wanted in overrides.items():
        action = actions.get(verb)
        if action is None or len(action.keys) != 1 or wanted == action.keys[0]:
            continue
        key = _spelled(wanted)
        if not wanted.strip():
            actions[verb] = replace(action, keys=())
        elif key is None:
            problems.append(
                f"Key for “{action.title}” must be one like Q or Shift+U, but is {wanted!r}: "
                f"{action.keys[0]} is used."
            )
        else:
            actions[verb] = replace(action, keys=(key,))
    return _without_clashes(actions, problems), problems


def bindings(
    verbs: Mapping[str, Callable[..., None]], actions: Iterable[Action] = ACTIONS
) -> dict[str, Callable[[], None]]:
    """Return what each key does, for `Keys`.

    Parameters
    ----------
    verbs : dict
        What is called, by verb. Actions of other verbs are not bound.
    actions : iterable of Action, optional
        As returned by `rebind`.
    """
    bound: dict[str, Callable[[], None]] = {}
    for action in actions:
        if action.verb in verbs:
            call = verbs[action.verb]
            for number, key in enumerate(action.keys):
                bound[key] = partial(call, number) if len(action.keys) > 1 else call
    return bound


def _spelled(key: str) -> str | None:
    """Return a key in napari's spelling, None if it is no key."""
    try:
        binding = coerce_keybinding(key.strip())
    except (ValueError, KeyError, AttributeError):
        return None
    is_known = len(binding.parts) == 1 and binding.part0.key.name not in _NO_KEYS
    return str(binding) if is_known else None


def _without_clashes(actions: dict[str, Action], problems: list[str]) -> tuple[Action, ...]:
    """Give back their usual key to actions that were moved to a key of another one."""
    for verb, action in actions.items():
        others = {key for each in actions.values() if each.verb != verb for key in each.keys}
        usual = find_action(verb).keys
        if action.keys != usual and others & set(action.keys):
            problems.append(
                f"Key {action.key_text} for “{action.title}” has another use: {usual[0]} is used."
            )
            actions[verb] = replace(action, keys=usual)
    # Two actions may have changed places with a third one that was refused: then all are as usual.
    every = [key for each in actions.values() for key in each.keys]
    if len(set(every)) < len(every):
        problems.append("Keys in the preferences clash: the usual ones are used.")
        return ACTIONS
    return tuple(actions.values())


class Keys:
    """Binds the same keys to a viewer and to layers, which come before it.

    Parameters
    ----------
    verbs : dict
        What each key does.
    """

    def __init__(self, verbs: dict[str, Callable[[], None]]) -> None:
        self._verbs = verbs
        self._bindings: list[_Binding] = []

    def bind(self, owner: Any) -> None:
        """Bind the keys of a viewer or a layer, whatever they did before."""
        self._bindings += [_Binding(owner, key, verb) for key, verb in self._verbs.items()]

    def release(self, owner: Any) -> None:
        """Give back the keys of a viewer or a layer, but none that others have bound since."""
        for binding in self._bindings:
            if binding.owner is owner:
                binding.release()
        self._bindings = [each for each in self._bindings if each.owner is not owner]


class _Binding:
    """One key of one owner, and what it did before."""

    def __init__(self, owner: Any, key: str, verb: Callable[[], None]) -> None:
        self.owner = owner
        self._key = key
        self._is_released = False

        def press(_owner: Any) -> None:
            if not self._is_released:
                verb()

        press.__dict__[_MARK] = self
        self._function = press
        self._old = owner.bind_key(key, press, overwrite=True)

    def release(self) -> None:
        self._is_released = True
        # To unbind is how to learn what is bound.
        current = self.owner.bind_key(self._key, None)
        wanted = self._previous() if current is self._function else current
        self.owner.bind_key(self._key, wanted, overwrite=True)

    def _previous(self) -> Any:
        """Return what the key did before, leaving out widgets that were closed since."""
        old = self._old
        while binding := getattr(old, "__dict__", {}).get(_MARK):
            if not binding._is_released:
                break
            old = binding._old
        return old
