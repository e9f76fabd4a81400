"""The trial of memory: what is frozen stays, a run goes on where it was, memory equals SAM 2's."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import memory_trial
from memory_trial import Trial
from starter.remembering import ask_by_box, memory_parameters, track
from starter.stacks import draw_window

SIZE = 128


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: Any) -> Trial:
    monkeypatch.setattr(memory_trial, "_POOL", 1)
    return Trial(tmp_path, SIZE, minutes=1.0)


def state(trial: Trial) -> dict[str, Any]:
    return {name: tensor.clone() for name, tensor in trial._network.state_dict().items()}


def test_memory_learns_and_all_else_stays_and_a_run_goes_on(trial: Trial, tmp_path: Path) -> None:
    before = state(trial)
    for _ in range(2):
        trial._step()
    after = state(trial)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert any(name.startswith("memory_attention.") for name in changed)
    assert any(name.startswith("memory_encoder.") for name in changed)
    frozen = ("image_encoder.", "sam_prompt_encoder.", "sam_mask_decoder.")
    assert not [name for name in changed if name.startswith(frozen)]
    trial._save()
    again = Trial(tmp_path, SIZE, minutes=1.0)
    assert again._progress.step == 2
    assert all(torch.equal(tensor, after[name]) for name, tensor in state(again).items())
    trial._step()
    again._step()
    ours, theirs = state(trial), state(again)
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


@torch.no_grad()
def test_planes_are_tracked_as_the_reference_does(trial: Trial) -> None:
    network = trial._network
    memory_parameters(network)
    window = draw_window([trial._stack(0)], 3, 2, np.random.default_rng(2))
    assert window is not None
    first = ask_by_box(network, window)
    found = {each.at: each.answer for each in track(network, window, teacher=0.0)}
    outputs: dict[str, dict[int, Any]] = {"cond_frame_outputs": {}, "non_cond_frame_outputs": {}}
    labels = torch.tensor([[2, 3]], dtype=torch.int32).repeat(len(window.boxes), 1)
    network.binarize_mask_from_pts_for_mem_enc = True
    for at in range(3):
        embed = window.embed[at]
        place = network.image_encoder.neck.position_encoding(embed)
        levels = [*window.high_res_feats[at], embed]
        points = {"point_coords": window.boxes, "point_labels": labels} if at == 0 else None
        output = network.track_step(
            at,
            at == 0,
            [each.flatten(2).permute(2, 0, 1) for each in levels],
            [place.flatten(2).permute(2, 0, 1)] * 3,
            [each.shape[2:] for each in levels],
            points,
            None,
            outputs,
            24,
        )
        kind = "cond_frame_outputs" if at == 0 else "non_cond_frame_outputs"
        outputs[kind][at] = output
        answer = first if at == 0 else found[at]
        gone = answer.score[:, 0] <= 0
        ours = answer.chosen.clone()
        ours[gone] = -1024.0
        assert torch.equal(ours > 0, output["pred_masks"] > 0)
        # Memory takes a steep sigmoid of masks, which makes more of rounding.
        torch.testing.assert_close(ours, output["pred_masks"], atol=0.02, rtol=1e-3)
        torch.testing.assert_close(
            answer.score, output["object_score_logits"], atol=1e-2, rtol=1e-3
        )
