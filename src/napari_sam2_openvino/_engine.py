"""What a session runs on a model, and the answer that it keeps."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.embeddings import embedding_key
from napari_sam2_openvino.core.types import ImageEmbedding, MaskPrediction, Prompts


class Engine(Protocol):
    """What the session needs of a model."""

    def embedding_key(self, rgb: NDArray[np.uint8]) -> str:
        """Return the key of an image's embedding."""

    def encode(self, rgb: NDArray[np.uint8], *, cancelled: Callable[[], bool]) -> ImageEmbedding:
        """Encode an image, and stop with JobCancelledError when asked to."""

    def predict(self, embedding: ImageEmbedding, prompts: Prompts) -> MaskPrediction:
        """Decode prompts."""


class Sam2Engine:
    """The engine that is used outside of tests."""

    def __init__(self, name: str) -> None:
        from napari_sam2_openvino.core.image_predictor import SAM2ImagePredictor
        from napari_sam2_openvino.core.models import load_model

        self._model = load_model(name)
        self._predictor = SAM2ImagePredictor(self._model)

    def embedding_key(self, rgb: NDArray[np.uint8]) -> str:
        """Return the key of an image's embedding."""
        return embedding_key(self._model.key, rgb)

    def encode(self, rgb: NDArray[np.uint8], *, cancelled: Callable[[], bool]) -> ImageEmbedding:
        """Encode an image."""
        return self._model.encode(rgb, cancelled=cancelled)

    def predict(self, embedding: ImageEmbedding, prompts: Prompts) -> MaskPrediction:
        """Decode prompts."""
        self._predictor.set_embedding(embedding)
        return self._predictor.predict_prompts(prompts)


@dataclass(frozen=True, eq=False)
class ObjectMask:
    """The best mask of a prediction, cut to the object; made in the worker.

    Parameters
    ----------
    mask : ndarray of bool, shape (h, w)
        The part of the plane that holds the object; (0, 0) if the mask is empty.
    outline : ndarray of uint8, shape (h, w)
        1 on the object's inner edge.
    origin : tuple of int
        (row, column) in the plane of the first pixel.
    iou_prediction : float
        The model's own estimate of the mask's IoU.
    """

    mask: NDArray[np.bool_]
    outline: NDArray[np.uint8]
    origin: tuple[int, int]
    iou_prediction: float

    @classmethod
    def best_of(cls, prediction: MaskPrediction) -> "ObjectMask":
        """Cut out the mask with the highest predicted IoU."""
        mask = prediction.masks[prediction.best]
        iou = float(prediction.iou_predictions[prediction.best])
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if len(rows) == 0:
            return cls(np.zeros((0, 0), bool), np.zeros((0, 0), np.uint8), (0, 0), iou)
        cut = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].copy()
        # Seen as a line of about two pixels of the screen when the whole image is in view.
        width = max(2, round(max(mask.shape) / 512))
        return cls(cut, _inner_edge(cut, width), (int(rows[0]), int(columns[0])), iou)


def _inner_edge(mask: NDArray[np.bool_], width: int) -> NDArray[np.uint8]:
    padded = np.pad(mask, width)
    height, length = mask.shape
    inside = mask.copy()
    for row, column in ((0, width), (2 * width, width), (width, 0), (width, 2 * width)):
        inside &= padded[row : row + height, column : column + length]
    return (mask & ~inside).astype(np.uint8)
