"""Which plane a session encodes next while nothing else is wanted, and which are ready."""

from collections.abc import Callable, Hashable, Sequence

from napari_sam2_openvino.core.planes import PlaneSource
from napari_sam2_openvino.core.regions import Region

# Encoded even where there is no room for more, or where a plane is more than one region.
N_NEAREST = 2
# What is ready is found out anew when one plane of so many was encoded.
PLANES_PER_CHECK = 20


class AheadPlan:
    """The planes to encode ahead, of one model."""

    def __init__(self) -> None:
        self.ready: frozenset[Hashable] = frozenset()
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

    def set_planes(self, planes: Sequence[PlaneSource], max_per_idle: int | None) -> None:
        """Say which planes to encode, the most urgent first."""
        if [each.key for each in planes] != [each.key for each in self._planes]:
            self._done.clear()
        self._planes, self._max_per_idle = tuple(planes), max_per_idle

    def restart(self) -> None:
        """Forget what is known of the planes: it was of another model, or was cleared."""
        self.ready = frozenset()
        self._is_unknown = True
        self._failed.clear()
        self._done.clear()
        self._is_full = False

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

    def next(self, region_of: Callable[[PlaneSource], Region]) -> PlaneSource | None:
        """Return the plane to encode next."""
        if self._max_per_idle is not None and self._n_encoded >= self._max_per_idle:
            return None
        for number, source in enumerate(self._planes):
            if any(source.key in each for each in (self.ready, self._done, self._failed)):
                continue
            is_far = number >= N_NEAREST
            if is_far and (self._is_full or region_of(source).hw != source.hw):
                return None
            return source
        return None

    def encoded(self, plane_key: Hashable, region: Region, *, is_ahead: bool) -> None:
        """Note that a region of a plane was encoded."""
        if is_ahead:
            self._n_encoded += 1
            self._done.add(plane_key)
        if region == self._region:
            self.ready |= {plane_key}
        self._n_unchecked += 1

    def failed(self, plane_key: Hashable) -> None:
        """Note that a plane cannot be encoded: it is not tried again."""
        self._failed.add(plane_key)

    def found(self, ready: frozenset[Hashable]) -> None:
        """Note which planes are ready after all."""
        # What was there has gone to make room: to go on would drive out what is nearer.
        self._is_full = self._is_full or not ready >= self.ready
        self.ready = ready
        self._n_unchecked = 0
        self._is_unknown = False
