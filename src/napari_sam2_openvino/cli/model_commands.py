"""The commands ``napari-sam2 models``."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_sam2_openvino.cli.output import AsJson, print_json, show_progress
from napari_sam2_openvino.cli.quantize_commands import compare_command, quantize_command
from napari_sam2_openvino.core.errors import ModelFormatError, ModelNotFoundError
from napari_sam2_openvino.core.models import find_model_folder, list_models, load_model
from napari_sam2_openvino.core.paths import models_dir

if TYPE_CHECKING:
    from napari_sam2_openvino.core.model_folder import Differences, MemoryDifferences

models_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="List, download, convert, quantize, compare, check and remove models.",
    epilog="Example: napari-sam2 models convert model.pt --name mine --image-size 1024",
)

ModelName = Annotated[str, typer.Argument(metavar="NAME", help="Name of a model.")]


@models_app.command("list", epilog="Example: napari-sam2 models list --json")
def list_command(*, as_json: AsJson = False) -> None:
    """List the models that can be loaded, and those that can be downloaded and converted."""
    listings = list_models()
    if as_json:
        rows = [
            {**asdict(listing), "is_ready": listing.is_ready, "folder": _text(listing.folder)}
            for listing in listings
        ]
        print_json(rows)
        return
    for listing in listings:
        typer.echo(
            f"{listing.name:<24} {listing.state:<14} {listing.image_size or '-':>5} "
            f"{listing.weights or '-':<5} {listing.licence or '-':<12} "
            f"{listing.problem or listing.warning or listing.description}"
        )


@models_app.command("path", epilog="Example: napari-sam2 models path starter")
def path_command(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Name of a model.")] = None,
) -> None:
    """Print the folder of a model, or of all converted models."""
    typer.echo(models_dir() if name is None else find_model_folder(name))


@models_app.command("download", epilog="Example: napari-sam2 models download sam2.1_hiera_tiny")
def download_command(name: ModelName) -> None:
    """Download a checkpoint of the catalogue, checked by its SHA-256."""
    from napari_sam2_openvino.conversion.download import DownloadJob

    job = DownloadJob(name)
    show_progress(job.run())
    typer.echo(job.path)


@models_app.command(
    "convert",
    epilog="Examples: napari-sam2 models convert sam2.1_hiera_tiny --name sam2.1_hiera_tiny; "
    "napari-sam2 models convert MedSAM2_latest.pt --name medsam2 --image-size 512",
)
def convert_command(
    checkpoint: Annotated[
        str,
        typer.Argument(
            metavar="CHECKPOINT", help="A checkpoint's file, or a model that was downloaded."
        ),
    ],
    *,
    name: Annotated[str, typer.Option(help="Name of the new model.")],
    config: Annotated[
        str | None,
        typer.Option(help="YAML file in SAM 2's form; not needed for Meta's architectures."),
    ] = None,
    image_size: Annotated[
        int | None,
        typer.Option(help="Side of the image the network sees, in pixels; it is in no checkpoint."),
    ] = None,
    memory: Annotated[
        bool,
        typer.Option(help="Convert the graphs that remember objects from plane to plane as well."),
    ] = True,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a model.")] = False,
) -> None:
    """Convert a SAM 2 checkpoint to a model that runs without PyTorch."""
    from napari_sam2_openvino.conversion import ConvertJob

    job = ConvertJob(checkpoint, name, config, image_size, overwrite=overwrite, memory=memory)
    show_progress(job.run())
    typer.echo(job.folder)


models_app.command(
    "quantize",
    epilog="Example: napari-sam2 models quantize sam2.1_hiera_tiny --images cells/ "
    "--name tiny-int8",
)(quantize_command)
models_app.command(
    "compare",
    epilog="Example: napari-sam2 models compare sam2.1_hiera_tiny tiny-int8 --images cells/ "
    "-o report",
)(compare_command)


@models_app.command("check", epilog="Example: napari-sam2 models check starter --json")
def check_command(name: ModelName, *, as_json: AsJson = False) -> None:
    """Load a model, segment a small image with it, and print what it is."""
    from napari_sam2_openvino.core.self_test import run_self_test

    folder = find_model_folder(name)
    model = load_model(folder)
    seconds = _segment_disc(model)
    mask_iou = run_self_test(model).mask_iou
    info = model.info
    if as_json:
        report = {
            **asdict(info),
            "folder": str(folder),
            "device": model.device,
            "precision": model.precision,
            "seconds": seconds,
            "self_test_mask_iou": mask_iou,
        }
        print_json(report)
        return
    check = info.self_check
    typer.echo(f"{model.name}: {info.config.architecture}, image size {info.config.image_size}")
    typer.echo(f"folder: {folder}")
    typer.echo(f"weights: {info.weights} of {info.source.checkpoint}")
    typer.echo(f"runs on {model.device} in {model.precision}: {_seconds_text(seconds)}")
    typer.echo(f"self-test: IoU {mask_iou:.3f} with the masks that it must give")
    other = info.quantization.original if info.quantization else "PyTorch at conversion"
    typer.echo(f"differences from {other}, {check.prompt_sets} prompt sets:")
    typer.echo(f"  {_differences_text(check.differences)}")
    typer.echo(f"  {_memory_text(check.memory)}")
    if check.random_weights:
        typer.echo("  the weights are random (never trained): these figures test little")


@models_app.command("remove", epilog="Example: napari-sam2 models remove sam2.1_hiera_tiny --yes")
def remove_command(
    name: ModelName, *, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False
) -> None:
    """Remove a converted model; its downloaded checkpoint stays."""
    from napari_sam2_openvino.conversion import staging

    folder = models_dir() / staging.check_name(name)
    if not folder.is_dir():
        raise ModelNotFoundError(
            f"There is no converted model {name!r} in {models_dir()}: `napari-sam2 models list` "
            "names them."
        )
    if not yes:
        typer.confirm(f"Remove {folder}?", abort=True, err=True)
    staging.remove_folder(folder)


def _segment_disc(model: Any) -> dict[str, float]:
    """Segment a bright disc, and return how long encode and decode took."""
    import numpy as np

    from napari_sam2_openvino.core.image_predictor import SAM2ImagePredictor

    rows, columns = np.mgrid[:64, :64]
    disc = np.where((rows - 32) ** 2 + (columns - 32) ** 2 < 144, 200, 30).astype(np.uint8)
    predictor = SAM2ImagePredictor(model)
    start = time.perf_counter()
    predictor.set_image(disc)
    encoded = time.perf_counter()
    masks, iou_predictions, logits = predictor.predict([[32, 32]], [1], return_logits=True)
    decoded = time.perf_counter()
    if not all(np.isfinite(values).all() for values in (masks, iou_predictions, logits)):
        raise ModelFormatError(
            f"Model {model.name} gives results that are not numbers on {model.device}: convert the "
            "checkpoint again."
        )
    return {"encode": encoded - start, "decode": decoded - encoded}


def _differences_text(differences: "Differences") -> str:
    return (
        f"embedding {differences.embedding:.1e}, masks {differences.mask_logits:.1e}, "
        f"predicted IoU {differences.iou_predictions:.1e}, "
        f"equal pixels {100 * differences.mask_pixels:.3f} %"
    )


def _memory_text(differences: "MemoryDifferences | None") -> str:
    if differences is None:
        return "no memory graphs: objects are carried through a stack by projection"
    return (
        f"memory attention {differences.conditioned_embed:.1e}, "
        f"memories {differences.maskmem_features:.1e}"
    )


def _seconds_text(seconds: dict[str, float]) -> str:
    return f"encode {seconds['encode']:.2f} s, decode {seconds['decode']:.3f} s"


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
