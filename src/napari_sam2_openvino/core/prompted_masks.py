"""Masks of the objects of a plane from their prompts, each in the region that holds it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from napari_sam2_openvino.core.marks import MaskCut, ObjectPrompts
from napari_sam2_openvino.core.object_decoder import ObjectPrediction
from napari_sam2_openvino.core.object_masks import make_mask, touches_border
from napari_sam2_openvino.core.parameters import MaskOptions
from napari_sam2_openvino.core.regions import Region, choose_region, grow

Predict = Callable[[Region, Sequence[ObjectPrompts]], Sequence[ObjectPrediction]]


@dataclass(frozen=True, eq=False)
class PromptedMask:
    """The mask of an object.

    Parameters
    ----------
    index : int
        Which of the objects that were asked for.
    cut : MaskCut
        In pixels of the plane.
    iou_prediction : float
        The model's own estimate of the mask's IoU.
    """

    index: int
    cut: MaskCut
    iou_prediction: float


def masks_of_prompts(
    plane_hw: tuple[int, int],
    image_size: int,
    objects: Sequence[ObjectPrompts],
    predict: Predict,
    options: MaskOptions,
    regions: Sequence[Region | None] = (),
) -> Iterator[PromptedMask]:
    """Decode objects by the rule of the window: one that its region cuts off, in a larger one.

    Parameters
    ----------
    plane_hw : tuple of int
        Height and width of the plane in pixels.
    image_size : int
        S: side of the square that the network sees, in pixels.
    objects : sequence of ObjectPrompts
    predict : callable
        Decodes some objects in one region.
    options : MaskOptions
    regions : sequence of Region or None, optional
        Where each was decoded before, which it is again.

    Yields
    ------
    PromptedMask
        Objects of one region together, not in their order.
    """
    recorded = tuple(regions) or (None,) * len(objects)
    pending: dict[int, Region] = {
        index: region or choose_region(plane_hw, image_size, prompts.bounds())
        for index, (prompts, region) in enumerate(zip(objects, recorded, strict=True))
    }
    while pending:
        region = next(iter(pending.values()))
        together = [index for index, each in pending.items() if each == region]
        predictions = predict(region, [objects[index] for index in together])
        for index, prediction in zip(together, predictions, strict=True):
            del pending[index]
            cut = make_mask(prediction.choice.logits, region, plane_hw, options)
            larger = None
            if recorded[index] is None and touches_border(cut, region, plane_hw):
                larger = grow(region, plane_hw, image_size)
            if larger is None:
                yield PromptedMask(index, cut, prediction.choice.iou_prediction)
            else:
                pending[index] = larger
