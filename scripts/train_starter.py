"""Train the starter model from nothing on synthetic microscopy images, or evaluate it.

One command, resumable: run it again with the same `--out` and it goes on where it was cut off.

    python scripts/train_starter.py --out runs/starter --minutes 120
    python scripts/train_starter.py --evaluate runs/starter/checkpoint.pt

The network learns to follow prompts only where it cannot do without them: training begins with
four images and many prompts on each, and the pool of images doubles each time they are learnt; then
every image is new and they get harder by the same rule. After two fifths of the time the three
masks, the predicted IoU, corrections and mask prompts are trained as well.

Needs the package with its extra `convert` (PyTorch, sam2). Uses a GPU where there is one.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from starter.evaluation import IMAGES_PER_KIND, as_markdown, evaluate, report
from starter.examples import Example, ExampleSource, draw_targets
from starter.network import CONFIG, build_network, encode, load_weights
from starter.objective import full_objective, mask_objective

log = logging.getLogger("train_starter")

IMAGES_PER_STEP = 4
FIRST_POOL = 4
LAST_POOL = 1024
LEARNT = 0.72
"""Running training IoU at which the pool grows or the scenes get harder."""

_NOT_TRAINED = ("memory_", "mask_downsample", "obj_ptr", "maskmem", "no_obj")
"""Beginnings of the names of parameters that only volumes use."""


@dataclass(slots=True)
class Curriculum:
    """How many images there are to learn, and how hard they are.

    Attributes
    ----------
    pool : int
        Number of images that are trained on again and again; 0 when every image is new.
    difficulty : float
        From 0 to 1, see `SceneParameters.at_difficulty`.
    running_iou : float
        Running average of the training IoU; it starts low after each change.
    """

    pool: int = FIRST_POOL
    difficulty: float = 0.0
    running_iou: float = 0.0

    def update(self, iou: float) -> None:
        """Take in the IoU of a step, and make the task harder when it is learnt."""
        self.running_iou += 0.04 * (iou - self.running_iou)
        if self.running_iou < LEARNT or (not self.pool and self.difficulty >= 1):
            return
        if self.pool >= LAST_POOL:
            self.pool = 0
        elif self.pool:
            self.pool *= 2
        else:
            self.difficulty = min(1.0, round(self.difficulty + 0.05, 2))
        self.running_iou *= 0.5


@dataclass(slots=True)
class Progress:
    """Everything but tensors that a resumed run needs."""

    step: int = 0
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
    prompts_per_image : int
        An even number.
    heads_after : float
        Part of the run, from 0 to 1, after which all heads are trained.
    save_every : float
        Seconds between checkpoints.
    config : Path
        The network's configuration.
    """

    out: Path
    minutes: float = 120
    steps: int | None = None
    seed: int = 0
    learning_rate: float = 5e-4
    prompts_per_image: int = 8
    heads_after: float = 0.4
    save_every: float = 120
    config: Path = CONFIG


class Trainer:
    """One training run: the network, its averaged weights, the optimizer and the progress."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.manual_seed(settings.seed)
        self.network: Any = build_network(settings.config).to(self.device).train()
        self.names, self.trained = zip(
            *(
                (name, parameter)
                for name, parameter in self.network.named_parameters()
                if not name.startswith(_NOT_TRAINED)
            ),
            strict=True,
        )
        self.averaged = [parameter.detach().clone() for parameter in self.trained]
        self.optimizer = torch.optim.AdamW(
            self.trained, settings.learning_rate, weight_decay=0.02, fused=True
        )
        self.progress = Progress()
        self.source = ExampleSource(self.network.image_size)
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
        examples = self._examples(rng)
        targets = draw_targets(examples, self.settings.prompts_per_image, rng, self.device)
        # On a CPU bfloat16 saves nothing: most of these matrices are small.
        with torch.autocast(self.device.type, torch.bfloat16, self.device.type == "cuda"):
            features = encode(self.network, [e.image for e in examples], self.device)
            if progress.heads:
                loss, iou = full_objective(self.network, features, targets, rng)
            else:
                loss, iou = mask_objective(self.network, features, targets)
        self._descend(loss)
        progress.step += 1
        progress.curriculum.update(iou)
        return float(loss.detach()), iou

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

    def _examples(self, rng: np.random.Generator) -> list[Example]:
        curriculum = self.progress.curriculum
        if curriculum.pool:
            numbers = rng.choice(curriculum.pool, IMAGES_PER_STEP, replace=False)
            return self.source.from_pool(numbers.tolist())
        first = LAST_POOL + self.progress.step * IMAGES_PER_STEP
        return self.source.fresh(first, IMAGES_PER_STEP, curriculum.difficulty)

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
        """Warm up for 50 steps, stay, and go down to nearly nothing over the last two fifths."""
        warm = min(1.0, (self.progress.step + 1) / 50)
        tail = max(0.0, min(1.0, (self.share_used() - 0.6) / 0.4))
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
            return
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.averaged = list(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        saved = dict(state["progress"])
        self.progress = Progress(**saved | {"curriculum": Curriculum(**saved["curriculum"])})


def _write(state: dict[str, Any], path: Path) -> None:
    """Save under a temporary name, then rename: a file that is there is whole."""
    temporary = path.with_name(path.name + ".part")
    torch.save(state, temporary)
    os.replace(temporary, path)


def print_evaluation(checkpoint: Path, config: Path, images_per_kind: int, as_json: bool) -> None:
    """Judge a checkpoint on the held-out images and print the figures."""
    network = build_network(config)
    load_weights(network, checkpoint)
    figures = report(evaluate(network.eval(), images_per_kind))
    print(json.dumps(figures, indent=2) if as_json else as_markdown(figures))


def main() -> None:
    """Read the command line; train or evaluate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--out", type=Path, help="train; folder of the run")
    what.add_argument("--evaluate", type=Path, metavar="CHECKPOINT", help="print its figures")
    parser.add_argument("--config", type=Path, default=CONFIG, help="the network's configuration")
    parser.add_argument("--threads", type=int, help="threads of PyTorch")
    parser.add_argument("--minutes", type=float, default=120, help="time to train, in all")
    parser.add_argument("--steps", type=int, help="number of steps, in all, instead of a time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--images-per-kind", type=int, default=IMAGES_PER_KIND, help="evaluation")
    parser.add_argument("--json", action="store_true", help="evaluation as JSON")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.evaluate:
        print_evaluation(options.evaluate, options.config, options.images_per_kind, options.json)
        return
    settings = Settings(
        options.out, options.minutes, options.steps, options.seed, config=options.config
    )
    Trainer(settings).run()


if __name__ == "__main__":
    main()
