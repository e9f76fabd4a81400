"""What the user is told: a sentence that says what is going on, whether to wait, and errors."""

from collections.abc import Callable

from napari.utils.notifications import show_error
from psygnal import Signal

from napari_sam2_openvino._qt import status
from napari_sam2_openvino._qt.actions import ACTIONS, Action
from napari_sam2_openvino._session.annotation_session import AnnotationSession
from napari_sam2_openvino._session.jobs import State
from napari_sam2_openvino.core.errors import Sam2Error

_SLOW = (State.LOADING, State.ENCODING)


class Feedback:
    """Puts what a session does, and what others have to say, into one line.

    Parameters
    ----------
    session : AnnotationSession
    find_focus : callable
        Returns the obj_id that the line is about, or None.
    """

    status_changed = Signal(str)
    busy_changed = Signal(bool)

    def __init__(self, session: AnnotationSession, find_focus: Callable[[], int | None]) -> None:
        self._session = session
        self._find_focus = find_focus
        self.has_image = False
        self.problem = ""
        """What is wrong with what is drawn."""
        self.is_unasked = False
        """Whether something is drawn that no mask was asked for."""
        self.actions: tuple[Action, ...] = ACTIONS
        """Whose keys are named, as returned by `rebind`."""
        self._notice = ""
        self._last_error = ""
        self._is_scanning = False
        session.state_changed.connect(self._on_state)

    def show(self) -> None:
        """Say what is going on."""
        text = self.problem or status.describe(
            self._session,
            focus=self._find_focus(),
            has_image=self.has_image,
            is_unasked=self.is_unasked,
            actions=self.actions,
        )
        is_resting = self._session.state in (State.READY, State.ENCODING_AHEAD)
        if self._notice and is_resting and not self.problem:
            text = self._notice
        if text:
            self.status_changed.emit(text)

    def say(self, sentence: str) -> None:
        """Say something that the next thing that happens may take the place of."""
        self.status_changed.emit(sentence)

    def announce(self, sentence: str) -> None:
        """Say something that stays, but for what the user waits for, until `expire`."""
        self._notice = sentence
        self.status_changed.emit(sentence)

    def expire(self) -> None:
        """Note that what was announced is about something that has changed since."""
        self._notice = ""

    def report(self, error: Sam2Error) -> None:
        """Tell of an error: in the line, and once as a notification."""
        self.notify(str(error))
        self.status_changed.emit(str(error))

    def notify(self, sentence: str) -> None:
        """Tell of what is wrong as a notification, unless it was the last one."""
        if sentence != self._last_error:
            self._last_error = sentence
            show_error(sentence)

    def forget_error(self) -> None:
        """Note that what was wrong is right: the next error is news, also if it is the same."""
        self._last_error = ""

    def set_scanning(self, is_scanning: bool) -> None:
        """Note that labels are read for a commit, or no more."""
        self._is_scanning = is_scanning
        self._show_busy()

    def _on_state(self, state: State) -> None:
        self._show_busy()
        if state is not State.DECODING:
            self.show()

    def _show_busy(self) -> None:
        self.busy_changed.emit(self._session.state in _SLOW or self._is_scanning)
