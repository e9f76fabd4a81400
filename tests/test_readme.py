"""What the pages tell a reader to type works, and their links lead somewhere."""

import re
import shlex
from pathlib import Path

import pytest
import tifffile

from napari_sam2_openvino.synthetic import make_scene

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    """Return the fenced blocks of one language."""
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """Return every line that calls the project's command, wherever it is told."""
    lines = [
        line for page in PAGES for block in blocks(page, "bash") for line in block.splitlines()
    ]
    return sorted({line for line in lines if line.startswith("napari-sam2 ")})


def python_blocks() -> list:
    return [
        pytest.param(block, id=f"{page.stem}-{number}")
        for page in PAGES
        for number, block in enumerate(blocks(page, "python"))
    ]


@pytest.mark.parametrize("block", python_blocks())
def test_python_snippets_run(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # What the snippets open: the image and the recipe that docs/sessions.md shows.
    tifffile.imwrite("image.tif", make_scene("fluorescence", seed=1, shape=(512, 512)).image)
    (recipe,) = blocks(ROOT / "docs" / "sessions.md", "json")
    Path("session.json").write_text(recipe, encoding="utf-8")
    exec(compile(block, "snippet", "exec"), {})


def test_the_readme_snippet_finds_the_object_that_it_clicks_on():
    names = {}
    exec(compile(blocks(ROOT / "README.md", "python")[0], "snippet", "exec"), names)
    x, y = 64, 70
    assert names["best"].shape == names["image"].shape
    assert names["best"][y, x]
    assert len(names["segmentations"]) > 10


@pytest.mark.parametrize("command", commands())
def test_commands_exist_with_their_options(command):
    from typer.testing import CliRunner

    from napari_sam2_openvino.cli import app

    arguments = shlex.split(command, comments=True)[1:]
    # Help is asked for last: everything before it has been understood by then.
    answer = CliRunner().invoke(app, [*arguments, "--help"])
    assert answer.exit_code == 0, answer.output
    assert "Usage:" in answer.output


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#\s]+)", text)
    missing = [
        target
        for target in targets
        if "://" not in target and not (page.parent / target).resolve().exists()
    ]
    assert not missing
