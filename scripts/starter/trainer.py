"""The training run of the starter: what is learnt when, saved so that it can go on at any time."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from starter.curriculum import LAST_POOL, Batch, Curriculum
from starter.dense import DenseHead, dense_loss, dense_targets
from starter.examples import Example, ExampleSource
from starter.network import (
    build_network,
    encode,
    learn_positions,
    load_weights,
    plain_attention,
    save_whole,
    set_image_size,
)
from starter.objective import full_objective, mask_objective
from starter.settings import Progress, Settings
from starter.targets import box_targets, click_targets
from starter.team import ALONE, Team

log = logging.getLogger("train_starter")

_BLOCK = 12
"""Steps between changes of the size of images: what is drawn ahead is dropped at each."""

_NUMBERS = 10_000_000
"""Numbers of examples that each process of a team has for itself."""

_PROCESSES = 16
"""Most processes of a team; runs of other seeds see other images."""

DENSE_WEIGHT = 0.5
"""Weight of what the image encoder learns without prompts."""

_NOT_TRAINED = ("memory_", "mask_downsample", "obj_ptr", "maskmem", "no_obj")
"""Beginnings of the names of parameters that only volumes use."""


class Trainer:
    """One training run: the network, its averaged weights, the optimizer and the progress."""

    def __init__(self, settings: Settings, team: Team = ALONE) -> None:
        self.settings = settings
        self.team = team
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(settings.seed)
        self.network: Any = build_network(settings.config).to(self.device).train()
        learn_positions(self.network)
        self.names, self.trained = zip(
            *(
                (name, parameter)
                for name, parameter in self.network.named_parameters()
                if not name.startswith(_NOT_TRAINED)
            ),
            strict=True,
        )
        self.averaged = [parameter.detach().clone() for parameter in self.trained]
        self.dense_head = DenseHead(self.network.hidden_dim).to(self.device)
        self.optimizer = torch.optim.AdamW(
            [*self.trained, *self.dense_head.parameters()],
            settings.learning_rate,
            weight_decay=0.02,
            fused=True,
        )
        self.progress = Progress()
        self._began = time.monotonic()
        self.source = ExampleSource()
        self.resume()

    def run(self) -> None:
        """Train until the time or the steps are used up, saving now and then."""
        saved = time.monotonic()
        self._began = saved - self.progress.seconds
        while self.share_used() < 1:
            loss, iou = self.step()
            now = time.monotonic()
            if self.team.rank == 0 and self.progress.step % 20 == 0:
                log.info(self._line(loss, iou))
            if now - saved > self.settings.save_every:
                self.save()
                saved = now
        self.save()
        self.source.close()

    def share_used(self) -> float:
        """Return the part of the run that is done, from 0 to 1."""
        if self.settings.steps is not None:
            return self.progress.step / self.settings.steps
        return self.progress.seconds / (60 * self.settings.minutes)

    def step(self) -> tuple[float, float]:
        """Take one optimizer step; return its loss and the IoU of the first masks.

        All chance comes from the seed and the number of the step, so that a resumed run goes on as
        it would have.
        """
        progress = self.progress
        torch.manual_seed(self.settings.seed * 1_000_003 + progress.step)
        if not progress.heads and self.share_used() >= self.settings.heads_after:
            self._start_heads()
        if self.team.rank:  # what is trained on differs, what is trained does not
            torch.manual_seed(torch.initial_seed() + 500_000 * self.team.rank)
        rng = np.random.default_rng([self.settings.seed, progress.step, self.team.rank])
        batch = self._batch()
        examples = self._examples(rng, batch)
        origin = rng.integers(0, batch.image_size // batch.tile, 2) * batch.tile
        clicks = click_targets(examples, batch.clicks, rng, self.device)
        boxes = box_targets(examples, batch.boxes, rng, self.device)
        with self._mixed_precision():
            images = [example.image for example in examples]
            features = encode(self.network, images, self.device, (int(origin[0]), int(origin[1])))
            if progress.heads:
                loss, iou = full_objective(self.network, features, clicks, boxes, rng)
            else:
                loss, iou = mask_objective(self.network, features, clicks, boxes)
            answers = self.dense_head(features).float()
        loss = loss + DENSE_WEIGHT * dense_loss(answers, dense_targets(examples, self.device))
        iou = self._descend(loss, iou)
        progress.step += 1
        progress.images[batch.tile] = progress.images.get(batch.tile, 0) + batch.images
        progress.curriculum.update(iou)
        return float(loss.detach()), iou

    @contextmanager
    def _mixed_precision(self) -> Iterator[None]:
        """Compute in bfloat16 where the device can; a third faster on a CPU."""
        on_cpu = self.device.type == "cpu"
        enabled = not on_cpu or torch.cpu._is_avx512_bf16_supported()
        attention = plain_attention() if on_cpu else nullcontext()
        with torch.autocast(self.device.type, torch.bfloat16, enabled), attention:
            yield

    def _descend(self, loss: torch.Tensor, iou: float) -> float:
        """Take the step; return the mean of the IoU over the team."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        learnt = [*self.trained, *self.dense_head.parameters()]
        # The clocks are averaged as well: all must agree on what comes next, and on the end.
        seconds = time.monotonic() - self._began
        self.progress.seconds, iou = self.team.average(learnt, seconds, iou)
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate()
        nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.optimizer.step()
        keep = min(0.998, (self.progress.step + 1) / (self.progress.step + 21))
        with torch.no_grad():
            for averaged, parameter in zip(self.averaged, self.trained, strict=True):
                averaged.lerp_(parameter, 1 - keep)
        return iou

    def _batch(self) -> Batch:
        settings, share = self.settings, self.share_used()
        if share >= settings.whole_after:
            batch = settings.whole
        elif share >= settings.tiles_after or settings.start:
            block = self.progress.step // _BLOCK
            batch = settings.whole if block % 2 else settings.tiles
        else:
            batch = settings.small
        set_image_size(self.network, batch.image_size)
        return replace(batch, images=max(1, batch.images // self.team.size))

    def _examples(self, rng: np.random.Generator, batch: Batch) -> list[Example]:
        curriculum = self.progress.curriculum
        sizes = batch.tile, batch.image_size
        if curriculum.pool:
            numbers = rng.choice(curriculum.pool, batch.images, replace=False)
            return self.source.from_pool(numbers.tolist(), *sizes)
        seen = self.progress.images.get(batch.tile, 0)
        first = LAST_POOL + seen + (self.team.rank + self.settings.seed * _PROCESSES) * _NUMBERS
        return self.source.fresh(first, batch.images, curriculum.difficulty, *sizes)

    def _start_heads(self) -> None:
        """Begin with the other heads: the three masks start as copies of the single one."""
        decoder = self.network.sam_mask_decoder
        with torch.no_grad():
            tokens = decoder.mask_tokens.weight
            tokens[1:] = tokens[:1] + 0.05 * tokens[:1].std() * torch.randn_like(tokens[1:])
            for other in decoder.output_hypernetworks_mlps[1:]:
                other.load_state_dict(decoder.output_hypernetworks_mlps[0].state_dict())
            for averaged, parameter in zip(self.averaged, self.trained, strict=True):
                averaged.copy_(parameter)
        self.progress.heads = True

    def _learning_rate(self) -> float:
        """Warm up for 100 steps, stay, and go down to nearly nothing in the end."""
        warm = min(1.0, (self.progress.step + 1) / 100)
        falls_after = self.settings.falls_after
        tail = max(0.0, min(1.0, (self.share_used() - falls_after) / (1 - falls_after)))
        fall = 1 - 0.99 * tail
        return self.settings.learning_rate * warm * fall

    def _line(self, loss: float, iou: float) -> str:
        progress, curriculum = self.progress, self.progress.curriculum
        images = f"pool {curriculum.pool}" if curriculum.pool else "fresh"
        return (
            f"step {progress.step} {progress.seconds / 60:.1f} min {images} "
            f"difficulty {curriculum.difficulty:.2f} loss {loss:.3f} IoU {iou:.3f} "
            f"running {curriculum.running_iou:.3f} lr {self._learning_rate():.1e}"
        )

    def save(self) -> None:
        """Write the whole state, and the averaged weights in half precision, each in one stroke."""
        if self.team.rank:
            return
        state = {
            "network": self.network.state_dict(),
            "averaged": self.averaged,
            "dense_head": self.dense_head.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "progress": asdict(self.progress),
        }
        save_whole(state, self.settings.out / "state.pt")
        weights = self.network.state_dict() | dict(zip(self.names, self.averaged, strict=True))
        half = {name: tensor.detach().cpu().half() for name, tensor in weights.items()}
        save_whole({"model": half}, self.settings.out / "checkpoint.pt")

    def resume(self) -> None:
        """Go on from the state in the output folder, where there is one."""
        path = self.settings.out / "state.pt"
        if not path.exists():
            self.settings.out.mkdir(parents=True, exist_ok=True)
            self._begin()
            return
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.averaged = list(state["averaged"])
        self.dense_head.load_state_dict(state["dense_head"])
        self.optimizer.load_state_dict(state["optimizer"])
        saved = dict(state["progress"])
        self.progress = Progress(**saved | {"curriculum": Curriculum(**saved["curriculum"])})

    def _begin(self) -> None:
        """Take over the weights that the run starts from, where it does not start from nothing."""
        if self.settings.start is None:
            return
        load_weights(self.network, self.settings.start)
        for averaged, parameter in zip(self.averaged, self.trained, strict=True):
            averaged.copy_(parameter.detach())
        self.progress.heads = True
        self.progress.curriculum = Curriculum(pool=0, difficulty=1.0)
