"""Objects from the planes on which their masks are known to the others, one plane at a time."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.embeddings import EmbeddingCache
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.marks import MaskCut
from napari_sam2_openvino.core.memory import NO_OBJ_SCORE
from napari_sam2_openvino.core.plane_box import Box
from napari_sam2_openvino.core.planes import PlaneSource
from napari_sam2_openvino.core.propagation_parameters import Direction
from napari_sam2_openvino.core.rle import MaskRuns
from napari_sam2_openvino.core.volume_parameters import VolumeParameters

if TYPE_CHECKING:
    from napari_sam2_openvino.core.model import Sam2Model
    from napari_sam2_openvino.core.video_state import FramePrediction


@dataclass(frozen=True, eq=False)
class KnownMask:
    """Where an object is on one plane.

    Parameters
    ----------
    obj_id : int
    frame_idx : int
        The plane, counted from 0.
    mask : MaskCut
        In pixels of the plane.
    """

    obj_id: int
    frame_idx: int
    mask: MaskCut


@dataclass(frozen=True, eq=False)
class Propagation:
    """What is to be carried where.

    Parameters
    ----------
    planes : sequence of PlaneSource
        All planes along the axis.
    known : sequence of KnownMask
        At most one for an object and plane.
    first, last : int
        Nothing is told of planes before and beyond; known masks on them count all the same.
    direction : {"both", "forward", "backward"}, optional
        "both": from the known masks. The others: from ``start`` on, and an object whose mask is
        not known there is taken up where it is known next.
    start : int, optional
        The plane that "forward" and "backward" begin at.
    until_it_ends : bool, optional
        Whether to stop where none of the objects is there any more, instead of at ``first`` or
        ``last``.
    earlier : mapping of int to frozenset of int, optional
        Planes on which an object was found at another time, by obj_id: they are gone through
        also beyond its end, so that nothing of it stays where it is not found any more.
    parameters : VolumeParameters, optional
        ``keep_all_planes`` does not count: memory does not grow with the planes.
    """

    planes: Sequence[PlaneSource]
    known: Sequence[KnownMask]
    first: int
    last: int
    direction: Direction = "both"
    start: int = 0
    until_it_ends: bool = True
    earlier: Mapping[int, frozenset[int]] = field(default_factory=dict)
    parameters: VolumeParameters = field(default_factory=VolumeParameters)

    def __post_init__(self) -> None:
        if not self.known:
            raise InputError("There is no object to carry: draw one on a plane first.")
        if not 0 <= self.first <= self.last < len(self.planes):
            raise InputError(
                f"Planes must be a range within 0 to {len(self.planes) - 1}, but are "
                f"{self.first} to {self.last}."
            )
        if not self.steps():
            raise InputError(
                f"No object is known on or before planes {self.first} to {self.last} in this "
                "direction: choose other planes, or draw on one of these."
            )

    def counting(self) -> list[KnownMask]:
        """Return the known masks that count in this direction."""
        if self.direction == "both":
            return list(self.known)
        sign = -1 if self.direction == "backward" else 1
        at_start = {each.obj_id for each in self.known if each.frame_idx == self.start}
        # What lies behind an object that is not known at the start says nothing of what is there.
        return [
            each
            for each in self.known
            if each.obj_id in at_start or (each.frame_idx - self.start) * sign > 0
        ]

    def steps(self) -> list[tuple[bool, range]]:
        """Return the passes: whether backwards, and the planes."""
        frames = [each.frame_idx for each in self.counting()]
        if not frames:
            return []
        begin, end = min(frames), max(frames)
        if self.direction == "forward":
            begin = max(begin, self.start)
        if self.direction == "backward":
            end = min(end, self.start)
        forward = range(begin, self.last + 1)
        # In both directions, its own plane is done by then, unless it is beyond the range.
        is_done = self.direction == "both" and end <= self.last
        backward = range(end - is_done, self.first - 1, -1)
        passes = {
            "forward": [(False, forward)],
            "backward": [(True, backward)],
            "both": [(False, forward), (True, backward)],
        }[self.direction]
        return [each for each in passes if each[1]]


@dataclass(frozen=True, eq=False)
class CarriedObject:
    """What was found of one object on a plane.

    Parameters
    ----------
    obj_id : int
    mask : MaskRuns
        Empty if the object is not there; where objects overlap, a pixel belongs to one of them.
    object_score : float
        Logit of the object being there.
    is_known : bool
        Whether its mask on this plane was given.
    """

    obj_id: int
    mask: MaskRuns
    object_score: float
    is_known: bool = False

    @property
    def is_there(self) -> bool:
        """Whether the object has a pixel on the plane."""
        return self.mask.area > 0


@dataclass(frozen=True, eq=False)
class CarriedPlane:
    """What was found on a plane; objects that were not looked for are left out.

    Parameters
    ----------
    frame_idx : int
    objects : tuple of CarriedObject
    done : float
        Share of all planes that may be gone through.
    """

    frame_idx: int
    objects: tuple[CarriedObject, ...]
    done: float


def propagate_masks(
    model: "Sam2Model",
    propagation: Propagation,
    *,
    cancelled: Callable[[], bool] | None = None,
    embeddings: EmbeddingCache | None = None,
) -> Generator[CarriedPlane | None, None, None]:
    """Carry objects from plane to plane.

    Parameters
    ----------
    model : Sam2Model
    propagation : Propagation
    cancelled : callable, optional
        Asked every few milliseconds.
    embeddings : EmbeddingCache, optional

    Yields
    ------
    CarriedPlane or None
        None where it is a good moment to do something more urgent.

    Raises
    ------
    JobCancelledError
        If ``cancelled`` returned true.
    """
    from napari_sam2_openvino.core.video_predictor import SAM2VideoPredictor

    parameters = replace(propagation.parameters, keep_all_planes=False)
    predictor = SAM2VideoPredictor(model, parameters, embeddings=embeddings)
    state = predictor.init_state(list(propagation.planes))
    known = {(each.obj_id, each.frame_idx): each.mask for each in propagation.counting()}
    for (obj_id, frame_idx), cut in known.items():
        mask = MaskRuns.from_mask(cut.mask, cut.origin).mask(state.image_hw)
        predictor.add_new_mask(state, frame_idx, obj_id, mask, cancelled=cancelled)
        yield None
    predictor.propagate_in_video_preflight(state)
    passes = propagation.steps()
    n_all = sum(len(frames) for _, frames in passes)
    n_before = 0
    for reverse, frames in passes:
        walk = _Walk(propagation, known, state.obj_ids, reverse)
        for number, frame_idx in enumerate(frames, start=1):
            prediction = None
            if not walk.has_ended:
                prediction = yield from predictor.frame_steps(
                    state, frame_idx, reverse=reverse, cancelled=cancelled
                )
            objects = walk.objects(frame_idx, prediction)
            if propagation.first <= frame_idx <= propagation.last:
                yield CarriedPlane(frame_idx, objects, (n_before + number) / n_all)
            if walk.is_done(frame_idx):
                break
        n_before += len(frames)


class _Walk:
    """One pass, and whether its objects have ended."""

    def __init__(
        self,
        propagation: Propagation,
        known: Mapping[tuple[int, int], MaskCut],
        obj_ids: Sequence[int],
        reverse: bool,
    ) -> None:
        self._known = known
        self._obj_ids = obj_ids
        self._reverse = reverse
        self._until_it_ends = propagation.until_it_ends
        self._earlier = propagation.earlier
        self.has_ended = False

    def objects(
        self, frame_idx: int, prediction: "FramePrediction | None"
    ) -> tuple[CarriedObject, ...]:
        if prediction is None:
            # Beyond the end: nothing is there, and what was found there earlier is to go.
            gone = MaskRuns.from_mask(np.zeros((0, 0), bool))
            return tuple(
                CarriedObject(obj_id, gone, NO_OBJ_SCORE)
                for obj_id in self._obj_ids
                if frame_idx in self._earlier.get(obj_id, ())
            )
        objects = self._found(frame_idx, prediction)
        self.has_ended = self._until_it_ends and not (
            any(each.is_there for each in objects) or self._comes_later(frame_idx)
        )
        return objects

    def is_done(self, frame_idx: int) -> bool:
        """Whether nothing is left to be found or to be cleared away beyond a plane."""
        if not self.has_ended:
            return False
        planes = set().union(*(self._earlier.get(key, ()) for key in self._obj_ids))
        return not any(self._is_beyond(each, frame_idx) for each in planes)

    def _comes_later(self, frame_idx: int) -> bool:
        return any(self._is_beyond(at, frame_idx) for _, at in self._known)

    def _is_beyond(self, other: int, frame_idx: int) -> bool:
        return other < frame_idx if self._reverse else other > frame_idx

    def _found(self, frame_idx: int, prediction: "FramePrediction") -> tuple[CarriedObject, ...]:
        obj_ids = prediction.obj_ids
        numbers = range(1, len(obj_ids) + 1)
        labels = replace(prediction, obj_ids=tuple(numbers)).labels
        here = [self._known.get((obj_id, frame_idx)) for obj_id in obj_ids]
        put_known(
            labels,
            {number: cut for number, cut in zip(numbers, here, strict=True) if cut is not None},
        )
        return tuple(
            CarriedObject(obj_id, mask, float(score), cut is not None)
            for obj_id, mask, score, cut in zip(
                obj_ids, _runs(labels, len(obj_ids)), prediction.object_scores, here, strict=True
            )
            if cut is not None or not np.isnan(score)
        )


def put_known(labels: NDArray[np.uint32], known: Mapping[int, MaskCut]) -> None:
    """Put masks that were given into the labels of their plane, in place of what was found.

    They stay as they were given, at full resolution and before all other objects; where two of them
    overlap, the later one has the pixel.

    Parameters
    ----------
    labels : ndarray of uint32, shape (H, W)
    known : mapping of int to MaskCut
        Masks by label.
    """
    labels[np.isin(labels, list(known))] = 0
    for label, cut in known.items():
        box = Box.of(cut)
        labels[box.row : box.end_row, box.column : box.end_column][cut.mask] = label


def _runs(labels: NDArray[np.uint32], n_objects: int) -> Iterator[MaskRuns]:
    """Give the mask of each label from 1 on, whether it is there or not."""
    from scipy.ndimage import find_objects

    for number, window in enumerate(find_objects(labels.astype(np.int32), n_objects), start=1):
        if window is None:
            yield MaskRuns.from_mask(np.zeros((0, 0), bool))
        else:
            yield MaskRuns.from_mask(labels[window] == number, (window[0].start, window[1].start))
