"""Break one place of a module at a time, and see whether its tests notice.

    python scripts/mutants.py core/masks.py tests/core/test_masks.py --results masks.json
    python scripts/mutants.py core/boxes.py tests/core --sample 60 --results boxes.json

Swaps comparisons and operators, changes numbers and truth values, turns conditions around, and
leaves statements out. Texts, annotations and imports stay as they are. Each mutant runs in a
process of its own, forked where the large libraries are loaded already (so not on Windows); a run
that takes ten times as long as the unbroken one counts as noticed. What is in the file of results
is not run again, so an interrupted run goes on where it was.
"""

import argparse
import ast
import copy
import importlib
import importlib.abc
import importlib.machinery
import json
import os
import random
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "src" / "napari_sam2_openvino"
LOADED_BEFORE = (
    *("torch", "openvino", "pandas", "pydantic", "pytest", "PIL.Image"),
    *("scipy.ndimage", "skimage.measure"),
)
COMPARISONS = {
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt},
    **{ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is},
    **{ast.In: ast.NotIn, ast.NotIn: ast.In},
}
OPERATORS = {
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult},
    **{ast.FloorDiv: ast.Div, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.Pow: ast.Mult},
}


def changes_of(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield what a node may become, each with a few words."""
    if isinstance(node, ast.Compare):
        for number, operator in enumerate(node.ops):
            other = COMPARISONS[type(operator)]
            changed = copy.deepcopy(node)
            changed.ops[number] = other()
            yield f"{type(operator).__name__} -> {other.__name__}", changed
    elif isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        changed = copy.deepcopy(node)
        changed.op = OPERATORS[type(node.op)]()
        yield f"{type(node.op).__name__} -> {type(changed.op).__name__}", changed
    elif isinstance(node, ast.BoolOp):
        changed = copy.deepcopy(node)
        changed.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield f"{type(node.op).__name__} -> {type(changed.op).__name__}", changed
    elif isinstance(node, ast.UnaryOp):
        yield f"without {type(node.op).__name__}", node.operand
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        other = not node.value if isinstance(node.value, bool) else node.value + 1
        yield f"{node.value} -> {other}", ast.Constant(other)
    else:
        yield from _changes_of_statement(node)


def _changes_of_statement(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node, ast.If | ast.While | ast.IfExp):
        changed = copy.deepcopy(node)
        changed.test = ast.UnaryOp(ast.Not(), changed.test)
        yield "condition turned around", changed
    elif isinstance(node, ast.AugAssign | ast.Expr):
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not is_docstring:
            yield "statement left out", ast.Pass()
    elif isinstance(node, ast.Return) and node.value is not None:
        yield "returns None", ast.Return(ast.Constant(None))


def places_of(tree: ast.AST) -> list[ast.AST]:
    """Return the nodes that run, in the order of the source."""
    places: list[ast.AST] = []

    def visit(node: ast.AST) -> None:
        places.append(node)
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns"):
                continue
            for each in value if isinstance(value, list) else [value]:
                # A slice of a subscript in a type alias is no place, but does no harm.
                if isinstance(each, ast.AST) and not isinstance(each, ast.JoinedStr):
                    visit(each)

    visit(tree)
    return places


def mutants_of(source: str) -> list[tuple[str, str]]:
    """Return each mutant of a source: where and what, and its code."""
    tree = ast.parse(source)
    mutants = []
    for index, node in enumerate(places_of(tree)):
        for what, changed in changes_of(node):
            mutant = copy.deepcopy(tree)
            old = places_of(mutant)[index]
            mutant = _Replace(old, ast.copy_location(changed, old)).visit(mutant)
            code = ast.unparse(ast.fix_missing_locations(mutant))
            line = getattr(node, "lineno", 0)
            mutants.append((f"{line}:{getattr(node, 'col_offset', 0)} {what}", code))
    return mutants


class _Replace(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old = old
        self.new = new

    def visit(self, node: ast.AST) -> ast.AST:
        return self.new if node is self.old else self.generic_visit(node)


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads one module from other code than its file has."""

    def __init__(self, module: str, file: Path, code: str) -> None:
        self.module = module
        self.file = file
        self.code = code

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find the module that is broken, and no other."""
        del path, target
        if name != self.module:
            return None
        return importlib.machinery.ModuleSpec(name, self, origin=str(self.file))

    def exec_module(self, module: ModuleType) -> None:
        """Run the broken code."""
        exec(compile(self.code, str(self.file), "exec"), module.__dict__)


def passes(module: str, file: Path, code: str, tests: list[str], seconds: float) -> bool:
    """Return whether the tests pass with other code in a module."""
    child = os.fork()
    if child == 0:
        signal.alarm(max(1, round(seconds)))
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        import pytest

        sys.meta_path.insert(0, _Finder(module, file, code))
        status = pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests])
        os._exit(int(status))
    return os.waitpid(child, 0)[1] == 0


def main() -> int:
    """Run what the command line asks for, and print what was not noticed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", help="of the package, such as core/masks.py")
    parser.add_argument("tests", nargs="+", help="arguments of pytest")
    parser.add_argument("--sample", type=int, help="only so many mutants, drawn at random")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after so long")
    parser.add_argument("--results", type=Path, required=True, help="a JSON file, added to")
    chosen = parser.parse_args()
    mutants = mutants_of((SOURCES / chosen.file).read_text(encoding="utf-8"))
    if chosen.sample and chosen.sample < len(mutants):
        mutants = sorted(random.Random(chosen.seed).sample(mutants, chosen.sample))
    results = run(mutants, chosen)
    tried = [place for place, _ in mutants if place in results]
    for place in tried:
        if not results[place]:
            print(f"  not noticed: {chosen.file}:{place}")
    noticed = sum(results[place] for place in tried)
    print(f"{noticed} of {len(tried)} noticed ({noticed / max(1, len(tried)):.0%})")
    return 0


def run(mutants: list[tuple[str, str]], chosen: argparse.Namespace) -> dict[str, bool]:
    """Run each mutant that has no result yet; return whether each was noticed."""
    file = SOURCES / chosen.file
    module = ".".join((SOURCES.name, *Path(chosen.file).with_suffix("").parts))
    os.chdir(ROOT)
    # napari's and Qt's plugins take longer to load than most tests take.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    for each in LOADED_BEFORE:
        importlib.import_module(each)
    started = time.monotonic()
    if not passes(module, file, file.read_text(encoding="utf-8"), chosen.tests, 3600):
        sys.exit("The tests fail without any change.")
    seconds = time.monotonic() - started
    print(f"{len(mutants)} mutants; the tests take {seconds:.1f} s", flush=True)
    results: dict[str, bool] = {}
    if chosen.results.is_file():
        results = json.loads(chosen.results.read_text())
    for place, code in mutants:
        if time.monotonic() - started > chosen.minutes * 60:
            break
        if place not in results:
            results[place] = not passes(module, file, code, chosen.tests, 10 * seconds + 5)
            chosen.results.write_text(json.dumps(results, indent=1))
    return results


if __name__ == "__main__":
    sys.exit(main())
