"""Many single points against one image: scores first, then the masks that are wanted."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.image_graphs import DecoderOutput
from napari_sam2_openvino.core.model import Sam2Model
from napari_sam2_openvino.core.point_decoder import PointDecoder
from napari_sam2_openvino.core.transforms import build_tokens
from napari_sam2_openvino.core.types import ImageEmbedding

Float = NDArray[np.float32]


class GridDecoder(Protocol):
    """Decodes batches of single foreground points on one image, in two steps."""

    batch: int
    """Most points that are decoded at once."""

    def scores(self, points: Float) -> Float:
        """Decode points as far as their scores.

        Parameters
        ----------
        points : ndarray of float32, shape (B, 2)
            (x, y) in model space; B is at most ``batch``.

        Returns
        -------
        ndarray of float32, shape (B, 4)
            Predicted IoU of each of the four masks.
        """

    def masks(self, wanted: NDArray[np.bool_]) -> Float:
        """Return masks of the points whose scores were asked for last.

        Parameters
        ----------
        wanted : ndarray of bool, shape (B, 4)
            Which masks of which points.

        Returns
        -------
        ndarray of float32, shape (k, S / 4, S / 4)
            Logits, in the order of ``np.argwhere(wanted)``.
        """


def grid_decoder(model: Sam2Model, embedding: ImageEmbedding) -> GridDecoder:
    """Return the faster decoder of an image, or the plain one where the model has no other."""
    graphs = model.point_graphs()
    if graphs is None:
        return PlainGridDecoder(model, embedding)
    return PointDecoder(graphs, *model.decoder_arrays(embedding))


class PlainGridDecoder:
    """A `GridDecoder` that decodes everything by `Sam2Model.decode`.

    Parameters
    ----------
    model : Sam2Model
    embedding : ImageEmbedding
    """

    # A batch of a large model takes less than a second: the time within which a job ends.
    batch = 8

    def __init__(self, model: Sam2Model, embedding: ImageEmbedding) -> None:
        self._model = model
        self._embedding = embedding
        self._output: DecoderOutput | None = None

    def scores(self, points: Float) -> Float:
        """Decode points; see `GridDecoder`."""
        labels = np.ones((len(points), 1), np.int32)
        tokens = build_tokens(points[:, None], labels, None)
        self._output = self._model.decode(self._embedding, *tokens)
        return self._output.iou_predictions

    def masks(self, wanted: NDArray[np.bool_]) -> Float:
        """Return masks of the last points; see `GridDecoder`."""
        assert self._output is not None
        return np.asarray(self._output.low_res_masks[wanted])
