"""The predictor against SAM 2's own, and the promises it makes beside it."""

import numpy as np
import pytest
from tests.parity import compare, make_image

from napari_sam2_openvino import SAM2ImagePredictor, load_model
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.mask_resizing import masks_from_logits
from napari_sam2_openvino.core.masks import fill_holes_and_remove_sprinkles
from napari_sam2_openvino.core.model import Sam2Model
from napari_sam2_openvino.core.types import ImageEmbedding, Prompts


def image_of(seed, hw):
    return make_image(np.random.default_rng(seed), hw, grey=False)


IMAGE = image_of(7, (90, 120))
CLICK = {"point_coords": [[40, 30]], "point_labels": [1]}
BOX = {"box": [20, 10, 90, 70]}


def assert_same(result, expected):
    for ours, theirs in zip(result, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_every_kind_of_prompt_agrees_with_pytorch(reference, micro_model):
    sizes = ((64, 64), (91, 50), (200, 300))
    results = list(compare(reference, micro_model, seed=5, image_sizes=sizes, sets_per_image=24))
    assert len(results) == 72
    assert [result for result in results if not (result.passed or result.tie)] == []
    assert sum(result.tie for result in results) < 8


@pytest.mark.parametrize("multimask_output", [True, False])
@pytest.mark.parametrize(
    "prompts",
    [
        {"box": [[10, 10, 60, 60], [40, 20, 110, 80], [0, 0, 119, 89]]},
        {"point_coords": [[[30, 40]], [[80, 20]]], "point_labels": [[1], [1]]},
        {
            "point_coords": [[[30, 40], [50, 50]], [[80, 20], [0, 0]]],
            "point_labels": [[1, 0], [1, 0]],
            "box": [[10, 10, 60, 60], [40, 20, 110, 80]],
        },
    ],
)
def test_batches_of_objects_agree_with_pytorch(reference, predictor, prompts, multimask_output):
    reference.set_image(IMAGE)
    predictor.set_image(IMAGE)
    arguments = {name: np.array(value) for name, value in prompts.items()}
    arguments["multimask_output"] = multimask_output
    expected, expected_scores, expected_low_res = reference.predict(**arguments)
    masks, scores, low_res = predictor.predict(**arguments)
    assert masks.shape == expected.shape == (len(scores), 3 if multimask_output else 1, 90, 120)
    assert (masks == expected.astype(bool)).mean() > 0.999
    np.testing.assert_allclose(scores, expected_scores, atol=1e-3)
    assert low_res.shape == expected_low_res.shape


def test_a_batch_of_images_agrees_with_pytorch(reference, predictor):
    images = [IMAGE, image_of(8, (40, 70))]
    points = [np.array([[10, 10]]), np.array([[30, 20], [50, 30]])]
    labels = [np.array([1]), np.array([1, 0])]
    reference.set_image_batch(images)
    predictor.set_image_batch(images)
    for multimask_output in (True, False):
        expected = reference.predict_batch(points, labels, multimask_output=multimask_output)
        result = predictor.predict_batch(points, labels, multimask_output=multimask_output)
        for masks, expected_masks in zip(result[0], expected[0], strict=True):
            assert masks.shape == expected_masks.shape
            assert (masks == expected_masks.astype(bool)).mean() > 0.999
        for scores, expected_scores in zip(result[1], expected[1], strict=True):
            np.testing.assert_allclose(scores, expected_scores, atol=1e-3)


def test_logits_threshold_and_embedding_agree_with_pytorch(reference, predictor):
    reference.set_image(IMAGE)
    predictor.set_image(IMAGE)
    np.testing.assert_allclose(
        predictor.get_image_embedding(), reference.get_image_embedding().numpy(), atol=5e-3
    )
    click = {name: np.array(value) for name, value in CLICK.items()}
    expected, _, _ = reference.predict(**click, return_logits=True)
    logits, _, _ = predictor.predict(**CLICK, return_logits=True)
    assert logits.dtype == np.float32
    assert np.abs(logits - expected).max() < 0.01 * np.abs(expected).max()
    predictor.mask_threshold = 5.0
    masks, _, _ = predictor.predict(**CLICK)
    np.testing.assert_array_equal(masks, logits > 5.0)


def test_normalized_coordinates_mean_the_same_point(predictor):
    predictor.set_image(IMAGE)
    expected = predictor.predict(**CLICK)
    fraction = np.array(CLICK["point_coords"]) / (120, 90)
    assert_same(
        predictor.predict(point_coords=fraction, point_labels=[1], normalize_coords=False), expected
    )


def test_nothing_of_an_earlier_call_leaks_into_the_next(predictor, micro_model):
    predictor.set_image(IMAGE)
    first = predictor.predict(**CLICK)
    box = predictor.predict(**BOX)
    predictor.predict(**CLICK, **BOX, mask_input=first[2][:1])
    fresh = SAM2ImagePredictor(micro_model)
    fresh.set_image(IMAGE)
    assert_same(predictor.predict(**BOX), box)
    assert_same(fresh.predict(**CLICK), first)


def test_two_predictors_of_one_model_keep_their_images_apart(micro_model):
    other_image = image_of(9, (90, 120))
    one, other = SAM2ImagePredictor(micro_model), SAM2ImagePredictor(micro_model)
    one.set_image(IMAGE)
    expected = one.predict(**CLICK)
    other.set_image(other_image)
    assert np.abs(other.predict(**CLICK)[2] - expected[2]).max() > 0
    assert_same(one.predict(**CLICK), expected)


def test_prompts_never_encode(predictor, monkeypatch):
    predictor.set_image(IMAGE)
    calls = []
    monkeypatch.setattr(Sam2Model, "encode", lambda *_, **__: calls.append(1))
    for prompts in (CLICK, BOX, {**CLICK, **BOX}, {}):
        predictor.predict(**prompts)
    assert calls == []


def test_grey_and_16_bit_images(predictor):
    grey = IMAGE[..., 0]
    predictor.set_image(np.repeat(grey[..., None], 3, axis=2))
    expected = predictor.predict(**CLICK)
    predictor.set_image(grey)
    assert_same(predictor.predict(**CLICK), expected)
    predictor.set_image(grey.astype(np.uint16) * 100)
    assert predictor.predict(**CLICK)[0].shape == (3, 90, 120)


def test_an_embedding_from_a_cache_gives_the_same_masks_bit_for_bit(micro_folder):
    model = load_model(micro_folder, precision="f32")
    # What a device does that computes in bf16, on any machine.
    model.precision = "bf16"
    predictor = SAM2ImagePredictor(model)
    predictor.set_image(IMAGE)
    expected = predictor.predict(**CLICK)
    kept = predictor._embeddings[0]
    arrays = (kept.image_embed, *kept.high_res_feats)
    embed, *feats = (np.frombuffer(a.tobytes(), np.float16).reshape(a.shape) for a in arrays)
    predictor.reset_predictor()
    predictor.set_embedding(ImageEmbedding(embed, tuple(feats), kept.image_hw))
    assert_same(predictor.predict(**CLICK), expected)


def test_holes_and_specks_are_removed_on_a_cpu(micro_model):
    plain = SAM2ImagePredictor(micro_model)
    clean = SAM2ImagePredictor(micro_model, max_hole_area=50, max_sprinkle_area=50)
    for predictor in (plain, clean):
        predictor.set_image(IMAGE)
    before, _, low_res = plain.predict(**CLICK)
    after, _, clean_low_res = clean.predict(**CLICK)
    np.testing.assert_array_equal(low_res, clean_low_res)
    # Clamping moves no logit across the threshold, and hardly an edge between two of them.
    cleaned = fill_holes_and_remove_sprinkles(low_res, 0.0, 50, 50)
    expected = masks_from_logits(cleaned, IMAGE.shape[:2])
    assert (after != expected).sum() < 0.1 * (before != after).sum()


def test_single_click_gives_three_masks_and_more_prompts_one(predictor):
    predictor.set_image(IMAGE)
    assert predictor.predict_prompts(Prompts([[40, 30]], [1])).masks.shape == (3, 90, 120)
    box = predictor.predict_prompts(Prompts(box=[20, 10, 90, 70]))
    assert box.masks.shape == (1, 90, 120)
    np.testing.assert_array_equal(box.masks, predictor.predict(**BOX, multimask_output=False)[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"point_coords": [[1, 2]]}, "point_labels must be given"),
        ({"point_coords": [[1, 2, 3]], "point_labels": [1]}, r"shape \(n, 2\)"),
        ({"point_coords": [[1, 2]], "point_labels": [1, 0]}, "one entry for each point"),
        ({"point_coords": [[1, np.inf]], "point_labels": [1]}, "must be finite"),
        ({"box": [1, 2, 3]}, r"shape \(4,\) or \(B, 4\)"),
        ({"mask_input": np.zeros((1, 5, 5))}, "give back this model's low_res_masks"),
        ({"mask_input": np.zeros(5)}, r"shape \(1, h, w\)"),
        (
            {
                "point_coords": np.ones((2, 1, 2)),
                "point_labels": np.ones((2, 1)),
                "box": [0, 0, 9, 9],
            },
            "1 boxes and 2 point sets",
        ),
    ],
)
def test_unusable_prompts_are_refused_in_one_sentence(predictor, arguments, message):
    predictor.set_image(IMAGE)
    with pytest.raises(InputError, match=message):
        predictor.predict(**arguments)


def test_order_of_calls_is_explained(predictor):
    with pytest.raises(InputError, match="call set_image before predict"):
        predictor.predict(**CLICK)
    with pytest.raises(InputError, match="call set_image_batch before predict_batch"):
        predictor.predict_batch()
    predictor.set_image_batch([IMAGE])
    with pytest.raises(InputError, match="each of the 1 images"):
        predictor.predict_batch([[[1, 2]]] * 2, [[1]] * 2)
    predictor.reset_predictor()
    with pytest.raises(InputError, match="call set_image"):
        predictor.get_image_embedding()
