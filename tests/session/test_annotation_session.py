from typing import Any

import numpy as np
import pytest
from tests.session_bench import (
    BROKEN,
    Bench,
    ahead,
    at_once,
    box,
    click,
    key,
)

from napari_sam2_openvino._session.answers import AnswerMemory
from napari_sam2_openvino._session.jobs import State
from napari_sam2_openvino._session.steps import NetworkInput
from napari_sam2_openvino._session.wanted import renewed
from napari_sam2_openvino.core.embeddings import EmbeddingCache
from napari_sam2_openvino.core.marks import Mark, MaskCut, ObjectPrompts
from napari_sam2_openvino.core.parameters import MaskOptions


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.session.set_model("disc")
    return bench


def test_goes_from_nothing_to_an_object_step_by_step(bench: Bench) -> None:
    bench.request(1, {1: click(20, 10)})
    assert not bench.session.is_settled
    bench.steps.all()
    assert bench.states == [State.LOADING, State.ENCODING, State.DECODING, State.READY]
    assert bench.changes == [{1}]
    answer = bench.session.answer(1)
    assert answer is bench.session.answers[1]
    assert answer is not None
    assert answer.mask.origin == (5, 15)
    assert answer.mask.mask.shape == (11, 11)
    assert answer.mask.mask[5, 5]
    assert answer.area == answer.mask.mask.sum()
    rows, columns = answer.outline
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (5, 15, 15, 25)
    assert (10, 20) not in set(zip(rows.tolist(), columns.tolist(), strict=True))
    assert answer.iou_prediction == pytest.approx(0.9)
    assert bench.session.is_settled
    assert bench.session.progress == (1, 1)


def test_loads_the_model_and_encodes_before_there_are_objects(bench: Bench) -> None:
    bench.request(1)
    bench.steps.all()
    assert bench.session.state is State.READY
    assert (bench.engine.n_encodes, bench.decoded) == (1, [])
    assert bench.session.is_settled


def test_an_object_of_which_nothing_positive_is_said_is_not_decoded(bench: Bench) -> None:
    bench.request(1, {1: ObjectPrompts((Mark("point", ((3, 3),), is_positive=False),))})
    bench.steps.all()
    assert bench.decoded == []
    assert bench.session.is_settled


def test_edits_never_encode_or_read_again_and_decode_only_what_changed(bench: Bench) -> None:
    still = {1: click(5, 5), 2: click(40, 30)}
    for x in range(10, 20):
        bench.request(1, {**still, 3: click(x, 10)})
        bench.steps.all()
    assert bench.engine.n_encodes == bench.planes.n_reads == 1
    assert len(bench.decoded) == 2 + 10


def test_equal_prompts_are_not_decoded_again(bench: Bench) -> None:
    for _ in range(3):
        bench.request(1, {1: click(20, 10)})
        bench.steps.all()
    assert len(bench.decoded) == 1
    assert bench.session.generation == 2


def test_only_the_newest_of_several_edits_is_decoded(bench: Bench) -> None:
    bench.request(1)
    bench.steps.all()
    for x in (10, 20, 30):
        bench.request(1, {1: click(x, 10)})
    bench.steps.all()
    assert [each.marks[0].vertices[0][0] for each in bench.decoded] == [30]
    assert bench.changes == [{1}]


def test_the_object_in_focus_is_answered_first_and_the_preview_last(bench: Bench) -> None:
    bench.request(1)
    bench.steps.all()
    objects = {-1: click(25, 25), **{key: click(5 + key, 10) for key in range(1, 31)}}
    bench.request(1, objects, focus=17)
    bench.steps.one()
    assert bench.changes == [{17}]
    bench.steps.all()
    assert bench.decoded[0] is objects[17]
    assert bench.decoded[-1] is objects[-1]
    assert frozenset().union(*bench.changes) == set(objects)


def test_the_preview_is_never_in_focus_and_does_not_count(bench: Bench) -> None:
    bench.request(1, {1: click(20, 10)})
    bench.steps.all()
    bench.request(1, {1: click(20, 10), -1: click(30, 30)}, focus=-1)
    assert bench.session.is_settled
    assert bench.session.progress == (1, 1)
    bench.steps.all()
    assert bench.session.answer(-1) is not None


def test_what_the_preview_showed_is_there_at_once_when_it_becomes_an_object(bench: Bench) -> None:
    bench.request(1, {-1: click(30, 30)})
    bench.steps.all()
    bench.request(1, {1: click(30, 30)})
    answer = bench.session.answer(1)
    assert answer is not None
    assert answer.obj_id == 1
    assert bench.changes[-1] == {-1, 1}
    assert len(bench.decoded) == 1


def test_many_objects_appear_little_by_little_and_an_edit_comes_in_between() -> None:
    bench = Bench((200, 200), decode_seconds=0.01)
    bench.session.set_model("disc")
    bench.request(1)
    bench.steps.all()
    objects = {key: click(2 * key, 50) for key in range(1, 61)}
    bench.request(1, objects)
    bench.steps.one()
    assert 1 <= len(bench.session.answers) <= 16
    answered = set(bench.session.answers)
    n_before = len(bench.decoded)
    objects[99] = click(150, 150)
    bench.request(1, objects, focus=99)
    # What was submitted before the edit is answered, as it is still wanted; then comes the edit.
    bench.steps.one()
    bench.steps.one()
    assert bench.session.answer(99) is not None
    assert len(bench.decoded) - n_before <= 17
    bench.steps.all()
    assert answered < set(bench.session.answers) == set(objects)
    assert len(bench.decoded) == 61


def test_a_stale_answer_is_dropped(bench: Bench) -> None:
    bench.request(1, {1: click(20, 10)})
    bench.steps.one()
    bench.steps.one()
    deliver = bench.steps.work()
    bench.request(2, {1: click(20, 10)})
    deliver()
    assert bench.session.answers == {}
    assert bench.changes == []


def test_an_answer_to_prompts_that_changed_meanwhile_is_dropped(bench: Bench) -> None:
    bench.request(1)
    bench.steps.all()
    bench.request(1, {1: click(20, 10), 2: click(30, 30)})
    deliver = bench.steps.work()
    bench.request(1, {1: click(21, 10), 2: click(30, 30)})
    deliver()
    assert set(bench.session.answers) == {2}
    assert len(bench.decoded) == 2
    bench.steps.all()
    assert len(bench.decoded) == 3


def test_a_new_plane_takes_the_old_objects_away_at_once(bench: Bench) -> None:
    bench.request(1, {1: click(20, 10), 2: click(30, 30)})
    bench.steps.all()
    bench.request(2, {1: click(20, 10)})
    assert bench.changes[-1] == {1, 2}
    assert bench.session.answers == {}


def test_new_prompts_keep_the_old_answer_in_view_but_not_as_the_answer(bench: Bench) -> None:
    bench.request(1, {1: click(20, 10)})
    bench.steps.all()
    old = bench.session.answers[1]
    bench.request(1, {1: click(21, 10)})
    assert bench.session.answers[1] is old
    assert bench.session.answer(1) is None
    assert not bench.session.is_settled


def test_a_removed_object_goes_at_once_and_the_others_stay(bench: Bench) -> None:
    bench.request(1, {1: click(20, 10), 2: click(30, 30)})
    bench.steps.all()
    bench.request(1, {2: click(30, 30)})
    assert bench.changes[-1] == {1}
    assert set(bench.session.answers) == {2}
    assert not bench.steps.jobs


def test_undo_brings_back_the_answer_without_decoding(bench: Bench) -> None:
    bench.request(1, {1: click(20, 10)})
    bench.steps.all()
    first = bench.session.answer(1)
    assert first is not None
    bench.request(1, {1: click(20, 10, (25, 12))})
    bench.steps.all()
    bench.request(1, {1: click(20, 10)})
    again = bench.session.answer(1)
    assert again is not None
    assert again.mask is first.mask
    assert not bench.steps.jobs


def test_coming_back_to_a_plane_neither_reads_nor_encodes_nor_decodes(bench: Bench) -> None:
    for plane in (1, 2, 1, 2):
        bench.request(plane, {1: click(20, 10)})
        bench.steps.all()
        answer = bench.session.answer(1)
        assert answer is not None
        assert answer.prediction.object_score == plane
    assert bench.engine.n_encodes == bench.planes.n_reads == 2
    assert len(bench.decoded) == 2


def test_a_plane_that_is_left_before_its_embedding_was_kept_is_not_encoded_again(
    bench: Bench,
) -> None:
    bench.request(1, {1: click(20, 10)})
    bench.steps.one()
    bench.steps.one()
    bench.request(2)
    bench.steps.all()
    bench.request(1, {1: click(30, 30)})
    bench.steps.all()
    assert bench.engine.n_encodes == 2


def test_planes_of_equal_content_are_encoded_once(bench: Bench) -> None:
    same = bench.planes.source(1)
    for name in ("a", "b"):
        bench.session.request(type(same)(name, same.hw, same.load), {})
        bench.steps.all()
    assert bench.engine.n_encodes == 1


def test_what_was_dropped_from_memory_is_encoded_again() -> None:
    bench = Bench(embeddings=EmbeddingCache(max_bytes=0))
    bench.session.set_model("disc")
    for number, plane in enumerate((1, 2, 1)):
        bench.request(plane)
        bench.steps.all()
        bench.request(plane, {1: click(20 + number, 10)})
        bench.steps.all()
        answer = bench.session.answer(1)
        assert answer is not None
        assert answer.prediction.object_score == plane
    assert bench.engine.n_encodes == 3


def test_an_encode_of_a_plane_that_was_left_is_cancelled(bench: Bench) -> None:
    bench.request(1)
    bench.steps.one()
    bench.request(2)
    bench.steps.all()
    assert (bench.engine.n_encodes, bench.engine.n_cancelled) == (1, 0)
    assert bench.planes.n_reads == 2
    assert bench.session.state is State.READY
    assert bench.errors == []


def test_a_prompt_does_not_cancel_the_encode_it_waits_for(bench: Bench) -> None:
    bench.request(1)
    bench.steps.one()
    bench.request(1, {1: click(20, 10)})
    bench.steps.all()
    assert (bench.engine.n_encodes, bench.planes.n_reads) == (1, 1)


def test_another_model_answers_anew(bench: Bench) -> None:
    bench.request(1, {1: click(20, 10)})
    bench.steps.all()
    bench.session.set_model("other")
    assert bench.changes[-1] == {1}
    assert bench.session.engine is None
    bench.steps.all()
    assert bench.engines["other"].n_encodes == 1
    assert bench.session.answer(1) is not None
    assert bench.session.engine is bench.engines["other"]


def test_cancel_stops_until_the_next_change(bench: Bench) -> None:
    bench.request(1)
    bench.steps.one()
    bench.session.cancel()
    assert bench.session.state is State.CANCELLED
    bench.steps.all()
    assert bench.session.state is State.CANCELLED
    assert bench.engine.n_encodes == 0
    bench.request(1, {1: click(20, 10)})
    bench.steps.all()
    assert bench.session.answer(1) is not None


def test_answers_that_come_after_cancel_are_dropped(bench: Bench) -> None:
    bench.request(1, {1: click(20, 10)})
    bench.steps.one()
    bench.steps.one()
    deliver = bench.steps.work()
    bench.session.cancel()
    deliver()
    assert bench.session.answers == {}


def test_an_edit_after_cancel_is_seen_and_goes_on_when_the_cancelled_job_has_ended(
    bench: Bench,
) -> None:
    bench.request(1)
    bench.steps.one()
    bench.session.cancel()
    bench.request(1, {1: click(20, 10)})
    assert bench.session.state is State.ENCODING
    assert bench.session.is_busy
    # Wanted again, but cancelled for good.
    bench.steps.one()
    assert bench.engine.n_encodes == 0
    bench.steps.all()
    assert bench.session.answer(1) is not None


def test_what_was_resumed_can_be_cancelled_again(bench: Bench) -> None:
    bench.request(1)
    bench.steps.one()
    bench.session.cancel()
    bench.request(1, {1: click(20, 10)})
    bench.session.cancel()
    assert bench.session.state is State.CANCELLED
    bench.steps.all()
    assert bench.session.state is State.CANCELLED
    assert bench.changes == []


def test_a_model_whose_loading_was_cancelled_is_dropped(bench: Bench) -> None:
    bench.request(1)
    bench.session.cancel()
    assert bench.session.is_loading
    bench.steps.all()
    assert bench.session.state is State.CANCELLED
    assert bench.session.engine is None
    bench.request(1, {1: click(20, 10)})
    bench.steps.all()
    assert bench.session.answer(1) is not None


def test_an_error_is_told_once_and_the_next_change_tries_again(bench: Bench) -> None:
    bench.session.set_model("missing")
    bench.request(1, {1: click(20, 10)})
    bench.steps.all()
    assert [str(error) for error in bench.errors] == ["There is no model missing: choose another."]
    assert bench.session.state is State.FAILED
    bench.session.set_model("disc")
    bench.steps.all()
    assert bench.session.answer(1) is not None


def test_one_object_that_cannot_be_decoded_does_not_keep_the_others_waiting(bench: Bench) -> None:
    flat = box(5, 5, 5, 20)
    bench.request(1, {1: click(20, 10), 2: flat, 3: click(30, 30)})
    bench.steps.all()
    assert set(bench.session.answers) == {1, 3}
    assert len(bench.errors) == 1
    assert not bench.session.is_settled
    assert not bench.session.is_busy
    bench.request(1, {1: click(20, 10), 2: flat, 3: click(30, 31)})
    bench.steps.all()
    assert len(bench.errors) == 1
    bench.request(1, {1: click(20, 10), 2: box(5, 5, 15, 20)})
    bench.steps.all()
    assert bench.session.is_settled


def test_a_bug_is_raised_and_not_taken_for_a_message(bench: Bench) -> None:
    bench.request(1)
    bench.steps.one()
    bench.engine.encode = lambda *_args, **_kwargs: 1 / 0  # type: ignore[method-assign]
    with pytest.raises(ZeroDivisionError):
        bench.steps.one()
    assert bench.errors == []


def test_close_in_the_middle_of_an_encode_ends_it_and_signals_nothing() -> None:
    bench = Bench()
    bench.session.set_model("disc")
    bench.request(1, {1: click(20, 10)})
    bench.steps.one()
    n_states = len(bench.states)
    bench.engine.encode_seconds = 5
    read = bench.planes.source(1).load

    def close_after_reading(region: Any) -> Any:
        bench.session.close()
        return read(region)

    step = bench.session._loop.job.step  # type: ignore[union-attr]
    object.__setattr__(step.source, "load", close_after_reading)  # type: ignore[attr-defined]
    bench.steps.all()
    assert bench.engine.n_encodes == 0
    assert len(bench.states) == n_states
    assert bench.changes == []
    assert bench.session.answers == {}


def test_after_close_nothing_happens(bench: Bench) -> None:
    bench.request(1, {1: click(20, 10)})
    bench.steps.all()
    bench.session.close()
    n_changes, n_states = len(bench.changes), len(bench.states)
    bench.request(1, {1: click(21, 10)})
    bench.session.set_model("other")
    bench.session.set_options(MaskOptions(mask_threshold=1))
    bench.session.set_ahead([bench.planes.source(2)])
    bench.session.show_input(lambda _: pytest.fail("closed"))
    bench.session.cancel()
    assert not bench.steps.jobs
    assert (len(bench.changes), len(bench.states)) == (n_changes, n_states)


def test_closing_leaves_embeddings_that_belong_to_the_caller() -> None:
    embeddings = EmbeddingCache()
    bench = Bench(embeddings=embeddings)
    bench.session.set_model("disc")
    bench.request(1)
    bench.steps.all()
    bench.session.close()
    assert len(embeddings) == 1


def test_no_image_is_no_object(bench: Bench) -> None:
    bench.request(1, {1: click(20, 10)})
    bench.steps.all()
    bench.request(None)
    bench.steps.all()
    assert bench.session.state is State.IDLE
    assert bench.changes[-1] == {1}
    assert bench.session.region is None


def test_options_make_masks_anew_without_decoding(bench: Bench) -> None:
    ring = np.ones((20, 20), bool)
    ring[8:11, 8:11] = False
    bench.request(1, {1: ObjectPrompts(mask=MaskCut(ring, (10, 10))), 2: click(5, 5)})
    bench.steps.all()
    before = bench.session.answer(1)
    assert before is not None
    bench.session.set_options(MaskOptions(fill_holes=9))
    assert not bench.session.is_settled
    assert bench.session.answer(1) is None
    assert bench.session.answers[1] is before
    bench.steps.all()
    after = bench.session.answer(1)
    assert after is not None
    assert after.mask.mask.all()
    assert not before.mask.mask.all()
    assert after.options == bench.session.options == MaskOptions(fill_holes=9)
    assert len(bench.decoded) == 2
    assert State.MASKING in bench.states


def test_what_is_remembered_is_made_anew_with_the_options_of_now(bench: Bench) -> None:
    ring = np.ones((20, 20), bool)
    ring[8:11, 8:11] = False
    bench.request(1, {1: ObjectPrompts(mask=MaskCut(ring, (10, 10)))})
    bench.steps.all()
    bench.request(2)
    bench.session.set_options(MaskOptions(fill_holes=9))
    bench.steps.all()
    bench.request(1, {1: ObjectPrompts(mask=MaskCut(ring, (10, 10)))})
    bench.steps.all()
    answer = bench.session.answer(1)
    assert answer is not None
    assert answer.mask.mask.all()
    assert len(bench.decoded) == 1


def test_a_choice_is_a_prompt_like_any_other(bench: Bench) -> None:
    bench.request(1, {1: click(20, 20)})
    bench.steps.all()
    small = bench.session.answers[1]
    marks = click(20, 20).marks
    bench.request(1, {1: ObjectPrompts(marks, choices=((1, 3),))})
    bench.steps.all()
    large = bench.session.answers[1]
    assert large.mask.mask.shape[0] > small.mask.mask.shape[0]
    assert large.prediction.choice.token == 3
    assert large.iou_prediction == large.prediction.choice.iou_prediction


def test_the_order_in_which_objects_are_given_changes_no_mask() -> None:
    rng = np.random.default_rng(3)
    objects = {key: click(*rng.uniform(0, 290, 2)) for key in range(1, 40)}
    masks = []
    for _ in range(3):
        # A plane of several regions, too.
        bench = Bench((300, 290), image_size=100)
        bench.session.set_model("disc")
        keys = [int(each) for each in rng.permutation(list(objects))]
        for begin in range(0, len(keys), 13):
            bench.request(1, {each: objects[each] for each in keys[: begin + 13]})
            bench.steps.all()
        masks.append(bench.session.answers)
    for answers in masks[1:]:
        for obj_id, answer in answers.items():
            same = masks[0][obj_id]
            assert (answer.region, answer.mask.origin) == (same.region, same.mask.origin)
            np.testing.assert_array_equal(answer.mask.mask, same.mask.mask)


def test_an_embedding_from_the_cache_gives_the_same_masks_as_a_new_one() -> None:
    embeddings = EmbeddingCache()
    answers = []
    for _ in range(2):
        bench = Bench(embeddings=embeddings)
        bench.session.set_model("disc")
        bench.request(7, {1: click(20, 10)})
        bench.steps.all()
        answers.append(bench.session.answers[1])
    assert bench.engine.n_encodes == 0
    assert answers[0].prediction.object_score == answers[1].prediction.object_score == 7
    np.testing.assert_array_equal(answers[0].mask.mask, answers[1].mask.mask)


def test_shows_what_the_network_sees(bench: Bench) -> None:
    seen: list[NetworkInput] = []
    bench.session.show_input(seen.append)
    assert not seen
    bench.request(3)
    bench.steps.all()
    (what,) = seen
    assert what.plane_key == key(3)
    assert what.region == bench.session.region
    assert what.rgb.shape == (40, 50, 3)
    assert bench.states == [State.LOADING, State.ENCODING, State.READY]
    bench.session.show_input(seen.append)
    bench.steps.all()
    assert len(seen) == 2
    assert bench.engine.n_encodes == 1


def test_shows_the_plane_that_it_was_asked_of(bench: Bench) -> None:
    seen: list[NetworkInput] = []
    bench.request(3)
    bench.session.show_input(seen.append)
    bench.request(1)
    bench.steps.all()
    assert [each.plane_key for each in seen] == [key(3)]


def test_what_cannot_be_shown_is_told(bench: Bench) -> None:
    bench.request(BROKEN)
    bench.steps.all()
    assert len(bench.errors) == 1
    bench.session.show_input(lambda _: pytest.fail("broken"))
    bench.steps.all()
    assert len(bench.errors) == 2


def test_a_runner_that_is_done_at_once_reaches_the_end() -> None:
    bench = Bench((400, 400), run=at_once)
    bench.session.set_model("disc")
    ahead(bench, range(2, 200))
    bench.request(1, {key: click(*divmod(key, 20)) for key in range(1, 301)})
    assert bench.session.is_settled
    assert len(bench.session.ready) == 198
    assert bench.session.state is State.READY


def test_a_listener_may_want_something_else() -> None:
    bench = Bench()
    bench.session.set_model("disc")

    def commit(changed: frozenset[int]) -> None:
        if changed == {1} and 1 in bench.session.answers:
            bench.request(1, {2: click(30, 30)})

    bench.session.answers_changed.connect(commit)
    bench.request(1, {1: click(20, 10)})
    bench.steps.all()
    assert set(bench.session.answers) == {2}
    assert bench.session.is_settled


def test_one_job_runs_at_a_time(bench: Bench) -> None:
    for x in range(10):
        bench.request(1, {1: click(x, 10)})
        assert len(bench.steps.jobs) == 1


def test_another_model_under_the_same_name_answers_anew(bench: Bench) -> None:
    prompts = click(20, 10)
    bench.request(1, {1: prompts})
    bench.steps.all()
    bench.session.set_model("other")
    bench.steps.all()
    bench.engine.key = "converted again"
    bench.session.set_model("disc")
    bench.steps.all()
    assert bench.engine.n_encodes == 2
    assert bench.decoded == [prompts, prompts]
    assert bench.session.answer(1) is not None


def test_marks_that_count_for_all_objects_are_hashed_once(monkeypatch: Any) -> None:
    shared = tuple(Mark("point", ((x, 1),), is_positive=False) for x in range(20))
    objects = {
        obj_id: ObjectPrompts((*shared, Mark("point", ((obj_id, 5),)))) for obj_id in range(1, 51)
    }
    apart = {obj_id: prompts.digest() for obj_id, prompts in objects.items()}
    told = []
    monkeypatch.setattr(Mark, "__repr__", lambda mark: told.append(mark) or str(mark.vertices))
    wanted = renewed({}, objects, {})
    assert len(told) == 20 + 50
    monkeypatch.undo()
    assert {key: each.digest for key, each in renewed({}, objects, {}).items()} == apart
    assert len({each.digest for each in wanted.values()}) == 50


def test_what_is_in_view_counts_for_the_budget_of_what_is_remembered(bench: Bench) -> None:
    bench.request(1, {key: click(20, 10 + key) for key in range(1, 7)})
    bench.steps.all()
    one, two, three, four, five, six = bench.session.answers.values()
    memory = AnswerMemory(max_bytes=int(4.5 * one.nbytes))
    for answer in (one, two, three, four):
        memory.put(answer.obj_id, answer)
    memory.trim([four])
    assert len(memory) == 4
    # Those that are held anyway stay: to forget them would free nothing.
    memory.trim([one, five, six])
    assert [memory.get(key) for key in (1, 2, 3, 4)] == [one, None, None, four]
    assert memory.nbytes == 2 * one.nbytes


def test_a_session_trims_what_it_remembers_after_each_answer(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_view = []
    monkeypatch.setattr(AnswerMemory, "trim", lambda _, answers: in_view.append(len(answers)))
    bench.request(1, {1: click(20, 10)})
    bench.steps.all()
    bench.request(1, {1: click(20, 10), 2: click(22, 14)})
    bench.steps.all()
    assert in_view == [1, 2]


def test_a_model_is_loaded_anew_also_while_it_is_being_loaded(bench: Bench) -> None:
    bench.request(1, {1: click(20, 10)})
    bench.steps.all()
    first = bench.engines.pop("disc")
    bench.session.reload_model()
    assert bench.session.answer(1) is None
    assert bench.session.is_loading
    bench.session.reload_model()
    # What the first of the two loads gives may be the model of before.
    bench.steps.one()
    assert bench.session.engine is None
    bench.engines.pop("disc", None)
    bench.steps.all()
    assert bench.session.engine not in (None, first)
    assert bench.session.answer(1) is not None
