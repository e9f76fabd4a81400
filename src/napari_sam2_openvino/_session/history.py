"""Several levels of undo for states that are values."""

from collections.abc import Callable, Sequence
from operator import eq
from typing import Generic, TypeVar

MOST_LEVELS = 200

State = TypeVar("State")


class PromptHistory(Generic[State]):
    """What there was before, and what there was before that was undone.

    Record the state before the first edit, and each state that an edit has settled in: the states
    while something is dragged are one edit.

    Parameters
    ----------
    most_levels : int, optional
        How many edits can be undone; older states are forgotten.
    is_same : callable, optional
        Whether two states are the same to the user: then the later one is not recorded.
    """

    def __init__(
        self,
        most_levels: int = MOST_LEVELS,
        is_same: Callable[[State, State], bool] = eq,
    ) -> None:
        self._most_levels = most_levels
        self._is_same = is_same
        self._states: list[State] = []
        # Of the state that is there now.
        self._position = -1

    @property
    def can_undo(self) -> bool:
        """Whether there is an earlier state."""
        return self._position > 0

    @property
    def can_redo(self) -> bool:
        """Whether there is a state that was undone."""
        return self._position + 1 < len(self._states)

    @property
    def current(self) -> State | None:
        """The state that was recorded or returned last."""
        return self._states[self._position] if self._states else None

    @property
    def states(self) -> Sequence[State]:
        """All states that undo and redo can go to, from the oldest on."""
        return self._states

    @property
    def past(self) -> Sequence[State]:
        """The states that undo can go to, and the one that is there now."""
        return self._states[: self._position + 1]

    def record(self, state: State) -> bool:
        """Note the state that is there now; states that were undone are forgotten.

        Returns
        -------
        bool
            Whether it is another state than the last one.
        """
        if self._states and self._is_same(self._states[self._position], state):
            return False
        del self._states[self._position + 1 :]
        self._states.append(state)
        # A state more than levels: undoing them all ends at the one before.
        del self._states[: -self._most_levels - 1]
        self._position = len(self._states) - 1
        return True

    def amend(self, state: State) -> None:
        """Take it that the state that was recorded or returned last is this one."""
        if self._states:
            self._states[self._position] = state

    def change_all(self, change: Callable[[State], State]) -> None:
        """Take it that every state that is kept was another one."""
        self._states = [change(state) for state in self._states]

    def undo(self) -> State | None:
        """Go back by one edit and return the state to restore; None if there is none."""
        if not self.can_undo:
            return None
        self._position -= 1
        return self._states[self._position]

    def redo(self) -> State | None:
        """Go forward by one edit and return the state to restore; None if there is none."""
        if not self.can_redo:
            return None
        self._position += 1
        return self._states[self._position]

    def clear(self) -> None:
        """Forget all states."""
        self._states.clear()
        self._position = -1
