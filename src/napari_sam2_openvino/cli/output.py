"""What commands print: progress on stderr, JSON on stdout."""

import contextlib
import json
import math
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_sam2_openvino.core.progress import Progress

if TYPE_CHECKING:
    from napari_sam2_openvino.batch.images import StackImage

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def show_progress(reports: Generator[Progress, None, None]) -> None:
    """Draw a job's progress on stderr; Ctrl-C ends the job before it ends the command."""
    from tqdm import tqdm

    # In a file, such as a cluster's log, all that was drawn stays.
    seconds = 0.1 if sys.stderr.isatty() else 10.0
    layout = "{desc} {percentage:3.0f}%|{bar}| {postfix} [{elapsed}<{remaining}]"
    with (
        contextlib.closing(reports),
        tqdm(total=100, file=sys.stderr, bar_format=layout) as bar,
    ):
        stage, drawn_at = "", -math.inf
        for progress in reports:
            bar.set_description_str(progress.stage, refresh=False)
            bar.set_postfix_str(progress.detail, refresh=False)
            if not math.isnan(progress.done):
                bar.n = round(100 * progress.done, 1)
            if progress.stage != stage or time.monotonic() - drawn_at >= seconds:
                stage, drawn_at = progress.stage, time.monotonic()
                bar.refresh()


def show_axes(image: "StackImage") -> None:
    """Say on stderr what the axes of an image are taken for, and which image of its file it is."""
    from napari_sam2_openvino._files.images import open_image

    about = [str(image.axes)]
    if isinstance(image.source, Path):
        with open_image(image.source) as file:
            about += [file.place] if file.place else []
    typer.echo(f"{image.name}: {'; '.join(about)}", err=True)


def print_json(value: object) -> None:
    """Print a value as JSON."""
    typer.echo(json.dumps(value, indent=2))
