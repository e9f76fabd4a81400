"""The report of a comparison: its figures, and the advice that follows from them by a rule."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.model_folder import Differences

# The rule of `advise`; docs/quantization.md tells why.
LEAST_MEAN_IOU = 0.97
MOST_LOST_MASKS = 0.02
MOST_TRUTH_LOSS = 0.01
LARGEST_TIME_RATIO = 3 / 4
LARGEST_SIZE_RATIO = 2 / 3
# A smaller model may take as long, within what a measurement varies.
SAME_TIME_RATIO = 1.1
# A mask of less IoU with the reference's is another object, or none.
LOST_BELOW = 0.5


@dataclass(frozen=True)
class MaskFigures:
    """IoU of one model's masks with those of the reference, for the same prompts.

    Parameters
    ----------
    mean, mean_of_points, mean_of_boxes : float
        Over all prompts, clicks alone, and boxes alone; NaN where there are none.
    twentieth : float
        One prompt in twenty is below.
    lowest : float
    lost : float
        Share of prompts with an IoU below 0.5: another object, or none.
    truth : float
        Mean IoU with the ground truth, NaN where there is none.
    """

    mean: float
    mean_of_points: float
    mean_of_boxes: float
    twentieth: float
    lowest: float
    lost: float
    truth: float


@dataclass(frozen=True)
class SideFigures:
    """One of the two models.

    Parameters
    ----------
    name, weights, device, precision : str
        What it is, and what it was run with.
    size : int
        Of its files, in bytes.
    peak_memory : int or None
        Of a process that loads it, encodes one image and decodes one click, in bytes; None where
        it was not measured.
    encode_seconds, decode_seconds : float
        Medians for an image, with its preparation, and for a click; the sides took turns.
    cosines : tuple of float or None
        Of image embedding and both high-resolution features with the reference's, the lowest of
        all images; None if their shapes differ.
    masks : MaskFigures
    iou_prediction_change : float
        Mean absolute difference of the predicted IoUs from the reference's.
    differences : Differences or None
        Largest differences from the reference; None if shapes differ.
    """

    name: str
    weights: str
    device: str
    precision: str
    size: int
    peak_memory: int | None
    encode_seconds: float
    decode_seconds: float
    cosines: tuple[float, ...] | None
    masks: MaskFigures
    iou_prediction_change: float
    differences: Differences | None


@dataclass(frozen=True)
class WorstCase:
    """A prompt for which the second model's mask is far from the reference's."""

    picture: str
    image: int
    kind: Literal["point", "box"]
    iou: float


@dataclass(frozen=True)
class Advice:
    """Whether to use the second model, and why, in one sentence."""

    use_b: bool
    sentence: str


@dataclass(frozen=True, eq=False)
class ComparisonReport:
    """What a model costs and gains against another.

    Parameters
    ----------
    a, b : SideFigures
        The original and the model that may replace it, each run with the settings it would be used
        with; both are judged by ``a`` in f32.
    reference_truth : float
        Mean IoU of the reference with the ground truth, NaN where there is none.
    images, prompts : int
        How many were compared.
    prompts_from : {"labels", "grid"}
    advice : Advice
    worst : tuple of WorstCase
        The lowest IoUs first.
    versions : dict of str to str
        Of OpenVINO, and the processor's name.
    pictures : tuple of ndarray of uint8, shape (h, w, 3)
        One for each worst case: the image, the reference's mask and ``b``'s, side by side.
    """

    a: SideFigures
    b: SideFigures
    reference_truth: float
    images: int
    prompts: int
    prompts_from: Literal["labels", "grid"]
    advice: Advice
    worst: tuple[WorstCase, ...]
    versions: dict[str, str]
    pictures: tuple[NDArray[np.uint8], ...] = field(default=(), repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Return all but the pictures, as JSON holds it: NaN becomes None."""
        values = {
            name: asdict(value) if hasattr(value, "__dataclass_fields__") else value
            for name, value in vars(self).items()
            if name not in ("pictures", "worst")
        }
        values["worst"] = [asdict(case) for case in self.worst]
        plain: dict[str, Any] = _without_nan(values)
        return plain

    def save(self, folder: Path) -> None:
        """Write ``report.json``, ``report.md`` and the pictures into a folder, which is made.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        from PIL import Image

        from napari_sam2_openvino.comparison.markdown import as_markdown

        folder.mkdir(parents=True, exist_ok=True)
        for case, picture in zip(self.worst, self.pictures, strict=True):
            Image.fromarray(picture).save(folder / case.picture)
        text = json.dumps(self.as_dict(), indent=2)
        (folder / "report.json").write_text(text + "\n", encoding="utf-8")
        (folder / "report.md").write_text(as_markdown(self), encoding="utf-8")


def advise(a: SideFigures, b: SideFigures, reference_truth: float) -> Advice:
    """Say whether ``b`` should be used instead of ``a``.

    ``b`` must give the same masks: a mean IoU of 0.97 with the reference's, at most 2 % of masks
    lost, and at most 0.01 of IoU with the ground truth lost; where ``a``, as it is used, is itself
    further from its f32, ``b`` may be as far. And it must be worth it: save a quarter of the time
    for an image, or a third of the size and take no longer.

    Parameters
    ----------
    a, b : SideFigures
    reference_truth : float
        Mean IoU of the reference with the ground truth, NaN where there is none.
    """
    masks, own = b.masks, a.masks
    loss = reference_truth - masks.truth
    time_ratio, size_ratio = b.encode_seconds / a.encode_seconds, b.size / a.size
    is_quicker = time_ratio <= LARGEST_TIME_RATIO
    is_smaller = size_ratio <= LARGEST_SIZE_RATIO and time_ratio <= SAME_TIME_RATIO
    gain = (
        f"an image takes {100 * time_ratio:.0f} % of the time and the files "
        f"{100 * size_ratio:.0f} % of the space"
    )
    if not masks.mean >= min(LEAST_MEAN_IOU, own.mean):
        reason = f"its masks have a mean IoU of {masks.mean:.3f} with those of {a.name} in f32"
    elif masks.lost > max(MOST_LOST_MASKS, own.lost):
        reason = f"it loses {100 * masks.lost:.0f} % of the masks of {a.name}"
    elif loss > MOST_TRUTH_LOSS and masks.truth < own.truth:
        reason = f"it loses {loss:.3f} of IoU with the ground truth"
    elif not (is_quicker or is_smaller):
        reason = f"it gains too little: {gain}"
    else:
        return Advice(
            use_b=True,
            sentence=f"Use {b.name}: its masks have a mean IoU of {masks.mean:.3f} with those of "
            f"{a.name} in f32, {gain}.",
        )
    return Advice(use_b=False, sentence=f"Keep {a.name}: {b.name} is not worth it, {reason}.")


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nan(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
