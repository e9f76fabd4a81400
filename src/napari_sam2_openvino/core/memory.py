"""What is kept of each object from plane to plane, and which of it counts on another plane.

The rules are those of ``SAM2Base._prepare_memory_conditioned_features``.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.model_folder import ModelConfig

Float = NDArray[np.float32]

NO_OBJ_SCORE = -1024.0
"""Logit of every pixel of an object that is not there."""


@dataclass(frozen=True, eq=False)
class FrameOutput:
    """What is kept of one object on one plane.

    Parameters
    ----------
    low_res_mask : ndarray of float16 or float32, shape (S / 4, S / 4), or None
        Logits, holes not filled. None where there is no object.
    object_score : float
        Logit of the object being there.
    iou_prediction : float
        The model's own estimate of the mask's IoU.
    obj_ptr : ndarray of float32, shape (D,), optional
        What memory keeps of how the object looks; None without memory.
    is_prompted : bool, optional
        Whether it answers prompts on this plane.
    """

    low_res_mask: NDArray[np.floating] | None
    object_score: float
    iou_prediction: float
    obj_ptr: Float | None = None
    is_prompted: bool = False

    @property
    def is_present(self) -> bool:
        """Whether there is an object."""
        return self.object_score > 0


@dataclass(frozen=True, eq=False)
class PointInputs:
    """Tokens that were given on one plane, but for the one that is not a point.

    Parameters
    ----------
    coords : ndarray of float32, shape (1, n, 2)
        (x, y) in model space; the corners of a box come first.
    labels : ndarray of int32, shape (1, n)
    """

    coords: Float
    labels: NDArray[np.int32]


@dataclass(eq=False)
class ObjectState:
    """One object: its prompts, and what is known of it on each plane.

    Parameters
    ----------
    point_inputs : dict of int to PointInputs
        By plane.
    mask_inputs : set of int
        Planes on which a mask was given.
    cond : dict of int to FrameOutput
        Conditioning planes: those with prompts. In the order in which they were prompted.
    non_cond : dict of int to FrameOutput
        Planes that were tracked.
    new_cond, new_non_cond : dict of int to FrameOutput
        Answers to prompts that no propagation has seen yet.
    tracked : dict of int to bool
        Planes that a propagation has passed, and whether backwards.
    """

    point_inputs: dict[int, PointInputs] = field(default_factory=dict)
    mask_inputs: set[int] = field(default_factory=set)
    cond: dict[int, FrameOutput] = field(default_factory=dict)
    non_cond: dict[int, FrameOutput] = field(default_factory=dict)
    new_cond: dict[int, FrameOutput] = field(default_factory=dict)
    new_non_cond: dict[int, FrameOutput] = field(default_factory=dict)
    tracked: dict[int, bool] = field(default_factory=dict)

    def known(self, frame_idx: int) -> FrameOutput | None:
        """Return what a propagation has found on a plane, or None."""
        return self.cond.get(frame_idx) or self.non_cond.get(frame_idx)

    def newest(self, frame_idx: int, *, is_cond: bool) -> FrameOutput | None:
        """Return the newest answer on a plane, or None."""
        new = self.new_cond if is_cond else self.new_non_cond
        return new.get(frame_idx) or self.known(frame_idx)

    @property
    def prompted(self) -> set[int]:
        """Planes on which prompts were given."""
        return set(self.point_inputs) | self.mask_inputs

    def settle(self) -> None:
        """Let the next propagation see the answers to new prompts."""
        self.non_cond.update(self.new_non_cond)
        self.cond.update(self.new_cond)
        self.new_non_cond.clear()
        self.new_cond.clear()
        for frame_idx in self.cond:
            self.non_cond.pop(frame_idx, None)

    def clear_prompts(self, frame_idx: int) -> None:
        """Forget the prompts on one plane; what a propagation found there stays."""
        self.point_inputs.pop(frame_idx, None)
        self.mask_inputs.discard(frame_idx)
        self.new_cond.pop(frame_idx, None)
        self.new_non_cond.pop(frame_idx, None)
        output = self.cond.pop(frame_idx, None)
        if output is not None:
            self.non_cond[frame_idx] = output
            self.tracked.pop(frame_idx, None)

    def forget_far(self, places: Iterable[int], reach: int) -> None:
        """Forget tracked planes that are far from some, and from all that have prompts."""
        near = (*places, *self.cond)
        for each in list(self.non_cond):
            if min(abs(each - place) for place in near) > reach:
                del self.non_cond[each]


@dataclass(frozen=True)
class Memory:
    """One memory that counts on a plane: a row of ``maskmem_tpos_enc``, and where it is from."""

    row: int
    frame_idx: int
    output: FrameOutput


def select_memories(
    state: ObjectState,
    frame_idx: int,
    *,
    reverse: bool,
    config: ModelConfig,
    num_maskmem: int,
) -> list[Memory]:
    """Return the memories that count on a plane.

    All conditioning planes (or the closest ``max_cond_frames_in_attn``), then up to
    ``num_maskmem - 1`` planes that were passed before.

    Parameters
    ----------
    state : ObjectState
    frame_idx : int
    reverse : bool
        Whether the propagation runs to smaller indices.
    config : ModelConfig
    num_maskmem : int
        Size of the bank, at most the model's own: the most recent memories count.
    """
    selected, rest = closest_conditioning(frame_idx, state.cond, config.max_cond_frames_in_attn)
    oldest = config.num_maskmem - 1
    memories = [Memory(oldest, at, output) for at, output in selected.items()]
    stride = config.memory_temporal_stride_for_eval
    for back in range(num_maskmem - 1, 0, -1):
        at = _frame_before(frame_idx, back, stride, reverse=reverse)
        output = state.non_cond.get(at) or rest.get(at)
        if output is not None:
            memories.append(Memory(back - 1, at, output))
    return memories


def select_pointers(
    state: ObjectState,
    frame_idx: int,
    *,
    reverse: bool,
    config: ModelConfig,
    num_frames: int,
) -> list[tuple[float, FrameOutput]]:
    """Return the object pointers that count on a plane, each with its distance.

    Returns
    -------
    list of (float, FrameOutput)
        The distance is a share of the largest that is possible.
    """
    if not config.use_obj_ptrs_in_encoder:
        return []
    most = min(num_frames, config.max_obj_ptrs_in_encoder)
    selected, rest = closest_conditioning(frame_idx, state.cond, config.max_cond_frames_in_attn)
    sign = -1 if reverse else 1
    found: list[tuple[int, FrameOutput]] = []
    for at, output in selected.items():
        distance = (frame_idx - at) * sign
        if distance < 0 and config.only_obj_ptrs_in_the_past_for_eval:
            continue
        found.append(
            (distance if config.use_signed_tpos_enc_to_obj_ptrs else abs(distance), output)
        )
    for back in range(1, most):
        at = frame_idx - sign * back
        if not 0 <= at < num_frames:
            break
        earlier = state.non_cond.get(at) or rest.get(at)
        if earlier is not None:
            found.append((back, earlier))
    # A single plane has no distances; SAM 2 divides by zero there.
    largest = max(most - 1, 1)
    return [(distance / largest, output) for distance, output in found]


def closest_conditioning(
    frame_idx: int, cond: Mapping[int, FrameOutput], most: int
) -> tuple[Mapping[int, FrameOutput], Mapping[int, FrameOutput]]:
    """Divide conditioning planes into the closest and the rest (``select_closest_cond_frames``).

    The closest before and the closest after come first, then others by distance.
    """
    if most == -1 or len(cond) <= most:
        return cond, {}
    before = max((at for at in cond if at < frame_idx), default=None)
    after = min((at for at in cond if at >= frame_idx), default=None)
    chosen = [at for at in (before, after) if at is not None]
    others = sorted((at for at in cond if at not in chosen), key=lambda at: abs(at - frame_idx))
    chosen += others[: most - len(chosen)]
    return (
        {at: cond[at] for at in chosen},
        {at: output for at, output in cond.items() if at not in chosen},
    )


def _frame_before(frame_idx: int, back: int, stride: int, *, reverse: bool) -> int:
    """Return where the ``back``-th memory before a plane is: each ``stride``-th plane counts."""
    if back == 1:
        return frame_idx + 1 if reverse else frame_idx - 1
    if reverse:
        return -(-(frame_idx + 2) // stride) * stride + (back - 2) * stride
    return (frame_idx - 2) // stride * stride - (back - 2) * stride


class MemoryFeatures:
    """Encoded memories, the least recently used dropped first.

    Parameters
    ----------
    max_bytes : int
        Budget for all arrays together.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._entries: OrderedDict[FrameOutput, NDArray[np.floating]] = OrderedDict()
        self._nbytes = 0

    def get(self, output: FrameOutput) -> NDArray[np.floating] | None:
        """Return the memory of an output, or None, and mark it as used."""
        features = self._entries.get(output)
        if features is not None:
            self._entries.move_to_end(output)
        return features

    def put(self, output: FrameOutput, features: NDArray[np.floating]) -> None:
        """Keep a memory, and drop old ones beyond the budget."""
        replaced = self._entries.pop(output, None)
        self._nbytes += features.nbytes - (0 if replaced is None else replaced.nbytes)
        self._entries[output] = features
        while len(self._entries) > 1 and self._nbytes > self.max_bytes:
            _, dropped = self._entries.popitem(last=False)
            self._nbytes -= dropped.nbytes

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return self._nbytes


def group_by_shape(
    selections: Mapping[int, tuple[list[Memory], list[tuple[float, FrameOutput]]]],
) -> Iterator[list[int]]:
    """Group objects that have as many memories and pointers: they can be recalled together."""
    groups: dict[tuple[int, int], list[int]] = {}
    for obj_id, (memories, pointers) in selections.items():
        groups.setdefault((len(memories), len(pointers)), []).append(obj_id)
    yield from groups.values()
