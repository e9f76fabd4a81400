"""From a model to its quantized twin, step by step, in this process."""

import shutil
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np

from napari_sam2_openvino.comparison.compare import compare_folders
from napari_sam2_openvino.comparison.figures import ComparisonReport
from napari_sam2_openvino.comparison.questions import has_objects
from napari_sam2_openvino.conversion.image_files import (
    read_image,
    read_images,
    read_labels,
    remove_images,
)
from napari_sam2_openvino.conversion.quantize_graphs import write_quantized_graphs
from napari_sam2_openvino.conversion.recipes import PRESETS
from napari_sam2_openvino.core.errors import ConversionError, MissingExtraError
from napari_sam2_openvino.core.model_content import content_hash, name_of
from napari_sam2_openvino.core.model_folder import (
    MEMORY_ATTENTION_FILE,
    MEMORY_ENCODER_FILE,
    PARAMETERS_FILE,
    REPORT_FOLDER,
    SELF_TEST_FILE,
    ModelInfo,
    Quantization,
    read_model_info,
    write_model_info,
)
from napari_sam2_openvino.core.progress import Progress
from napari_sam2_openvino.core.self_test import write_self_test

# Of so many images that can judge one is kept for judging, if there are enough.
_ONE_IN = 4
_QUANTIZED_AT, _COMPARED_FROM = 0.55, 0.6


@dataclass(frozen=True)
class Request:
    """What to quantize.

    Parameters
    ----------
    source : str
        Folder of the model.
    name : str
        Name of the new model.
    preset : str
        One of `PRESETS`.
    images : int
        How many lie in the job's folder.
    has_labels : bool
        Whether there are labels of each.
    """

    source: str
    name: str
    preset: str
    images: int
    has_labels: bool


def fill_folder(request: Request, folder: Path) -> Iterator[Progress]:
    """Write all files of the quantized model into a folder that holds the images.

    Raises
    ------
    ConversionError
        If the result computes numbers that are not finite.
    MissingExtraError
        If NNCF is not installed.
    ModelFormatError
        If the model is not whole.
    """
    require_nncf()
    source = Path(request.source)
    info = read_model_info(source)
    calibration, judging = split_images(_which_can_judge(request, folder))
    steps = write_quantized_graphs(
        source,
        folder,
        PRESETS[request.preset],
        [partial(read_image, folder, number) for number in calibration],
        info.config.image_size,
    )
    for progress in steps:
        yield replace(progress, done=_QUANTIZED_AT * progress.done)
    _copy_the_rest(source, folder)
    quantized = replace(
        info,
        name=request.name,
        weights="int8",
        versions={**info.versions, "nncf": version("nncf"), "openvino": version("openvino")},
    )
    # The graphs can be loaded with it; the figures follow.
    write_model_info(folder, quantized)
    yield Progress("Writing the self-test", _QUANTIZED_AT)
    _write_self_test(source, folder)
    report = yield from _compare(request, folder, judging)
    write_model_info(folder, _with_figures(quantized, report, request, len(calibration)))
    report.save(folder / REPORT_FOLDER)
    remove_images(folder)
    yield Progress("Done", 1.0)


def require_nncf() -> None:
    """Check that what quantizes is installed.

    Raises
    ------
    MissingExtraError
        If it is not; the message says what to install.
    """
    try:
        import nncf  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            "Quantizing a model needs NNCF, which is not installed: run "
            'pip install "napari-sam2-openvino[convert]".'
        ) from error


def split_images(can_judge: Sequence[bool]) -> tuple[list[int], list[int]]:
    """Return the numbers of the images to calibrate with and of those to judge with.

    Of those that can judge every fourth is kept for it. Fewer than four serve both.

    Parameters
    ----------
    can_judge : sequence of bool
        Of each image, whether anything can be asked about it.
    """
    numbers = list(range(len(can_judge)))
    useful = [number for number in numbers if can_judge[number]]
    if len(useful) < _ONE_IN:
        return numbers, useful
    judging = useful[_ONE_IN - 1 :: _ONE_IN]
    return [number for number in numbers if number not in judging], judging


def _which_can_judge(request: Request, folder: Path) -> list[bool]:
    """Return of each image whether there are objects to ask for; a grid always asks."""
    if not request.has_labels:
        return [True] * request.images
    return [has_objects(labels) for labels in read_labels(folder, range(request.images))]


def _copy_the_rest(source: Path, folder: Path) -> None:
    """Copy what is not quantized: small tensors, and the graphs that remember objects."""
    for path in source.iterdir():
        is_graph = path.stem in (Path(MEMORY_ATTENTION_FILE).stem, Path(MEMORY_ENCODER_FILE).stem)
        if is_graph or path.name == PARAMETERS_FILE:
            shutil.copyfile(path, folder / path.name)


def _write_self_test(source: Path, folder: Path) -> None:
    """Hold the new model to what the original answers."""
    if (source / SELF_TEST_FILE).is_file():
        shutil.copyfile(source / SELF_TEST_FILE, folder / SELF_TEST_FILE)
    else:
        write_self_test(source, folder)


def _compare(
    request: Request, folder: Path, judging: list[int]
) -> Generator[Progress, None, ComparisonReport]:
    labels = read_labels(folder, judging) if request.has_labels else None
    steps = compare_folders((Path(request.source), folder), read_images(folder, judging), labels)
    while True:
        try:
            progress = next(steps)
        except StopIteration as end:
            report: ComparisonReport = end.value
            return report
        share = _COMPARED_FROM + (0.99 - _COMPARED_FROM) * progress.done
        yield replace(progress, done=share)


def _with_figures(
    info: ModelInfo, report: ComparisonReport, request: Request, calibration_images: int
) -> ModelInfo:
    differences = report.b.differences
    if differences is None or not np.isfinite(differences.mask_logits):
        raise ConversionError(
            "The quantized model gives results that are not numbers, so it was removed: choose "
            "another preset or other images."
        )
    source = Path(request.source)
    return replace(
        info,
        self_check=replace(info.self_check, prompt_sets=report.prompts, differences=differences),
        quantization=Quantization(
            preset=request.preset,
            original=name_of(source, read_model_info(source)),
            original_content=content_hash(source),
            calibration_images=calibration_images,
            precision=report.b.precision,
            mean_mask_iou=report.b.masks.mean,
            lowest_mask_iou=report.b.masks.lowest,
            is_advised=report.advice.use_b,
            advice=report.advice.sentence,
        ),
    )
