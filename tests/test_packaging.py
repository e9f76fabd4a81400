"""What is packaged elsewhere needs what the package itself says that it needs."""

import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]


def test_the_conda_recipe_runs_with_what_pyproject_lists():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = (ROOT / "scripts" / "packaging" / "recipe.yaml").read_text(encoding="utf-8")
    python, *needed = yaml.safe_load(text)["requirements"]["run"]
    assert python.startswith("python ")
    assert [each.replace(" ", "") for each in needed] == project["dependencies"]
