"""The training run of the starter: what is learnt when, saved so that it can go on at any time."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from starter.curriculum import LARGE, LAST_POOL, SMALL, TILES, Batch, Curriculum
from starter.dense import DenseHead, dense_loss, dense_targets
from starter.examples import Example, ExampleSource
from starter.network import (
    CONFIG,
    build_network,
    encode,
    learn_positions,
    load_weights,
    set_image_size,
)
from starter.objective import full_objective, mask_objective
from starter.targets import box_targets, click_targets

log = logging.getLogger("train_starter")

DENSE_WEIGHT = 0.5
"""Weight of what the image encoder learns without prompts."""

_NOT_TRAINED = ("memory_", "mask_downsample", "obj_ptr", "maskmem", "no_obj")
"""Beginnings of the names of parameters that only volumes use."""


@dataclass(slots=True)
class Progress:
    """Everything but tensors that a resumed run needs."""

    step: int = 0
    images: int = 0
    seconds: float = 0.0
    heads: bool = False
    curriculum: Curriculum = field(default_factory=Curriculum)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run is asked to do.

    Attributes
    ----------
    out : Path
        Folder of the run.
    minutes : float
        Time to train, in all.
    steps : int, optional
        Number of steps, in all, instead of a time.
    seed : int
    learning_rate : float
    heads_after, tiles_after, large_after : float
        Parts of the run, from 0 to 1, after which all heads are trained, on tiles of large images,
        and on whole large images.
    falls_after : float
        Part of the run after which the learning rate falls.
    save_every : float
        Seconds between checkpoints.
    config : Path
        The network's configuration.
    start : Path, optional
        A checkpoint to go on from, with all heads and on tiles of any difficulty.
    small, tiles, large : Batch
    """

    out: Path
    minutes: float = 240
    steps: int | None = None
    seed: int = 0
    learning_rate: float = 5e-4
    heads_after: float = 0.2
    tiles_after: float = 0.35
    large_after: float = 0.7
    falls_after: float = 0.7
    save_every: float = 60
    config: Path = CONFIG
    start: Path | None = None
    small: Batch = SMALL
    tiles: Batch = TILES
    large: Batch = LARGE


class Trainer:
    """One training run: the network, its averaged weights, the optimizer and the progress."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
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
        self.source = ExampleSource()
        self.resume()

    def run(self) -> None:
        """Train until the time or the steps are used up, saving now and then."""
        saved = started = time.monotonic()
        before = self.progress.seconds
        while self.share_used() < 1:
            loss, iou = self.step()
            now = time.monotonic()
            self.progress.seconds = before + now - started
            if self.progress.step % 20 == 0:
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
        rng = np.random.default_rng([self.settings.seed, progress.step])
        if not progress.heads and self.share_used() >= self.settings.heads_after:
            self._start_heads()
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
        self._descend(loss)
        progress.step += 1
        progress.images += batch.images
        progress.curriculum.update(iou)
        return float(loss.detach()), iou

    @contextmanager
    def _mixed_precision(self) -> Iterator[None]:
        """Compute in bfloat16 where the device can; a third faster on a CPU.

        There PyTorch's fused attention is slower in bfloat16 than matrix products are.
        """
        on_cpu = self.device.type == "cpu"
        enabled = not on_cpu or torch.cpu._is_avx512_bf16_supported()
        attention = sdpa_kernel(SDPBackend.MATH) if on_cpu else nullcontext()
        with torch.autocast(self.device.type, torch.bfloat16, enabled), attention:
            yield

    def _descend(self, loss: torch.Tensor) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.optimizer.step()
        keep = min(0.998, (self.progress.step + 1) / (self.progress.step + 21))
        with torch.no_grad():
            for averaged, parameter in zip(self.averaged, self.trained, strict=True):
                averaged.lerp_(parameter, 1 - keep)

    def _batch(self) -> Batch:
        settings, share = self.settings, self.share_used()
        if share >= settings.large_after:
            batch = settings.large
        elif share >= settings.tiles_after or settings.start:
            batch = settings.tiles
        else:
            batch = settings.small
        set_image_size(self.network, batch.image_size)
        return batch

    def _examples(self, rng: np.random.Generator, batch: Batch) -> list[Example]:
        curriculum = self.progress.curriculum
        sizes = batch.tile, batch.image_size
        if curriculum.pool:
            numbers = rng.choice(curriculum.pool, batch.images, replace=False)
            return self.source.from_pool(numbers.tolist(), *sizes)
        first = LAST_POOL + self.progress.images
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
        """Warm up for 50 steps, stay, and go down to nearly nothing in the end."""
        warm = min(1.0, (self.progress.step + 1) / 50)
        falls_after = self.settings.falls_after
        tail = max(0.0, min(1.0, (self.share_used() - falls_after) / (1 - falls_after)))
        fall = 0.02 + 0.98 * (1 + math.cos(math.pi * tail)) / 2
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
        state = {
            "network": self.network.state_dict(),
            "averaged": self.averaged,
            "dense_head": self.dense_head.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "progress": asdict(self.progress),
        }
        _write(state, self.settings.out / "state.pt")
        weights = self.network.state_dict() | dict(zip(self.names, self.averaged, strict=True))
        half = {name: tensor.detach().cpu().half() for name, tensor in weights.items()}
        _write({"model": half}, self.settings.out / "checkpoint.pt")

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


def _write(state: dict[str, Any], path: Path) -> None:
    """Save under a temporary name, then rename: a file that is there is whole."""
    temporary = path.with_name(path.name + ".part")
    torch.save(state, temporary)
    os.replace(temporary, path)
