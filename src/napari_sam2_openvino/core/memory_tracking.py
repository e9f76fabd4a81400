"""Objects on the next plane, by what is remembered of them."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.memory import (
    FrameOutput,
    Memory,
    MemoryFeatures,
    ObjectState,
    group_by_shape,
    select_memories,
    select_pointers,
)
from napari_sam2_openvino.core.model import Sam2Model
from napari_sam2_openvino.core.transforms import blank_tokens
from napari_sam2_openvino.core.types import ImageEmbedding
from napari_sam2_openvino.core.video_decoding import (
    Cancelled,
    PlaneDecoder,
    raise_if,
    uses_multimask,
)
from napari_sam2_openvino.core.video_state import VideoState
from napari_sam2_openvino.core.volume_parameters import VolumeParameters

Float = NDArray[np.float32]
Selection = tuple[list[Memory], list[tuple[float, FrameOutput]]]

# Attention weights of all objects of a batch; more gain nothing, and cost memory.
_BATCH_BYTES = 1 << 30
_LARGEST_BATCH = 16


class MemoryTracker:
    """SAM 2's memory: attention to memories and pointers, then the mask decoder.

    Parameters
    ----------
    decoder : PlaneDecoder
    parameters : VolumeParameters
    """

    def __init__(self, decoder: PlaneDecoder, parameters: VolumeParameters) -> None:
        self._decoder = decoder
        self._model: Sam2Model = decoder.model
        self._config = self._model.info.config
        self._num_maskmem = min(parameters.num_maskmem, self._config.num_maskmem)
        self._features = MemoryFeatures(parameters.memory_megabytes << 20)
        self._kept: type[np.floating] = np.float32 if self._model.precision == "f32" else np.float16

    @property
    def reach(self) -> int:
        """How many planes away something is looked up, at most."""
        config = self._config
        farthest = self._num_maskmem * config.memory_temporal_stride_for_eval
        return max(farthest, config.max_obj_ptrs_in_encoder)

    @property
    def nbytes(self) -> int:
        """Memory held by encoded memories, in bytes."""
        return self._features.nbytes

    def condition(
        self,
        state: VideoState,
        frame_idx: int,
        obj: ObjectState,
        *,
        reverse: bool,
        cancelled: Cancelled = None,
    ) -> Float | None:
        """Return a plane in the light of what is remembered of one object, for a correction."""
        embedding = self._decoder.embedding(state, frame_idx, cancelled)
        selection = self._select(state, frame_idx, obj, reverse=reverse)
        return self._recall(state, embedding, [selection], cancelled)

    def track(
        self,
        state: VideoState,
        frame_idx: int,
        obj_ids: Sequence[int],
        *,
        reverse: bool,
        cancelled: Cancelled = None,
    ) -> Iterator[dict[int, FrameOutput]]:
        """Find objects on a plane without prompts, in batches.

        Raises
        ------
        JobCancelledError
            If ``cancelled`` returned true.
        """
        embedding = self._decoder.embedding(state, frame_idx, cancelled)
        selections = {
            obj_id: self._select(state, frame_idx, state.objects[obj_id], reverse=reverse)
            for obj_id in obj_ids
        }
        multimask_output = uses_multimask(self._config, 0, is_initial=False)
        for batch in self._batches(selections):
            raise_if(cancelled)
            conditioned = self._recall(
                state, embedding, [selections[obj_id] for obj_id in batch], cancelled
            )
            outputs = self._decoder.decode(
                embedding,
                blank_tokens(len(batch)),
                conditioned_embed=conditioned,
                multimask_output=multimask_output,
            )
            self._remember(embedding, outputs, cancelled)
            yield dict(zip(batch, outputs, strict=True))

    def _select(
        self, state: VideoState, frame_idx: int, obj: ObjectState, *, reverse: bool
    ) -> Selection:
        memories = select_memories(
            obj, frame_idx, reverse=reverse, config=self._config, num_maskmem=self._num_maskmem
        )
        pointers = select_pointers(
            obj, frame_idx, reverse=reverse, config=self._config, num_frames=state.num_frames
        )
        return memories, pointers

    def _batches(self, selections: dict[int, Selection]) -> Iterator[list[int]]:
        """Group objects that can be recalled together, as many as memory allows."""
        positions = (self._model.image_size // 16) ** 2
        for group in group_by_shape(selections):
            n_memories = len(selections[group[0]][0])
            weights = 8 * positions * positions * n_memories
            size = max(1, min(_LARGEST_BATCH, _BATCH_BYTES // weights))
            for begin in range(0, len(group), size):
                yield group[begin : begin + size]

    def _recall(
        self,
        state: VideoState,
        embedding: ImageEmbedding,
        selections: Sequence[Selection],
        cancelled: Cancelled,
    ) -> Float:
        features = self._features_of(state, selections, cancelled)
        memories = [[features[each.output] for each in chosen] for chosen, _ in selections]
        rows = [[each.row for each in chosen] for chosen, _ in selections]
        n_pointers, width = len(selections[0][1]), self._config.hidden_dim
        pointers = np.zeros((len(selections), n_pointers, width), np.float32)
        positions = np.zeros((len(selections), n_pointers), np.float32)
        for row, (_, chosen_pointers) in enumerate(selections):
            for column, (position, output) in enumerate(chosen_pointers):
                pointers[row, column] = output.obj_ptr
                positions[row, column] = position
        return self._model.memory.recall(
            embedding.image_embed.astype(np.float32),
            np.array(memories, np.float32),
            np.array(rows, np.intp),
            pointers,
            positions,
            cancelled,
        )

    def _features_of(
        self, state: VideoState, selections: Sequence[Selection], cancelled: Cancelled
    ) -> dict[FrameOutput, NDArray[np.floating]]:
        """Return the memories of outputs; those that were dropped are encoded again."""
        wanted = {each.output: each.frame_idx for chosen, _ in selections for each in chosen}
        found: dict[FrameOutput, NDArray[np.floating]] = {}
        missing: dict[int, list[FrameOutput]] = {}
        for output, frame_idx in wanted.items():
            known = self._features.get(output)
            if known is None:
                missing.setdefault(frame_idx, []).append(output)
            else:
                found[output] = known
        for frame_idx, outputs in missing.items():
            embedding = self._decoder.embedding(state, frame_idx, cancelled)
            for begin in range(0, len(outputs), _LARGEST_BATCH):
                raise_if(cancelled)
                part = outputs[begin : begin + _LARGEST_BATCH]
                found.update(zip(part, self._remember(embedding, part, cancelled), strict=True))
        return found

    def _remember(
        self, embedding: ImageEmbedding, outputs: Sequence[FrameOutput], cancelled: Cancelled
    ) -> NDArray[np.floating]:
        """Encode the memories of objects on one plane, and keep them while there is room."""
        # What was prompted counts as it is shown, what was tracked as it was decoded.
        masks = [
            self._decoder.logits(each) if each.is_prompted else self._decoder.raw_logits(each)
            for each in outputs
        ]
        features: NDArray[np.floating] = self._model.memory.remember(
            embedding.image_embed.astype(np.float32),
            np.stack(masks),
            np.array([each.is_present for each in outputs]),
            np.array([each.is_prompted for each in outputs]),
            cancelled,
        ).astype(self._kept, copy=False)
        for output, memory in zip(outputs, features, strict=True):
            # A copy: the others of the batch are not kept alive by it.
            self._features.put(output, memory.copy())
        return features
