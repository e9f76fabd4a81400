"""How many objects are decoded at once: many are faster, but an edit waits for all of them."""

from napari_sam2_openvino.core.object_decoder import BATCH_SIZE

CHUNK_SECONDS = 0.04
"""A step on many objects begins no other batch after that."""

BATCH_SECONDS = 0.055
"""So long a batch may take, or as long as one object and what batches cost beside objects."""


class Pace:
    """Learns how long batches take.

    Of a batch, a part of the time does not depend on its size. On a busy machine it is most of it,
    and small batches would gain an edit nothing.
    """

    def __init__(self) -> None:
        self.batch_size = 4
        self._seconds: dict[int, float] = {}

    def learn(self, n_objects: int, seconds: float) -> None:
        """Note how long a batch took."""
        # Two different sizes tell apart what a batch costs and what its objects cost.
        self._seconds.pop(n_objects, None)
        self._seconds = dict([*self._seconds.items(), (n_objects, seconds)][-2:])
        fixed, each = self._line()
        allowed = max(BATCH_SECONDS, each + 2 * fixed)
        fitting = (allowed - fixed) / max(each, 1e-6)
        # By halves and doubles: the decoder works in batches of powers of two.
        if fitting < self.batch_size:
            self.batch_size = max(self.batch_size // 2, 1)
        elif fitting >= 2 * self.batch_size:
            self.batch_size = min(2 * self.batch_size, BATCH_SIZE)

    def _line(self) -> tuple[float, float]:
        """Return the seconds of any batch, and those of each object of it."""
        small, large = min(self._seconds), max(self._seconds)
        if small == large:
            return 0.0, self._seconds[large] / large
        each = (self._seconds[large] - self._seconds[small]) / (large - small)
        each = min(max(each, 0.0), self._seconds[small] / small)
        return self._seconds[small] - small * each, each
