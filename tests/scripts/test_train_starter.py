"""The training script, with a network of a few thousand weights where it counts."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

import train_starter
from starter import evaluation, losses
from starter.examples import draw_targets, make_example
from starter.network import build_network, load_weights


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


def settings(out: Path, config: Path) -> train_starter.Settings:
    return train_starter.Settings(out, steps=6, prompts_per_image=4, heads_after=0.5, config=config)


def fresh_images_from_the_start(trainer: train_starter.Trainer) -> None:
    trainer.progress.curriculum = train_starter.Curriculum(pool=0, difficulty=0.3)


@pytest.mark.parametrize("cut_after", [2, 4])
def test_a_run_that_is_cut_off_ends_like_a_straight_one(
    tmp_path: Path, micro_config: Path, cut_after: int
) -> None:
    straight = train_starter.Trainer(settings(tmp_path / "straight", micro_config))
    fresh_images_from_the_start(straight)
    straight.run()

    cut = train_starter.Trainer(settings(tmp_path / "cut", micro_config))
    fresh_images_from_the_start(cut)
    for _ in range(cut_after):
        cut.step()
    cut.save()
    cut.step()  # lost: it comes after the last save
    cut.source.close()
    resumed = train_starter.Trainer(settings(tmp_path / "cut", micro_config))
    assert resumed.progress.step == cut_after
    resumed.run()

    assert resumed.progress.curriculum == straight.progress.curriculum
    for one, other in zip(resumed.averaged, straight.averaged, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_the_checkpoint_is_small_and_loads_into_sam2(tmp_path: Path, micro_config: Path) -> None:
    trainer = train_starter.Trainer(settings(tmp_path, micro_config))
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


def test_the_task_gets_harder_only_when_it_is_learnt() -> None:
    curriculum = train_starter.Curriculum()
    for _ in range(500):
        curriculum.update(0.7)
    assert (curriculum.pool, curriculum.difficulty) == (4, 0.0)
    pools = set()
    for _ in range(3000):
        curriculum.update(0.9)
        pools.add(curriculum.pool)
    assert pools == {0, 4, 8, 16, 32, 64, 128, 256, 512, 1024}
    assert curriculum.difficulty == 1.0


def test_prompts_ask_for_their_object() -> None:
    examples = [make_example(seed, 0.3, 64) for seed in (1, 2)]
    targets = draw_targets(examples, 6, np.random.default_rng(0), torch.device("cpu"))
    assert targets.masks.shape == (12, 1, 16, 16)
    for index, (point, mask, box) in enumerate(
        zip(targets.points[:, 0], targets.masks[:, 0], targets.boxes, strict=True)
    ):
        x, y = point.int().tolist()
        labels = examples[index // 6].labels
        assert labels[y, x] > 0
        assert mask[y // 4, x // 4] > 0
        rows, columns = np.nonzero(labels == labels[y, x])
        true = np.array([[columns.min(), rows.min()], [columns.max(), rows.max()]])
        assert np.all(np.abs(box.numpy() - true) <= 0.1 * (true[1] - true[0] + 1) + 1e-3)


def test_corrections_click_on_what_is_wrong() -> None:
    masks = torch.zeros(2, 1, 8, 8)
    masks[:, :, 2:5, 2:5] = 1
    logits = torch.where(masks > 0, 5.0, -5.0)
    logits[0, 0, 3, 4] = -5  # a missing pixel
    logits[1, 0, 7, 1] = 5  # one too many
    coords, labels = losses.correction_clicks(logits, masks)
    assert labels.tolist() == [[1], [0]]
    assert ((coords[:, 0] + 0.5) // 4).tolist() == [[4, 3], [1, 7]]


def test_baselines_are_drawn_where_they_should_be() -> None:
    mask = np.zeros((20, 30), bool)
    mask[5:10, 8:17] = True
    np.testing.assert_array_equal(evaluation.innermost_point(mask)[1], 7)
    ellipse = evaluation.ellipse_in_box(np.array([[8, 5], [16, 9]], np.float32), mask.shape)
    assert ellipse[[7, 7, 5, 9], [8, 16, 12, 12]].all()
    assert not (ellipse & ~mask).any()
    disc = evaluation.disc_at(np.array([12, 7], np.float32), 3, mask.shape)
    np.testing.assert_array_equal(disc[[7, 4, 7], [15, 12, 16]], [True, True, False])
    np.testing.assert_allclose(evaluation.iou(mask[None], np.roll(mask, 9, 1)[None]), 0)


def test_evaluation_reports_each_difficulty_and_kind(micro_config: Path) -> None:
    network = build_network(micro_config).eval()
    figures = evaluation.report(evaluation.evaluate(network, images_per_kind=1))
    assert list(figures)[:2] == ["easy", "hard"]
    assert "hard, tissue" in figures
    assert figures["easy"]["objects"] == sum(
        summary["objects"] for name, summary in figures.items() if name.startswith("easy, ")
    )
    assert 0.6 < figures["easy"]["ellipse"] < 1
    assert evaluation.as_markdown(figures).count("\n") == len(figures) + 1
