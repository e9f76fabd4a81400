"""What tests of the session share: runners, planes that count, and a session that is watched."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tests.disc_engine import DiscEngine

from napari_sam2_openvino._session.annotation_session import AnnotationSession
from napari_sam2_openvino._session.answers import ObjectAnswer
from napari_sam2_openvino._session.jobs import State
from napari_sam2_openvino.core.embeddings import EmbeddingCache
from napari_sam2_openvino.core.errors import InputError, ModelNotFoundError
from napari_sam2_openvino.core.marks import Mark, ObjectPrompts
from napari_sam2_openvino.core.planes import PlaneSource
from napari_sam2_openvino.core.regions import Region

RADIUS = 5
BROKEN = 66
"""A plane that cannot be read."""


class Steps:
    """A runner whose jobs are done when the test says so."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Callable[[], Any], Callable[..., None], Callable[..., None]]] = []

    def __call__(self, job: Any, on_done: Any, on_error: Any) -> None:
        self.jobs.append((job, on_done, on_error))

    def work(self) -> Callable[[], None]:
        """Do the next job, and return the delivery of its outcome."""
        job, on_done, on_error = self.jobs.pop(0)
        try:
            value = job()
        except Exception as error:
            return lambda caught=error: on_error(caught)
        return lambda: on_done(value)

    def one(self) -> None:
        self.work()()

    def all(self) -> None:
        while self.jobs:
            self.one()


def at_once(job: Any, on_done: Any, on_error: Any) -> None:
    """Run a job while it is submitted."""
    try:
        value = job()
    except Exception as error:
        on_error(error)
    else:
        on_done(value)


class Planes:
    """Sources of planes, which count how often they are read."""

    def __init__(self, hw: tuple[int, int] = (40, 50)) -> None:
        self.hw = hw
        self.n_reads = 0
        self.regions: list[Region] = []

    def source(self, value: int) -> PlaneSource:
        def load(region: Region) -> NDArray[np.uint8]:
            self.n_reads += 1
            self.regions.append(region)
            if value == BROKEN:
                raise InputError("The plane cannot be read: choose another.")
            height, width = (-(-side // region.step) for side in region.hw)
            rgb = np.full((height, width, 3), value, np.uint8)
            # The pixels of regions differ.
            rgb[0, 1] = region.row % 251, region.column % 251, region.height % 251
            return rgb

        return PlaneSource(("image", value), self.hw, load)


def click(x: float, y: float, *more: tuple[float, float]) -> ObjectPrompts:
    return ObjectPrompts(tuple(Mark("point", (place,)) for place in ((x, y), *more)))


def box(x0: float, y0: float, x1: float, y1: float) -> ObjectPrompts:
    return ObjectPrompts((Mark("box", ((x0, y0), (x1, y1))),))


def centre(answer: ObjectAnswer) -> tuple[float, float]:
    """Return the (x, y) of the middle of a mask."""
    (row, column), (height, width) = answer.mask.origin, answer.mask.mask.shape
    return column + (width - 1) / 2, row + (height - 1) / 2


class Bench:
    """A session, and what it signalled."""

    def __init__(
        self,
        hw: tuple[int, int] = (40, 50),
        *,
        run: Any = None,
        embeddings: EmbeddingCache | None = None,
        **engine: Any,
    ) -> None:
        self.steps = Steps()
        self.planes = Planes(hw)
        self.engines: dict[str, DiscEngine] = {}
        self._engine = engine
        self.session = AnnotationSession(run or self.steps, self.load, embeddings)
        self.changes: list[frozenset[int]] = []
        self.states: list[State] = []
        self.regions: list[Region | None] = []
        self.ready: list[frozenset[Any]] = []
        self.errors: list[Exception] = []
        self.session.answers_changed.connect(self.changes.append)
        self.session.state_changed.connect(self.states.append)
        self.session.region_changed.connect(self.regions.append)
        self.session.ready_changed.connect(self.ready.append)
        self.session.failed.connect(self.errors.append)

    def load(self, name: str) -> DiscEngine:
        if name == "missing":
            raise ModelNotFoundError("There is no model missing: choose another.")
        engine = DiscEngine(name, radius=RADIUS, **self._engine)
        return self.engines.setdefault(name, engine)

    def request(
        self, plane: int | None, objects: Mapping[int, ObjectPrompts] | None = None, **more: Any
    ) -> None:
        source = None if plane is None else self.planes.source(plane)
        self.session.request(source, objects or {}, **more)

    @property
    def engine(self) -> DiscEngine:
        return self.engines["disc"]

    @property
    def decoded(self) -> list[ObjectPrompts]:
        return [prompts for _, prompts in self.engine.decoded]


def large() -> Bench:
    """Return a bench whose planes are ten times as long as what the model sees."""
    bench = Bench((1000, 1000), image_size=100)
    bench.session.set_model("disc")
    return bench


def key(plane: int) -> tuple[str, int]:
    """Return the key of a plane."""
    return ("image", plane)


def ahead(bench: Bench, planes: Iterable[int], **more: Any) -> None:
    """Want planes to be encoded ahead."""
    bench.session.set_ahead([bench.planes.source(plane) for plane in planes], **more)
