"""Try whether the starter can learn SAM 2's memory: objects from plane to plane without prompts.

    python scripts/memory_trial.py --out runs/memory --minutes 25
    python scripts/memory_trial.py --out runs/memory --evaluate

All that answers about one image is frozen: image encoder, prompt encoder, mask decoder. Trained
are memory attention, memory encoder, the projections of object pointers and the embeddings of
memory, on windows of volumes and time series that are drawn from seeds. Planes are encoded once, so
that a step costs memory and decoder only. As in ``train_starter.py`` the pool of stacks begins
small and doubles when it is learnt. The same command goes on where it was cut off.

The second command converts the checkpoint at the image size of the run and carries each object of
six volumes held out from a box on its middle plane: by memory, and by projection with the same
weights.
"""

from __future__ import annotations

import argparse
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.volume import (
    HELD_OUT,
    ObjectResult,
    judge,
    middle_boxes,
    summary,
    with_empty_ends,
)
from napari_sam2_openvino import SAM2VideoPredictor, convert, load_model
from napari_sam2_openvino.core.paths import HOME_VARIABLE
from napari_sam2_openvino.core.volume_parameters import PropagationMethod, VolumeParameters
from napari_sam2_openvino.synthetic.volume import Volume, make_volume
from starter.network import (
    CONFIG,
    build_network,
    load_weights,
    plain_attention,
    save_whole,
    set_image_size,
)
from starter.remembering import begin, memory_parameters, objective
from starter.stacks import EncodedStack, draw_window, encode_stack

START = CONFIG.with_name("checkpoint.pt")
_LEARNING_RATE = 1e-3
_GUIDED_STEPS = 300
_POOL = 4
_LARGEST_POOL = 96
_LEARNT = 0.62
_SAVE_EVERY = 60.0

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Progress:
    """How far a run is."""

    step: int = 0
    seconds: float = 0.0
    pool: int = _POOL
    first: int = 0
    """The number of the oldest stack in the pool; when the pool is full it moves on."""
    iou: float = 0.0


class Trial:
    """A run of the trial.

    Parameters
    ----------
    out : Path
    size : int
        The image size to train at.
    minutes : float
    """

    def __init__(self, out: Path, size: int, minutes: float) -> None:
        self._out, self._seconds = out, minutes * 60
        out.mkdir(parents=True, exist_ok=True)
        self._network: Any = build_network()
        load_weights(self._network, START)
        set_image_size(self._network, size)
        self._network.eval()
        self._progress = Progress()
        self._stacks: dict[int, EncodedStack] = {}
        trained = memory_parameters(self._network)
        self._optimizer = torch.optim.AdamW(trained, lr=_LEARNING_RATE, weight_decay=0.01)
        self._trained = trained
        state = out / "state.pt"
        if state.is_file():
            self._load(state)
        else:
            begin(self._network, self._stack(0).embed)

    def run(self) -> None:
        """Train for the rest of the time."""
        begun, done = time.process_time(), self._progress.seconds
        saved = begun
        while self._progress.seconds < self._seconds:
            self._step()
            now = time.process_time()
            self._progress.seconds = done + now - begun
            if now - saved > _SAVE_EVERY:
                self._save()
                saved = now
        self._save()

    def _step(self) -> None:
        progress = self._progress
        rng = np.random.default_rng([progress.step, 17])
        torch.manual_seed(progress.step)
        numbers = rng.integers(progress.first, progress.first + progress.pool, 4)
        stacks = [self._stack(int(number)) for number in numbers]
        window = draw_window(stacks, int(rng.integers(4, 6)), 4, rng)
        progress.step += 1
        if window is None:
            return
        share = min(progress.seconds / self._seconds, 1.0)
        for group in self._optimizer.param_groups:
            group["lr"] = _LEARNING_RATE * min(1.0, progress.step / 50, max(2 - 2 * share, 0.03))
        guided = max(0.0, 1 - progress.step / _GUIDED_STEPS)
        teacher = max(0.15, 1 - 2 * share)
        with plain_attention():
            with torch.autocast("cpu", torch.bfloat16):
                loss, iou = objective(self._network, window, teacher=teacher, guided=guided)
            self._optimizer.zero_grad()
            loss.backward()
        torch.nn.utils.clip_grad_norm_(self._trained, 1.0)
        self._optimizer.step()
        progress.iou += (iou - progress.iou) * max(0.02, 1 / progress.step)
        if progress.step % 20 == 0:
            log.info(
                "step %d, %.0f s: loss %.3f, IoU %.3f, running %.3f, pool %d from %d",
                progress.step,
                progress.seconds,
                loss.item(),
                iou,
                progress.iou,
                progress.pool,
                progress.first,
            )
        self._grow()

    def _grow(self) -> None:
        """Double a pool that is learnt; let a full one move on."""
        progress = self._progress
        if progress.pool < _LARGEST_POOL:
            if progress.step % 20 == 0 and progress.iou > _LEARNT:
                progress.pool = min(2 * progress.pool, _LARGEST_POOL)
        elif progress.step % 8 == 0:
            self._stacks.pop(progress.first, None)
            progress.first += 1

    def _stack(self, number: int) -> EncodedStack:
        if number not in self._stacks:
            self._stacks[number] = encode_stack(self._network, number)
        return self._stacks[number]

    def _save(self) -> None:
        progress = self._progress
        state = {
            "model": self._network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "progress": {name: getattr(progress, name) for name in Progress.__slots__},
        }
        for name, content in (("state", state), ("checkpoint", {"model": state["model"]})):
            save_whole(content, self._out / f"{name}.pt")

    def _load(self, path: Path) -> None:
        state = torch.load(path, map_location="cpu", weights_only=True)
        self._network.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._progress = Progress(**state["progress"])


def evaluate(out: Path, size: int) -> None:
    """Convert the checkpoint and judge both ways of carrying objects, in f32."""
    os.environ[HOME_VARIABLE] = str(out / "home")
    (out / "home").mkdir(exist_ok=True)
    folder = convert(out / "checkpoint.pt", "memory-trial", config=CONFIG, image_size=size)
    model = load_model(folder, precision="f32")
    results: dict[PropagationMethod, list[ObjectResult]] = {"projection": [], "memory": []}
    for seed in HELD_OUT:
        volume = with_empty_ends(make_volume(seed))
        for method, judged in results.items():
            predictor = SAM2VideoPredictor(model, VolumeParameters(method=method))
            for obj_id, found in carry_each(predictor, volume):
                judged.append(judge(found, volume.labels == obj_id))
            log.info("to volume %d, %s: %s", seed, method, summary(judged))


def carry_each(
    predictor: SAM2VideoPredictor, volume: Volume
) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """Carry each object from its own middle plane to both ends: its number and its masks."""
    prompts = middle_boxes(volume.labels).prompts
    for plane in sorted({prompt.plane for prompt in prompts}):
        state = predictor.init_state(volume.image)
        for prompt in prompts:
            if prompt.plane == plane:
                prompt.give(predictor, state)
        masks = {obj_id: np.zeros(volume.labels.shape, bool) for obj_id in state.obj_ids}
        for reverse in (False, True):
            for each in predictor.propagate_in_video(state, plane, reverse=reverse):
                for obj_id, mask in zip(each.obj_ids, each.masks, strict=True):
                    masks[obj_id][each.frame_idx] = mask
        yield from masks.items()


def main() -> None:
    """Read the command line; train or evaluate."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--minutes", type=float, default=25, help="of processor time, in all")
    parser.add_argument("--size", type=int, default=256, help="image size to train at")
    parser.add_argument("--evaluate", action="store_true", help="judge instead of training")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if arguments.evaluate:
        evaluate(arguments.out, arguments.size)
    else:
        Trial(arguments.out, arguments.size, arguments.minutes).run()


if __name__ == "__main__":
    main()
