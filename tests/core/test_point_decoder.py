"""The faster graphs for single points against the graph that they are derived from."""

import shutil

import numpy as np
import pytest
from tests.parity import make_image

from napari_sam2_openvino import SAM2AutomaticMaskGenerator, load_model
from napari_sam2_openvino.core.decoder_weights import DecoderGraph, UnknownGraphError
from napari_sam2_openvino.core.grid_decoder import PlainGridDecoder, grid_decoder
from napari_sam2_openvino.core.model_folder import MASK_DECODER_FILE
from napari_sam2_openvino.core.normalize import to_rgb
from napari_sam2_openvino.core.paths import cache_dir
from napari_sam2_openvino.core.point_decoder import PointDecoder
from napari_sam2_openvino.core.point_graphs import POINTS_PER_CALL
from napari_sam2_openvino.core.runtime import Runtime
from napari_sam2_openvino.synthetic import make_scene

IMAGE = make_image(np.random.default_rng(1), (90, 120), grey=False)


@pytest.fixture(params=["micro_model", "starter_model"])
def model(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def changed_folder(micro_folder, tmp_path):
    """Return a function that copies the micro model with its decoder's text changed."""

    def change(old, new):
        folder = tmp_path / "changed"
        shutil.copytree(micro_folder, folder)
        path = folder / MASK_DECODER_FILE
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")
        return folder

    return change


@pytest.mark.parametrize("n_points", [1, POINTS_PER_CALL - 1, POINTS_PER_CALL])
def test_scores_and_masks_are_those_of_the_plain_decoder(model, n_points):
    embedding = model.encode(IMAGE)
    fast, plain = grid_decoder(model, embedding), PlainGridDecoder(model, embedding)
    assert isinstance(fast, PointDecoder)
    rng = np.random.default_rng(n_points)
    wanted = rng.random((n_points, 4)) < 0.6
    wanted[0] = True
    for _ in range(2):
        points = rng.uniform(0, model.image_size, (n_points, 2)).astype(np.float32)
        scores = plain.scores(points)
        np.testing.assert_allclose(fast.scores(points), scores, atol=1e-5)
        masks = plain.masks(wanted)
        tolerance = 1e-4 * masks.std()
        np.testing.assert_allclose(fast.masks(wanted), masks, atol=tolerance)


def test_points_of_one_image_do_not_see_another(micro_model):
    points = np.array([[10, 20], [40, 30]], np.float32)
    one, other = (micro_model.encode(image) for image in (IMAGE, IMAGE[::-1].copy()))
    alone = grid_decoder(micro_model, one).scores(points)
    first, second = grid_decoder(micro_model, one), grid_decoder(micro_model, other)
    assert not np.allclose(second.scores(points), alone, atol=1e-3)
    np.testing.assert_array_equal(first.scores(points), alone)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("transformer.layers.0.mlp", "transformer.layers.0.ffn"),
        ("transformer.layers.1.mlp", "transformer.layers.1.ffn"),
        ("output_hypernetworks_mlps.3", "output_hypernetworks_mlps.x"),
        ("iou_prediction_head.layers.2", "iou_prediction_head.layers.x"),
        ('type="ReLU"', 'type="Sigmoid"'),
        ('approximation_mode="ERF"', 'approximation_mode="TANH"'),
        ("self.decoder.iou_prediction_head", "self.decoder.quality"),
    ],
)
def test_a_graph_of_another_structure_is_decoded_by_itself(changed_folder, old, new):
    model = load_model(changed_folder(old, new), precision="f32")
    with pytest.raises(UnknownGraphError):
        DecoderGraph(Runtime("CPU", "f32", None).read(model.folder / MASK_DECODER_FILE)).weights()
    assert isinstance(grid_decoder(model, model.encode(IMAGE)), PlainGridDecoder)


def test_without_the_faster_graphs_the_same_is_found(changed_folder, micro_model):
    model = load_model(changed_folder("transformer.layers.1.mlp", "another"), precision="f32")
    options = {"points_per_side": 5, "pred_iou_thresh": 0.6, "stability_score_thresh": 0.7}
    options["box_nms_thresh"] = 1.0
    expected = SAM2AutomaticMaskGenerator(micro_model, **options).generate(IMAGE)
    found = SAM2AutomaticMaskGenerator(model, **options).generate(IMAGE)
    assert len(found) == len(expected) > 5
    agreement = [
        (one["segmentation"] == other["segmentation"]).mean()
        for one, other in zip(found, expected, strict=True)
    ]
    assert min(agreement) > 0.999


def test_derived_graphs_leave_nothing_in_the_cache(micro_folder):
    model = load_model(micro_folder, precision="bf16")
    before = set(cache_dir().rglob("*.blob"))
    assert before
    assert model.point_graphs() is model.point_graphs() is not None
    assert set(cache_dir().rglob("*.blob")) == before


def test_in_bf16_masks_are_those_of_f32(starter_model):
    embedding = starter_model.encode(IMAGE)
    plain = PlainGridDecoder(starter_model, embedding)
    fast = grid_decoder(load_model("starter", precision="bf16"), embedding)
    points = np.random.default_rng(2).uniform(0, 512, (POINTS_PER_CALL, 2)).astype(np.float32)
    wanted = np.ones((POINTS_PER_CALL, 4), bool)
    np.testing.assert_allclose(fast.scores(points), plain.scores(points), atol=0.05)
    found, true = fast.masks(wanted).ravel(), plain.masks(wanted).ravel()
    assert np.corrcoef(found, true)[0, 1] > 0.999


def test_in_half_precision_masks_are_as_near_as_those_of_the_plain_decoder(starter_model):
    model = load_model("starter", precision="bf16")
    embedding = starter_model.encode(to_rgb(make_scene("fluorescence", seed=3).image))
    points = np.random.default_rng(0).uniform(0, model.image_size, (POINTS_PER_CALL, 2))
    points, every = points.astype(np.float32), np.ones((POINTS_PER_CALL, 4), bool)
    exact, plain, fast = (
        PlainGridDecoder(starter_model, embedding),
        PlainGridDecoder(model, embedding),
        grid_decoder(model, embedding),
    )
    scores = [each.scores(points) for each in (exact, plain, fast)]
    masks = [each.masks(every) > 0 for each in (exact, plain, fast)]
    assert isinstance(fast, PointDecoder)
    assert np.abs(scores[2] - scores[0]).max() < max(0.01, 2 * np.abs(scores[1] - scores[0]).max())
    differing = [(each != masks[0]).mean() for each in masks]
    assert differing[2] < max(0.002, 2 * differing[1])
