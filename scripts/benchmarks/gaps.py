"""How long the main thread does not come round."""

import time
from collections.abc import Callable


class GapMeter:
    """A timer of 10 ms in the main thread: the longest time between two of its ticks.

    Parameters
    ----------
    clock : callable, optional
        ``time.thread_time`` counts what the main thread computes, which does not depend on what
        else the machine does.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        from qtpy.QtCore import Qt, QTimer

        self._clock = clock
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(10)
        self._timer.timeout.connect(self._on_tick)
        self._last = 0.0
        self._longest = 0.0

    def watch(self, is_over: Callable[[], bool]) -> float:
        """Process events until ``is_over``; return the longest gap in seconds."""
        from qtpy.QtWidgets import QApplication

        self._last, self._longest = self._clock(), 0.0
        self._timer.start()
        while not is_over():
            QApplication.processEvents()
            time.sleep(0.001)
        self._timer.stop()
        # What goes on until the end counts as well.
        return max(self._longest, self._clock() - self._last)

    def watch_for(self, seconds: float, action: Callable[[], None] = lambda: None) -> float:
        """Do something and process events for some time; return the longest gap in seconds."""
        from qtpy.QtCore import QTimer

        end = time.perf_counter() + seconds
        QTimer.singleShot(0, action)
        return self.watch(lambda: time.perf_counter() > end)

    def _on_tick(self) -> None:
        now = self._clock()
        self._longest = max(self._longest, now - self._last)
        self._last = now
