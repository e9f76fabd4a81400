"""The commands ``napari-sam2 models quantize`` and ``compare``."""

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_sam2_openvino.cli.output import AsJson, print_json, show_progress
from napari_sam2_openvino.core.model_folder import read_model_info
from napari_sam2_openvino.core.models import find_model_folder
from napari_sam2_openvino.core.paths import cache_dir

if TYPE_CHECKING:
    from napari_sam2_openvino.comparison import ComparisonReport
    from napari_sam2_openvino.core.progress import Progress

Images = Annotated[
    list[Path],
    typer.Option(
        "--images",
        help="An image, a stack or a folder, of the kind that the model is used on; repeat it for "
        "more. Of more than three channels the first is seen.",
    ),
]
Labels = Annotated[
    list[Path] | None,
    typer.Option(
        "--labels",
        help="Labels of the images, in their order and of their shape without channels: prompts "
        "are made from them.",
    ),
]


def quantize_command(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Name or folder of a model.")],
    *,
    images: Images,
    name: Annotated[str, typer.Option(help="Name of the new model.")],
    preset: Annotated[
        str, typer.Option(help="safe (weights alone), balanced or fast (full INT8).")
    ] = "balanced",
    labels: Labels = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a model.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a smaller, faster model in 8 bits, and report what it costs."""
    from napari_sam2_openvino.cli.image_arguments import read_samples
    from napari_sam2_openvino.conversion.quantization import QuantizeJob
    from napari_sam2_openvino.core.quantize_parameters import MOST_IMAGES

    size = read_model_info(find_model_folder(model)).config.image_size
    planes, objects = read_samples(images, labels or None, MOST_IMAGES, size)
    job = QuantizeJob(model, planes, name, preset, labels=objects, overwrite=overwrite)
    show_progress(job.run())
    report = job.folder / "report"
    if as_json:
        typer.echo((report / "report.json").read_text(encoding="utf-8"), nl=False)
        return
    typer.echo((report / "report.md").read_text(encoding="utf-8"))
    typer.echo(job.folder)


def compare_command(
    a: Annotated[str, typer.Argument(metavar="A", help="The original: name or folder.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The model that may replace it.")],
    *,
    images: Images,
    labels: Labels = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder for the report with pictures."),
    ] = None,
    device: Annotated[str, typer.Option(help="Device that both run on.")] = "CPU",
    precision: Annotated[str, typer.Option(help="f32, bf16, f16 or auto.")] = "auto",
    as_json: AsJson = False,
) -> None:
    """Compare two models on images: accuracy, speed, memory, size, and an advice."""
    from napari_sam2_openvino.cli.image_arguments import read_samples
    from napari_sam2_openvino.comparison.compare import MOST_IMAGES, compare_folders
    from napari_sam2_openvino.comparison.markdown import as_markdown
    from napari_sam2_openvino.core.errors import InputError

    folders = find_model_folder(a), find_model_folder(b)
    size = read_model_info(folders[0]).config.image_size
    planes, objects = read_samples(images, labels or None, MOST_IMAGES, size)
    steps = compare_folders(
        folders,
        planes,
        objects,
        device=device,
        precision=precision,
        cache=cache_dir() / "compiled",
    )
    kept: list[ComparisonReport] = []
    show_progress(_keep_result(steps, kept))
    (report,) = kept
    if output is not None:
        try:
            report.save(output)
        except OSError as error:
            raise InputError(
                f"The report cannot be written to {output} ({error.strerror}): choose another "
                "folder."
            ) from error
    if as_json:
        print_json(report.as_dict())
        return
    typer.echo(as_markdown(report))


def _keep_result(
    steps: "Generator[Progress, None, ComparisonReport]", kept: "list[ComparisonReport]"
) -> "Generator[Progress, None, None]":
    kept.append((yield from steps))
