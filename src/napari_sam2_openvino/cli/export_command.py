"""The command ``napari-sam2 export``."""

from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from napari_sam2_openvino._files.images import check_not_read
from napari_sam2_openvino.batch.outputs import is_begun
from napari_sam2_openvino.cli.common_options import Axes
from napari_sam2_openvino.cli.output import AsJson, print_json, show_progress
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.parameters import (
    ExportParameters,
    OverlayStyle,
    SegmentationForm,
    describe,
)
from napari_sam2_openvino.export.formats import FORMATS, ExportJob, find_format
from napari_sam2_openvino.export.sources import open_labelled

_ABOUT = {name: each.tip for name, each in describe(ExportParameters).items()}
_FORMATS = "; ".join(f"{each.name}: {each.title}" for each in FORMATS)

Number = TypeVar("Number", int, float)


def export_command(
    labels: Annotated[
        Path,
        typer.Argument(metavar="LABELS", help="Labels: TIFF, OME-TIFF, zarr, OME-Zarr, .npy, PNG."),
    ],
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write.")],
    format_name: Annotated[str, typer.Option("--format", metavar="FORMAT", help=f"{_FORMATS}.")],
    image: Annotated[
        Path | None,
        typer.Option(help="What was segmented: for intensities in csv, and under an overlay."),
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option(
            help="CSV table with a row for each object: column `label` (or `index`), `t` and `c` "
            "where it is about one time point or channel, `class_name` if there are classes; "
            "others such as `iou_prediction` are carried along."
        ),
    ] = None,
    axes: Axes = None,
    scale: Annotated[
        str,
        typer.Option(
            metavar="SIZES",
            help="Size of a pixel along z, y and x such as 2,0.25,0.25, or one for all of them, if "
            "the file does not tell.",
        ),
    ] = "",
    unit: Annotated[
        str, typer.Option(help="Unit of sizes, such as um, if the file does not tell.")
    ] = "",
    plane: Annotated[
        str,
        typer.Option(
            metavar="INDEX",
            help="Plane that an overlay shows, counted from 0, such as 12 or 0,12; the middle one "
            "without it.",
        ),
    ] = "",
    segmentation: Annotated[
        SegmentationForm, typer.Option(help=_ABOUT["segmentation"])
    ] = ExportParameters.segmentation,
    style: Annotated[OverlayStyle, typer.Option(help=_ABOUT["style"])] = ExportParameters.style,
    contour_width: Annotated[
        int, typer.Option(help=_ABOUT["contour_width"])
    ] = ExportParameters.contour_width,
    opacity: Annotated[float, typer.Option(help=_ABOUT["opacity"])] = ExportParameters.opacity,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write the objects of a labels image in the format of another program."""
    chosen = find_format(format_name)
    source = partial(
        open_labelled,
        labels,
        image=image,
        axes=axes or "",
        scale=_numbers(scale, float, "--scale"),
        unit=unit,
        features=features,
        shown=_numbers(plane, int, "--plane") or None,
    )
    parameters = ExportParameters(segmentation, style, contour_width, opacity)
    check_not_read(output, [each for each in (labels, image) if each])
    if is_begun(output) and not overwrite:
        raise InputError(
            f"{output} was begun by another command and is not finished: choose another name, or "
            "--overwrite."
        )
    job = ExportJob(source, output, chosen, parameters, overwrite=overwrite)
    if is_begun(labels):
        typer.echo(
            f"{labels} is not finished, so objects may be missing: --resume of what began it.",
            err=True,
        )
    show_progress(job.run())
    if as_json:
        print_json({"output": str(output), "format": chosen.name})
        return
    typer.echo(output)


def _numbers(text: str, kind: type[Number], option: str) -> tuple[Number, ...]:
    try:
        return tuple(kind(part) for part in text.split(",")) if text else ()
    except ValueError as error:
        raise InputError(
            f"{option} takes numbers with commas between them, but is {text!r}: give such as 1,2."
        ) from error
