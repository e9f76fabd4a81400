"""What a session answers: the mask of an object, and the answers it remembers."""

from collections import OrderedDict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.marks import MaskCut, ObjectPrompts
from napari_sam2_openvino.core.object_decoder import ObjectPrediction
from napari_sam2_openvino.core.object_masks import make_mask, outline, touches_border
from napari_sam2_openvino.core.parameters import MaskOptions
from napari_sam2_openvino.core.regions import Region

DEFAULT_MAX_BYTES = 128 << 20

# The outline is a line of about two pixels of the screen when the whole region is in view.
_THINNEST_OUTLINE = 2
_SCREEN_PIXELS = 512


@dataclass(frozen=True, eq=False)
class ObjectAnswer:
    """The mask of one object, and all that it was made of.

    Parameters
    ----------
    obj_id : int
    prompts : ObjectPrompts
    region : Region
        Where it was decoded. Given back to a session, the same prompts give the same mask.
    prediction : ObjectPrediction
        What the model said, before it became a mask.
    mask : MaskCut
        In coordinates of the plane.
    area : int
        Of the mask, in pixels.
    outline : ndarray of int32, shape (2, n)
        Rows and columns of the object's inner edge, in pixels of the plane.
    iou_prediction : float
        The model's own estimate of the mask's IoU.
    options : MaskOptions
        How the mask was made of the logits.
    touches_border : bool
        Whether the mask reaches an edge of the region inside the plane, so that the object may go
        on outside of what the network saw.
    """

    obj_id: int
    prompts: ObjectPrompts
    region: Region
    prediction: ObjectPrediction
    mask: MaskCut
    area: int
    outline: NDArray[np.int32]
    iou_prediction: float
    options: MaskOptions
    touches_border: bool = False

    @classmethod
    def make(
        cls,
        obj_id: int,
        prompts: ObjectPrompts,
        region: Region,
        prediction: ObjectPrediction,
        plane_hw: tuple[int, int],
        options: MaskOptions,
    ) -> "ObjectAnswer":
        """Make the mask of a prediction; for the worker."""
        mask = make_mask(prediction.choice.logits, region, plane_hw, options)
        width = max(_THINNEST_OUTLINE, round(max(region.hw) / _SCREEN_PIXELS))
        return cls(
            obj_id,
            prompts,
            region,
            prediction,
            mask,
            int(np.count_nonzero(mask.mask)),
            outline(mask, width),
            prediction.choice.iou_prediction,
            options,
            touches_border(mask, region, plane_hw),
        )

    def remade(self, plane_hw: tuple[int, int], options: MaskOptions) -> "ObjectAnswer":
        """Make the mask anew with other options; for the worker."""
        return self.make(self.obj_id, self.prompts, self.region, self.prediction, plane_hw, options)

    def of(self, obj_id: int, prompts: ObjectPrompts) -> "ObjectAnswer":
        """Return the same answer for another object with equal prompts."""
        return replace(self, obj_id=obj_id, prompts=prompts)

    @property
    def nbytes(self) -> int:
        """Memory held by the arrays, in bytes."""
        return int(self.mask.mask.nbytes + self.outline.nbytes) + self.prediction.nbytes


class AnswerMemory:
    """Answers by what they depend on, the least recently used dropped first.

    Parameters
    ----------
    max_bytes : int, optional
        Budget for the arrays of all answers together, those in view included.
    """

    def __init__(self, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self.max_bytes = max_bytes
        self._answers: OrderedDict[Hashable, ObjectAnswer] = OrderedDict()
        self._nbytes = 0

    def get(self, key: Hashable) -> ObjectAnswer | None:
        """Return the answer of that key, or None, and mark it as used."""
        if key in self._answers:
            self._answers.move_to_end(key)
        return self._answers.get(key)

    def put(self, key: Hashable, answer: ObjectAnswer) -> None:
        """Keep an answer in place of an earlier one, and drop old ones beyond the budget."""
        if key in self._answers:
            self._nbytes -= self._answers.pop(key).nbytes
        self._answers[key] = answer
        self._nbytes += answer.nbytes
        while self._answers and self._nbytes > self.max_bytes:
            self._nbytes -= self._answers.popitem(last=False)[1].nbytes

    def trim(self, in_view: Iterable[ObjectAnswer]) -> None:
        """Drop old ones until they and those in view are within the budget together.

        What is in view is held anyway, be it remembered or not: it counts once.
        """
        mine = {id(each) for each in self._answers.values()}
        beside = {id(each): each.nbytes for each in in_view}
        total = self._nbytes + sum(size for key, size in beside.items() if key not in mine)
        for key, answer in list(self._answers.items()):
            if total <= self.max_bytes:
                break
            if id(answer) not in beside:
                self._nbytes -= self._answers.pop(key).nbytes
                total -= answer.nbytes

    def clear(self) -> None:
        """Forget every answer."""
        self._answers.clear()
        self._nbytes = 0

    @property
    def nbytes(self) -> int:
        """Memory held by the answers, in bytes."""
        return self._nbytes

    def __len__(self) -> int:
        return len(self._answers)
