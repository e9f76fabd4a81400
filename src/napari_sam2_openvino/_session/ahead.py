"""Which plane a session encodes next while nothing else is wanted, and which are ready."""

from collections.abc import Callable, Hashable, Sequence

from napari_sam2_openvino.core.planes import PlaneSource
from napari_sam2_openvino.core.regions import Region

# Encoded even where there is no room for more, or where a plane is more than one region.
N_NEAREST = 2
# What is ready is found out anew when one plane of so many was encoded.
PLANES_PER_CHECK = 20

_NONE: frozenset[Hashable] = frozenset()


class AheadPlan:
    """The planes to encode ahead, of one model."""

    def __init__(self) -> None:
        # Replaced only by another set: whoever holds it sees by identity that nothing changed.
        self.ready: frozenset[Hashable] = _NONE
        # How many were encoded since `ready` was found out, and whether it never was.
        self._n_unchecked = 0
        self._is_unknown = False
        self._region: Region | None = None
        self._planes: tuple[PlaneSource, ...] = ()
        self._max_per_idle: int | None = None
        self._n_encoded = 0
        self._failed: set[Hashable] = set()
        # Each is encoded once: where there is no room they would drive out each other for ever.
        self._done: set[Hashable] = set()
        self._is_full = False
        # Planes before this one need nothing.
        self._begin = 0

    def set_planes(self, planes: Sequence[PlaneSource], max_per_idle: int | None) -> None:
        """Say which planes to encode, the most urgent first."""
        if [each.key for each in planes] != [each.key for each in self._planes]:
            self._done.clear()
            self._begin = 0
        self._planes, self._max_per_idle = tuple(planes), max_per_idle

    def restart(self) -> None:
        """Forget what is known of the planes: it was of another model, or was cleared."""
        self.ready = _NONE
        self._is_unknown = True
        self._failed.clear()
        self._done.clear()
        self._is_full = False
        self._begin = 0

    def set_region(self, region: Region) -> None:
        """Say which region of each plane is meant."""
        if region != self._region:
            self._region = region
            self.restart()

    def interrupt(self) -> None:
        """Count anew: something was wanted in between."""
        self._n_encoded = 0

    def must_check(self, *, is_last: bool) -> bool:
        """Return whether to find out which planes are ready after all.

        Of many planes that takes a while, so it is not done after each of them.

        Parameters
        ----------
        is_last : bool
            Whether there is nothing else to do.
        """
        n_allowed = 0 if is_last else len(self.ready) // PLANES_PER_CHECK
        return self._is_unknown or self._n_unchecked > n_allowed

    def next(
        self, region_of: Callable[[PlaneSource], Region], has_room: Callable[[], bool]
    ) -> PlaneSource | None:
        """Return the plane to encode next.

        Parameters
        ----------
        region_of : callable
            Returns the region of a plane that is encoded.
        has_room : callable
            Whether one more embedding drives out no other.
        """
        if self._max_per_idle is not None and self._n_encoded >= self._max_per_idle:
            return None
        while self._begin < len(self._planes) and self._needs_nothing(self._planes[self._begin]):
            self._begin += 1
        if self._begin == len(self._planes):
            return None
        source = self._planes[self._begin]
        is_near = self._begin < N_NEAREST
        is_whole = region_of(source).hw == source.hw
        return source if is_near or (is_whole and not self._is_full and has_room()) else None

    def _needs_nothing(self, source: PlaneSource) -> bool:
        key = source.key
        return key in self.ready or key in self._done or key in self._failed

    def encoded(self, plane_key: Hashable, region: Region, *, is_ahead: bool) -> None:
        """Note that a region of a plane was encoded."""
        if is_ahead:
            self._n_encoded += 1
            self._done.add(plane_key)
        if region == self._region and plane_key not in self.ready:
            self.ready |= {plane_key}
        self._n_unchecked += 1

    def failed(self, plane_key: Hashable) -> None:
        """Note that a plane cannot be encoded: it is not tried again."""
        self._failed.add(plane_key)

    def found(self, ready: frozenset[Hashable]) -> None:
        """Note which planes are ready after all."""
        if not ready >= self.ready:
            # What was there has gone to make room: to go on would drive out what is nearer.
            self._is_full = True
            self._begin = 0
        if ready != self.ready:
            self.ready = ready
        self._n_unchecked = 0
        self._is_unknown = False
