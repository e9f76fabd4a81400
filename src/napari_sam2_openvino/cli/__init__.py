"""The command ``napari-sam2``."""

import signal
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from napari_sam2_openvino.cli.benchmark_command import benchmark_command
from napari_sam2_openvino.cli.export_command import export_command
from napari_sam2_openvino.cli.model_commands import models_app
from napari_sam2_openvino.cli.propagate_command import propagate_command
from napari_sam2_openvino.cli.recipe_commands import recipe_app
from napari_sam2_openvino.cli.segment_command import segment_command
from napari_sam2_openvino.core.errors import Sam2Error


class _Group(TyperGroup):
    """Turns errors that are meant for the user into one sentence and an exit code."""

    # typer's own click, or click's: depends on typer's version.
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Sam2Error as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from error


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    help="SAM 2 on OpenVINO: segment microscopy images on a laptop's CPU.",
    epilog="Example: napari-sam2 models list",
)
app.add_typer(models_app, name="models")
app.add_typer(recipe_app, name="recipe")
app.command(
    "export",
    epilog="Examples: napari-sam2 export labels.tif -o objects.geojson --format geojson; "
    "napari-sam2 export labels.zarr -o objects.csv --format csv --image image.tif --scale 0.25 "
    "--unit um",
)(export_command)
app.command(
    "segment",
    epilog="Examples: napari-sam2 segment stack.tif --try-plane z=10; "
    "napari-sam2 segment stack.tif -o labels.zarr --link z --resume; "
    "napari-sam2 segment folder -o labels --points-per-side 16; "
    "napari-sam2 segment folder -o pointed-at --prompts boxes.csv; "
    "napari-sam2 segment stack.zarr -o labels.zarr --scheduler local --workers 4",
)(segment_command)
app.command(
    "propagate",
    epilog="Examples: napari-sam2 propagate stack.tif --prompts prompts.json -o out.zarr; "
    "napari-sam2 propagate stack.tif --labels plane.tif --plane 12 -o out.zarr --resume",
)(propagate_command)
app.command("benchmark", epilog="Example: napari-sam2 benchmark starter --tune")(benchmark_command)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"napari-sam2-openvino {version('napari-sam2-openvino')}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Print the version, and end."
        ),
    ] = False,
) -> None:
    """Keep each group a group of its own."""


def main() -> None:
    """Run the command."""
    signal.signal(signal.SIGTERM, _end)
    app()


def _end(*_: object) -> None:
    """Remove what is half written and end, as where a cluster's limit of time is reached."""
    # It may be sent to the process and to its group.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(128 + signal.SIGTERM)
