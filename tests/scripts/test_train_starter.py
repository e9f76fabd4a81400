"""The training script, with a network of a few thousand weights where it counts."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from torch.nn import functional

from napari_sam2_openvino.synthetic import make_scene
from starter import dense, evaluation, examples, losses, objective, targets
from starter.curriculum import Batch, Curriculum
from starter.examples import Example, make_example
from starter.held_out import DIFFICULTIES
from starter.network import (
    MEAN,
    STD,
    Prediction,
    build_network,
    encode,
    load_weights,
    plain_attention,
)
from starter.settings import Settings
from starter.team import Team, run_together
from starter.trainer import Trainer

CPU = torch.device("cpu")
SMALL = Batch(image_size=64, tile=64, images=2, clicks=3, boxes=2)
TILES = Batch(image_size=512, tile=256, images=1, clicks=2, boxes=1)
WHOLE = Batch(image_size=128, tile=128, images=1, clicks=3, boxes=2)


@pytest.fixture(scope="module")
def micro_config(scripts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = OmegaConf.load(scripts / "starter" / "starter.yaml")
    OmegaConf.update(config.model, "image_size", 64)
    encoder = config.model.image_encoder
    encoder.trunk.update(embed_dim=8, stages=[1, 2, 2, 1], global_att_blocks=[4])
    encoder.neck.update(d_model=32, backbone_channel_list=[64, 32, 16, 8])
    encoder.neck.position_encoding.num_pos_feats = 32
    path = tmp_path_factory.mktemp("config") / "micro.yaml"
    OmegaConf.save(config, path)
    return path


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def settings(out: Path, config: Path) -> Settings:
    """Every stage of a run, in six steps."""
    return Settings(
        out,
        steps=6,
        heads_after=0.3,
        tiles_after=0.5,
        whole_after=0.8,
        config=config,
        small=SMALL,
        tiles=TILES,
        whole=WHOLE,
    )


def fresh_images_from_the_start(trainer: Trainer) -> None:
    trainer.progress.curriculum = Curriculum(pool=0, difficulty=0.3)


@pytest.mark.parametrize("cut_after", [2, 4])
def test_a_run_that_is_cut_off_ends_like_a_straight_one(
    tmp_path: Path, micro_config: Path, cut_after: int
) -> None:
    straight = Trainer(settings(tmp_path / "straight", micro_config))
    fresh_images_from_the_start(straight)
    straight.run()

    cut = Trainer(settings(tmp_path / "cut", micro_config))
    fresh_images_from_the_start(cut)
    for _ in range(cut_after):
        cut.step()
    cut.save()
    cut.step()  # lost: it comes after the last save
    cut.source.close()
    resumed = Trainer(settings(tmp_path / "cut", micro_config))
    assert resumed.progress.step == cut_after
    resumed.run()

    for name in ("step", "images", "heads", "curriculum"):
        assert getattr(resumed.progress, name) == getattr(straight.progress, name)
    for one, other in zip(resumed.averaged, straight.averaged, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_the_checkpoint_is_small_and_loads_into_sam2(tmp_path: Path, micro_config: Path) -> None:
    trainer = Trainer(settings(tmp_path, micro_config))
    trainer.step()
    trainer.save()
    trainer.source.close()
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert all(tensor.dtype == torch.float16 for tensor in state["model"].values())
    network = build_network(micro_config)
    load_weights(network, tmp_path / "checkpoint.pt")
    name = "image_encoder.trunk.blocks.0.mlp.layers.0.weight"
    averaged = trainer.averaged[trainer.names.index(name)]
    torch.testing.assert_close(network.state_dict()[name], averaged, rtol=1e-3, atol=1e-4)
    assert not list(tmp_path.glob("*.part"))


def test_a_run_starts_from_the_weights_that_it_is_given(tmp_path: Path, micro_config: Path) -> None:
    first = Trainer(settings(tmp_path / "first", micro_config))
    first.save()
    first.source.close()
    start = tmp_path / "first" / "checkpoint.pt"
    second = Trainer(
        Settings(tmp_path / "second", steps=2, seed=1, config=micro_config, start=start)
    )
    second.source.close()
    for one, other in zip(first.averaged, second.averaged, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
    assert second.progress.heads
    assert second.progress.curriculum == Curriculum(pool=0, difficulty=1.0)


def test_the_task_gets_harder_only_when_it_is_learnt() -> None:
    curriculum = Curriculum()
    for _ in range(500):
        curriculum.update(0.7)
    assert (curriculum.pool, curriculum.difficulty) == (4, 0.0)
    pools = set()
    for _ in range(3000):
        curriculum.update(0.9)
        pools.add(curriculum.pool)
    assert pools == {0, 4, 8, 16, 32, 64, 128, 256, 512, 1024}
    assert curriculum.difficulty == 1.0


def test_scenes_come_again_turned_but_with_the_same_objects() -> None:
    first, again = make_example(3, 0.5, 64, 64), make_example(3 + 64, 0.5, 64, 64)
    assert first.labels.max() == again.labels.max()
    np.testing.assert_array_equal(np.bincount(first.labels.flat), np.bincount(again.labels.flat))
    assert not np.array_equal(first.image, again.image)
    other = make_example(3 + 6 * 64, 0.5, 64, 64)
    assert not np.array_equal(np.bincount(first.labels.flat), np.bincount(other.labels.flat))


def test_planes_of_stacks_number_their_objects_without_gaps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    examples._scene.cache_clear()
    monkeypatch.setattr(examples, "_STACKS", 1.0)
    plane = make_example(1, 1.0, 96, 256)
    examples._scene.cache_clear()
    assert plane.image.shape == (96, 96, 3)
    assert plane.labels.max() >= 1
    assert (np.bincount(plane.labels.flat) > 0).all()


def test_colours_change_but_not_what_is_seen() -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    image[..., 2] = image[..., 0] // 2  # so that no channel is like another
    grey = swapped = 0
    for seed in range(60):
        varied = examples.vary_colour(image, np.random.default_rng(seed))
        if (varied == varied[..., :1]).all():
            grey += 1
            continue
        for channel in range(3):
            likeness = [
                np.corrcoef(varied[..., channel].flat, image[..., other].flat)[0, 1]
                for other in range(3)
                if varied[..., channel].any()
            ]
            assert not likeness or max(likeness) > 0.99
        swapped += bool(varied[..., 0].any() and (varied[..., 0] <= image[..., 1]).all())
    assert 5 < grey < 40
    assert swapped > 3


def nested() -> Example:
    """An object of 40 x 40 pixels with an inner part of 20 x 20."""
    labels, parts = np.zeros((2, 64, 64), np.int32)
    labels[8:48, 8:48] = 1
    parts[20:40, 20:40] = 1
    return Example(np.zeros((64, 64, 3), np.uint8), labels, parts)


def test_clicks_ask_for_what_is_under_them() -> None:
    example = nested()
    asked = targets.click_targets([example], 200, np.random.default_rng(0), CPU)
    assert asked.masks.shape == (200, 1, 16, 16)
    whole = torch.from_numpy(example.labels[::4, ::4] > 0).float()
    part = torch.from_numpy(example.parts[::4, ::4] > 0).float()
    kinds = set()
    for mask, (x, y), present, is_whole in zip(
        asked.masks[:, 0], asked.coords[:, 0].int(), asked.present, asked.whole, strict=True
    ):
        assert bool(example.labels[y, x]) == bool(present)
        expected = whole if is_whole else part if present else torch.zeros(16, 16)
        torch.testing.assert_close(mask, expected)
        if present and not is_whole:
            assert example.parts[y, x] == 1
        kinds.add((bool(present), bool(is_whole)))
    assert kinds == {(True, True), (True, False), (False, False)}


def test_boxes_lie_around_what_they_ask_for() -> None:
    asked = targets.box_targets([nested()], 60, np.random.default_rng(0), CPU)
    assert asked.labels[0].tolist() == [2, 3]
    assert 0 < asked.whole.sum() < 60
    for box, is_whole in zip(asked.coords, asked.whole, strict=True):
        true, side = ([[8, 8], [47, 47]], 40) if is_whole else ([[20, 20], [39, 39]], 20)
        assert (box - torch.tensor(true)).abs().max() <= 0.1 * side + 1e-3


def test_neighbours_are_asked_for_together() -> None:
    labels = np.zeros((64, 64), np.int32)
    for index in range(16):
        labels[:, 4 * index : 4 * index + 4] = index + 1
    example = Example(np.zeros((64, 64, 3), np.uint8), labels, np.zeros_like(labels))
    for seed in range(20):
        chosen = targets._choose(example, 8, np.random.default_rng(seed))
        assert len(chosen) == 8
        assert np.ptp(np.sort(chosen[:4])) <= 6


def test_corrections_click_on_what_is_wrong() -> None:
    masks = torch.zeros(2, 1, 8, 8)
    masks[:, :, 2:5, 2:5] = 1
    logits = torch.where(masks > 0, 5.0, -5.0)
    logits[0, 0, 3, 4] = -5  # a missing pixel
    logits[1, 0, 7, 1] = 5  # one too many
    for seed in range(10):
        torch.manual_seed(seed)
        coords, labels = losses.correction_clicks(logits, masks)
        assert labels.tolist() == [[1], [0]]
        assert ((coords[:, 0] + 0.5) // 4).tolist() == [[4, 3], [1, 7]]


def targets_of(masks: torch.Tensor, present: list[float], whole: list[float]) -> targets.Targets:
    count = len(masks)
    labels = torch.ones(count, 1, dtype=torch.int32)
    coords = torch.zeros(count, 1, 2)
    return targets.Targets(masks, coords, labels, torch.tensor(present), torch.tensor(whole))


def prediction_of(masks: torch.Tensor, iou: float = 0.5, score: float = 0.0) -> Prediction:
    count = len(masks)
    return Prediction(masks, torch.full((count, 4), iou), torch.full((count, 1), score))


def test_where_no_object_is_only_the_scores_count() -> None:
    nothing = targets_of(torch.zeros(1, 1, 16, 16), [0.0], [0.0])
    masks = torch.randn(1, 4, 16, 16, requires_grad=True)
    loss = losses.full_loss(prediction_of(masks), nothing, ambiguous=True)
    assert torch.autograd.grad(loss, masks, allow_unused=True)[0].abs().max() == 0
    sure_of_none = prediction_of(masks, iou=0.0, score=-9.0)
    assert losses.full_loss(sure_of_none, nothing, ambiguous=True) < 0.01 < loss


def test_an_inner_part_is_learnt_by_the_best_of_three_only() -> None:
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., 4:9, 4:9] = 1
    part = targets_of(mask, [1.0], [0.0])
    masks = torch.zeros(1, 4, 16, 16)
    masks[:, 2] = 4 * mask[:, 0] - 2  # the best one
    masks.requires_grad_()
    loss = losses.full_loss(prediction_of(masks), part, ambiguous=True)
    moved = torch.autograd.grad(loss, masks)[0].abs().amax(dim=(0, 2, 3)) > 0
    assert moved.tolist() == [False, False, True, False]


def test_small_objects_are_heard() -> None:
    """All background is the wrong answer, at whatever size."""
    small, large = torch.zeros(2, 1, 1, 128, 128)
    small[..., :4, :4] = 1
    large[..., :40, :40] = 1
    logits = torch.full((1, 1, 128, 128), -4.0)
    ratio = losses.mask_losses(logits, small) / losses.mask_losses(logits, large)
    assert 0.3 < float(ratio) < 1


def test_a_tile_is_the_part_of_the_input_that_it_would_be(micro_config: Path) -> None:
    """Without global attention, a tile's features are those of the whole image there."""
    network = build_network(
        micro_config, image_size=512, image_encoder__trunk__global_att_blocks=[]
    ).eval()
    with torch.no_grad():
        for name in ("pos_embed", "pos_embed_window"):
            torch.nn.init.normal_(getattr(network.image_encoder.trunk, name))
        image = np.random.default_rng(0).integers(0, 255, (512, 512, 3), np.uint8)
        whole = encode(network, [image], CPU)
        tile = np.ascontiguousarray(image[256:, :256])
        errors = [
            (encode(network, [tile], CPU, origin).image_embed - whole.image_embed[:, :, 16:, :16])
            for origin in ((256, 0), (0, 0), (256, 256))
        ]
    # Not zero: the patches at the tile's edges reach over them.
    right, *wrong = (float(error.abs().mean()) for error in errors)
    assert right < 0.1 * min(wrong)


def test_positions_and_attention_are_those_of_sam2(micro_config: Path) -> None:
    network = build_network(micro_config, image_size=256).eval()
    trunk = network.image_encoder.trunk
    image = np.random.default_rng(0).integers(0, 255, (256, 256, 3), np.uint8)
    with torch.no_grad():
        for name in ("pos_embed", "pos_embed_window"):
            torch.nn.init.normal_(getattr(trunk, name))
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
        pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
        expected = network.forward_image((pixels - mean) / std)["backbone_fpn"][0]
        torch.testing.assert_close(
            encode(network, [image], CPU).high_res_feats[0], expected, rtol=1e-4, atol=1e-4
        )
        query, key, value = torch.randn(3, 2, 4, 9, 8)
        of_torch = functional.scaled_dot_product_attention
        with plain_attention():
            assert functional.scaled_dot_product_attention is not of_torch
            plain = functional.scaled_dot_product_attention(query, key, value, dropout_p=0.0)
        assert functional.scaled_dot_product_attention is of_torch
        torch.testing.assert_close(plain, of_torch(query, key, value), rtol=1e-5, atol=1e-6)


def work_in_team(folder: Path, config: Path, team: Team) -> None:
    """Write the means of gradients that differ between processes, and the weights after a run."""
    first, second = torch.zeros(2, 3, requires_grad=True), torch.zeros(4, requires_grad=True)
    first.grad = torch.full((2, 3), float(team.rank))
    if team.rank:
        second.grad = torch.arange(4.0)
    numbers = team.average([first, second], 10.0 * team.rank, 1.0)
    trainer = Trainer(replace(settings(folder / "run", config), steps=2, save_every=0), team)
    trainer.run()
    weights = [weight.detach() for weight in trainer.trained]
    images = trainer.progress.images
    torch.save([first.grad, second.grad, numbers, images, weights], folder / f"{team.rank}.pt")


def test_a_team_shares_the_mean_gradients(tmp_path: Path, micro_config: Path) -> None:
    run_together(2, 1, partial(work_in_team, tmp_path, micro_config))
    results = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    for first, second, numbers, images, _ in results:
        assert torch.equal(first, torch.full((2, 3), 0.5))
        assert torch.equal(second, torch.arange(4.0) / 2)
        assert numbers == [5.0, 1.0]
        assert images == {64: 1, 256: 1}  # half of two, and one that cannot be halved
    for one, other in zip(results[0][-1], results[1][-1], strict=True):
        assert torch.equal(one, other)
    assert (tmp_path / "run" / "checkpoint.pt").exists()


def test_dense_targets_tell_what_every_pixel_is() -> None:
    right = dense.dense_targets([nested()], CPU)
    inside, border, inner = right.covered[0]
    assert inside.sum() == 100
    assert inside[2:12, 2:12].min() == 1
    # Borders are marked on the pixel before: the rows and columns 7 and 47.
    assert border[1, 2:12].min() == border[2:12, 11].min() == 1
    assert border[3:11, 3:11].max() == border[0].max() == 0
    assert inner.sum() == 25
    y, x = right.ways[0]
    assert y[2, 6] > 0 > y[11, 6]
    assert x[6, 2] > 0 > x[6, 11]
    assert y[0, 0] == x[0, 0] == 0


def test_corrections_follow_objects_only(micro_config: Path) -> None:
    network = build_network(micro_config, image_size=64)
    features = encode(network, [nested().image], CPU)
    asked = targets.click_targets([nested()], 12, np.random.default_rng(3), CPU)
    question = objective.Question.first(features, asked)
    kept, previous = question.of_present(torch.zeros(12, 1, 16, 16))
    assert 0 < len(previous) < 12
    assert len(kept.targets.masks) == len(kept.point_coords) == len(previous)
    assert kept.targets.present.min() == 1
    corrected = kept.corrected(previous, feed_back=True)
    assert corrected.point_labels.shape == (len(previous), 2)
    assert corrected.ask(network).low_res_masks.shape == (len(previous), 4, 16, 16)


def test_evaluation_reports_each_difficulty_and_kind(
    micro_config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "held_out_scenes", few_scenes)
    network = build_network(micro_config, image_size=64).eval()
    judged = evaluation.evaluate(network, images_per_kind=1)
    figures = evaluation.report(judged)
    assert list(figures)[:3] == ["all", "easy", "hard"]
    assert "tissue" in figures
    assert figures["all"]["objects"] == figures["easy"]["objects"] + figures["hard"]["objects"]
    assert 0.5 < figures["easy"]["ellipse"] < 1
    assert "pairs of touching objects" in evaluation.as_markdown(judged)


def few_scenes(difficulty: str, count: int, first_seed: int) -> Any:
    for kind in ("tissue", "membrane")[: 2 * count]:
        yield make_scene(kind, first_seed, shape=(128, 128), difficulty=DIFFICULTIES[difficulty])
