"""A model for tests: its mask is a disc around each foreground click, and the whole box."""

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.embeddings import embedding_key
from napari_sam2_openvino.core.errors import JobCancelledError
from napari_sam2_openvino.core.types import ImageEmbedding, MaskPrediction, Prompts


class DiscEngine:
    """Counts what it is asked for.

    ``encode_seconds`` is how long an encode takes, in which it may be cancelled.
    """

    def __init__(self, name: str = "disc", *, radius: float = 5, encode_seconds: float = 0) -> None:
        self.name = name
        self.radius = radius
        self.encode_seconds = encode_seconds
        self.n_encodes = 0
        self.n_cancelled = 0
        self.predicted: list[Prompts] = []

    def embedding_key(self, rgb: NDArray[np.uint8]) -> str:
        return embedding_key(self.name, rgb)

    def encode(self, rgb: NDArray[np.uint8], *, cancelled: Callable[[], bool]) -> ImageEmbedding:
        self.n_encodes += 1
        end = time.perf_counter() + self.encode_seconds
        while True:
            if cancelled():
                self.n_cancelled += 1
                raise JobCancelledError("The encode was cancelled.")
            if time.perf_counter() >= end:
                break
            time.sleep(0.005)
        feats = np.zeros((1, 1, 4, 4), np.float16)
        # The first pixel tells tests which image was encoded.
        embed = np.full((1, 1, 1, 1), rgb[0, 0, 0], np.float16)
        return ImageEmbedding(embed, (feats, feats), rgb.shape[:2])

    def predict(self, embedding: ImageEmbedding, prompts: Prompts) -> MaskPrediction:
        self.predicted.append(prompts)
        height, width = embedding.image_hw
        rows, columns = np.ogrid[:height, :width]
        mask = np.zeros((height, width), bool)
        if prompts.box is not None:
            x0, y0, x1, y1 = prompts.box
            mask |= (columns >= x0) & (columns <= x1) & (rows >= y0) & (rows <= y1)
        for (x, y), label in zip(prompts.point_coords, prompts.point_labels, strict=True):
            disc = (columns - x) ** 2 + (rows - y) ** 2 <= self.radius**2
            mask = mask | disc if label else mask & ~disc
        low_res = np.zeros((1, 4, 4), np.float32)
        return MaskPrediction(mask[None], np.array([0.9], np.float32), low_res)
