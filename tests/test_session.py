from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.disc_engine import DiscEngine

from napari_sam2_openvino._engine import ObjectMask
from napari_sam2_openvino._session import AnnotationSession, PlaneSource, State
from napari_sam2_openvino.core.embeddings import EmbeddingCache
from napari_sam2_openvino.core.errors import ModelNotFoundError
from napari_sam2_openvino.core.types import MaskPrediction, Prompts


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


class Planes:
    """Sources of planes, which count how often they are read."""

    def __init__(self) -> None:
        self.n_reads = 0

    def source(self, value: int) -> PlaneSource:
        def load() -> Any:
            self.n_reads += 1
            return np.full((40, 50), value, np.uint8)

        return PlaneSource(("image", value), load)


def click(x: float, y: float) -> Prompts:
    return Prompts(np.array([[x, y]]), np.array([1]))


class Bench:
    def __init__(self) -> None:
        self.steps = Steps()
        self.planes = Planes()
        self.engines: dict[str, DiscEngine] = {}
        self.session = AnnotationSession(self.steps, self.load)
        self.objects: list[ObjectMask | None] = []
        self.states: list[State] = []
        self.errors: list[Exception] = []
        self.session.object_changed.connect(self.objects.append)
        self.session.state_changed.connect(self.states.append)
        self.session.failed.connect(self.errors.append)

    def load(self, name: str) -> DiscEngine:
        if name == "missing":
            raise ModelNotFoundError("There is no model missing: choose another.")
        return self.engines.setdefault(name, DiscEngine(name))

    def request(self, plane: int | None, prompts: Prompts | None = None) -> None:
        source = None if plane is None else self.planes.source(plane)
        self.session.request(source, prompts or Prompts())

    @property
    def engine(self) -> DiscEngine:
        return self.engines["disc"]


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.session.set_model("disc")
    return bench


def test_goes_from_nothing_to_an_object_step_by_step(bench: Bench) -> None:
    bench.request(1, click(20, 10))
    bench.steps.all()
    assert bench.states == [State.LOADING, State.ENCODING, State.DECODING, State.READY]
    (answer,) = bench.objects
    assert answer is bench.session.current_object
    assert answer is not None
    assert answer.origin == (5, 15)
    assert answer.mask.shape == (11, 11)
    assert answer.mask[5, 5]
    assert answer.iou_prediction == pytest.approx(0.9)


def test_loads_the_model_and_encodes_before_there_are_prompts(bench: Bench) -> None:
    bench.request(1)
    bench.steps.all()
    assert bench.session.state is State.READY
    assert (bench.engine.n_encodes, len(bench.engine.predicted)) == (1, 0)


def test_prompt_edits_never_encode_or_read_again(bench: Bench) -> None:
    for x in range(10, 20):
        bench.request(1, click(x, 10))
        bench.steps.all()
    assert bench.engine.n_encodes == bench.planes.n_reads == 1
    assert len(bench.engine.predicted) == 10


def test_equal_prompts_are_not_decoded_again(bench: Bench) -> None:
    for _ in range(3):
        bench.request(1, click(20, 10))
        bench.steps.all()
    assert len(bench.engine.predicted) == 1


def test_only_the_newest_of_several_edits_is_decoded(bench: Bench) -> None:
    bench.request(1)
    bench.steps.all()
    for x in (10, 20, 30):
        bench.request(1, click(x, 10))
    bench.steps.all()
    assert [prompts.point_coords[0, 0] for prompts in bench.engine.predicted] == [10, 30]
    assert [answer.origin for answer in bench.objects if answer] == [(5, 25)]


def test_a_stale_answer_is_dropped(bench: Bench) -> None:
    bench.request(1, click(20, 10))
    bench.steps.one()
    bench.steps.one()
    deliver = bench.steps.work()
    bench.request(2, click(20, 10))
    deliver()
    assert bench.session.current_object is None
    assert bench.objects == []


def test_a_new_plane_takes_the_old_object_away_at_once(bench: Bench) -> None:
    bench.request(1, click(20, 10))
    bench.steps.all()
    bench.request(2, click(20, 10))
    assert bench.objects[-1] is None
    assert bench.session.current_object is None


def test_a_new_prompt_keeps_the_old_object_in_view_but_not_current(bench: Bench) -> None:
    bench.request(1, click(20, 10))
    bench.steps.all()
    bench.request(1, click(21, 10))
    assert len(bench.objects) == 1
    assert bench.session.current_object is None


def test_coming_back_to_a_plane_neither_reads_nor_encodes(bench: Bench) -> None:
    for plane in (1, 2, 1, 2):
        bench.request(plane, click(20, 10))
        bench.steps.all()
    assert bench.engine.n_encodes == bench.planes.n_reads == 2
    assert len(bench.engine.predicted) == 4


def test_planes_of_equal_content_are_encoded_once(bench: Bench) -> None:
    for key in ("a", "b"):
        source = PlaneSource(key, lambda: np.zeros((8, 8), np.uint8))
        bench.session.request(source, Prompts())
        bench.steps.all()
    assert bench.engine.n_encodes == 1


def test_what_the_cache_dropped_is_encoded_again() -> None:
    steps, planes, engine = Steps(), Planes(), DiscEngine()
    session = AnnotationSession(steps, lambda _: engine, EmbeddingCache(max_bytes=0))
    session.set_model("disc")
    for plane in (1, 2, 1):
        session.request(planes.source(plane), Prompts())
        steps.all()
    assert engine.n_encodes == 3


def test_an_encode_of_a_plane_that_was_left_is_cancelled(bench: Bench) -> None:
    bench.request(1)
    bench.steps.one()
    bench.request(2)
    bench.steps.all()
    assert (bench.engine.n_encodes, bench.engine.n_cancelled) == (2, 1)
    assert bench.session.state is State.READY
    assert bench.errors == []


def test_a_prompt_does_not_cancel_the_encode_it_waits_for(bench: Bench) -> None:
    bench.request(1)
    bench.steps.one()
    bench.request(1, click(20, 10))
    bench.steps.all()
    assert (bench.engine.n_encodes, bench.engine.n_cancelled) == (1, 0)


def test_another_model_encodes_anew_and_frees_the_old_one(bench: Bench) -> None:
    bench.request(1, click(20, 10))
    bench.steps.all()
    bench.session.set_model("other")
    assert bench.objects[-1] is None
    bench.steps.all()
    assert bench.engines["other"].n_encodes == 1
    assert bench.session.current_object is not None


def test_cancel_stops_until_the_next_change(bench: Bench) -> None:
    bench.request(1)
    bench.steps.one()
    bench.session.cancel()
    assert bench.session.state is State.CANCELLED
    bench.steps.all()
    assert bench.session.state is State.CANCELLED
    assert bench.engine.n_cancelled == 1
    bench.request(1, click(20, 10))
    bench.steps.all()
    assert bench.session.current_object is not None


def test_an_answer_that_comes_after_cancel_is_dropped(bench: Bench) -> None:
    bench.request(1, click(20, 10))
    bench.steps.one()
    bench.steps.one()
    deliver = bench.steps.work()
    bench.session.cancel()
    deliver()
    assert bench.objects == []


def test_an_edit_after_cancel_is_seen_and_goes_on_when_the_cancelled_job_has_ended(
    bench: Bench,
) -> None:
    bench.request(1)
    bench.steps.one()
    bench.session.cancel()
    bench.request(1, click(20, 10))
    assert bench.session.state is State.ENCODING
    assert bench.session.is_busy
    # Wanted again, but cancelled for good.
    bench.steps.one()
    assert bench.engine.n_cancelled == 1
    bench.steps.all()
    assert bench.session.current_object is not None
    assert bench.engine.n_encodes == 2


def test_what_was_resumed_can_be_cancelled_again(bench: Bench) -> None:
    bench.request(1)
    bench.steps.one()
    bench.session.cancel()
    bench.request(1, click(20, 10))
    bench.session.cancel()
    assert bench.session.state is State.CANCELLED
    bench.steps.all()
    assert bench.session.state is State.CANCELLED
    assert bench.objects == []


def test_a_model_whose_loading_was_cancelled_is_dropped(bench: Bench) -> None:
    n_loads = 0
    load = bench.session._load_engine

    def count(name: str) -> Any:
        nonlocal n_loads
        n_loads += 1
        return load(name)

    bench.session._load_engine = count
    bench.session.set_model("other")
    bench.request(1)
    bench.session.cancel()
    assert bench.session.is_loading
    bench.steps.all()
    assert bench.session.state is State.CANCELLED
    before = n_loads
    bench.request(1, click(20, 10))
    bench.steps.all()
    assert n_loads == before + 1
    assert bench.session.current_object is not None


def test_an_error_is_told_once_and_the_next_change_tries_again(bench: Bench) -> None:
    bench.session.set_model("missing")
    bench.request(1, click(20, 10))
    bench.steps.all()
    assert [str(error) for error in bench.errors] == ["There is no model missing: choose another."]
    assert bench.session.state is State.FAILED
    bench.session.set_model("disc")
    bench.steps.all()
    assert bench.session.current_object is not None


def test_a_bug_is_raised_and_not_taken_for_a_message(bench: Bench) -> None:
    bench.request(1)
    bench.steps.one()
    bench.engine.encode = lambda *_args, **_kwargs: 1 / 0  # type: ignore[method-assign]
    with pytest.raises(ZeroDivisionError):
        bench.steps.one()
    assert bench.errors == []


def test_close_in_the_middle_of_an_encode_ends_it_and_signals_nothing(bench: Bench) -> None:
    bench.request(1, click(20, 10))
    bench.steps.one()
    n_states = len(bench.states)
    bench.session.close()
    bench.steps.all()
    assert bench.engine.n_cancelled == 1
    assert len(bench.states) == n_states
    assert bench.objects == []


def test_no_image_is_no_object(bench: Bench) -> None:
    bench.request(1, click(20, 10))
    bench.steps.all()
    bench.request(None)
    bench.steps.all()
    assert bench.session.state is State.IDLE
    assert bench.objects[-1] is None


def test_the_best_mask_by_predicted_iou_is_cut_out() -> None:
    masks = np.zeros((3, 30, 40), bool)
    masks[1, 10:20, 5:15] = True
    scores = np.array([0.2, 0.8, 0.3], np.float32)
    answer = ObjectMask.best_of(MaskPrediction(masks, scores, np.zeros((3, 4, 4), np.float32)))
    assert answer.origin == (10, 5)
    assert answer.mask.shape == (10, 10)
    assert answer.mask.all()
    inner = np.zeros((10, 10), bool)
    inner[2:-2, 2:-2] = True
    np.testing.assert_array_equal(answer.outline == 0, inner)


def test_an_empty_mask_is_an_object_of_no_pixels() -> None:
    prediction = MaskPrediction(
        np.zeros((1, 8, 8), bool), np.ones(1, np.float32), np.zeros((1, 2, 2), np.float32)
    )
    assert ObjectMask.best_of(prediction).mask.size == 0


def test_whatever_happens_the_object_answers_the_newest_intent() -> None:
    rng = np.random.default_rng(0)
    bench = Bench()
    undelivered: list[Callable[[], None]] = []
    for _ in range(2000):
        step = rng.integers(8)
        if step == 0:
            bench.session.set_model(str(rng.choice(["disc", "other"])))
        elif step <= 2:
            prompts = click(*rng.integers(6, 34, 2)) if rng.random() < 0.8 else None
            plane = None if rng.random() < 0.1 else int(rng.integers(1, 4))
            bench.request(plane, prompts)
        elif step == 3:
            bench.session.cancel()
        elif undelivered:
            undelivered.pop()()
        elif bench.steps.jobs:
            undelivered.append(bench.steps.work())
        answer = bench.session.current_object
        if answer is not None:
            (place,) = bench.session.prompts.point_coords
            assert answer.origin == (place[1] - 5, place[0] - 5)
            assert bench.session.source is not None
    while undelivered or bench.steps.jobs:
        undelivered = undelivered or [bench.steps.work()]
        undelivered.pop()()
    bench.session.set_model("disc")
    bench.request(1, click(20, 20))
    bench.request(1, click(21, 20))
    bench.steps.all()
    assert bench.session.current_object is not None
    assert max(len(bench.steps.jobs), len(bench.errors)) == 0
    assert sum(engine.n_encodes - engine.n_cancelled for engine in bench.engines.values()) <= 6
