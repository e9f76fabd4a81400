"""A model for tests: its mask is a disc around each foreground click, and the whole box."""

import time
from collections.abc import Callable, Generator, Sequence

import numpy as np
from numpy.typing import NDArray
from skimage.draw import polygon2mask
from skimage.measure import label
from tests.drawn_candidates import candidates_of

from napari_sam2_openvino.core.all_objects import kept_thresholds
from napari_sam2_openvino.core.candidates import Candidates
from napari_sam2_openvino.core.embeddings import EmbeddingCache, embedding_key
from napari_sam2_openvino.core.errors import JobCancelledError
from napari_sam2_openvino.core.marks import Mark, ObjectPrompts
from napari_sam2_openvino.core.object_decoder import N_TOKENS, Candidate, ObjectPrediction
from napari_sam2_openvino.core.object_masks import LogitsCut
from napari_sam2_openvino.core.object_parameters import AllObjectsParameters, CandidateFilter
from napari_sam2_openvino.core.planes import PlaneSource
from napari_sam2_openvino.core.progress import Progress
from napari_sam2_openvino.core.prompt_building import build_stages
from napari_sam2_openvino.core.regions import Region
from napari_sam2_openvino.core.types import ImageEmbedding


class DiscEngine:
    """Draws many objects: discs around points, scribbles as wide as discs, boxes and lassos whole.

    Masks are exact where a region is read at full resolution. Of the four masks of an object,
    those of tokens 2 and 3 are drawn with discs of one and a half and twice the radius. Counts
    what it is asked for; the object score tells which image was decoded: its first pixel.

    ``encode_seconds`` is how long an encode takes, in which it may be cancelled, and
    ``decode_seconds`` how long an object takes. Images up to twice ``image_size`` are encoded
    whole.
    """

    has_memory = False
    SCORES = (0.9, 0.9, 0.8, 0.7)
    GROWTH = (1.0, 1.0, 1.5, 2.0)

    def __init__(
        self,
        name: str = "disc",
        *,
        radius: float = 5,
        image_size: int = 1024,
        encode_seconds: float = 0,
        decode_seconds: float = 0,
    ) -> None:
        self.name = name
        self.key = name
        self.radius = radius
        self.image_size = image_size
        self.encode_seconds = encode_seconds
        self.decode_seconds = decode_seconds
        self.n_encodes = 0
        self.n_cancelled = 0
        self.decoded: list[tuple[Region, ObjectPrompts]] = []
        self.batches: list[int] = []

    def embedding_key(self, rgb: NDArray[np.uint8]) -> str:
        return embedding_key(self.key, rgb)

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
        embed = np.full((1, 1, 1, 1), rgb[0, 0, 0], np.float16)
        return ImageEmbedding(embed, (feats, feats), rgb.shape[:2])

    def decode(
        self,
        embedding: ImageEmbedding,
        region: Region,
        objects: Sequence[ObjectPrompts],
        *,
        cancelled: Callable[[], bool],
    ) -> list[ObjectPrediction]:
        if cancelled():
            raise JobCancelledError("The decoding was cancelled.")
        stages = [len(build_stages(each, region, self.image_size)) for each in objects]
        self.batches.append(len(objects))
        self.decoded += [(region, each) for each in objects]
        time.sleep(self.decode_seconds * len(objects))
        score = float(embedding.image_embed.reshape(-1)[0])
        return [
            self._predict(region, each, n_stages, score)
            for each, n_stages in zip(objects, stages, strict=True)
        ]

    @property
    def all_objects(self) -> AllObjectsParameters:
        return AllObjectsParameters(filter=CandidateFilter(0.5, 0.5))

    def find_objects(
        self,
        source: PlaneSource,
        parameters: AllObjectsParameters,
        *,
        cancelled: Callable[[], bool],
        embeddings: EmbeddingCache,
    ) -> Generator[Progress, None, Candidates]:
        """Find what is brighter than half, in as many steps as there are points along a side.

        The larger, the better it scores: 0.9 for the largest, with two digits.
        """
        rgb = source.load(Region.whole(source.hw))
        embeddings.put(self.embedding_key(rgb), self.encode(rgb, cancelled=cancelled))
        for number in range(parameters.generator.points_per_side):
            if cancelled():
                raise JobCancelledError("The search was cancelled.")
            time.sleep(self.decode_seconds)
            yield Progress("Searching", number / parameters.generator.points_per_side)
        numbers = label(rgb[..., 0] > 127)
        masks = [numbers == number for number in range(1, numbers.max() + 1)]
        areas = np.array([mask.sum() for mask in masks])
        if not masks:
            return Candidates.none(source.hw)
        found = candidates_of(masks, (0.9 * areas / areas.max()).round(2).tolist())
        least = kept_thresholds(parameters.filter).pred_iou_thresh
        return found.take(found.iou_predictions > least)

    def _predict(
        self, region: Region, prompts: ObjectPrompts, n_stages: int, score: float
    ) -> ObjectPrediction:
        is_ambiguous = len(prompts.marks) == 1 and prompts.marks[0].kind == "point"
        default = 1 if is_ambiguous and prompts.mask is None else 0
        order = sorted(range(N_TOKENS), key=lambda each: (each != default, -self.SCORES[each]))
        candidates = tuple(
            Candidate(each, self.SCORES[each], self._draw(region, prompts, self.GROWTH[each]))
            for each in order
        )
        chosen = dict(prompts.choices).get(n_stages, default)
        return ObjectPrediction(candidates, order.index(chosen), score, n_stages)

    def _draw(self, region: Region, prompts: ObjectPrompts, growth: float) -> LogitsCut:
        height, width = (-(-side // region.step) for side in region.hw)
        # The middle of what each pixel that is read stands for.
        rows, columns = (np.ogrid[:height, :width][axis] + 0.5 for axis in range(2))
        rows = region.row + rows * region.step - 0.5
        columns = region.column + columns * region.step - 0.5
        drawn = np.zeros((height, width), bool)
        if prompts.mask is not None:
            (row, column), (h, w) = prompts.mask.origin, prompts.mask.mask.shape
            inside = (rows >= row) & (rows < row + h) & (columns >= column) & (columns < column + w)
            at = (
                np.clip(rows - row, 0, h - 1).astype(int),
                np.clip(columns - column, 0, w - 1).astype(int),
            )
            drawn |= inside & prompts.mask.mask[at]
        for mark in sorted(prompts.marks, key=lambda each: not each.is_positive):
            area = self._area(mark, rows, columns, growth)
            drawn = drawn | area if mark.is_positive else drawn & ~area
        return LogitsCut.of(np.where(drawn, np.float32(10), np.float32(-10)))

    def _area(
        self, mark: Mark, rows: NDArray[np.intp], columns: NDArray[np.intp], growth: float
    ) -> NDArray[np.bool_]:
        corners = np.array(mark.vertices)
        (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
        if mark.kind == "box":
            return (columns >= x0) & (columns <= x1) & (rows >= y0) & (rows <= y1)
        if mark.kind == "ellipse":
            x, y = (x0 + x1) / 2, (y0 + y1) / 2
            across, down = max(x1 - x0, 1) / 2, max(y1 - y0, 1) / 2
            return ((columns - x) / across) ** 2 + ((rows - y) / down) ** 2 <= 1
        if mark.kind == "polygon":
            place = (corners[:, ::-1] - (rows[0, 0], columns[0, 0])) / (rows[1, 0] - rows[0, 0])
            return polygon2mask((rows.size, columns.size), place)
        radius = self.radius * growth
        return np.logical_or.reduce(
            [(columns - x) ** 2 + (rows - y) ** 2 <= radius**2 for x, y in corners]
        )
