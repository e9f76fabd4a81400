"""Run the graphs that decode many single points on one image."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.decoder_weights import (
    DecoderGraph,
    DecoderWeights,
    UnknownGraphError,
)
from napari_sam2_openvino.core.errors import DeviceError
from napari_sam2_openvino.core.point_graphs import (
    POINTS_PER_CALL,
    masks_graph,
    scores_graph,
    tokens_graph,
)
from napari_sam2_openvino.core.runtime import Runtime, check_numbers, failure, first_line
from napari_sam2_openvino.core.shared_image import image_arrays
from napari_sam2_openvino.core.transforms import build_tokens

if TYPE_CHECKING:
    import openvino

Float = NDArray[np.float32]

_LOGGER = logging.getLogger(__name__)


class PointGraphs(NamedTuple):
    """The graphs of `point_graphs`, compiled."""

    weights: DecoderWeights
    tokens: "openvino.CompiledModel"
    scores: "openvino.CompiledModel"
    masks: "openvino.CompiledModel"


def derive_point_graphs(runtime: Runtime, path: Path, *, half: bool) -> PointGraphs | None:
    """Derive and compile the graphs from the file of ``mask_decoder``.

    Parameters
    ----------
    runtime : Runtime
    path : Path
    half : bool
        Whether image tokens may be kept in half precision: not where the model computes in f32.

    Returns
    -------
    PointGraphs or None
        None if the file holds a graph of another structure, or the device refuses them: then
        points are decoded by ``mask_decoder`` itself, with the same results.
    """
    try:
        decoder = DecoderGraph(runtime.read(path))
        weights = decoder.weights()
        tokens = tokens_graph(decoder)
        n_tokens = int(tokens.output(0).get_shape()[1])
        return PointGraphs(
            weights,
            # Positions are phases of thousands of radians: they need the digits.
            runtime.compile_derived(tokens, in_f32=True),
            runtime.compile_derived(scores_graph(weights, n_tokens, half=half)),
            runtime.compile_derived(masks_graph(weights, half=half)),
        )
    except (UnknownGraphError, DeviceError) as error:
        _LOGGER.warning("Searching for all objects takes longer: no faster graphs (%s)", error)
        return None


class PointDecoder:
    """The faster `GridDecoder` of one image. One thread at a time.

    Parameters
    ----------
    graphs : PointGraphs
    image_embed, feats_0, feats_1 : ndarray of float32
        As `MaskDecoder` takes them.
    """

    batch = POINTS_PER_CALL

    def __init__(
        self, graphs: PointGraphs, image_embed: Float, feats_0: Float, feats_1: Float
    ) -> None:
        arrays = image_arrays(graphs.weights, image_embed, feats_0, feats_1)
        self._n_image = len(graphs.weights.image_pe)
        self._tokens = graphs.tokens.create_infer_request()
        self._scores = graphs.scores.create_infer_request()
        self._masks = graphs.masks.create_infer_request()
        *shared, feats_1, feats_0 = arrays
        # Set once: a request keeps its inputs.
        for request, first, values in (
            (self._scores, 1, shared),
            (self._masks, 2, (feats_1, feats_0)),
        ):
            for index, value in enumerate(values):
                request.get_input_tensor(first + index).data[:] = value

    def scores(self, points: Float) -> Float:
        """Decode points; see `GridDecoder`."""
        filled = np.zeros((self.batch, 2), np.float32)
        filled[: len(points)] = points
        labels = np.ones((self.batch, 1), np.int32)
        _run(self._tokens, *build_tokens(filled[:, None], labels, None))
        _run(self._scores, self._tokens.get_output_tensor(0).data)
        scores = np.array(self._scores.get_output_tensor(0).data[: len(points)], np.float32)
        check_numbers([scores], "decode the points")
        return scores

    def masks(self, wanted: NDArray[np.bool_]) -> Float:
        """Return masks of the last points; see `GridDecoder`."""
        _, filters, rows = (self._scores.get_output_tensor(index).data for index in range(3))
        side = 4 * int(self._n_image**0.5)
        found = np.empty((np.count_nonzero(wanted), side, side), np.float32)
        done = 0
        for point in np.flatnonzero(wanted.any(axis=1)):
            own = slice(point * self._n_image, (point + 1) * self._n_image)
            _run(self._masks, rows[own], filters[point : point + 1])
            masks = self._masks.get_output_tensor(0).data[wanted[point]]
            found[done : done + len(masks)] = masks
            done += len(masks)
        return found


def _run(request: "openvino.InferRequest", *values: NDArray[Any]) -> None:
    """Infer with the first inputs set to values; the others stay as they were."""
    try:
        for index, value in enumerate(values):
            request.get_input_tensor(index).data[:] = value
        request.infer()
    except RuntimeError as error:
        raise failure("decode the points", first_line(error)) from error
