from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.session_bench import BROKEN, RADIUS, Bench, at_once, box, centre, click

from napari_sam2_openvino._jobs import State
from napari_sam2_openvino._steps import NetworkInput
from napari_sam2_openvino.core.embeddings import EmbeddingCache
from napari_sam2_openvino.core.marks import Mark, MaskCut, ObjectPrompts
from napari_sam2_openvino.core.parameters import MaskOptions


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.session.set_model("disc")
    return bench


def key(plane: int) -> Any:
    return ("image", plane)


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
    assert answer.mask.mask.shape == answer.outline.shape == (11, 11)
    assert answer.mask.mask[5, 5]
    assert not answer.outline[5, 5]
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

    step = bench.session._job.step  # type: ignore[union-attr]
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


# Masks


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


# Large planes


def large() -> Bench:
    bench = Bench((1000, 1000), image_size=100)
    bench.session.set_model("disc")
    return bench


def test_without_objects_the_visible_part_of_a_large_plane_is_encoded() -> None:
    bench = large()
    bench.request(1, view=(300, 300, 390, 390))
    bench.steps.all()
    (region,) = bench.planes.regions
    assert region == bench.session.region == bench.regions[-1]
    assert region.step == 1
    assert region.row <= 300
    assert region.row + region.height >= 390
    bench.request(1, view=(700, 700, 790, 790))
    bench.steps.all()
    assert bench.engine.n_encodes == 2


def test_looking_elsewhere_moves_no_object() -> None:
    bench = large()
    bench.request(1, {1: click(345, 345)}, view=(300, 300, 390, 390))
    bench.steps.all()
    bench.request(1, {1: click(345, 345)}, view=(0, 0, 1000, 1000))
    bench.request(1, {1: click(346, 345)}, view=(700, 700, 790, 790), focus=1)
    bench.steps.all()
    assert bench.engine.n_encodes == 1
    assert bench.session.region == bench.session.answers[1].region


def test_objects_of_one_view_share_what_is_encoded() -> None:
    bench = large()
    view = (300, 300, 395, 395)
    objects = {key: click(320 + key, 340) for key in range(1, 40)}
    bench.request(1, view=view)
    bench.request(1, objects, view=view)
    bench.steps.all()
    assert bench.engine.n_encodes == 1
    assert bench.session.is_settled


def test_an_object_that_reaches_the_border_is_seen_in_a_larger_region() -> None:
    bench = large()
    bench.engines["disc"] = engine = bench.load("disc")
    engine.radius = 80
    bench.request(1, {1: click(500, 500)}, view=(460, 460, 540, 540), focus=1)
    while not (bench.session.answers or not bench.steps.jobs):
        bench.steps.one()
    assert bench.session.answers[1].touches_border
    assert bench.session.answer(1) is None
    assert not bench.session.is_settled
    bench.steps.all()
    answer = bench.session.answer(1)
    assert answer is not None
    assert not answer.touches_border
    assert centre(answer) == pytest.approx((500, 500), abs=answer.region.step)
    assert max(answer.region.hw) == 200
    assert answer.region == bench.session.region


def test_an_object_grows_to_the_whole_plane_and_no_further() -> None:
    bench = large()
    bench.engines["disc"] = engine = bench.load("disc")
    engine.radius = 5000
    bench.request(1, {1: click(500, 500)}, view=(460, 460, 540, 540))
    bench.steps.all()
    answer = bench.session.answer(1)
    assert answer is not None
    assert answer.region.hw == (1000, 1000)
    assert answer.mask.mask.shape == (1000, 1000)


def test_the_preview_under_the_pointer_does_not_grow() -> None:
    bench = large()
    bench.engines["disc"] = engine = bench.load("disc")
    engine.radius = 80
    bench.request(1, {-1: click(500, 500)}, view=(460, 460, 540, 540))
    bench.steps.all()
    assert bench.engine.n_encodes == 1


def test_a_recorded_region_is_used_as_it_is_and_gives_the_same_mask() -> None:
    first = large()
    view = (300, 300, 400, 400)
    first.request(1, {1: click(350, 350)}, view=view)
    first.steps.all()
    first.request(1, {1: click(350, 350, (362, 371))}, view=(0, 0, 1000, 1000))
    first.steps.all()
    saved = first.session.answer(1)
    assert saved is not None
    again = large()
    again.request(1, {1: saved.prompts}, regions={1: saved.region}, view=(0, 0, 1000, 1000))
    again.steps.all()
    opened = again.session.answer(1)
    assert opened is not None
    assert opened.region == saved.region
    assert again.engine.n_encodes == 1
    np.testing.assert_array_equal(opened.mask.mask, saved.mask.mask)


def test_a_recorded_region_that_cannot_be_is_not_used() -> None:
    bench = large()
    recorded = Bench((3000, 3000), image_size=100)
    recorded.session.set_model("disc")
    recorded.request(1, {1: click(2500, 2500)}, view=(2450, 2450, 2550, 2550))
    recorded.steps.all()
    region = recorded.session.answers[1].region
    bench.request(1, {1: click(500, 500)}, regions={1: region})
    bench.steps.all()
    assert bench.session.answers[1].region != region


def test_undo_on_a_large_plane_brings_back_region_and_mask() -> None:
    bench = large()
    bench.request(1, {1: click(350, 350)}, view=(300, 300, 390, 390))
    bench.steps.all()
    before = bench.session.answers[1]
    bench.request(1, {1: click(350, 350, (700, 700))}, view=(0, 0, 1000, 1000))
    bench.steps.all()
    assert bench.session.answers[1].region != before.region
    bench.request(1, {1: click(350, 350)}, view=(0, 0, 1000, 1000))
    bench.steps.all()
    assert bench.session.answers[1].region == before.region
    assert bench.session.answers[1].mask is before.mask


def test_what_can_be_decoded_does_not_wait_for_an_encode_of_other_objects() -> None:
    bench = large()
    view = (300, 300, 390, 390)
    bench.request(1, view=view)
    bench.steps.all()
    far, near = click(900, 900), {key: click(340 + key, 345) for key in range(2, 10)}
    bench.request(1, {1: far, **near}, view=view)
    bench.steps.all()
    assert bench.decoded[-1] is far
    bench.request(1, {1: click(800, 100), **near, 20: click(341, 341)}, view=view, focus=1)
    bench.steps.all()
    assert bench.decoded[-1] is not far
    assert bench.decoded[-2].marks[0].vertices[0] == (800, 100)


# What the network sees


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


def test_what_cannot_be_shown_is_told(bench: Bench) -> None:
    bench.request(BROKEN)
    bench.steps.all()
    assert len(bench.errors) == 1
    bench.session.show_input(lambda _: pytest.fail("broken"))
    bench.steps.all()
    assert len(bench.errors) == 2


# Ahead


def ahead(bench: Bench, planes: range | list[int], **more: Any) -> None:
    bench.session.set_ahead([bench.planes.source(plane) for plane in planes], **more)


def test_planes_are_encoded_ahead_in_their_order_and_told(bench: Bench) -> None:
    bench.request(1)
    ahead(bench, [1, 2, 0, 3])
    bench.steps.all()
    assert bench.engine.n_encodes == 4
    assert bench.session.ready == {key(plane) for plane in range(4)}
    assert bench.ready[:2] == [{key(1)}, {key(1), key(2)}]
    assert bench.session.state is State.READY
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


def test_of_a_large_stack_only_the_nearest_planes_are_encoded() -> None:
    bench = large()
    view = (300, 300, 390, 390)
    bench.request(1, view=view)
    ahead(bench, range(2, 20))
    bench.steps.all()
    assert bench.engine.n_encodes == 3
    assert len({(region.row, region.column) for region in bench.planes.regions}) == 1


def test_planes_known_from_disk_are_read_but_not_encoded(tmp_path: Any) -> None:
    from napari_sam2_openvino.core.embedding_store import EmbeddingStore

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
    from napari_sam2_openvino.core.embedding_store import EmbeddingStore

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


# Runners


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


def test_one_job_runs_at_a_time(bench: Bench) -> None:
    for x in range(10):
        bench.request(1, {1: click(x, 10)})
        assert len(bench.steps.jobs) == 1
