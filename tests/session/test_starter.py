"""The session with the model that comes with the package, and a thread that computes."""

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from napari_sam2_openvino._session.annotation_session import AnnotationSession
from napari_sam2_openvino._session.jobs import State
from napari_sam2_openvino.core.embedding_store import EmbeddingStore
from napari_sam2_openvino.core.embeddings import EmbeddingCache
from napari_sam2_openvino.core.marks import Mark, ObjectPrompts
from napari_sam2_openvino.core.models import STARTER, load_model
from napari_sam2_openvino.core.object_decoder import ObjectDecoder
from napari_sam2_openvino.core.object_masks import make_mask
from napari_sam2_openvino.core.parameters import MaskOptions
from napari_sam2_openvino.core.planes import PlaneSource
from napari_sam2_openvino.core.regions import Region

HW = (300, 400)


class Thread:
    """A runner whose jobs are done in a thread; their outcomes arrive in ``wait``."""

    def __init__(self) -> None:
        self._jobs: queue.Queue[Any] = queue.Queue()
        self._outcomes: queue.Queue[Any] = queue.Queue()
        threading.Thread(target=self._work, daemon=True).start()

    def __call__(self, job: Any, on_done: Any, on_error: Any) -> None:
        self._jobs.put((job, on_done, on_error))

    def _work(self) -> None:
        while (item := self._jobs.get()) is not None:
            job, on_done, on_error = item
            try:
                self._outcomes.put((on_done, job()))
            except Exception as error:
                self._outcomes.put((on_error, error))

    def wait(self, until: Callable[[], bool]) -> None:
        while not until():
            deliver, value = self._outcomes.get(timeout=60)
            deliver(value)

    def close(self) -> None:
        self._jobs.put(None)


@pytest.fixture
def thread() -> Iterator[Thread]:
    thread = Thread()
    yield thread
    thread.close()


def image() -> np.ndarray:
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[: HW[0], : HW[1]]
    pixels = rng.normal(40, 6, HW)
    for x, y in centres():
        pixels[(rows - y) ** 2 + (columns - x) ** 2 < 18**2] += 120
    return np.repeat(np.clip(pixels, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def centres() -> list[tuple[float, float]]:
    return [(40.0 + 60 * column, 40.0 + 55 * row) for row in range(5) for column in range(6)]


def source() -> PlaneSource:
    pixels = image()

    def load(region: Region) -> np.ndarray:
        rows = slice(region.row, region.row + region.height, region.step)
        return pixels[rows, region.column : region.column + region.width : region.step]

    return PlaneSource("plane", HW, load)


def clicks() -> dict[int, ObjectPrompts]:
    found = {}
    for obj_id, (x, y) in enumerate(centres(), start=1):
        marks = [Mark("point", ((x, y),))]
        if obj_id % 3 == 0:
            marks.append(Mark("point", ((x + 30, y),), is_positive=False))
        if obj_id % 5 == 0:
            marks = [Mark("box", ((x - 20, y - 20), (x + 20, y + 20)))]
        found[obj_id] = ObjectPrompts(tuple(marks))
    return found


def answered(
    thread: Thread, objects: dict[int, ObjectPrompts], embeddings: EmbeddingCache | None = None
) -> AnnotationSession:
    session = AnnotationSession(thread, embeddings=embeddings)
    session.failed.connect(pytest.fail)
    session.set_model(STARTER)
    session.request(source(), objects)
    thread.wait(lambda: session.is_settled and session.state is State.READY)
    return session


def same_masks(one: AnnotationSession, other: AnnotationSession) -> None:
    assert set(one.answers) == set(other.answers)
    for obj_id, answer in one.answers.items():
        assert answer.mask.origin == other.answers[obj_id].mask.origin
        np.testing.assert_array_equal(answer.mask.mask, other.answers[obj_id].mask.mask)
        assert answer.iou_prediction == other.answers[obj_id].iou_prediction


def test_masks_are_those_of_the_decoder(thread: Thread) -> None:
    objects = clicks()
    session = answered(thread, objects)
    model = load_model(STARTER)
    region = Region.whole(HW)
    embedding = model.encode(source().load(region))
    predictions = ObjectDecoder(model).predict(embedding, region, list(objects.values()))
    for (obj_id, _), prediction in zip(objects.items(), predictions, strict=True):
        expected = make_mask(prediction.choice.logits, region, HW, MaskOptions())
        answer = session.answers[obj_id]
        assert answer.mask.origin == expected.origin
        np.testing.assert_array_equal(answer.mask.mask, expected.mask)
    assert sum(answer.mask.mask.size > 0 for answer in session.answers.values()) > 20


def test_neither_order_nor_history_changes_a_mask(thread: Thread) -> None:
    objects = clicks()
    at_once = answered(thread, objects)
    one_by_one = answered(thread, {})
    for obj_id in reversed(objects):
        # By way of other prompts.
        detour = ObjectPrompts((Mark("point", ((5.0 + obj_id, 9.0),)),))
        known = {key: objects[key] for key in objects if key > obj_id}
        for prompts in (detour, objects[obj_id]):
            one_by_one.request(source(), {**known, obj_id: prompts}, focus=obj_id)
            thread.wait(lambda: one_by_one.is_settled)
    same_masks(at_once, one_by_one)


def test_an_embedding_from_disk_gives_the_same_masks(thread: Thread, tmp_path: Any) -> None:
    first = answered(thread, clicks(), EmbeddingCache(store=EmbeddingStore(tmp_path)))
    again = answered(thread, clicks(), EmbeddingCache(store=EmbeddingStore(tmp_path)))
    assert first.encode_seconds
    assert not again.encode_seconds
    same_masks(first, again)


def test_what_a_session_holds_can_be_saved_and_gives_the_same_masks_again(thread: Thread) -> None:
    first = answered(thread, clicks())
    again = AnnotationSession(thread)
    again.set_model(STARTER)
    again.request(
        source(),
        {key: answer.prompts for key, answer in first.answers.items()},
        regions={key: answer.region for key, answer in first.answers.items()},
    )
    thread.wait(lambda: again.is_settled)
    same_masks(first, again)
