"""Every object of a plane, however large it is: what window, batch and command line call."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.automatic_mask_generator import generate_candidates
from napari_sam2_openvino.core.candidate_filter import CandidateSieve
from napari_sam2_openvino.core.candidate_pairs import CandidatePairs
from napari_sam2_openvino.core.candidates import Candidates
from napari_sam2_openvino.core.crop_search import CropSearch
from napari_sam2_openvino.core.embeddings import EmbeddingCache, embedding_key
from napari_sam2_openvino.core.errors import JobCancelledError
from napari_sam2_openvino.core.object_parameters import AllObjectsParameters, CandidateFilter
from napari_sam2_openvino.core.parameters import GeneratorParameters
from napari_sam2_openvino.core.planes import PlaneSource
from napari_sam2_openvino.core.progress import Progress
from napari_sam2_openvino.core.quick_search import GoodEnough
from napari_sam2_openvino.core.regions import Region
from napari_sam2_openvino.core.tiling import Tile, plan_tiles
from napari_sam2_openvino.core.types import ImageEmbedding

if TYPE_CHECKING:
    from napari_sam2_openvino.core.model import Sam2Model

# What is kept to be filtered later passes at least this part of the thresholds in force.
KEPT_SHARE = 0.5
# Of a plane in tiles, copies that no useful threshold tells apart are not kept.
KEPT_DUPLICATES = 0.9
# How long an encode takes, in points that are decoded: for progress only.
_ENCODE_IN_POINTS = 80

Cancelled = Callable[[], bool]


def default_parameters(model: "Sam2Model") -> AllObjectsParameters:
    """Return how objects are found with a model: its own recommendation, or SAM 2's defaults."""
    recommended = model.info.all_objects
    return AllObjectsParameters() if recommended is None else recommended


def find_objects(
    model: "Sam2Model",
    source: PlaneSource,
    parameters: AllObjectsParameters | None = None,
    *,
    cancelled: Cancelled | None = None,
    embeddings: EmbeddingCache | None = None,
    keep: bool = False,
) -> Generator[Progress, None, Candidates]:
    """Find the objects of a plane, and tell of each batch of points.

    A plane of at most twice the model's side is searched whole, with crop layers if they are asked
    for; a larger one in tiles, see `tiling`, which take the place of crop layers. Memory holds one
    embedding and the candidates as run lengths, whatever the size of the plane.

    Parameters
    ----------
    model : Sam2Model
    source : PlaneSource
        Read in regions at the resolution that is needed.
    parameters : AllObjectsParameters, optional
        By default those of `default_parameters`.
    cancelled : callable, optional
        Asked every few milliseconds while something is encoded, and between batches of points.
    embeddings : EmbeddingCache, optional
        Where the embedding of a plane that is searched whole is looked for, and kept. Those of
        tiles are looked for and dropped.
    keep : bool, optional
        Whether candidates are returned that may be objects at other thresholds: all that pass
        `kept_thresholds`, none suppressed, but for copies where there are tiles. By default those
        that are objects by ``parameters.filter``.

    Yields
    ------
    Progress

    Returns
    -------
    Candidates
        For `Candidates.filter` and `labels_from_candidates`. Without ``keep`` they are filtered
        already.

    Raises
    ------
    InputError
        If the plane cannot be read or a parameter cannot be used.
    JobCancelledError
        If ``cancelled`` returned true.
    """
    parameters = default_parameters(model) if parameters is None else parameters
    tiles = plan_tiles(source.hw, model.image_size, parameters.tiling)
    search = _Search(model, source, parameters, keep, cancelled or _never, embeddings)
    if [tile.region for tile in tiles] == [Region.whole(source.hw)]:
        found = yield from search.whole()
    else:
        found = yield from search.tiles(tiles)
    return found if keep else found.filter(parameters.filter)


def kept_thresholds(criteria: CandidateFilter) -> CandidateFilter:
    """Return what candidates must pass to be kept for later: half of both scores, nothing else."""
    return CandidateFilter(
        pred_iou_thresh=KEPT_SHARE * criteria.pred_iou_thresh,
        stability_score_thresh=KEPT_SHARE * criteria.stability_score_thresh,
        box_nms_thresh=1,
        crop_nms_thresh=1,
    )


@dataclass(frozen=True, eq=False)
class _Search:
    model: "Sam2Model"
    source: PlaneSource
    parameters: AllObjectsParameters
    keep: bool
    cancelled: Cancelled
    embeddings: EmbeddingCache | None

    @property
    def thresholds(self) -> CandidateFilter:
        """What a mask must pass to be a candidate."""
        criteria = self.parameters.filter
        return kept_thresholds(criteria) if self.keep else criteria

    @property
    def generator(self) -> GeneratorParameters:
        return replace(
            self.parameters.generator,
            pred_iou_thresh=self.thresholds.pred_iou_thresh,
            stability_score_thresh=self.thresholds.stability_score_thresh,
        )

    @property
    def good_enough(self) -> GoodEnough:
        """What is an object at the thresholds in force, also where more is kept."""
        criteria = self.parameters.filter
        return GoodEnough(criteria.pred_iou_thresh, criteria.stability_score_thresh)

    def whole(self) -> Generator[Progress, None, Candidates]:
        yield Progress("Reading the image", 0)
        rgb = self.source.load(Region.whole(self.source.hw))
        yield Progress("Encoding the image", 0)
        embedding = self.encode(rgb, keep=True)
        return (
            yield from generate_candidates(
                self.model,
                rgb,
                self.generator,
                cancelled=self.cancelled,
                embedding=embedding,
                suppress=False,
                good_enough=self.good_enough,
            )
        )

    def tiles(self, tiles: tuple[Tile, ...]) -> Generator[Progress, None, Candidates]:
        grids = [tile.points(self.generator.points_per_side) for tile in tiles]
        total = sum(_ENCODE_IN_POINTS + len(own) for own in grids)
        done, parts, levels = 0, [Candidates.none(self.source.hw)], [0]
        for number, (tile, own) in enumerate(zip(tiles, grids, strict=True)):
            stage = f"Tile {number + 1} of {len(tiles)}"
            yield Progress(stage, done / total)
            embedding = self.encode(self.source.load(tile.region), keep=False)
            done += _ENCODE_IN_POINTS
            search = CropSearch(
                self.model,
                embedding,
                tile.crop,
                self.source.hw,
                self.generator,
                self.cancelled,
                self.good_enough,
            )
            found = yield from search.run(own, partial(_report, stage, done, total))
            done += len(own)
            parts.append(self.worth_keeping(found, tile))
            levels.append(tile.level)
        return self.without_copies(
            Candidates.joined(parts), np.repeat(levels, [len(part) for part in parts])
        )

    def worth_keeping(self, found: Candidates, tile: Tile) -> Candidates:
        """Return what a tile adds: nothing that finer tiles see whole, and no copies."""
        x0, y0, x1, y1 = found.boxes.T
        longest = np.maximum(x1 - x0, y1 - y0) + 1
        found = found.take(longest >= tile.least_side)
        if self.keep:
            return self.without_duplicates(found)
        # These concern the whole plane.
        criteria = replace(
            self.thresholds, max_overlap=1, exclude_border=False, remove_background=False
        )
        return found.filter(criteria)

    def without_duplicates(self, found: Candidates) -> Candidates:
        """Return what is kept for other thresholds, and of duplicates what passes those in force.

        Of several that do, or of several that do not, the one with the highest score.
        """
        sieve = CandidateSieve(found)
        kept = sieve.indices(self.thresholds)
        is_object = sieve.passes(self.parameters.filter)[kept]
        kept = np.concatenate([kept[is_object], kept[~is_object]])
        pairs = CandidatePairs(found, sieve.cut)
        return found.take(pairs.suppress_boxes(kept, None, KEPT_DUPLICATES))

    def without_copies(self, found: Candidates, levels: NDArray[np.intp]) -> Candidates:
        """Return what is no coarse copy of a mask of finer tiles that is good enough."""
        criteria = self.parameters.filter
        is_good = found.iou_predictions > criteria.pred_iou_thresh
        is_good &= found.stability_scores >= criteria.stability_score_thresh
        pairs = CandidatePairs(found, found.cut)
        return found.take(~pairs.copies(levels, is_good))

    def encode(self, rgb: NDArray[np.uint8], *, keep: bool) -> ImageEmbedding:
        """Return the embedding of an image, from the cache if it is there."""
        if self.cancelled():
            raise JobCancelledError("The search for objects was cancelled.")
        if self.embeddings is None:
            return self.model.encode(rgb, cancelled=self.cancelled)
        key = embedding_key(self.model.key, rgb)
        embedding = self.embeddings.get(key)
        if embedding is None:
            embedding = self.model.encode(rgb, cancelled=self.cancelled)
            if keep:
                self.embeddings.put(key, embedding)
        return embedding


def _report(stage: str, before: int, total: int, done: int) -> Progress:
    return Progress(stage, (before + done) / total)


def _never() -> bool:
    return False
