"""Run two models side by side; the first in f32 is what both are judged by."""

import os
import statistics
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.comparison.figures import (
    LOST_BELOW,
    ComparisonReport,
    MaskFigures,
    SideFigures,
    WorstCase,
    advise,
)
from napari_sam2_openvino.comparison.images import SampleImage, sample_images
from napari_sam2_openvino.comparison.memory import measure_peak_memory
from napari_sam2_openvino.comparison.pictures import side_by_side
from napari_sam2_openvino.comparison.questions import (
    Question,
    answer,
    questions_from_grid,
    questions_from_labels,
)
from napari_sam2_openvino.core.devices import list_devices, openvino_version
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.image_predictor import SAM2ImagePredictor
from napari_sam2_openvino.core.model import Sam2Model
from napari_sam2_openvino.core.model_folder import Differences
from napari_sam2_openvino.core.models import find_model_folder
from napari_sam2_openvino.core.paths import cache_dir
from napari_sam2_openvino.core.progress import Progress
from napari_sam2_openvino.core.types import ImageEmbedding, MaskPrediction

Float = NDArray[np.float32]

MOST_IMAGES = 8
WORST_CASES = 4


def compare_models(
    a: str | os.PathLike[str],
    b: str | os.PathLike[str],
    images: Iterable[NDArray[Any]],
    *,
    labels: Iterable[NDArray[Any]] | None = None,
    device: str = "CPU",
    precision: str = "auto",
    on_progress: Callable[[Progress], None] | None = None,
) -> ComparisonReport:
    """Compare two models on images: accuracy, speed, memory and size.

    Parameters
    ----------
    a, b : str or path-like
        The original and the model that may replace it: names or folders.
    images : iterable of ndarray, shape (H, W) or (H, W, 3)
        Of the kind that the models are used on. At most `MOST_IMAGES` are looked at; of images
        larger than twice the model's square the middle is taken.
    labels : iterable of ndarray of int, shape (H, W), optional
        Objects of each image. Points and boxes are made from them and masks are compared with them
        too; without, prompts come from a grid.
    device, precision : str, optional
        What both are run with; see `load_model`. "auto" is the device's own default here.
    on_progress : callable, optional
        Called with each `Progress`.

    Returns
    -------
    ComparisonReport

    Raises
    ------
    InputError, ModelNotFoundError, ModelFormatError, DeviceError

    Examples
    --------
    >>> from napari_sam2_openvino import compare_models
    >>> report = compare_models("starter", "starter int8", images)  # doctest: +SKIP
    >>> print(report.advice.sentence)  # doctest: +SKIP
    """
    folders = find_model_folder(a), find_model_folder(b)
    steps = compare_folders(
        folders, images, labels, device=device, precision=precision, cache=cache_dir() / "compiled"
    )
    while True:
        try:
            progress = next(steps)
        except StopIteration as end:
            report: ComparisonReport = end.value
            return report
        if on_progress is not None:
            on_progress(progress)


def compare_folders(
    folders: tuple[Path, Path],
    images: Iterable[NDArray[Any]],
    labels: Iterable[NDArray[Any]] | None = None,
    *,
    device: str = "CPU",
    precision: str = "auto",
    cache: Path | None = None,
    most_images: int = MOST_IMAGES,
    measures_memory: bool = True,
) -> Generator[Progress, None, ComparisonReport]:
    """Do what `compare_models` does, step by step.

    Parameters
    ----------
    folders : tuple of Path
        Of ``a`` and ``b``.
    cache : Path or None
        Folder of compiled blobs; None compiles anew.
    most_images : int
        How many images are looked at.
    measures_memory : bool
        Whether each model is also loaded in a process of its own.
    """
    yield Progress("Loading the models", 0.0)
    reference = Sam2Model(folders[0], "CPU", "f32", cache)
    a, b = (Sam2Model(folder, device, precision, cache) for folder in folders)
    samples = sample_images(images, labels, reference.image_size)
    record = _Record(reference, (a, b))
    for number, sample in enumerate(samples):
        if number == most_images:
            break
        yield Progress("Comparing masks", 0.1 + 0.6 * number / most_images, f"image {number + 1}")
        record.add(sample, from_labels=labels is not None)
    if not record.questions:
        raise InputError(
            "There is nothing to compare: give at least one image, and labels with objects of some "
            "size if any."
        )
    peaks: list[int | None] = []
    for model in (a, b) if measures_memory else ():
        yield Progress("Measuring memory", 0.75 + 0.1 * len(peaks), model.name)
        peaks.append(measure_peak_memory(model.folder, model.device, model.precision))
    report = record.report(peaks or [None, None], from_labels=labels is not None)
    yield Progress("Compared", 1.0)
    return report


@dataclass
class _Side:
    """What is gathered of one model."""

    predictor: SAM2ImagePredictor
    encode_seconds: list[float] = field(default_factory=list)
    decode_seconds: list[float] = field(default_factory=list)
    cosines: list[tuple[float, ...]] = field(default_factory=list)
    ious: list[float] = field(default_factory=list)
    truths: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    embedding_off: list[float] = field(default_factory=list)
    logits_off: list[float] = field(default_factory=list)
    equal_pixels: list[float] = field(default_factory=list)


class _Record:
    """Gathers figures image by image; only pictures of the worst masks are kept of them."""

    def __init__(self, reference: Sam2Model, models: Sequence[Sam2Model]) -> None:
        self._reference = SAM2ImagePredictor(reference)
        self._sides = [_Side(SAM2ImagePredictor(model)) for model in models]
        self._truths: list[float] = []
        self._worst: list[tuple[float, int, Question, NDArray[np.uint8]]] = []
        self._images = 0
        self.questions: list[Question] = []

    def add(self, sample: SampleImage, *, from_labels: bool) -> None:
        """Compare on one image."""
        embedding = self._reference.model.encode(sample.rgb)
        self._reference.set_embedding(embedding)
        self._encode(sample.rgb, embedding)
        if from_labels and sample.labels is not None:
            side = self._reference.model.mask_input_size
            questions = questions_from_labels(sample.labels, (side, side))
        else:
            questions = questions_from_grid(self._reference, sample.rgb.shape[:2])
        for question in questions:
            self._ask(sample.rgb, question)
        self.questions += [Question(question.kind, question.prompts) for question in questions]
        self._images += 1

    def _encode(self, rgb: NDArray[np.uint8], wanted: ImageEmbedding) -> None:
        if not self._images:
            # The first encode of a process is slower than all others.
            for side in self._sides:
                side.predictor.set_image(rgb)
        for side in self._sides if self._images % 2 else self._sides[::-1]:
            started = time.perf_counter()
            embedding = side.predictor.model.encode(rgb)
            side.encode_seconds.append(time.perf_counter() - started)
            side.predictor.set_embedding(embedding)
            pairs = list(zip(_arrays(embedding), _arrays(wanted), strict=True))
            if all(found.shape == true.shape for found, true in pairs):
                side.cosines.append(tuple(_cosine(found, true) for found, true in pairs))
                side.embedding_off.append(max(_off(found, true) for found, true in pairs))

    def _ask(self, rgb: NDArray[np.uint8], question: Question) -> None:
        wanted = answer(self._reference, question)
        found = []
        for side in self._sides:
            started = time.perf_counter()
            prediction = answer(side.predictor, question)
            side.decode_seconds.append(time.perf_counter() - started)
            found.append(prediction)
            _note(side, prediction, wanted, question)
        if question.truth is not None:
            self._truths.append(_iou(wanted.masks[0], question.truth))
        iou = self._sides[-1].ious[-1]
        if len(self._worst) < WORST_CASES or iou < self._worst[-1][0]:
            picture = side_by_side(rgb, question, wanted.masks[0], found[-1].masks[0])
            self._worst.append((iou, self._images, question, picture))
            self._worst.sort(key=lambda case: case[0])
            del self._worst[WORST_CASES:]

    def report(self, peaks: Sequence[int | None], *, from_labels: bool) -> ComparisonReport:
        """Sum up."""
        points = np.array([question.kind == "point" for question in self.questions])
        a, b = (
            _side_figures(side, peak, points) for side, peak in zip(self._sides, peaks, strict=True)
        )
        truth = _mean(self._truths)
        return ComparisonReport(
            a=a,
            b=b,
            reference_truth=truth,
            images=self._images,
            prompts=len(self.questions),
            prompts_from="labels" if from_labels else "grid",
            advice=advise(a, b, truth),
            worst=tuple(
                WorstCase(f"worst_{number + 1}.png", image, question.kind, iou)
                for number, (iou, image, question, _) in enumerate(self._worst)
            ),
            versions={
                "OpenVINO": openvino_version(),
                **{device.name: device.full_name for device in list_devices()},
            },
            pictures=tuple(picture for *_, picture in self._worst),
        )


def _note(
    side: _Side, prediction: MaskPrediction, wanted: MaskPrediction, question: Question
) -> None:
    side.ious.append(_iou(prediction.masks[0], wanted.masks[0]))
    side.scores.append(abs(float(prediction.iou_predictions[0] - wanted.iou_predictions[0])))
    if question.truth is not None:
        side.truths.append(_iou(prediction.masks[0], question.truth))
    if prediction.low_res_masks.shape == wanted.low_res_masks.shape:
        side.logits_off.append(_off(prediction.low_res_masks, wanted.low_res_masks))
        equal = (prediction.low_res_masks > 0) == (wanted.low_res_masks > 0)
        side.equal_pixels.append(float(equal.mean()))


def _side_figures(side: _Side, peak: int | None, points: NDArray[np.bool_]) -> SideFigures:
    model, ious = side.predictor.model, np.array(side.ious)
    has_shapes = bool(side.embedding_off) and bool(side.logits_off)
    differences = Differences(
        embedding=max(side.embedding_off, default=np.nan),
        mask_logits=max(side.logits_off, default=np.nan),
        iou_predictions=max(side.scores),
        mask_pixels=min(side.equal_pixels, default=np.nan),
    )
    lowest = tuple(min(each) for each in zip(*side.cosines, strict=True))
    return SideFigures(
        name=model.name,
        weights=model.info.weights,
        device=model.device,
        precision=model.precision,
        size=sum(path.stat().st_size for path in model.folder.iterdir() if path.is_file()),
        peak_memory=peak,
        encode_seconds=statistics.median(side.encode_seconds),
        decode_seconds=statistics.median(side.decode_seconds),
        cosines=lowest or None,
        masks=MaskFigures(
            mean=float(ious.mean()),
            mean_of_points=_mean(ious[points]),
            mean_of_boxes=_mean(ious[~points]),
            twentieth=float(np.quantile(ious, 0.05)),
            lowest=float(ious.min()),
            lost=float((ious < LOST_BELOW).mean()),
            truth=_mean(side.truths),
        ),
        iou_prediction_change=_mean(side.scores),
        differences=differences if has_shapes else None,
    )


def _arrays(embedding: ImageEmbedding) -> tuple[NDArray[Any], ...]:
    return (embedding.image_embed, *embedding.high_res_feats)


def _cosine(found: NDArray[Any], true: NDArray[Any]) -> float:
    one, other = found.astype(np.float64).ravel(), true.astype(np.float64).ravel()
    lengths = float(np.linalg.norm(one)) * float(np.linalg.norm(other))
    return float(one @ other) / max(lengths, 1e-12)


def _off(found: NDArray[Any], true: NDArray[Any]) -> float:
    """Return the largest difference in standard deviations of what is true."""
    wanted = true.astype(np.float32)
    return float(np.abs(found - wanted).max()) / max(float(wanted.std()), 1e-12)


def _iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Return the IoU of two masks, 1 if both are empty."""
    union = np.count_nonzero(one | other)
    return float(np.count_nonzero(one & other) / union) if union else 1.0


def _mean(values: Sequence[float] | NDArray[Any]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
