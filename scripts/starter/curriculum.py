"""What is trained on when: how many images, how hard, how large, and by which prompts."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_POOL = 4
LAST_POOL = 1024
LEARNT = 0.72
"""Running training IoU at which the pool grows or the scenes get harder."""


@dataclass(slots=True)
class Curriculum:
    """How many images there are to learn, and how hard they are.

    Attributes
    ----------
    pool : int
        Number of images that are trained on again and again; 0 when every image is new.
    difficulty : float
        From 0 to 1, see `make_scene`.
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


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step trains on.

    Attributes
    ----------
    image_size : int
        Side of the network's input, in pixels.
    tile : int
        Side of the images that are trained on, in pixels: of the input, or of a part of it.
    images : int
    clicks, boxes : int
        Number of clicks and of boxes on each image.
    """

    image_size: int
    tile: int
    images: int
    clicks: int
    boxes: int


SMALL = Batch(image_size=256, tile=256, images=4, clicks=5, boxes=4)
"""Steps until the prompts are followed."""

TILES = Batch(image_size=640, tile=320, images=4, clicks=7, boxes=4)
"""Every other block of steps after that: fine detail and many scenes."""

WHOLE = Batch(image_size=640, tile=640, images=1, clicks=14, boxes=9)
"""The blocks between, and the last ones: as the network is used; large objects are whole here."""
