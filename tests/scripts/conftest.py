"""Make the folder `scripts` importable, as it is for a script that runs from it."""

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))

collect_ignore = [] if find_spec("torch") else ["test_memory_trial.py", "test_train_starter.py"]


@pytest.fixture(scope="session")
def scripts() -> Path:
    """Return the folder of the scripts."""
    return SCRIPTS
