"""A segmenter that needs no model: bright spots. Real, small, and to be imported by workers."""

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from skimage.measure import label

from napari_sam2_openvino.core.errors import JobCancelledError
from napari_sam2_openvino.core.progress import Progress
from napari_sam2_openvino.core.regions import Region


@dataclass(frozen=True)
class BrightSpots:
    """Labels what is brighter than a threshold of the 8-bit image that a network would see.

    ``seconds`` is how long a plane takes at least; where ``deadly`` is a file, the process that
    segments plane ``dies_at`` removes it and kills itself.
    """

    threshold: int = 128
    seconds: float = 0.0
    dies_at: int = -1
    deadly: Path | None = None

    def for_image(self, image):
        assert image.axes.n_planes
        return self

    def settled(self, threads):
        assert threads is None or threads >= 1
        return self

    def as_begun(self, identity):
        assert identity["segmenter"] == "bright spots"
        return self

    def build(self, threads):
        assert threads is None or threads >= 1
        return self._segment

    def identity(self) -> Mapping[str, str]:
        return {"segmenter": "bright spots", "threshold": str(self.threshold)}

    def _segment(self, source, position, cancelled):
        yield Progress("Reading")
        rgb = source.load(Region.whole(source.hw))
        if self.deadly is not None and position[-1:] == (self.dies_at,) and self.deadly.exists():
            self.deadly.unlink()
            # What Windows has instead ends a process at once as well.
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
        until = time.perf_counter() + self.seconds
        while time.perf_counter() < until:
            time.sleep(0.01)
            if cancelled():
                raise JobCancelledError("Cancelled.")
            yield Progress("Waiting")
        return label(rgb[..., 0] > self.threshold).astype(np.uint16)
