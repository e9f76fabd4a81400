"""What a training run is asked to do, and how far it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from starter.curriculum import SMALL, TILES, WHOLE, Batch, Curriculum
from starter.network import CONFIG


@dataclass(slots=True)
class Progress:
    """Everything but tensors that a resumed run needs.

    Attributes
    ----------
    step : int
    images : dict of int to int
        Number of images that were trained on, for each side of a tile.
    seconds : float
    heads : bool
        Whether all heads are trained.
    curriculum : Curriculum
    """

    step: int = 0
    images: dict[int, int] = field(default_factory=dict)
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
    heads_after, tiles_after, whole_after : float
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
    small, tiles, whole : Batch
        Each process of a team takes its part of the images.
    """

    out: Path
    minutes: float = 240
    steps: int | None = None
    seed: int = 0
    learning_rate: float = 5e-4
    heads_after: float = 0.2
    tiles_after: float = 0.35
    whole_after: float = 0.9
    falls_after: float = 0.5
    save_every: float = 60
    config: Path = CONFIG
    start: Path | None = None
    small: Batch = SMALL
    tiles: Batch = TILES
    whole: Batch = WHOLE
