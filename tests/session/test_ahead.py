from typing import Any

import pytest
from tests.session_bench import (
    BROKEN,
    Bench,
    ahead,
    click,
    key,
    large,
)

from napari_sam2_openvino._session.jobs import State
from napari_sam2_openvino.core.embedding_store import EmbeddingStore
from napari_sam2_openvino.core.embeddings import EmbeddingCache


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.session.set_model("disc")
    return bench


def test_planes_are_encoded_ahead_in_their_order_and_told(bench: Bench) -> None:
    bench.request(1)
    ahead(bench, [1, 2, 0, 3])
    bench.steps.all()
    assert bench.engine.n_encodes == 4
    assert bench.session.ready == {key(plane) for plane in range(4)}
    assert bench.ready[:2] == [{key(1)}, {key(1), key(2)}]
    assert bench.states[-2:] == [State.ENCODING_AHEAD, State.READY]
    assert bench.states.count(State.ENCODING_AHEAD) == 1
    bench.request(2, {1: click(20, 10)})
    bench.steps.all()
    assert bench.engine.n_encodes == bench.planes.n_reads == 4


def test_nobody_waits_for_what_is_encoded_ahead(bench: Bench) -> None:
    bench.request(1)
    bench.steps.all()
    ahead(bench, [2])
    while bench.session.state is not State.ENCODING_AHEAD:
        bench.steps.one()
    assert not bench.session.is_busy
    assert bench.session.is_settled


def test_an_edit_cancels_what_is_encoded_ahead(bench: Bench) -> None:
    bench.request(1)
    bench.steps.all()
    ahead(bench, [2])
    while bench.session.state is not State.ENCODING_AHEAD:
        bench.steps.one()
    bench.request(1, {1: click(20, 10)})
    assert bench.session.state is State.DECODING
    bench.steps.one()
    assert bench.engine.n_encodes == 1
    bench.steps.one()
    assert bench.session.answer(1) is not None
    bench.steps.all()
    assert bench.session.ready == {key(1), key(2)}


def test_a_request_for_what_is_there_does_not_disturb(bench: Bench) -> None:
    bench.request(1)
    bench.steps.all()
    ahead(bench, [2])
    while bench.session.state is not State.ENCODING_AHEAD:
        bench.steps.one()
    bench.request(1)
    bench.steps.all()
    assert bench.planes.n_reads == 2


def test_a_plane_that_cannot_be_read_ahead_is_passed_over_in_silence(bench: Bench) -> None:
    bench.request(1)
    ahead(bench, [BROKEN, 2])
    bench.steps.all()
    assert bench.session.ready == {key(1), key(2)}
    assert bench.errors == []
    assert bench.session.state is State.READY


def test_a_bug_ahead_is_raised_and_the_plane_passed_over(bench: Bench) -> None:
    bench.request(1)
    bench.steps.all()

    def explode(_region: Any) -> Any:
        raise ZeroDivisionError

    broken = type(bench.planes.source(2))(("image", 2), bench.planes.hw, explode)
    bench.session.set_ahead([broken, bench.planes.source(3)])
    with pytest.raises(ZeroDivisionError):
        bench.steps.all()
    bench.steps.all()
    assert bench.session.ready == {key(1), key(3)}
    assert bench.session.state is State.READY


def test_no_more_than_so_many_are_encoded_in_a_row(bench: Bench) -> None:
    bench.request(1)
    ahead(bench, range(2, 9), max_per_idle=2)
    bench.steps.all()
    assert bench.engine.n_encodes == 3
    bench.request(1, {1: click(20, 10)})
    bench.steps.all()
    assert bench.engine.n_encodes == 5


def test_where_there_is_no_room_only_the_nearest_planes_are_encoded() -> None:
    embeddings = EmbeddingCache(max_bytes=0)
    bench = Bench(embeddings=embeddings)
    bench.session.set_model("disc")
    bench.request(1)
    ahead(bench, range(2, 100))
    bench.steps.all()
    assert bench.engine.n_encodes < 10
    assert len(bench.session.ready) <= 1


def test_what_is_encoded_ahead_drives_out_nothing() -> None:
    one = Bench()
    one.session.set_model("disc")
    one.request(1)
    one.steps.all()
    embeddings = EmbeddingCache(max_bytes=5 * one.session._embeddings.nbytes)
    bench = Bench(embeddings=embeddings)
    bench.session.set_model("disc")
    bench.request(1)
    ahead(bench, range(1, 100))
    bench.steps.all()
    assert bench.session.ready == {key(plane) for plane in range(1, 6)}
    assert bench.engine.n_encodes == 5


def test_of_a_large_stack_only_the_nearest_planes_are_encoded() -> None:
    bench = large()
    view = (300, 300, 390, 390)
    bench.request(1, view=view)
    ahead(bench, range(2, 20))
    bench.steps.all()
    assert bench.engine.n_encodes == 3
    assert len({(region.row, region.column) for region in bench.planes.regions}) == 1


def test_planes_known_from_disk_are_read_but_not_encoded(tmp_path: Any) -> None:
    counts = []
    for _ in range(2):
        bench = Bench(embeddings=EmbeddingCache(store=EmbeddingStore(tmp_path)))
        bench.session.set_model("disc")
        bench.request(1, {1: click(20, 10)})
        ahead(bench, range(1, 8))
        bench.steps.all()
        assert bench.session.ready == {key(plane) for plane in range(1, 8)}
        counts.append((bench.engine.n_encodes, bench.planes.n_reads))
    assert counts == [(7, 7), (0, 7)]


def test_another_model_is_ready_for_nothing(bench: Bench) -> None:
    bench.request(1)
    ahead(bench, [2, 3])
    bench.steps.all()
    bench.session.set_model("other")
    assert bench.session.ready == frozenset()
    bench.steps.all()
    assert bench.session.ready == {key(1), key(2), key(3)}
    bench.session.set_model("disc")
    bench.steps.all()
    assert bench.session.ready == {key(1), key(2), key(3)}
    assert bench.engine.n_encodes == 3


def test_cleared_embeddings_are_gone_from_memory_and_disk(tmp_path: Any) -> None:
    store = EmbeddingStore(tmp_path)
    bench = Bench(embeddings=EmbeddingCache(store=store))
    bench.session.set_model("disc")
    bench.request(1, {1: click(20, 10)})
    bench.steps.all()
    assert store.nbytes > 0
    done = []
    bench.session.clear_embeddings(lambda: done.append(store.nbytes))
    bench.steps.all()
    assert done == [0]
    assert bench.session.ready == frozenset()
    # The plane in view goes on without an encode.
    bench.request(1, {1: click(21, 10)})
    bench.steps.all()
    assert bench.engine.n_encodes == 1


def test_a_plane_that_is_being_encoded_ahead_is_not_begun_again_when_it_is_wanted(
    bench: Bench,
) -> None:
    bench.request(1)
    bench.steps.all()
    ahead(bench, [2])
    while bench.session.state is not State.ENCODING_AHEAD:
        bench.steps.one()
    deliver = bench.steps.work()
    bench.request(2, {1: click(20, 10)})
    assert bench.session.state is State.ENCODING
    assert bench.session.is_busy
    deliver()
    bench.steps.all()
    assert bench.engine.n_encodes == bench.planes.n_reads == 2
    answer = bench.session.answer(1)
    assert answer is not None
    assert answer.prediction.object_score == 2


def test_a_plane_that_is_left_again_is_encoded_ahead_no_longer(bench: Bench) -> None:
    bench.request(1)
    bench.steps.all()
    ahead(bench, [2])
    while bench.session.state is not State.ENCODING_AHEAD:
        bench.steps.one()
    bench.request(2)
    bench.request(3)
    bench.steps.one()
    assert bench.engine.n_encodes == 1
    bench.steps.one()
    assert bench.engine.n_encodes == 2
