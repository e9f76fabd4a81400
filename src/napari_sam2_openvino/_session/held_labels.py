"""Under which labels the objects in hand are in the target."""

from collections.abc import Hashable, Mapping


class HeldLabels:
    """Label by obj_id, for each target that was chosen: one that is chosen again has its own.

    An object that is not here is new to the target.
    """

    def __init__(self) -> None:
        self._now: dict[int, int] = {}
        self._in: dict[Hashable, dict[int, int]] = {None: self._now}

    def of(self, obj_id: int) -> int | None:
        """Return the label of an object; None if it is not in the target."""
        return self._now.get(obj_id)

    def objects_of(self, label: int) -> list[int]:
        """Return the objects that have a label; several if they are drawn from several sides."""
        return sorted(key for key, each in self._now.items() if each == label)

    def was_in_any(self, obj_id: int) -> bool:
        """Whether an object is in any of the targets that are not forgotten, chosen or not."""
        return any(obj_id in held for held in self._in.values())

    @property
    def numbers(self) -> set[int]:
        """All numbers that are in use: of objects, and their labels."""
        return {*self._now, *self._now.values()}

    def note(self, labels: Mapping[int, int]) -> None:
        """Take it that objects are in the target, under these labels."""
        self._now |= labels

    def renumber(self, new_ids: Mapping[int, int]) -> None:
        """Give objects other ids, in every target."""
        for labels in self._in.values():
            moved = {new: labels.pop(old) for old, new in new_ids.items() if old in labels}
            labels.update(moved)

    def add_numbers(self, moved: Mapping[int, int]) -> None:
        """Give objects another number beside their own, with the same label in each target."""
        for held in self._in.values():
            held |= {new: held[old] for old, new in moved.items() if old in held}

    def set_target(self, target: Hashable) -> None:
        """Go on with another target; None while there is none."""
        self._now = self._in.setdefault(target, {})

    def forget_target(self, target: Hashable) -> None:
        """Forget a target that is gone for good."""
        if self._in.pop(target, None) is self._now:
            self.set_target(None)
