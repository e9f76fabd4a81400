"""Decode the prompts of many objects, side by side, by SAM 2's interactive protocol."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.errors import InputError, JobCancelledError
from napari_sam2_openvino.core.image_graphs import DecoderOutput
from napari_sam2_openvino.core.marks import ObjectPrompts
from napari_sam2_openvino.core.model import Sam2Model
from napari_sam2_openvino.core.object_masks import LogitsCut
from napari_sam2_openvino.core.prompt_building import build_stages
from napari_sam2_openvino.core.regions import Region
from napari_sam2_openvino.core.stage_masks import StageMasks
from napari_sam2_openvino.core.transforms import (
    LOW_RES_CLAMP,
    best_of_three,
    build_tokens,
    single_token,
    to_model_space,
)
from napari_sam2_openvino.core.types import ImageEmbedding, Prompts

Float = NDArray[np.float32]

N_TOKENS = 4
"""Masks that the decoder makes of one prompt: the single one, and three for ambiguous prompts."""

BATCH_SIZE = 16
"""Objects that are decoded in one call at most; more of them gain nothing."""

DEFAULT_MAX_BYTES = 64 << 20


@dataclass(frozen=True, eq=False)
class Candidate:
    """One of the masks that the decoder made.

    Parameters
    ----------
    token : int
        Which of the decoder's masks it is: 0 is the single mask, 1 to 3 are those for ambiguous
        prompts.
    iou_prediction : float
        The model's own estimate of the mask's IoU.
    logits : LogitsCut
    """

    token: int
    iou_prediction: float
    logits: LogitsCut


@dataclass(frozen=True, eq=False)
class ObjectPrediction:
    """The answer to the prompts of one object.

    Parameters
    ----------
    candidates : tuple of Candidate
        All four masks: the default first, then the others by falling predicted IoU.
    chosen : int
        Index of the candidate that counts: 0, or the one that the user chose.
    object_score : float
        Logit of there being an object at all.
    stage : int, optional
        Number, from 1, of the stage that this is the answer of: the last one. A choice among the
        candidates is the entry (stage, token) of ``ObjectPrompts.choices``.
    """

    candidates: tuple[Candidate, ...]
    chosen: int
    object_score: float
    stage: int = 1

    @property
    def choice(self) -> Candidate:
        """The candidate that counts."""
        return self.candidates[self.chosen]

    @property
    def nbytes(self) -> int:
        """Memory held by the logits, in bytes."""
        return sum(candidate.logits.nbytes for candidate in self.candidates)


class ObjectDecoder:
    """Answers the prompts of objects of one image.

    Each object is decoded in stages (see `build_stages`): the low-resolution mask of a stage is
    the ``mask_input`` of the next, clamped to +-32 as ``SAM2ImagePredictor.predict`` returns it,
    unless that has its own, in which case the stages before it are skipped. The mask is the best
    of three by predicted IoU for a single click, and else SAM 2's single mask (see
    `single_token`). A choice of the user replaces it, also in what is fed on.

    The answer depends on the embedding and the prompts only: neither on what was decoded before
    nor on the other objects of the call. Stages that were decoded before are remembered, so that
    one more click costs one decode. For one thread at a time.

    Parameters
    ----------
    model : Sam2Model
    max_bytes : int, optional
        Budget for the masks of stages that are remembered.
    """

    def __init__(self, model: Sam2Model, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self._model = model
        self._stage_masks = StageMasks(max_bytes)

    @property
    def nbytes(self) -> int:
        """Memory held by the masks of stages that are remembered, in bytes."""
        return self._stage_masks.nbytes

    def predict(
        self,
        embedding: ImageEmbedding,
        region: Region,
        objects: Sequence[ObjectPrompts],
        *,
        cancelled: Callable[[], bool] | None = None,
    ) -> list[ObjectPrediction]:
        """Decode the prompts of some objects.

        Parameters
        ----------
        embedding : ImageEmbedding
            Of the region.
        region : Region
        objects : sequence of ObjectPrompts
            Coordinates in the plane.
        cancelled : callable, optional
            Asked before each call of the decoder and every few milliseconds during it.

        Returns
        -------
        list of ObjectPrediction
            One for each object, in their order.

        Raises
        ------
        InputError
            If the prompts of an object say nothing about where it is, or a choice is not possible.
        JobCancelledError
            If ``cancelled`` returned true; what was decoded by then is remembered.
        """
        tracks = [_Track(prompts, region, self._model.image_size) for prompts in objects]
        for track in tracks:
            track.skip_known(self._stage_masks, embedding)
        pending = tracks
        while pending:
            for batch in _batches(pending):
                if cancelled is not None and cancelled():
                    raise JobCancelledError("The decoding of the prompts was cancelled.")
                self._decode(embedding, batch, cancelled)
            pending = [track for track in pending if track.prediction is None]
        return [track.prediction for track in tracks if track.prediction is not None]

    def _decode(
        self,
        embedding: ImageEmbedding,
        batch: Sequence["_Track"],
        cancelled: Callable[[], bool] | None,
    ) -> None:
        """Decode the next stage of each object of a batch."""
        coords, labels = zip(*(track.tokens for track in batch), strict=True)
        masks = [track.mask_input for track in batch if track.mask_input is not None]
        output = self._model.decode(
            embedding,
            np.concatenate(coords),
            np.concatenate(labels),
            np.stack(masks) if masks else None,
            cancelled=cancelled,
        )
        single = single_token(output.low_res_masks, output.iou_predictions, self._model.info.config)
        multiple = best_of_three(output.iou_predictions)
        for row, track in enumerate(batch):
            default = int(multiple[row] if track.stage.is_ambiguous else single[row])
            token = track.choice_or(default)
            low_res = output.low_res_masks[row, token][None]
            fed_on = np.clip(low_res, -LOW_RES_CLAMP, LOW_RES_CLAMP)
            if track.stage.mask_input is None:
                self._stage_masks.put(embedding, track.key, fed_on)
            if track.is_last:
                track.prediction = _prediction(output, row, default, token, track.number)
            else:
                track.advance(track.number + 1, fed_on)


def _prediction(
    output: DecoderOutput, row: int, default: int, token: int, stage: int
) -> ObjectPrediction:
    scores = output.iou_predictions[row]
    order = sorted(range(N_TOKENS), key=lambda each: (each != default, -scores[each]))
    candidates = tuple(
        Candidate(each, float(scores[each]), LogitsCut.of(output.low_res_masks[row, each]))
        for each in order
    )
    object_score = float(output.object_score_logits[row, 0])
    return ObjectPrediction(candidates, order.index(token), object_score, stage)


class _Track:
    """One object on its way through its stages."""

    def __init__(self, prompts: ObjectPrompts, region: Region, image_size: int) -> None:
        self._stages = build_stages(prompts, region, image_size)
        self._choices = dict(prompts.choices)
        for stage, token in prompts.choices:
            if not (stage >= 1 and 0 <= token < N_TOKENS):
                raise InputError(
                    f"A choice names a stage from 1 and a mask from 0 to {N_TOKENS - 1}, but is "
                    f"{(stage, token)}."
                )
        self._tokens = [_tokens(stage, region, image_size) for stage in self._stages]
        self._keys = list(self._stage_keys())
        # Nothing of the stages before it reaches one with a mask input of its own.
        self.number = len(self._stages) if self._stages[-1].mask_input is not None else 1
        self.mask_input = self.stage.mask_input
        self.prediction: ObjectPrediction | None = None

    def _stage_keys(self) -> Iterator[bytes]:
        """Give hashes of all that the mask fed on by each stage depends on."""
        hasher = hashlib.blake2b(digest_size=16)
        for number, (coords, labels) in enumerate(self._tokens, start=1):
            hasher.update(repr((coords.shape, self._choices.get(number))).encode())
            hasher.update(coords.tobytes())
            hasher.update(labels.tobytes())
            yield hasher.digest()

    def skip_known(self, known: StageMasks, embedding: ImageEmbedding) -> None:
        """Begin after the last stage, short of the final one, whose mask is known."""
        for number in range(len(self._stages) - 1, self.number - 1, -1):
            mask = known.get(embedding, self._keys[number - 1])
            if mask is not None:
                self.advance(number + 1, mask)
                return

    @property
    def stage(self) -> Prompts:
        return self._stages[self.number - 1]

    @property
    def tokens(self) -> tuple[Float, NDArray[np.int32]]:
        return self._tokens[self.number - 1]

    @property
    def key(self) -> bytes:
        return self._keys[self.number - 1]

    @property
    def is_last(self) -> bool:
        return self.number == len(self._stages)

    def choice_or(self, default: int) -> int:
        return self._choices.get(self.number, default)

    def advance(self, number: int, mask: Float) -> None:
        self.number, self.mask_input = number, mask


def _tokens(stage: Prompts, region: Region, image_size: int) -> tuple[Float, NDArray[np.int32]]:
    coords, labels, corners = None, None, None
    if len(stage.point_coords):
        coords = to_model_space(stage.point_coords[None], region.hw, image_size)
        labels = stage.point_labels[None]
    if stage.box is not None:
        corners = to_model_space(stage.box.reshape(1, 2, 2), region.hw, image_size)
    return build_tokens(coords, labels, corners)


def _batches(tracks: Sequence[_Track]) -> Iterator[list[_Track]]:
    """Group what can be decoded together: as many tokens, and a mask for all or for none."""
    groups: dict[tuple[int, bool], list[_Track]] = {}
    for track in tracks:
        kind = track.tokens[0].shape[1], track.mask_input is not None
        groups.setdefault(kind, []).append(track)
    for group in groups.values():
        for begin in range(0, len(group), BATCH_SIZE):
            yield group[begin : begin + BATCH_SIZE]
