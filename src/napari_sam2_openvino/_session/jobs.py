"""How a session runs what takes time: one job after the other, outside the main thread."""

from collections.abc import Callable
from enum import Enum
from typing import Any, Protocol

Outcome = Callable[[Any], None]


class State(Enum):
    """What a session is doing."""

    IDLE = "idle"
    LOADING = "loading the model"
    ENCODING = "encoding the image"
    DECODING = "decoding the prompts"
    MASKING = "making the masks"
    READY = "ready"
    ENCODING_AHEAD = "encoding planes ahead"
    CANCELLED = "cancelled"
    FAILED = "failed"


BUSY = frozenset({State.LOADING, State.ENCODING, State.DECODING, State.MASKING})


class Runner(Protocol):
    """Runs one job at a time, and hands its outcome over in the main thread."""

    def __call__(self, job: Callable[[], Any], on_done: Outcome, on_error: Outcome) -> None:
        """Run ``job``, then call ``on_done`` with its value or ``on_error`` with its exception."""


class Step(Protocol):
    """A piece of work that is complete in itself: it holds all that it needs."""

    @property
    def state(self) -> State | None:
        """What the session is doing meanwhile; None if that is nobody's business."""

    def run(self, cancelled: Callable[[], bool]) -> Any:
        """Do the work; in the worker. May end with JobCancelledError when ``cancelled`` is true."""


class Job:
    """A step that runs.

    Parameters
    ----------
    step : Step
    generation : int
        Of the intent that it serves.
    keep : callable
        Takes its outcome.
    is_aside : bool, optional
        Whether it serves no intent, but a question of its own.
    """

    def __init__(
        self, step: Step, generation: int, keep: Outcome, *, is_aside: bool = False
    ) -> None:
        self.step = step
        self.generation = generation
        self.keep = keep
        self.is_aside = is_aside
        # Never taken back, also if what it was doing is wanted again.
        self.is_cancelled = False

    def run(self) -> Any:
        """Do the step; in the worker."""
        return self.step.run(lambda: self.is_cancelled)
