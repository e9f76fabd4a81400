"""Train the starter model from nothing on synthetic microscopy images, or evaluate it.

One command, resumable: run it again with the same `--out` and it goes on where it was cut off.

    python scripts/train_starter.py --out runs/starter --minutes 240
    python scripts/train_starter.py --evaluate runs/starter/checkpoint.pt

The network learns to follow prompts only where it cannot do without them: training begins with
four images and many prompts on each, and the pool of images doubles each time they are learnt; then
every image is new and they get harder by the same rule. After a fifth of the time the three
masks, the predicted IoU, corrections and mask prompts are trained as well; after a third the
objects are as fine as in images of 640 pixels, of which tiles are seen, and every other time whole
ones; in the last tenth whole ones only. With `--start` a checkpoint is trained further,
in this way and with all heads from the first step.

A small network gains little from a second thread: `--processes 2` shares the work of each step
between two processes instead, with the mean of their gradients; and that of an evaluation.

Needs the package with its extra `convert` (PyTorch, sam2). Uses a GPU where there is one.
"""

from __future__ import annotations

import argparse
import json
import logging
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from starter.evaluation import Evaluation, as_markdown, evaluate, report
from starter.held_out import IMAGES_PER_KIND
from starter.network import CONFIG, build_network, load_weights
from starter.settings import Settings
from starter.team import ALONE, Team, run_together
from starter.trainer import Trainer


def judge(config: Path, checkpoint: Path, images_per_kind: int, first_seed: int) -> Evaluation:
    """Judge a checkpoint on some of the held-out images."""
    network = build_network(config)
    load_weights(network, checkpoint)
    return evaluate(network.eval(), images_per_kind, first_seed)


def judge_together(options: argparse.Namespace) -> Evaluation:
    """Judge a checkpoint on all held-out images, which the processes share."""
    processes = min(options.processes, options.images_per_kind)
    seeds = [len(part) for part in np.array_split(range(options.images_per_kind), processes)]
    firsts = np.cumsum([0, *seeds[:-1]]).tolist()
    work = partial(judge, options.config, options.evaluate)
    set_threads = partial(torch.set_num_threads, options.threads or 1)
    with ProcessPoolExecutor(processes, get_context("spawn"), set_threads) as executor:
        parts = list(executor.map(work, seeds, firsts))
    return Evaluation(
        [result for part in parts for result in part.objects],
        [apart for part in parts for apart in part.pairs],
    )


def print_evaluation(options: argparse.Namespace) -> None:
    """Judge a checkpoint on the held-out images and print the figures."""
    evaluation = judge_together(options)
    print(json.dumps(report(evaluation), indent=2) if options.json else as_markdown(evaluation))


def train(settings: Settings, team: Team) -> None:
    """Train in this process."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    Trainer(settings, team).run()


def main() -> None:
    """Read the command line; train or evaluate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--out", type=Path, help="train; folder of the run")
    what.add_argument("--evaluate", type=Path, metavar="CHECKPOINT", help="print its figures")
    parser.add_argument("--config", type=Path, default=CONFIG, help="the network's configuration")
    parser.add_argument("--threads", type=int, help="threads of PyTorch, of each process")
    parser.add_argument("--processes", type=int, default=1, help="that share the work, on a CPU")
    parser.add_argument("--start", type=Path, metavar="CHECKPOINT", help="weights to go on from")
    parser.add_argument("--minutes", type=float, default=240, help="time to train, in all")
    parser.add_argument("--steps", type=int, help="number of steps, in all, instead of a time")
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--images-per-kind", type=int, default=IMAGES_PER_KIND, help="evaluation")
    parser.add_argument("--json", action="store_true", help="evaluation as JSON")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.evaluate:
        print_evaluation(options)
        return
    settings = Settings(
        options.out,
        options.minutes,
        options.steps,
        options.seed,
        options.learning_rate,
        config=options.config,
        start=options.start,
    )
    if options.processes == 1:
        train(settings, ALONE)
    else:
        work = partial(train, settings)
        run_together(options.processes, options.threads or 1, work)


if __name__ == "__main__":
    main()
