"""All masks that a grid of points finds in one crop of an image."""

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.candidates import Candidates
from napari_sam2_openvino.core.crops import Crop
from napari_sam2_openvino.core.errors import JobCancelledError
from napari_sam2_openvino.core.grid_decoder import GridDecoder, grid_decoder
from napari_sam2_openvino.core.mask_resizing import judge_mask
from napari_sam2_openvino.core.masks import fill_holes_and_remove_sprinkles
from napari_sam2_openvino.core.model import Sam2Model
from napari_sam2_openvino.core.parameters import GeneratorParameters
from napari_sam2_openvino.core.progress import Progress
from napari_sam2_openvino.core.quick_search import GoodEnough, SeenObjects, coarse_to_fine
from napari_sam2_openvino.core.rle import MaskRuns
from napari_sam2_openvino.core.transforms import (
    LOW_RES_CLAMP,
    best_of_three,
    build_tokens,
    select_masks,
    single_token,
    to_model_space,
)
from napari_sam2_openvino.core.types import ImageEmbedding

Float = NDArray[np.float32]

# Masks that are refined in one call: less than a second of a large model.
_REFINED_AT_ONCE = 8
# Batches whose masks are resized while the next ones are decoded, and the threads that do so.
_RESIZED_AT_ONCE = 4
_RESIZING_THREADS = 2
# SAM 2's predictor, which cleans the logits, is not told the generator's own threshold.
_CLEANING_THRESHOLD = 0.0


class _LowRes(NamedTuple):
    """Masks that the decoder gave, before anything is known of their stability."""

    logits: Float
    iou_predictions: Float
    points: Float

    def where(self, keep: NDArray[np.bool_]) -> "_LowRes":
        return _LowRes(*(values[keep] for values in self))


class CropSearch:
    """The search of one crop, once.

    Parameters
    ----------
    model : Sam2Model
    embedding : ImageEmbedding
        Of the crop.
    crop : Crop
    image_hw : tuple of int
        Height and width of the whole image in pixels.
    parameters : GeneratorParameters
    cancelled : callable
        Asked before each call of the decoder; the search ends once it returns true.
    good_enough : GoodEnough, optional
        Of a quick search: masks in which no other points are decoded; by default those that pass
        the thresholds of ``parameters``.
    """

    def __init__(
        self,
        model: Sam2Model,
        embedding: ImageEmbedding,
        crop: Crop,
        image_hw: tuple[int, int],
        parameters: GeneratorParameters,
        cancelled: Callable[[], bool],
        good_enough: GoodEnough | None = None,
    ) -> None:
        self.model = model
        self.embedding = embedding
        self.crop = crop
        self.image_hw = image_hw
        self.parameters = parameters
        self.cancelled = cancelled
        self.good_enough = good_enough or GoodEnough(
            parameters.pred_iou_thresh, parameters.stability_score_thresh
        )
        self.decoder: GridDecoder = grid_decoder(model, embedding)
        self._is_over = False

    def run(
        self, grid: NDArray[np.float64], report: Callable[[int], Progress]
    ) -> Generator[Progress, None, Candidates]:
        """Search a grid of points, and tell of each batch.

        Parameters
        ----------
        grid : ndarray of float64, shape (n, 2)
            (x, y) in [0, 1].
        report : callable
            Makes the report that is yielded of the number of points that are done.

        Returns
        -------
        Candidates
            Those that pass the thresholds, duplicates among them.

        Raises
        ------
        JobCancelledError
            If ``cancelled`` returned true.
        """
        points = (grid * np.array(self.crop.hw[::-1])).astype(np.float32)
        seen = SeenObjects(self.crop, self.good_enough) if self.parameters.quick else None
        rounds = [np.arange(len(points))] if seen is None else coarse_to_fine(points)
        found, n_done = [Candidates.none(self.image_hw)], 0
        with ThreadPoolExecutor(_RESIZING_THREADS) as pool:
            try:
                for each in rounds:
                    wanted = points[each]
                    if seen is not None:
                        wanted = wanted[seen.is_new(wanted)]
                    n_done += len(each) - len(wanted)
                    for ready, n_decoded in self._decode(wanted, pool):
                        found += ready
                        if seen is not None:
                            # For the next rounds: the points of this one are chosen already.
                            seen.add(Candidates.joined(ready or found[:1]))
                        yield report(n_done + n_decoded)
                    n_done += len(wanted)
            finally:
                # The pool waits for its threads: a job that ends early has them leave their work.
                self._is_over = True
        return Candidates.joined(found)

    def _decode(
        self, points: Float, pool: ThreadPoolExecutor
    ) -> Iterator[tuple[list[Candidates], int]]:
        """Decode points in batches; give the masks that are ready, and how many points are done."""
        batch = min(self.decoder.batch, self.parameters.points_per_batch)
        resizing = deque[Future[Candidates]]()
        for first in range(0, len(points), batch):
            low_res = self._search(points[first : first + batch])
            resizing.append(pool.submit(self._full_size, low_res))
            ready = [resizing.popleft().result()] if len(resizing) > _RESIZED_AT_ONCE else []
            yield ready, min(first + batch, len(points))
        yield [each.result() for each in resizing], len(points)

    def _search(self, points: Float) -> _LowRes:
        self._check()
        in_model = to_model_space(points, self.crop.hw, self.model.image_size)
        decode = self._decode_three if self.parameters.multimask_output else self._decode_one
        low_res = decode(points, in_model)
        if self.parameters.use_m2m:
            low_res = self._keep_good(self._refined(low_res))
        return low_res

    def _check(self) -> None:
        if self.cancelled():
            raise JobCancelledError("The search for objects was cancelled.")

    def _passes(self, iou_predictions: Float) -> NDArray[np.bool_]:
        thresh = self.parameters.pred_iou_thresh
        return np.asarray((iou_predictions > np.float32(thresh)) | (thresh == 0))

    def _keep_good(self, low_res: _LowRes) -> _LowRes:
        return low_res.where(self._passes(low_res.iou_predictions))

    def _decode_three(self, points: Float, in_model: Float) -> _LowRes:
        scores = self.decoder.scores(in_model)
        # What is refined is judged afterwards.
        wanted = self._passes(scores) | self.parameters.use_m2m
        wanted[:, 0] = False
        rows, tokens = np.nonzero(wanted)
        return _LowRes(self.decoder.masks(wanted), scores[rows, tokens], points[rows])

    def _decode_one(self, points: Float, in_model: Float) -> _LowRes:
        scores = self.decoder.scores(in_model)
        best, every = best_of_three(scores), np.arange(len(scores))
        passes = self._passes(scores) | self.parameters.use_m2m
        # Which of the two it is, is known only by the mask itself.
        rows = np.flatnonzero(passes[:, 0] | passes[every, best])
        wanted = np.zeros_like(passes)
        wanted[rows, 0] = wanted[rows, best[rows]] = True
        pairs = self.decoder.masks(wanted)
        pairs = pairs.reshape(len(rows), 2, *pairs.shape[1:])
        tokens = single_token(pairs, scores[rows], self.model.info.config)
        logits = np.where((tokens == 0)[:, None, None], pairs[:, 0], pairs[:, 1])
        low_res = _LowRes(logits, scores[rows, tokens], points[rows])
        return low_res if self.parameters.use_m2m else self._keep_good(low_res)

    def _refined(self, low_res: _LowRes) -> _LowRes:
        """Decode each mask once more with itself as prompt (``refine_with_m2m``)."""
        logits, scores = np.empty_like(low_res.logits), np.empty_like(low_res.iou_predictions)
        in_model = to_model_space(low_res.points, self.crop.hw, self.model.image_size)
        for first in range(0, len(logits), _REFINED_AT_ONCE):
            self._check()
            span = slice(first, first + _REFINED_AT_ONCE)
            points = in_model[span, None]
            tokens = build_tokens(points, np.ones(points.shape[:2], np.int32), None)
            masks = np.clip(low_res.logits[span, None], -LOW_RES_CLAMP, LOW_RES_CLAMP)
            output = self.model.decode(self.embedding, *tokens, masks)
            refined, score = select_masks(
                output.low_res_masks,
                output.iou_predictions,
                multimask_output=False,
                config=self.model.info.config,
            )
            logits[span], scores[span] = refined[:, 0], score[:, 0]
        return low_res._replace(logits=logits, iou_predictions=scores)

    def _full_size(self, low_res: _LowRes) -> Candidates:
        """Resize masks, and keep those that are stable and not cut off by the crop."""
        parameters, area = self.parameters, self.parameters.min_mask_region_area
        logits = fill_holes_and_remove_sprinkles(low_res.logits, _CLEANING_THRESHOLD, area, area)
        masks, stabilities, kept = [], [], []
        for index, mask in enumerate(logits):
            if self._is_over:
                break
            judged = judge_mask(
                mask, self.crop.hw, parameters.mask_threshold, parameters.stability_score_offset
            )
            thresh = parameters.stability_score_thresh
            if not (judged.stability_score >= np.float32(thresh) or thresh == 0):
                continue
            row, column = judged.origin
            runs = MaskRuns.from_mask(judged.part, (row + self.crop.y0, column + self.crop.x0))
            if runs.area and not self.crop.cuts_off(runs.box, self.image_hw):
                masks.append(runs)
                stabilities.append(judged.stability_score)
                kept.append(index)
        corner = np.array(self.crop.box[:2], np.float32)
        return Candidates(
            image_hw=self.image_hw,
            masks=tuple(masks),
            boxes=np.array([mask.box for mask in masks], np.float32).reshape(-1, 4),
            iou_predictions=low_res.iou_predictions[kept],
            stability_scores=np.array(stabilities, np.float32),
            point_coords=low_res.points[kept] + corner,
            crop_boxes=np.tile(np.array(self.crop.box, np.float32), (len(masks), 1)),
            areas=np.array([mask.area for mask in masks], np.int64),
        )
