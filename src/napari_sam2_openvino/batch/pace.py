"""How fast a batch is, and how long it will still take."""

import time

_MINUTE = 60


class Pace:
    """Planes per minute and time left, from what was done since the start."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._before = 0.0
        self._done = 0.0
        self._n_planes = 0

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.perf_counter() - self._started

    @property
    def planes_per_minute(self) -> float:
        """Of planes that were segmented since the start."""
        return self._n_planes * _MINUTE / max(self.seconds, 1e-9)

    def skip(self, share: float) -> None:
        """Note a share of the job that needs no doing: it says nothing about the time left."""
        self._before += share
        self._done += share

    def advance(self, done: float) -> None:
        """Note that one more plane is done, and the share of the job that is."""
        self._n_planes += 1
        self._done = done

    def text(self) -> str:
        """Return such as "34 planes per minute, 5 min left"; empty before the first plane."""
        gained = self._done - self._before
        if not self._n_planes or gained <= 0:
            return ""
        left = self.seconds * (1 - self._done) / gained
        return f"{self.planes_per_minute:.0f} planes per minute, {duration(left)} left"


def duration(seconds: float) -> str:
    """Return a time for people, such as "5 min"."""
    minutes = seconds / _MINUTE
    if minutes < 1:
        return f"{seconds:.0f} s"
    if minutes < 120:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.1f} h"
