"""Put off what is only looked at, so that what the user waits for comes first."""

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QTimer


class Soon:
    """Calls something once, a moment after it was asked for, however often that was.

    Parameters
    ----------
    call : callable
    delay_ms : int, optional
        0 for the next turn of the event loop.
    """

    def __init__(self, call: Callable[[], None], delay_ms: int = 0) -> None:
        self._delay_ms = delay_ms
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(call)

    def ask(self, _: Any = None) -> None:
        """Call it soon; takes and ignores the argument of a signal."""
        if not self._timer.isActive():
            self._timer.start(self._delay_ms)
