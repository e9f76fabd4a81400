"""Options that mean the same in every command that segments stacks."""

from typing import Annotated

import typer

from napari_sam2_openvino.core.errors import InputError

ModelName = Annotated[str, typer.Option(help="Name or folder of a model.")]
Device = Annotated[str, typer.Option(help="A device of OpenVINO, such as CPU.")]
Precision = Annotated[str, typer.Option(help="auto, f32, bf16 or f16.")]
Axes = Annotated[
    str | None,
    typer.Option(
        help="One letter for each axis, such as TZYX, if the file does not tell, or is wrong."
    ),
]
Channels = Annotated[
    str, typer.Option(metavar="NUMBERS", help="Up to three channels to look at, such as 0,2.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with what was begun and not ended.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]


def read_channels(text: str) -> tuple[int, ...]:
    """Return the channels that an option names, such as "0,2"; none for ""."""
    try:
        return tuple(int(part) for part in text.split(",")) if text else ()
    except ValueError as error:
        raise InputError(
            f"--channels takes numbers with commas between them, such as 0,2, but is {text!r}."
        ) from error
