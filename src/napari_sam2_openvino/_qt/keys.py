"""Keys of viewer and layers, bound by several widgets and given back in any order."""

from collections.abc import Callable
from typing import Any

KEY_POLARITY = "Q"
KEY_COMMIT = "W"
KEY_CLEAR = "N"

# Not an object that is called: behind napari's proxy it would come back as another one.
_MARK = "napari_sam2_openvino"


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
