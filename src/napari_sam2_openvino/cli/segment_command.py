"""The command ``napari-sam2 segment``."""

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from napari_sam2_openvino.batch.parameters import (
    BatchParameters,
    LinkParameters,
    PlaneParameters,
)
from napari_sam2_openvino.cli.common_options import (
    Axes,
    Channels,
    Device,
    ModelName,
    Overwrite,
    Precision,
    Resume,
    read_channels,
)
from napari_sam2_openvino.cli.output import AsJson, print_json, show_axes, show_progress
from napari_sam2_openvino.cli.parameter_options import (
    OptionGroup,
    refuse_given,
    with_options,
)
from napari_sam2_openvino.core.errors import InputError, Sam2Error
from napari_sam2_openvino.core.object_parameters import (
    AllObjectsParameters,
    CandidateFilter,
    LabelsParameters,
    TilingParameters,
)
from napari_sam2_openvino.core.parameters import GeneratorParameters, MaskOptions, Normalization

if TYPE_CHECKING:
    from napari_sam2_openvino.batch.dask_runner import DaskRunner
    from napari_sam2_openvino.batch.reports import BatchReport
    from napari_sam2_openvino.batch.segmenter import ModelRecipe, PlaneRecipe
    from napari_sam2_openvino.batch.stack import StackSettings

_RECOMMENDED = ", or what the model recommends"
GENERATOR = OptionGroup(
    GeneratorParameters,
    # Those of the filter count.
    left_out=(
        "pred_iou_thresh",
        "stability_score_thresh",
        "box_nms_thresh",
        "crop_nms_thresh",
    ),
    otherwise=_RECOMMENDED,
)
FILTER = OptionGroup(CandidateFilter, otherwise=_RECOMMENDED)
LABELS = OptionGroup(LabelsParameters, otherwise=_RECOMMENDED)
TILING = OptionGroup(TilingParameters, otherwise=_RECOMMENDED)
# Of objects that are pointed at; the threshold is the generator's.
MASKS = OptionGroup(MaskOptions, left_out=("mask_threshold",), needs="--prompts")
PLANES = OptionGroup(PlaneParameters)
LINKING = OptionGroup(LinkParameters)
INTENSITIES = OptionGroup(
    Normalization,
    names={"mode": "intensities", "whole_stack": "same_for_all_planes"},
    # A file is displayed nowhere.
    not_offered={"mode": "as displayed"},
)


@with_options(GENERATOR, FILTER, LABELS, TILING, MASKS, PLANES, LINKING, INTENSITIES)
def segment_command(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT...",
            help="Images of two to five dimensions, or folders of images: TIFF, OME-TIFF, "
            "OME-Zarr, .npy, PNG, JPEG, ...",
        ),
    ],
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Labels to write: .zarr (can be looked at while it grows), .tif or .npy; for a "
            "folder or several images a folder.",
        ),
    ] = None,
    model: ModelName = "starter",
    device: Device = "CPU",
    precision: Precision = "auto",
    axes: Axes = None,
    channels: Channels = "",
    planes: Annotated[
        str, typer.Option(metavar="RANGES", help="Only these, such as z=10:20 or t=0,z=::5.")
    ] = "",
    try_plane: Annotated[
        str,
        typer.Option(
            metavar="PLANE", help="Segment this plane alone, such as z=10, and say how it went."
        ),
    ] = "",
    output_format: Annotated[
        Literal["tif", "zarr", "npy"], typer.Option("--format", help="Of labels in a folder.")
    ] = "tif",
    prompts: Annotated[
        Path | None,
        typer.Option(
            metavar="TABLE",
            help="Instead of every object, those that a CSV table points at, with columns x and y, "
            "or x0, y0, x1 and y1; and perhaps file, z or t, obj_id, prompt.",
        ),
    ] = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Segment planes on workers of Dask: local, or the address of a scheduler.",
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes of the local scheduler; 1 without it.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="Processor threads of each worker, or of this process.")
    ] = None,
    as_json: AsJson = False,
    **given: Any,
) -> None:
    """Find every object of images, stacks and folders, and write labels."""
    from napari_sam2_openvino.batch.inputs import plan_outputs
    from napari_sam2_openvino.batch.segmenter import ModelRecipe
    from napari_sam2_openvino.batch.stack import StackSettings

    runner = _runner(scheduler, workers, threads)
    recipe = ModelRecipe.of(model, device, precision)
    parameters = _parameters(recipe, channels, given)
    settings = StackSettings(
        _recipe(recipe, parameters, prompts, given),
        parameters,
        planes,
        resume=resume,
        overwrite=overwrite,
    )
    if try_plane:
        if runner is not None:
            raise InputError("--try-plane uses this process alone: leave --scheduler out.")
        _try(inputs, try_plane, settings, axes, output, threads, as_json=as_json)
        return
    if output is None:
        raise InputError("Say where the labels go: -o labels.zarr, or -o folder.")
    found = plan_outputs(inputs, output, f".{output_format}")
    for path in found.left_out:
        typer.echo(f"Left out, not called as an image is: {path}", err=True)
    _show_axes(found.pairs, axes)
    from napari_sam2_openvino.batch.job import BatchJob

    job = BatchJob(found.pairs, settings, axes=axes, runner=runner, threads=threads)
    show_progress(job.run())
    _tell(job.report, as_json=as_json)


def _parameters(recipe: "ModelRecipe", channels: str, given: Mapping[str, Any]) -> BatchParameters:
    from napari_sam2_openvino.batch.objects import recommended_parameters

    best = recommended_parameters(recipe)
    objects = AllObjectsParameters(
        generator=GENERATOR.with_given(best.generator, given),
        filter=FILTER.with_given(best.filter, given),
        labels=LABELS.with_given(best.labels, given),
        tiling=TILING.with_given(best.tiling, given),
    )
    return BatchParameters(
        objects=objects,
        planes=PLANES.with_given(PlaneParameters(), given),
        channels=read_channels(channels),
        normalization=read_intensities(given),
        linking=LINKING.with_given(LinkParameters(), given),
    )


def read_intensities(given: Mapping[str, Any]) -> Normalization:
    """Return what the command line says about intensities.

    Parameters
    ----------
    given : mapping of str to object
        By names of options; None is not given.

    Raises
    ------
    InputError
        If a value is outside its limits, or a percentile is given that would not be used.
    """
    normalization = INTENSITIES.with_given(Normalization(), given)
    if normalization.mode != "percentiles":
        refuse_given(
            given, ("low_percentile", "high_percentile"), "without --intensities percentiles"
        )
    return normalization


def _recipe(
    model: "ModelRecipe",
    parameters: BatchParameters,
    prompts: Path | None,
    given: Mapping[str, Any],
) -> "PlaneRecipe":
    if prompts is None:
        refuse_given(given, [option for option, *_ in MASKS.options()], f"without {MASKS.needs}")
        from napari_sam2_openvino.batch.objects import EveryObject

        assert parameters.objects is not None
        return EveryObject(model, parameters.objects)
    from napari_sam2_openvino.batch.prompted import PromptedObjects
    from napari_sam2_openvino.core.prompt_columns import load_table

    searches = (GENERATOR, FILTER, LABELS, TILING)
    of_searches = {option for group in searches for option, *_ in group.options()}
    refuse_given(given, sorted(of_searches - {"mask_threshold"}), "with --prompts")
    options = MaskOptions(mask_threshold=given["mask_threshold"] or 0.0)
    return PromptedObjects(model, load_table(prompts), MASKS.with_given(options, given))


def _runner(scheduler: str | None, workers: int | None, threads: int | None) -> "DaskRunner | None":
    """Return the workers that are asked for; None for this process."""
    if threads is not None and threads < 1:
        raise InputError(f"--threads must be at least 1, but is {threads}.")
    if scheduler is not None:
        from napari_sam2_openvino.batch.dask_runner import DaskRunner

        return DaskRunner(scheduler, workers, threads)
    if workers is not None:
        raise InputError("--workers needs a scheduler: add --scheduler local, or leave it out.")
    return None


def _show_axes(pairs: "tuple[tuple[Path, Path], ...]", axes: str | None) -> None:
    """Say what the axes are taken for, before anything is done, of the first that opens."""
    from napari_sam2_openvino.batch.images import stack_image

    for path, _ in pairs:
        try:
            image = stack_image(path, axes)
        # It is told of in its turn.
        except Sam2Error:
            continue
        show_axes(image)
        return


def _try(
    inputs: list[Path],
    place: str,
    settings: "StackSettings",
    axes: str | None,
    output: Path | None,
    threads: int | None,
    *,
    as_json: bool,
) -> None:
    from napari_sam2_openvino.batch.trial import TrialJob

    if len(inputs) != 1:
        raise InputError(f"A plane is tried on one image, but {len(inputs)} are given.")
    job = TrialJob(inputs[0], place, settings, axes=axes, output=output, threads=threads)
    started = time.perf_counter()
    show_progress(job.run())
    assert job.result is not None
    if as_json:
        print_json({**asdict(job.result), "total_seconds": time.perf_counter() - started})
        return
    typer.echo(job.result)


def _tell(report: "BatchReport", *, as_json: bool) -> None:
    if as_json:
        print_json({**asdict(report), "is_whole": report.is_whole})
    for stack in report.stacks:
        if stack.problems:
            typer.echo(str(stack), err=True)
        elif not as_json:
            typer.echo(str(stack))
    if len(report.stacks) > 1:
        typer.echo(str(report), err=True)
    if not report.is_whole:
        raise typer.Exit(1)
