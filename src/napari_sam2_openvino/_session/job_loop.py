"""Runs the steps of a session, one at a time, until nothing is missing; in the main thread."""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from psygnal import Signal

from napari_sam2_openvino._session.jobs import Job, Outcome, Runner, State, Step
from napari_sam2_openvino._session.planning import Planner
from napari_sam2_openvino.core.errors import JobCancelledError, Sam2Error


class JobLoop:
    """Submits the first step that is missing between what is wanted and what is there.

    Parameters
    ----------
    run : Runner
    planner : Planner
    tell : callable
        Called before each step: what the last one changed is told then.
    """

    state_changed = Signal(State)
    failed = Signal(Sam2Error)

    def __init__(self, run: Runner, planner: Planner, tell: Callable[[], None]) -> None:
        self._run = run
        self._planner = planner
        self._tell = tell
        self._asides: deque[tuple[Callable[[], Step | None], Outcome]] = deque()
        self.generation = 0
        self.state = State.IDLE
        self.job: Job | None = None
        self.is_closed = False
        self._is_paused = self._is_advancing = self._again = False

    def intent_changed(self) -> None:
        """Go on after a change of what is wanted, also where a cancel or an error had stopped."""
        if not self.is_closed:
            self.generation += 1
            self._is_paused = False
            self._planner.ahead.interrupt()
            self.advance()

    def add_aside(self, make_step: Callable[[], Step | None], keep: Outcome) -> None:
        """Do something that serves no intent as soon as it can be said: ``make_step`` says it."""
        if not self.is_closed:
            self._asides.append((make_step, keep))
            self.advance()

    def cancel(self) -> None:
        """Stop the job that runs; the next change of intent goes on."""
        if self.job is not None and not self._is_paused and self.job.step.state is not None:
            self.job.is_cancelled = self._is_paused = True
            self.generation += 1
            self._set_state(State.CANCELLED)

    def close(self) -> None:
        """Stop everything for good; nothing is signalled afterwards."""
        self.is_closed = True
        if self.job is not None:
            self.job.is_cancelled = True
        self._asides.clear()

    def advance(self) -> None:
        """Submit the next step, if none runs."""
        # A runner may be done at once, and a listener may want something else: no recursion.
        self._again = True
        if self._is_advancing:
            return
        self._is_advancing = True
        try:
            while self._again and not self.is_closed:
                self._again = False
                self._advance_once()
        finally:
            self._is_advancing = False

    def _advance_once(self) -> None:
        self._planner.resolve()
        self._tell()
        if self._again or self.is_closed:
            # A listener wants something else by now.
            return
        if self.job is not None:
            self._reconsider(self.job)
        elif (aside := self._next_aside()) is not None:
            step, keep = aside
            self._submit(step, keep, is_aside=True)
        elif not self._is_paused:
            next_step = self._planner.foreground() or self._planner.background()
            if next_step is None:
                self._set_state(self._resting_state())
            else:
                self._submit(next_step, partial(self._planner.keep, next_step))

    def _next_aside(self) -> tuple[Step, Outcome] | None:
        for _ in range(len(self._asides)):
            make_step, keep = self._asides.popleft()
            if (step := make_step()) is not None:
                return step, keep
            # What it is about is not known yet.
            self._asides.append((make_step, keep))
        return None

    def _reconsider(self, job: Job) -> None:
        """Stop a step that is in the way of what is wanted now, and say what is done next."""
        if self._is_paused or job.is_aside:
            return
        next_step = self._planner.foreground()
        if not self._planner.is_wanted(job.step, next_step):
            job.is_cancelled = True
        # To load a model cannot be interrupted.
        goes_on = not job.is_cancelled or job.step.state is State.LOADING
        # If somebody waits for what is encoded ahead, it is no longer that.
        is_awaited = next_step is not None and job.step.state is State.ENCODING_AHEAD
        running = job.step if goes_on and not is_awaited else next_step
        state = None if running is None else running.state
        self._set_state(state or self._resting_state())

    def _submit(self, step: Step, keep: Outcome, *, is_aside: bool = False) -> None:
        job = self.job = Job(step, self.generation, keep, is_aside=is_aside)
        if not is_aside:
            self._planner.submitted(step)
            self._set_state(step.state or self._resting_state())
        self._run(job.run, partial(self._on_done, job), partial(self._on_error, job))

    def _on_done(self, job: Job, value: Any) -> None:
        self.job = None
        if not self.is_closed:
            if not job.is_cancelled:
                job.keep(value)
            self.advance()

    def _on_error(self, job: Job, error: BaseException) -> None:
        self.job = None
        if self.is_closed:
            return
        is_stale = job.generation != self.generation or job.is_cancelled
        is_known = isinstance(error, Sam2Error)
        if isinstance(error, JobCancelledError):
            self.advance()
        elif self._planner.passes_over(job.step):
            self.advance()
            if not is_known:
                raise error
        elif is_known and is_stale and not job.is_aside:
            # Nobody waits for it any more; what is wanted now gets its own chance.
            self.advance()
        else:
            self._report(job, error)

    def _report(self, job: Job, error: BaseException) -> None:
        if job.is_aside:
            self.advance()
        else:
            self._is_paused = True
            self._set_state(State.FAILED)
        if not isinstance(error, Sam2Error):
            raise error
        self.failed.emit(error)

    def _resting_state(self) -> State:
        return State.IDLE if self._planner.objects.view is None else State.READY

    def _set_state(self, state: State) -> None:
        if state is not self.state and not self.is_closed:
            self.state = state
            self.state_changed.emit(state)
