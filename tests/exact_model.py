"""A model for tests that knows the objects: the colour of a pixel is the number of its object."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.image_graphs import DecoderOutput
from napari_sam2_openvino.core.model_folder import ModelConfig
from napari_sam2_openvino.core.planes import PlaneSource
from napari_sam2_openvino.core.regions import Region
from napari_sam2_openvino.core.types import ImageEmbedding


def numbered(labels: NDArray[np.integer[Any]], key: str = "plane") -> PlaneSource:
    """Return a plane of which each pixel that is read tells its object."""

    def load(region: Region) -> NDArray[np.uint8]:
        rows = slice(region.row, region.row + region.height, region.step)
        columns = slice(region.column, region.column + region.width, region.step)
        numbers = labels[rows, columns].astype(np.uint32)
        return np.stack([numbers >> shift & 255 for shift in (0, 8, 16)], axis=-1).astype(np.uint8)

    return PlaneSource(key, labels.shape, load)


class ExactModel:
    """Answers each point on an object with its mask, as finely as a model of that size can.

    Of the three masks that count, the last two have no pixel. Points on the background give what
    surrounds the objects, with a low score. Counts what it is asked for.
    """

    name = key = "exact"
    OBJECT_SCORE, BACKGROUND_SCORE = 0.9, 0.4

    def __init__(self, image_size: int = 256) -> None:
        self.image_size = image_size
        self.mask_input_size = image_size // 4
        config = ModelConfig("exact", image_size, 1)
        self.info = SimpleNamespace(config=config, all_objects=None)
        self.encoded: list[tuple[int, ...]] = []
        self.n_points = 0
        self._numbers: dict[int, NDArray[np.uint32]] = {}

    def encode(
        self, rgb: NDArray[np.uint8], *, cancelled: Callable[[], bool] | None = None
    ) -> ImageEmbedding:
        assert cancelled is None or not cancelled()
        self.encoded.append(rgb.shape[:2])
        numbers = rgb.astype(np.uint32) @ np.array([1, 1 << 8, 1 << 16], np.uint32)
        feats = np.zeros((1, 1, 1, 1), np.float32)
        return ImageEmbedding(numbers[None, None].astype(np.float32), (feats, feats), rgb.shape[:2])

    def point_graphs(self) -> None:
        """Have no faster graphs."""

    def decode(
        self,
        embedding: ImageEmbedding,
        point_coords: NDArray[np.float32],
        point_labels: NDArray[np.int32],
        mask_input: Any = None,
    ) -> DecoderOutput:
        assert mask_input is None
        assert (point_labels == [1, -1]).all()
        numbers, size = embedding.image_embed[0, 0], self.mask_input_size
        height, width = numbers.shape
        rows, columns = (
            ((np.arange(size) + 0.5) * length / size).astype(int) for length in (height, width)
        )
        coarse = numbers[np.ix_(rows, columns)]
        batch = len(point_coords)
        self.n_points += batch
        masks = np.full((batch, 4, size, size), -10, np.float32)
        scores = np.zeros((batch, 4), np.float32)
        for mask, score, (x, y) in zip(masks, scores, point_coords[:, 0], strict=True):
            row = min(int(y * height / self.image_size), height - 1)
            column = min(int(x * width / self.image_size), width - 1)
            number = numbers[row, column]
            mask[1] = np.where(coarse == number, 10, -10)
            score[1] = self.OBJECT_SCORE if number else self.BACKGROUND_SCORE
        nothing = np.zeros((batch, 1), np.float32)
        return DecoderOutput(masks, scores, nothing, np.zeros((batch, 4, 1), np.float32))
