"""What the pages tell a reader to type works, and their links lead somewhere.

Libraries for this run Python blocks; what a page says here is as often a command, which needs the
real parser, files that it names and a list of those that take too long. The part that they
would take over is ten lines.
"""

import ast
import importlib.util
import inspect
import re
import shlex
import tomllib
from pathlib import Path

import pytest
from tests.documented_files import write_features, write_files, write_labels

ROOT = Path(__file__).parent.parent
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
LANGUAGES = {
    "": "what is printed, or drawn with letters",
    "bash": "commands",
    "json": "files that commands of the same page open",
    "py": "needs a cluster: its calls are checked, not made",
    "python": "is run",
}
# What commands need that there is not: other models, their checkpoints, a cluster, minutes.
NOT_RUN = re.compile(r"tiny|mine|MedSAM2|my_checkpoint|--scheduler|benchmark|models quantize")
# The grid of a search takes most of the time and is not what is tested here.
FEWER_POINTS = ("--points-per-side", "4")
OTHER_PROGRAMS = ("napari", "source", "xvfb-run")


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
        # The first of the README has a test of its own, below.
        if (page.name, number) != ("README.md", 0)
    ]


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Work in a folder with the files that the pages name."""
    (recipe,) = blocks(ROOT / "docs" / "sessions.md", "json")
    (prompts,) = blocks(ROOT / "docs" / "volumes.md", "json")
    write_files(tmp_path, recipe, prompts)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_blocks_are_of_a_kind_that_is_tested(page):
    fences = re.findall(r"^ *```(.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(fences) % 2 == 0
    assert set(fences[::2]) <= set(LANGUAGES)
    assert set(fences[1::2]) <= {""}


@pytest.mark.parametrize("block", python_blocks())
@pytest.mark.usefixtures("files")
def test_python_snippets_run(block):
    exec(compile(block, "snippet", "exec"), {})


def test_what_needs_a_cluster_calls_what_there_is():
    from napari_sam2_openvino import segment_stack

    found = [block for page in PAGES for block in blocks(page, "py")]
    calls = [node for block in found for node in ast.walk(ast.parse(block))]
    (call,) = (
        node
        for node in calls
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "segment_stack"
    )
    named = {each.arg: None for each in call.keywords}
    inspect.signature(segment_stack).bind(*call.args, **named)


def test_the_readme_snippet_finds_the_object_that_it_clicks_on():
    names = {}
    exec(compile(blocks(ROOT / "README.md", "python")[0], "snippet", "exec"), names)
    x, y = 64, 70
    assert names["best"].shape == names["image"].shape
    assert names["best"][y, x]
    assert len(names["segmentations"]) > 10


@pytest.mark.parametrize("command", commands())
def test_commands_exist_with_their_options(command):
    import typer

    from napari_sam2_openvino.cli import app

    parser, (name, *arguments) = typer.main.get_command(app), shlex.split(command, comments=True)
    while hasattr(parser, "commands"):
        name = arguments.pop(0)
        parser = parser.commands[name]
    # Parsed as it is when it is run: values have their types, and what is needed is there.
    parser.make_context(name, arguments)


@pytest.mark.usefixtures("sam2_home")
@pytest.mark.parametrize(
    "command", [command for command in commands() if not NOT_RUN.search(command)]
)
def test_commands_run(command, files):
    from typer.testing import CliRunner

    from napari_sam2_openvino.cli import app

    _, *arguments = shlex.split(command)
    if arguments[0] == "export":
        write_labels(files)
    if "--features" in arguments:
        write_features(files)
    if arguments[0] == "segment" and not {FEWER_POINTS[0], "--prompts"} & set(arguments):
        arguments += FEWER_POINTS
    answer = CliRunner().invoke(app, arguments)
    assert answer.exit_code == 0, answer.output
    for name in re.findall(r"-o (\S+)", command):
        assert Path(name).exists() or "--try-plane" in command


def test_other_commands_name_what_there_is():
    lines = [
        line for page in PAGES for block in blocks(page, "bash") for line in block.splitlines()
    ]
    extras = tomllib.loads(ROOT.joinpath("pyproject.toml").read_text(encoding="utf-8"))["project"]
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "scripts").rglob("*.py")]
    for line in lines:
        program, *arguments = shlex.split(line, comments=True)
        if program == "pip":
            extra = re.fullmatch(r"napari-sam2-openvino\[(\w+)\]", arguments[-1])
            assert extra
            assert extra[1] in extras["optional-dependencies"]
        elif arguments[:1] == ["-m"]:
            assert importlib.util.find_spec(arguments[1])
        elif program.startswith("python"):
            assert ROOT.joinpath(arguments[0]).is_file()
            for option in [each for each in arguments if each.startswith("--")]:
                assert any(f'"{option}"' in source for source in sources), option
        else:
            assert program in ("napari-sam2", *OTHER_PROGRAMS)


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
