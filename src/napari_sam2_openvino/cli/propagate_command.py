"""The command ``napari-sam2 propagate``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
from napari_sam2_openvino.cli.output import show_axes, show_progress
from napari_sam2_openvino.cli.parameter_options import OptionGroup, with_options
from napari_sam2_openvino.cli.segment_command import INTENSITIES, read_intensities
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.volume_parameters import VolumeParameters

if TYPE_CHECKING:
    from napari_sam2_openvino.batch.images import StackImage
    from napari_sam2_openvino.batch.volume_prompts import VolumePrompts

VOLUME = OptionGroup(VolumeParameters, left_out=("keep_all_planes",))


@with_options(VOLUME, INTENSITIES)
def propagate_command(
    image: Annotated[
        Path,
        typer.Argument(metavar="IMAGE", help="A stack or time series: TIFF, OME-Zarr, .npy, ..."),
    ],
    *,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Labels to write, a .zarr; grows plane by plane.")
    ],
    prompts: Annotated[
        Path | None, typer.Option(help="A JSON file of points, boxes and masks by plane.")
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="Instead: labels of a plane or of all, whose objects are taken."),
    ] = None,
    plane: Annotated[
        int | None, typer.Option(help="Which plane of the labels, counted from 0; all by default.")
    ] = None,
    model: ModelName = "starter",
    device: Device = "CPU",
    precision: Precision = "auto",
    axes: Axes = None,
    channels: Channels = "",
    resume: Resume = False,
    overwrite: Overwrite = False,
    **given: Any,
) -> None:
    """Carry objects that are marked on some planes through a stack or time series."""
    from napari_sam2_openvino.batch.images import stack_image
    from napari_sam2_openvino.batch.propagation import PropagationJob, PropagationSettings
    from napari_sam2_openvino.batch.segmenter import ModelRecipe

    settings = PropagationSettings(
        ModelRecipe.of(model, device, precision),
        VOLUME.with_given(VolumeParameters(), given),
        read_intensities(given),
        read_channels(channels),
        resume=resume,
        overwrite=overwrite,
    )
    stack = stack_image(image.expanduser(), axes)
    show_axes(stack)
    asked = _prompts(stack, prompts, labels, plane)
    job = PropagationJob(stack, asked, output.expanduser(), settings)
    show_progress(job.run())
    typer.echo(output)


def _prompts(
    stack: "StackImage", prompts: Path | None, labels: Path | None, plane: int | None
) -> "VolumePrompts":
    from napari_sam2_openvino.batch.volume_prompts import prompts_from_labels, read_prompts

    if prompts is not None and labels is None:
        return read_prompts(prompts.expanduser())
    if prompts is None and labels is not None:
        axes = stack.axes
        return prompts_from_labels(labels.expanduser(), plane, axes.n_planes, axes.plane_hw)
    raise InputError(
        "Say where objects are: --prompts prompts.json, or --labels labels.tif --plane 12."
    )
