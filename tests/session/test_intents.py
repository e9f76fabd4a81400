"""A thousand random edits, and answers that arrive at any time between them."""

from collections.abc import Callable

import numpy as np
import pytest
from tests.session_bench import (
    BROKEN,
    RADIUS,
    Bench,
    ahead,
    centre,
    click,
)

from napari_sam2_openvino._session.jobs import State
from napari_sam2_openvino.core.embeddings import EmbeddingCache
from napari_sam2_openvino.core.marks import ObjectPrompts
from napari_sam2_openvino.core.parameters import MaskOptions


def check(bench: Bench, wanted: dict[int, ObjectPrompts], plane: int | None) -> None:
    """Hold the answers against what was asked for last."""
    session = bench.session
    assert set(session.answers) <= set(wanted)
    for obj_id, prompts in wanted.items():
        answer = session.answer(obj_id)
        if answer is None:
            continue
        assert answer.prompts.digest() == prompts.digest()
        assert answer.prediction.object_score == plane
        assert answer.options == session.options
        (place,) = prompts.marks[0].vertices
        limits = np.array(bench.planes.hw[::-1]) - 1
        if min(place) >= RADIUS and (np.array(place) + RADIUS <= limits).all():
            # Where a region is not read at full resolution, masks are as exact as what is read.
            coarseness = answer.region.step if answer.region.step > 1 else 0
            assert np.abs(np.subtract(centre(answer), place)).max() <= coarseness


class Fate:
    """Random edits of a session."""

    def __init__(self, bench: Bench, seed: int) -> None:
        self.bench = bench
        self.rng = np.random.default_rng(seed)
        self.wanted: dict[int, ObjectPrompts] = {}
        self.plane: int | None = None

    def place(self) -> tuple[int, int]:
        height, width = self.bench.planes.hw
        return int(self.rng.integers(0, width)), int(self.rng.integers(0, height))

    def edit(self) -> None:
        self.rng.choice(
            [self.choose_model, *5 * [self.draw], self.choose_options, self.cancel, self.ahead]
        )()

    def choose_model(self) -> None:
        self.bench.session.set_model(str(self.rng.choice(["disc", "other"])))

    def draw(self) -> None:
        if self.rng.random() < 0.2:
            self.plane = None if self.rng.random() < 0.2 else int(self.rng.integers(1, 5))
        if self.rng.random() < 0.3:
            self.wanted = {}
        for _ in range(self.rng.integers(1, 4)):
            obj_id = int(self.rng.choice([-1, 1, 2, 3, 4, 5]))
            self.wanted = {**self.wanted, obj_id: click(*self.place())}
        if self.plane is None:
            self.wanted = {}
        x, y = self.place()
        view = (y, x, y + 50, x + 50) if self.rng.random() < 0.5 else None
        self.bench.request(self.plane, self.wanted, focus=int(self.rng.integers(1, 6)), view=view)

    def choose_options(self) -> None:
        threshold = float(self.rng.integers(-2, 3))
        self.bench.session.set_options(MaskOptions(mask_threshold=threshold))

    def cancel(self) -> None:
        self.bench.session.cancel()

    def ahead(self) -> None:
        ahead(self.bench, [int(each) for each in self.rng.permutation([*range(1, 5), BROKEN])])


@pytest.mark.parametrize("hw", [(40, 50), (240, 300)])
@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_the_answers_are_to_the_newest_intent(
    hw: tuple[int, int], seed: int
) -> None:
    bench = Bench(hw, image_size=60, embeddings=EmbeddingCache(max_bytes=600))
    fate = Fate(bench, seed)
    undelivered: list[Callable[[], None]] = []
    for _ in range(1000):
        fate.edit()
        check(bench, fate.wanted, fate.plane)
        # Jobs end, and their outcomes arrive, at any time between edits.
        for _ in range(fate.rng.integers(4)):
            if undelivered:
                undelivered.pop()()
            elif bench.steps.jobs:
                undelivered.append(bench.steps.work())
            check(bench, fate.wanted, fate.plane)
            assert len(bench.steps.jobs) + len(undelivered) <= 1
    while undelivered or bench.steps.jobs:
        undelivered = undelivered or [bench.steps.work()]
        undelivered.pop()()
    wanted = {1: click(20, 20), 2: click(21, 20)}
    bench.session.set_model("disc")
    bench.request(1, wanted)
    bench.steps.all()
    check(bench, wanted, 1)
    assert bench.session.is_settled
    assert bench.session.state is State.READY
    assert bench.errors == []
