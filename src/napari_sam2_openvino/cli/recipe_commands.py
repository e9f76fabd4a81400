"""The commands ``napari-sam2 recipe``."""

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_sam2_openvino.cli.output import AsJson, print_json, show_progress

if TYPE_CHECKING:
    from napari_sam2_openvino.core.records import PromptsRecord

recipe_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Run saved sessions without a window, also on other images.",
    epilog="Example: napari-sam2 recipe run session.json image.tif -o labels.tif",
)

SessionPath = Annotated[
    Path, typer.Argument(metavar="SESSION", help="A session that was saved from the window.")
]


@recipe_app.command(
    "run",
    epilog="Examples: napari-sam2 recipe run session.json image.tif -o labels.tif; "
    "napari-sam2 recipe run session.json other.zarr -o labels.zarr --model sam2.1_hiera_tiny",
)
def recipe_run_command(
    session: SessionPath,
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGE...",
            help="The image, or another one of the same size: TIFF, zarr, .npy, PNG, ... As many "
            "as the session has channels in images of their own.",
        ),
    ],
    *,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Labels to write: .tif, .zarr or .npy.")
    ],
    model: Annotated[
        str | None, typer.Option(help="Use this model instead of those of the session.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="Run on this device, such as CPU, instead.")
    ] = None,
    drafts: Annotated[
        bool, typer.Option("--drafts", help="Also commit objects that are not committed yet.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output.")] = False,
    as_json: AsJson = False,
) -> None:
    """Decode the objects of a session again and write them as labels."""
    from napari_sam2_openvino.recipe import RecipeJob

    job = RecipeJob(
        session,
        images,
        output,
        model=model,
        device=device,
        include_drafts=drafts,
        overwrite=overwrite,
    )
    show_progress(job.run())
    for note in job.notes:
        typer.echo(note, err=True)
    if as_json:
        objects = [asdict(each) for each in job.objects]
        print_json({"output": str(output), "objects": objects, "notes": job.notes})
        return
    typer.echo(output)


@recipe_app.command("show", epilog="Example: napari-sam2 recipe show session.json --json")
def recipe_show_command(path: SessionPath, *, as_json: AsJson = False) -> None:
    """Print what is in a session."""
    from napari_sam2_openvino.core.session_file import read_session

    session = read_session(path)
    if as_json:
        print_json(session.model_dump(mode="json"))
        return
    for image in session.images:
        typer.echo(f"image: {image.name}, {' x '.join(map(str, image.shape))} {image.dtype}")
    typer.echo(f"model: {session.model.name}, {session.model.device}, {session.model.precision}")
    typer.echo(f"intensities: {session.view.normalization.mode}")
    n_committed = sum(record.committed for record in session.objects)
    typer.echo(f"objects: {n_committed} commits, {len(session.objects) - n_committed} drafts")
    for record in session.objects:
        plane = ", ".join("*" if value is None else str(value) for value in record.plane.index)
        state = "committed" if record.committed else "draft"
        typer.echo(
            f"  {record.obj_id:>6}  plane ({plane})  {state:<9}  {_prompts_text(record.prompts)}"
            f"  {record.class_name}".rstrip()
        )


def _prompts_text(prompts: "PromptsRecord") -> str:
    counts = Counter(mark.kind for mark in prompts.marks)
    parts = [f"{kind} x {count}" for kind, count in counts.items()]
    return ", ".join(parts + (["mask"] if prompts.mask is not None else [])) or "nothing"
