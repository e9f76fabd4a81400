"""Many objects, decoded in stages: against PyTorch call by call, and against themselves."""

import gc
from dataclasses import replace

import numpy as np
import pytest
from tests.parity import make_image
from tests.reference import reference_predictor
from tests.reference import starter_model as build_starter

from napari_sam2_openvino import SAM2ImagePredictor
from napari_sam2_openvino.core.errors import InputError, JobCancelledError
from napari_sam2_openvino.core.marks import Mark, MaskCut, ObjectPrompts
from napari_sam2_openvino.core.object_decoder import BATCH_SIZE, ObjectDecoder
from napari_sam2_openvino.core.object_masks import make_mask, mask_logits
from napari_sam2_openvino.core.parameters import MaskOptions
from napari_sam2_openvino.core.regions import Region

PLANE = make_image(np.random.default_rng(11), (150, 210), grey=False)
REGION = Region(row=20, column=30, height=100, width=140)
IMAGE = PLANE[20:120, 30:170]
CLICKS = [(60, 45, 1), (75, 60, 1), (20, 20, 0), (110, 70, 1), (64, 80, 0)]


def point(x, y, is_positive=True):
    return Mark("point", ((x + REGION.column, y + REGION.row),), bool(is_positive))


def box(x0, y0, x1, y1):
    x, y = REGION.column, REGION.row
    return Mark("box", ((x0 + x, y0 + y), (x1 + x, y1 + y)))


def clicked(*clicks, choices=()):
    return ObjectPrompts(tuple(point(*click) for click in clicks), choices=choices)


def mask_of(prediction):
    cut = make_mask(prediction.choice.logits, REGION, PLANE.shape[:2], MaskOptions())
    plane = np.zeros(PLANE.shape[:2], bool)
    row, column = cut.origin
    plane[row : row + cut.mask.shape[0], column : column + cut.mask.shape[1]] = cut.mask
    return plane[20:120, 30:170]


def assert_equal(predictions, expected):
    for ours, theirs in zip(predictions, expected, strict=True):
        assert ours.chosen == theirs.chosen
        assert ours.object_score == theirs.object_score
        for one, other in zip(ours.candidates, theirs.candidates, strict=True):
            assert (one.token, one.iou_prediction) == (other.token, other.iou_prediction)
            assert one.logits.origin == other.logits.origin
            np.testing.assert_array_equal(one.logits.logits, other.logits.logits)


class CountingModel:
    """A model that notes how many objects each call decodes."""

    def __init__(self, model):
        self._model = model
        self.calls = []
        self.n_ended = 0

    def __getattr__(self, name):
        return getattr(self._model, name)

    def decode(self, embedding, point_coords, *rest, **options):
        self.calls.append(len(point_coords))
        output = self._model.decode(embedding, point_coords, *rest, **options)
        self.n_ended += 1
        return output


@pytest.fixture
def model(micro_model):
    return CountingModel(micro_model)


@pytest.fixture
def decoder(model):
    return ObjectDecoder(model)


@pytest.fixture(scope="module")
def embedding(micro_model):
    return micro_model.encode(IMAGE)


@pytest.fixture(scope="module")
def micro_pair(micro_reference_model, micro_model):
    return reference_predictor(micro_reference_model), micro_model


@pytest.fixture(scope="module")
def starter_pair(starter_model):
    return reference_predictor(build_starter()), starter_model


def interactive(predictor, first, clicks):
    """Answer a first call, then each click with the mask of the call before it, as SAM 2 does."""
    masks, scores, low_res = predictor.predict(**first)
    best = int(np.argmax(scores))
    yield masks[best], scores[best]
    coords = [[x, y] for x, y, _ in clicks]
    labels = [label for *_, label in clicks]
    given = len(first.get("point_coords", ()))
    for count in range(given + 1, len(clicks) + 1):
        masks, scores, low_res = predictor.predict(
            point_coords=np.array(coords[:count]),
            point_labels=np.array(labels[:count]),
            box=first.get("box"),
            mask_input=low_res[best][None],
            multimask_output=False,
        )
        best = 0
        yield masks[0], scores[0]


CASES = {
    "clicks": (
        {"point_coords": np.array([CLICKS[0][:2]]), "point_labels": np.array([1])},
        (),
    ),
    "box": (
        {"box": np.array([30, 20, 100, 90]), "multimask_output": False},
        (box(30, 20, 100, 90),),
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("pair", ["micro_pair", "starter_pair"])
def test_click_by_click_equals_the_same_calls_of_pytorch(request, pair, case):
    reference, model = request.getfixturevalue(pair)
    first, marks = CASES[case]
    reference.set_image(IMAGE)
    decoder, embedding = ObjectDecoder(model), model.encode(IMAGE)
    given = len(first.get("point_coords", ()))
    answers = list(interactive(reference, first, CLICKS))
    assert len(answers) == len(CLICKS) + 1 - given
    for count, (mask, score) in enumerate(answers, start=given):
        prompts = replace(clicked(*CLICKS[:count]), marks=marks + clicked(*CLICKS[:count]).marks)
        (prediction,) = decoder.predict(embedding, REGION, [prompts])
        assert (mask_of(prediction) == mask.astype(bool)).mean() > 0.999
        assert abs(prediction.choice.iou_prediction - score) < 1e-3


@pytest.mark.parametrize("case", CASES)
def test_default_masks_equal_those_of_the_predictor_bit_for_bit(micro_model, embedding, case):
    first, marks = CASES[case]
    predictor = SAM2ImagePredictor(micro_model)
    predictor.set_embedding(embedding)
    decoder = ObjectDecoder(micro_model)
    given = len(first.get("point_coords", ()))
    for count, (mask, score) in enumerate(interactive(predictor, first, CLICKS), start=given):
        prompts = ObjectPrompts(marks + clicked(*CLICKS[:count]).marks)
        (prediction,) = decoder.predict(embedding, REGION, [prompts])
        np.testing.assert_array_equal(mask_of(prediction), mask)
        assert prediction.choice.iou_prediction == score


def test_a_mask_to_refine_equals_the_predictor_with_its_logits(decoder, model, embedding):
    predictor = SAM2ImagePredictor(model)
    predictor.set_embedding(embedding)
    cut = MaskCut(np.ones((30, 40), bool), (50, 60))
    logits = mask_logits(cut, REGION, model.mask_input_size)
    fixed = {"box": [29.5, 29.5, 69.5, 59.5], "mask_input": logits, "multimask_output": False}
    model.calls.clear()
    for count in range(3):
        points = CLICKS[:count]
        expected, scores, _ = predictor.predict(
            np.array([place for *place, _ in points]) if points else None,
            np.array([label for *_, label in points]) if points else None,
            **fixed,
        )
        prompts = ObjectPrompts(clicked(*points).marks, mask=cut)
        (prediction,) = decoder.predict(embedding, REGION, [prompts])
        assert prediction.choice.iou_prediction == scores[0]
        np.testing.assert_array_equal(mask_of(prediction), expected[0])
        assert prediction.stage == count + 1
    # The stages before the last one are not decoded.
    assert model.calls == [1] * 6


def test_a_mask_prompt_never_leaks_into_an_object_with_the_same_box(decoder, embedding):
    cut = MaskCut(np.tri(30, 40, dtype=bool), (50, 60))
    clicks = clicked(*CLICKS[:2]).marks
    same_box = Mark("box", ((59.5, 49.5), (89.5, 79.5)))
    plain = ObjectPrompts((same_box, *clicks))
    (expected,) = decoder.predict(embedding, REGION, [plain])
    fresh = ObjectDecoder(decoder._model)
    for count in range(3):
        fresh.predict(embedding, REGION, [ObjectPrompts(clicks[:count], mask=cut)])
    assert_equal(fresh.predict(embedding, REGION, [plain]), [expected])


def some_objects():
    """Objects of every kind of prompt, of different numbers of stages and tokens."""
    lasso = Mark("ellipse", ((60, 40), (120, 40), (120, 90), (60, 90)))
    return [
        clicked(*CLICKS),
        clicked(*CLICKS[:2]),
        ObjectPrompts((box(30, 20, 100, 90),)),
        ObjectPrompts((box(10, 15, 50, 60), point(30, 30))),
        ObjectPrompts((lasso, point(50, 50), point(20, 30, False))),
        ObjectPrompts((Mark("path", ((50, 50), (90, 60), (100, 90))),)),
        ObjectPrompts((), mask=MaskCut(np.ones((30, 40), bool), (50, 60))),
        ObjectPrompts((point(50, 50, False),), mask=MaskCut(np.ones((30, 40), bool), (50, 60))),
        clicked((110, 70, 1), choices=((1, 3),)),
        *(clicked((5 + 3 * number, 50, 1)) for number in range(40)),
    ]


def test_the_order_of_objects_changes_nothing(micro_model, embedding):
    objects = some_objects()
    expected = ObjectDecoder(micro_model).predict(embedding, REGION, objects)
    alone = ObjectDecoder(micro_model)
    assert_equal([alone.predict(embedding, REGION, [each])[0] for each in objects], expected)
    order = np.random.default_rng(1).permutation(len(objects))
    shuffled = ObjectDecoder(micro_model).predict(embedding, REGION, [objects[i] for i in order])
    assert_equal(shuffled, [expected[i] for i in order])


def test_what_was_decoded_before_changes_nothing(micro_model, embedding):
    used = ObjectDecoder(micro_model)
    rng = np.random.default_rng(2)
    for _ in range(60):
        count = int(rng.integers(1, 5))
        clicks = [(*rng.uniform(0, 90, 2).round(), int(rng.random() < 0.6)) for _ in range(count)]
        clicks[0] = (*clicks[0][:2], 1)
        choices = ((int(rng.integers(1, count + 1)), int(rng.integers(4))),) * int(rng.integers(2))
        # A click is added, taken back, and put again.
        for stop in (count, max(1, count - 1), count):
            prompts = clicked(*clicks[:stop], choices=choices)
            fresh = ObjectDecoder(micro_model).predict(embedding, REGION, [prompts])
            assert_equal(used.predict(embedding, REGION, [prompts]), fresh)


def test_one_more_click_costs_one_decode(decoder, model, embedding):
    for count in range(1, len(CLICKS) + 1):
        model.calls.clear()
        decoder.predict(embedding, REGION, [clicked(*CLICKS[:count])])
        assert model.calls == [1]


def test_stages_are_remembered_for_their_embedding_only(decoder, model, embedding, micro_model):
    decoder.predict(embedding, REGION, [clicked(*CLICKS[:2])])
    other = micro_model.encode(np.ascontiguousarray(IMAGE[::-1]))
    model.calls.clear()
    (prediction,) = decoder.predict(other, REGION, [clicked(*CLICKS[:2])])
    assert model.calls == [1, 1]
    assert_equal(
        [prediction], ObjectDecoder(micro_model).predict(other, REGION, [clicked(*CLICKS[:2])])
    )
    del other
    gc.collect()
    third = micro_model.encode(np.ascontiguousarray(IMAGE[:, ::-1]))
    model.calls.clear()
    decoder.predict(third, REGION, [clicked(*CLICKS[:2])])
    assert model.calls == [1, 1]


def test_no_more_is_remembered_than_the_budget(model, embedding):
    size = model.mask_input_size
    decoder = ObjectDecoder(model, max_bytes=4 * size * size * 4)
    objects = [clicked((5 * number, 50, 1), (50, 50, 0)) for number in range(12)]
    expected = ObjectDecoder(model).predict(embedding, REGION, objects)
    assert_equal(decoder.predict(embedding, REGION, objects), expected)
    assert decoder.nbytes <= 4 * size * size * 4
    assert_equal(decoder.predict(embedding, REGION, objects), expected)


def test_many_objects_are_decoded_in_batches(decoder, model, embedding):
    objects = [clicked((number, 50, 1)) for number in range(2 * BATCH_SIZE + 5)]
    assert len(decoder.predict(embedding, REGION, objects)) == len(objects)
    assert model.calls == [BATCH_SIZE, BATCH_SIZE, 5]


def test_stages_of_several_objects_run_side_by_side(decoder, model, embedding):
    decoder.predict(embedding, REGION, [clicked(*CLICKS[:3])] * 1 + [clicked(*CLICKS[1:4])])
    assert model.calls == [2, 2, 2]


def test_no_objects_are_no_predictions(decoder, embedding):
    assert decoder.predict(embedding, REGION, []) == []


def test_candidates_are_the_default_and_the_others_by_falling_score(decoder, embedding):
    for prediction in decoder.predict(embedding, REGION, some_objects()):
        assert sorted(each.token for each in prediction.candidates) == [0, 1, 2, 3]
        others = [each.iou_prediction for each in prediction.candidates[1:]]
        assert others == sorted(others, reverse=True)
    (one_click,) = decoder.predict(embedding, REGION, [clicked(CLICKS[0])])
    default = one_click.candidates[0]
    assert one_click.chosen == 0
    assert default.token != 0
    assert default.iou_prediction == max(
        each.iou_prediction for each in one_click.candidates if each.token != 0
    )


@pytest.mark.parametrize("token", range(4))
def test_a_choice_takes_the_place_of_the_default(decoder, embedding, token):
    (plain,) = decoder.predict(embedding, REGION, [clicked(CLICKS[0])])
    (chosen,) = decoder.predict(embedding, REGION, [clicked(CLICKS[0], choices=((1, token),))])
    assert chosen.choice.token == token
    assert chosen.stage == plain.stage == 1
    assert_equal([replace(chosen, chosen=0)], [plain])


def test_the_mask_that_was_chosen_is_fed_on(micro_model, embedding):
    predictor = SAM2ImagePredictor(micro_model)
    predictor.set_embedding(embedding)
    coords, labels = np.array([[60, 45], [75, 60]]), np.array([1, 1])
    _, _, low_res = predictor.predict(point_coords=coords[:1], point_labels=labels[:1])
    decoder = ObjectDecoder(micro_model)
    for token in (1, 2, 3):
        expected, _, _ = predictor.predict(
            coords, labels, mask_input=low_res[token - 1][None], multimask_output=False
        )
        prompts = clicked(*CLICKS[:2], choices=((1, token),))
        (prediction,) = decoder.predict(embedding, REGION, [prompts])
        np.testing.assert_array_equal(mask_of(prediction), expected[0])


@pytest.mark.parametrize("choice", [(1, 4), (0, 1), (1, -1)])
def test_a_choice_that_does_not_exist_is_refused(decoder, embedding, choice):
    with pytest.raises(InputError, match="choice"):
        decoder.predict(embedding, REGION, [clicked(CLICKS[0], choices=(choice,))])


def test_a_cancel_ends_it_between_calls_and_what_was_done_is_kept(decoder, model, embedding):
    # It is also asked while a call runs, however often.
    with pytest.raises(JobCancelledError):
        decoder.predict(embedding, REGION, [clicked(*CLICKS)], cancelled=lambda: model.n_ended == 2)
    assert model.calls == [1, 1]
    decoder.predict(embedding, REGION, [clicked(*CLICKS)])
    assert model.calls == [1] * len(CLICKS)


def test_a_region_read_with_a_step_places_prompts_by_its_extent(micro_model):
    coarse = micro_model.encode(np.ascontiguousarray(IMAGE[::2, ::2]))
    predictor = SAM2ImagePredictor(micro_model)
    predictor.set_embedding(coarse)
    expected, scores, _ = predictor.predict(
        point_coords=np.array([[30, 22.5]]), point_labels=np.array([1])
    )
    (prediction,) = ObjectDecoder(micro_model).predict(
        coarse, replace(REGION, step=2), [clicked((60, 45, 1))]
    )
    assert prediction.choice.iou_prediction == scores.max()
    found = mask_of(prediction)
    assert (found[::2, ::2] == expected[np.argmax(scores)]).mean() > 0.9
