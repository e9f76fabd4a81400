"""Fixtures that every test may use, and a home of their own for everything that is written."""

import gc
import os
import tempfile
from collections.abc import Generator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from napari_sam2_openvino.core.model import Sam2Model

# Set at import, before anything reads them: napari does so when it is first imported.
_HOME = tempfile.TemporaryDirectory(prefix="napari-sam2-tests-", ignore_cleanup_errors=True)
os.environ["NAPARI_CONFIG"] = str(Path(_HOME.name, "settings.yaml"))
os.environ["NAPARI_SAM2_HOME"] = str(Path(_HOME.name, "sam2"))
# PyTorch's threads that wait by spinning make small models several times slower on busy cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put windows first, since they take longest where tests run in several processes."""
    windows = Path(__file__).parent / "qt"
    items.sort(key=lambda item: not item.path.is_relative_to(windows))


def pytest_collection_finish() -> None:
    """Leave what is imported out of collections: napari makes one whenever a layer goes."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Skip files that compare with PyTorch where the extra convert is not installed."""
    report = yield
    if report.outcome == "failed" and find_spec("torch") is None:
        failed = str(report.longrepr)
        if "No module named 'torch'" in failed or "No module named 'sam2'" in failed:
            report.outcome = "skipped"
            report.longrepr = (str(collector.path), 0, "Skipped: needs the extra convert")
    return report


@pytest.fixture
def sam2_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder that models, checkpoints and caches of this test go to."""
    home = tmp_path / "sam2 hóme"
    monkeypatch.setenv("NAPARI_SAM2_HOME", str(home))
    return home


@pytest.fixture(scope="session")
def starter_model() -> "Sam2Model":
    """Load the model that ships with the package, in full precision."""
    from napari_sam2_openvino import load_model

    return load_model("starter", precision="f32")
