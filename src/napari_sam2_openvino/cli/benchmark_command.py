"""The command ``napari-sam2 benchmark``: how fast a model is here, and what it runs best with."""

from collections.abc import Generator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from napari_sam2_openvino.cli.output import AsJson, print_json, show_progress
from napari_sam2_openvino.core.models import STARTER, find_model_folder

if TYPE_CHECKING:
    from napari_sam2_openvino.core.progress import Progress
    from napari_sam2_openvino.core.tunings import Trial, Tuning


def benchmark_command(
    model: Annotated[
        str, typer.Argument(metavar="[MODEL]", help="Name or folder of a model.")
    ] = STARTER,
    *,
    tune_it: Annotated[
        bool,
        typer.Option(
            "--tune",
            help="Measure again: try every device, precision and number of threads, and remember "
            "it.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show how fast a model is on this computer, and what it is loaded with.

    It is measured first if that was not done yet; --tune measures again.

    Every device and precision is held against the masks that the model must give; one that gives
    others is not used.
    """
    from napari_sam2_openvino.core.tuning import tune
    from napari_sam2_openvino.core.tunings import read_tuning

    folder = find_model_folder(model)
    tuning = read_tuning(folder)
    if tune_it or tuning.best() is None:
        kept: list[Tuning] = []
        show_progress(_keep_result(tune(folder), kept))
        (tuning,) = kept
    best = tuning.best()
    if as_json:
        print_json({**asdict(tuning), "best": None if best is None else asdict(best)})
        return
    for trial in sorted(tuning.trials, key=lambda each: each.seconds):
        typer.echo(_line(trial))
    typer.echo("" if best is None else f"best: {best.choice}")


def _line(trial: "Trial") -> str:
    if trial.problem:
        return f"{trial.choice!s:<24} cannot be used: {trial.problem}"
    masks = f"masks {'right' if trial.passed else 'WRONG'} (IoU {trial.mask_iou:.3f})"
    if trial.encode_seconds is None or trial.decode_seconds is None:
        return f"{trial.choice!s:<24} {masks}"
    times = f"image {trial.encode_seconds:.3f} s, click {1e3 * trial.decode_seconds:.0f} ms"
    return f"{trial.choice!s:<24} {masks}, {times}"


def _keep_result(
    steps: "Generator[Progress, None, Tuning]", kept: "list[Tuning]"
) -> "Generator[Progress, None, None]":
    kept.append((yield from steps))
