"""Processes that train one network together: each on its own images, with the mean gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, distributed, multiprocessing

_PATIENCE = timedelta(hours=12)
"""A process that is stopped for a while does not end the others."""


@dataclass(frozen=True, slots=True)
class Team:
    """A process among those that train together.

    Attributes
    ----------
    rank : int
        From 0; the first one writes what is kept.
    size : int
    """

    rank: int = 0
    size: int = 1

    def average(self, parameters: list[Tensor], *numbers: float) -> list[float]:
        """Replace gradients by their means over all processes; return the means of the numbers."""
        if self.size == 1:
            return list(numbers)
        own = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        shared = torch.cat([*(grad.flatten() for grad in own), torch.tensor(numbers)])
        distributed.all_reduce(shared)
        shared /= self.size
        *means, of_numbers = shared.split([*(p.numel() for p in parameters), len(numbers)])
        for parameter, mean in zip(parameters, means, strict=True):
            parameter.grad = mean.view_as(parameter)
        return of_numbers.tolist()


ALONE = Team()


def run_together(size: int, threads: int, work: Callable[[Team], None]) -> None:
    """Run `work` in as many new processes, and wait for them.

    Parameters
    ----------
    size : int
    threads : int
        Threads of PyTorch of each process.
    work : callable
        Takes the process's `Team`; must be picklable.
    """
    with TemporaryDirectory() as folder:
        multiprocessing.spawn(_join, (size, threads, Path(folder) / "met", work), size)


def _join(
    rank: int, size: int, threads: int, meeting_place: Path, work: Callable[[Team], None]
) -> None:
    torch.set_num_threads(threads)
    distributed.init_process_group(
        "gloo",
        init_method=meeting_place.as_uri(),
        rank=rank,
        world_size=size,
        timeout=_PATIENCE,
    )
    work(Team(rank, size))
    distributed.destroy_process_group()
