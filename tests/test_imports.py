"""What may import what: read from the source, and seen in fresh processes."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import napari_sam2_openvino

PACKAGE = "napari_sam2_openvino"
FOLDER = Path(napari_sam2_openvino.__file__).parent
ROOT = Path(__file__).parent.parent

TORCH = {"torch", "torchvision", "sam2", "nncf"}
QT = {"qtpy", "PyQt6", "PySide6", "superqt"}
VIEWER = {"napari", "magicgui"} | QT

# The parts of the package, and which other parts each may import, at any level of the code.
PARTS = {
    "core": set(),
    "comparison": {"core"},
    "conversion": {"core", "comparison"},
    "synthetic": {"core"},
    "_session": {"core"},
    "_layers": {"core"},
    "_files": {"core"},
    "recipe": {"core", "_files"},
    "batch": {"core", "_files", "export"},
    "export": {"core", "_files"},
    "_sample_data": {"core", "synthetic"},
    "_writers": {"export"},
    "_settings": {"core"},
    "cli": {"core", "comparison", "conversion", "batch", "export", "recipe", "_files"},
    "_qt": {
        "core",
        "comparison",
        "conversion",
        "batch",
        "export",
        "_files",
        "_session",
        "_layers",
        "_settings",
        "_sample_data",
    },
}
# Packages that the source of a part never names.
BANNED = {
    "core": VIEWER | TORCH,
    "comparison": VIEWER | TORCH | {"openvino"},
    "conversion": VIEWER,
    "synthetic": VIEWER | TORCH | {"openvino"},
    "_session": VIEWER | TORCH | {"openvino"},
    "_layers": QT | TORCH | {"openvino"},
    "_files": VIEWER | TORCH | {"openvino"},
    "recipe": VIEWER | TORCH | {"openvino"},
    "batch": VIEWER | TORCH | {"openvino"},
    "export": VIEWER | TORCH | {"openvino"},
    "_sample_data": QT | TORCH | {"openvino"},
    "_writers": VIEWER | TORCH | {"openvino"},
    "_settings": QT | TORCH | {"openvino"},
    "cli": VIEWER | TORCH | {"openvino"},
    "_qt": {"PyQt6", "PySide6", "openvino"} | TORCH,
}
MODULES = {
    ".".join(file.relative_to(FOLDER).with_suffix("").parts): file
    for file in sorted(FOLDER.rglob("*.py"))
}


def part_of(module: str) -> str:
    """Return the part that a module belongs to, "" for what is outside the package."""
    names = module.removeprefix(f"{PACKAGE}.").split(".")
    return names[0] if names[0] in PARTS else ""


def imported(node: ast.AST, *, into_functions: bool = True) -> Iterator[str]:
    """Give the dotted names that a module imports, those for type checkers left out."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            continue
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and not into_functions:
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        else:
            yield from imported(child, into_functions=into_functions)


def parse(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def top_level(names: Iterator[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


def run(code: str) -> str:
    """Return what a fresh process prints."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded_by(statement: str) -> set[str]:
    """Return the top-level names in ``sys.modules`` of a fresh process after a statement."""
    return set(
        run(f"{statement}\nimport sys\nprint(*(m.split('.')[0] for m in sys.modules))").split()
    )


def test_every_module_belongs_to_a_part():
    names = {module.split(".")[0] for module in MODULES} - {"__init__", "__main__"}
    assert names == set(PARTS)


@pytest.mark.parametrize("module", MODULES)
def test_a_part_imports_only_the_parts_below_it(module):
    own = {name for name in imported(parse(module)) if name.split(".")[0] == PACKAGE}
    parts = {part_of(name) for name in own} - {part_of(module), ""}
    assert parts <= PARTS.get(part_of(module), set())


@pytest.mark.parametrize("module", MODULES)
def test_a_part_never_names_what_it_must_do_without(module):
    assert not top_level(imported(parse(module))) & BANNED.get(part_of(module), VIEWER | TORCH)


@pytest.mark.parametrize("module", [name for name in MODULES if part_of(name) == "core"])
def test_few_modules_name_openvino_in_core(module):
    # `runtime` compiles and runs graphs, the others make some of OpenVINO's operations.
    allowed = module.removeprefix("core.") in ("runtime", "devices", "graph_ops", "attention")
    assert ("openvino" in top_level(imported(parse(module)))) == allowed


@pytest.mark.parametrize("module", MODULES)
def test_nothing_slow_to_load_is_imported_with_a_module(module):
    # Modules of `conversion` that define networks are themselves imported late.
    names = top_level(imported(parse(module), into_functions=False))
    late = TORCH | {"openvino"} if part_of(module) != "conversion" else set()
    assert not names & late


def test_the_package_loads_nothing_but_the_standard_library():
    added = loaded_by(f"import {PACKAGE}") - loaded_by("pass") - {PACKAGE}
    assert added <= sys.stdlib_module_names


def test_importing_the_package_takes_less_than_a_tenth_of_a_second():
    code = f"import time; t = time.perf_counter(); import {PACKAGE}; print(time.perf_counter() - t)"
    assert min(float(run(code)) for _ in range(5)) < 0.1


def test_core_brings_in_neither_a_viewer_nor_torch():
    core = [f"{PACKAGE}.{name}" for name in MODULES if part_of(name) == "core"]
    names = ", ".join(name.removesuffix(".__init__") for name in core)
    assert not loaded_by(f"import {names}") & (VIEWER | TORCH)


def test_the_conversion_package_brings_in_no_torch():
    assert not loaded_by(f"import {PACKAGE}.conversion, {PACKAGE}.cli") & (VIEWER | TORCH)


def test_everything_that_is_imported_is_a_declared_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    always = {_normalised(item) for item in project["dependencies"]}
    extras = project["optional-dependencies"]
    to_convert = {_normalised(item) for item in extras["convert"]}
    to_export = {_normalised(item) for item in extras["export"]}
    on_clusters = {_normalised(item) for item in extras["cluster"]}
    # What sam2's models are described and built with.
    to_convert |= {"hydra-core", "omegaconf"}
    distributions = packages_distributions()
    for module in MODULES:
        foreign = top_level(imported(parse(module))) - sys.stdlib_module_names - {PACKAGE}
        by_part = {"conversion": to_convert, "export": to_export, "batch": on_clusters}
        optional = by_part.get(part_of(module), set())
        for name in foreign:
            assert {_normalised(item) for item in distributions[name]} & (always | optional), (
                module,
                name,
            )


def _normalised(requirement: str) -> str:
    name = re.match(r"[\w.-]+", requirement)
    assert name is not None
    return re.sub(r"[-_.]+", "-", name[0]).lower()
