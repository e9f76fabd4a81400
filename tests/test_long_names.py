"""Names as long as file systems allow, with accents and spaces, deep in folders of such names."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.batch.test_job import STACK, expected, read, run

from napari_sam2_openvino import load_model
from napari_sam2_openvino._files.images import save_labels
from napari_sam2_openvino._qt.autosaves import autosave_path
from napari_sam2_openvino.conversion import staging
from napari_sam2_openvino.core.embedding_store import EmbeddingStore
from napari_sam2_openvino.core.errors import ConversionError
from napari_sam2_openvino.core.labelled_image import LabelledImage
from napari_sam2_openvino.core.paths import starter_dir
from napari_sam2_openvino.core.records import ImageRecord, ModelRecord
from napari_sam2_openvino.core.session_file import SessionFile, read_session, write_session
from napari_sam2_openvino.export.formats import FORMATS, ExportFormat, export_labels

LONGEST = 255

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="names are counted in bytes elsewhere"
)


def name(suffix: str, size: int = LONGEST) -> str:
    """Return a name of so many bytes."""
    left = size - len(suffix)
    return "é è "[:4] + "é" * ((left - 6) // 2) + "a" * (left % 2) + suffix


@pytest.fixture
def deep(tmp_path: Path) -> Path:
    folder = tmp_path / name("", 120) / name("", 90)
    folder.mkdir(parents=True)
    return folder


def test_the_names_are_as_long_as_they_may_be(deep: Path) -> None:
    assert len(os.fsencode(name(".tif"))) == LONGEST
    (deep / name(".tif")).touch()
    with pytest.raises(OSError, match="too long"):
        (deep / name(".tif", LONGEST + 1)).touch()


@pytest.mark.parametrize("suffix", [".tif", ".npy", ".zarr"])
def test_labels(suffix: str, deep: Path) -> None:
    path = deep / name(suffix)
    for value in (1, 2):
        save_labels(path, np.full((4, 5), value, np.uint16), overwrite=True)
        assert read(path)[0].tolist() == [[value] * 5] * 4
    assert [each.name for each in deep.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".tif", ".npy", ".zarr"])
def test_a_batch_needs_a_few_bytes_for_its_journal(suffix: str, deep: Path) -> None:
    longest = LONGEST - len(".partial")
    image = deep / name(".npy")
    np.save(image, STACK)
    job = run(image, deep / name(suffix, longest))
    assert job.report.is_whole
    np.testing.assert_array_equal(read(deep / name(suffix, longest))[0], expected(STACK))
    before = sorted(deep.iterdir())
    (refused,) = run(STACK, deep / name(suffix, longest + 1)).report.stacks
    assert "choose one that is shorter by 1 bytes" in str(refused)
    assert sorted(deep.iterdir()) == before


@pytest.mark.parametrize("chosen", FORMATS, ids=lambda each: each.name)
def test_exports(chosen: ExportFormat, deep: Path) -> None:
    labels = np.zeros((20, 30), np.uint16)
    labels[5:9, 6:12] = 1
    path = deep / name(chosen.suffixes[0])
    export_labels(LabelledImage(labels, image=labels, name=name("")), path, chosen.name)
    assert path.exists()


def test_sessions(deep: Path, sam2_home: Path) -> None:
    image = ImageRecord(name="日" * 100, shape=(4, 5), is_rgb=False, dtype="uint8")
    session = SessionFile(images=(image,), model=ModelRecord(name="starter"))
    for path in (deep / name(".json"), autosave_path("日" * 100)):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_session(path, session)
        assert read_session(path) == session
    assert len(list(sam2_home.rglob("*.json"))) == 1


def test_models_and_caches(deep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAPARI_SAM2_HOME", str(deep))
    model_name = staging.check_name("é " * 30 + "é")
    destination = deep / "models" / model_name
    # The second takes the place of the first.
    for _ in range(2):
        with staging.staged_folder(destination) as staged:
            for file in starter_dir().iterdir():
                (staged.folder / file.name).write_bytes(file.read_bytes())
            staged.publish(overwrite=True)
    assert load_model(model_name).info.name == "starter"
    assert EmbeddingStore().folder.is_relative_to(deep)


def test_names_of_models_that_no_file_system_allows_are_refused() -> None:
    with pytest.raises(ConversionError, match="180 bytes"):
        staging.check_name("日" * 100)
