"""Write the pages of the documentation that are made from the code: commands and parameters.

    python scripts/docs/reference.py

A test fails while one of them is not what the code says.
"""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from napari_sam2_openvino.batch.parameters import LinkParameters, PlaneParameters
from napari_sam2_openvino.cli import app
from napari_sam2_openvino.core.object_parameters import (
    CandidateFilter,
    LabelsParameters,
    TilingParameters,
)
from napari_sam2_openvino.core.parameters import (
    ExportParameters,
    GeneratorParameters,
    MaskOptions,
    Normalization,
    describe,
)
from napari_sam2_openvino.core.volume_parameters import VolumeParameters

DOCS = Path(__file__).resolve().parents[2] / "docs"
PARAMETER_SETS = {
    "Masks of prompts": MaskOptions,
    "What the network sees": Normalization,
    "Search for every object": GeneratorParameters,
    "Which are shown": CandidateFilter,
    "Labels where objects overlap": LabelsParameters,
    "Large planes": TilingParameters,
    "Planes of a batch": PlaneParameters,
    "Links between planes": LinkParameters,
    "Volumes and time series": VolumeParameters,
    "Export": ExportParameters,
}
EFFECTS: dict[type, tuple[str, ...]] = {
    MaskOptions: ("mask_threshold", "smoothing"),
    GeneratorParameters: ("points_per_side",),
    CandidateFilter: ("pred_iou_thresh", "stability_score_thresh", "min_area"),
    LabelsParameters: ("overlap",),
}
"""Parameters whose effect is shown in pictures, see `effects.py`."""


def commands_page() -> str:
    """Return the page of all commands, in Markdown."""
    parts = [
        "# Command line",
        "",
        "What `napari-sam2 COMMAND --help` says, of every command. An error is one sentence on",
        "stderr and exit code 1; progress goes to stderr as well, answers to stdout.",
        "`napari-sam2 --version` prints the version. This page is made by",
        "`scripts/docs/reference.py`.",
    ]
    for name, command in _commands(typer.main.get_command(app), "napari-sam2"):
        parts += ["", f"## {name}", "", command.help or "", *_examples(command.epilog or "")]
        parts += _table(["argument or option", "what it is"], _rows(command, name))
    return "\n".join(parts) + "\n"


def parameters_page() -> str:
    """Return the page of all parameter sets, in Markdown."""
    parts = [
        "# Parameters",
        "",
        "Each is written once, in the code: forms of the window, options of the command line and",
        "this page are made from that. What a model recommends",
        "([all objects](objects.md#which-are-shown)) takes the place of the default. This page is",
        "made by `scripts/docs/reference.py`.",
    ]
    for title, parameter_set in PARAMETER_SETS.items():
        defaults = {each.name: each.default for each in dataclasses.fields(parameter_set)}
        rows = [
            [about.title, f"`{name}`", _value(defaults[name]), _limits(about.limits), about.tip]
            for name, about in describe(parameter_set).items()
        ]
        home = f"{parameter_set.__module__}.{parameter_set.__name__}"
        parts += ["", f"## {title}", "", f"`{home}`"]
        parts += _table(["title", "name", "default", "from, to", "what it does"], rows)
        for name in EFFECTS.get(parameter_set, ()):
            picture = f"![{name} of three values](images/effect_{name}.png)"
            parts += ["", f"`{name}`:", "", picture]
    return "\n".join(parts) + "\n"


PAGES = {"cli.md": commands_page, "parameters.md": parameters_page}


def _commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    for part, child in getattr(command, "commands", {}).items():
        yield from _commands(child, f"{name} {part}")
    if not getattr(command, "commands", {}):
        yield name, command


def _examples(epilog: str) -> list[str]:
    told = re.sub(r"^Examples?: ", "", epilog)
    return ["", "```bash", *told.split("; "), "```"] if told else []


def _rows(command: Any, name: str) -> list[list[str]]:
    context = command.make_context(name, [], resilient_parsing=True)
    records = [parameter.get_help_record(context) for parameter in command.params]
    return [[f"`{spelled}`", said] for spelled, said in filter(None, records)]


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value == "" or isinstance(value, dataclasses._MISSING_TYPE):
        return ""
    return str(value)


def _limits(limits: tuple[float, float] | None) -> str:
    return "" if limits is None else ", ".join(f"{limit:,}" for limit in limits)


def _table(heads: list[str], rows: list[list[str]]) -> list[str]:
    spelled = [[cell.replace("|", " or ") for cell in row] for row in rows]
    lines = [heads, ["---"] * len(heads), *spelled]
    return ["", *(f"| {' | '.join(line)} |" for line in lines)] if rows else []


def main() -> None:
    """Write every page."""
    for name, page in PAGES.items():
        DOCS.joinpath(name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
