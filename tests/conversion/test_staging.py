"""A model appears whole or not at all."""

import errno
import os
import subprocess
import sys

import pytest

from napari_sam2_openvino.conversion import pipeline, staging
from napari_sam2_openvino.core.errors import ConversionError, JobCancelledError


def content(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def dead_process():
    """Return the number of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize("name", ["tiny", "My model", "modèle ö", "a.b-c_1", "模型", "x" * 100])
def test_usual_names_are_accepted(name):
    assert staging.check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", "a ", ".", "..", ".hidden", "a.", "a/b", "../a", "a\\b", "/a", "C:a", "a\n"),
        *("a*", "nul", "CON", "com1.x", "x" * 101),
    ],
)
def test_names_that_are_no_folder_are_refused(name):
    with pytest.raises(ConversionError):
        staging.check_name(name)


def test_published_folder_is_the_only_one(tmp_path):
    with staging.staged_folder(tmp_path / "models" / "m") as staged:
        (staged.folder / "f").write_text("new")
        assert not staged.destination.exists()
        staged.publish(overwrite=False)
    assert content(tmp_path / "models") == ["m"]
    assert (tmp_path / "models" / "m" / "f").read_text() == "new"


def fail_half_way(destination, error):
    with staging.staged_folder(destination) as staged:
        (staged.folder / "f").write_text("half")
        raise error


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), JobCancelledError("x")])
def test_nothing_is_left_of_a_failure(error, tmp_path):
    with pytest.raises(type(error)):
        fail_half_way(tmp_path / "m", error)
    assert content(tmp_path) == []


def test_a_model_is_replaced_only_when_asked(tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "f").write_text("old")
    refused = staging.StagedFolder(tmp_path / "new", tmp_path / "m")
    with pytest.raises(ConversionError, match="already a model m"):
        refused.publish(overwrite=False)
    assert (tmp_path / "m" / "f").read_text() == "old"
    with staging.staged_folder(tmp_path / "m") as staged:
        (staged.folder / "f").write_text("new")
        staged.publish(overwrite=True)
    assert (tmp_path / "m" / "f").read_text() == "new"
    assert content(tmp_path) == ["m"]


def test_what_dead_processes_left_is_swept(tmp_path, dead_process):
    dead = f".unfinished-{staging._HOST}-{dead_process}-abc123"
    ours = f".unfinished-{staging._HOST}-{os.getpid()}-abc123"
    # On another host that process may well live.
    elsewhere = f".unfinished-0123abcd-{dead_process}-abc123"
    kept = [ours, elsewhere, "m", ".unfinished-note", ".git-1-2"]
    for name in (dead, *kept):
        (tmp_path / name).mkdir()
    staging.sweep(tmp_path)
    assert content(tmp_path) == sorted(kept)


@pytest.mark.parametrize("new_is_there", [True, False])
def test_an_interrupted_replacement_loses_nothing(new_is_there, tmp_path, dead_process):
    old = tmp_path / f".replaced-{staging._HOST}-{dead_process}-abc123-my model"
    old.mkdir()
    (old / "f").write_text("old")
    if new_is_there:
        (tmp_path / "my model").mkdir()
        (tmp_path / "my model" / "f").write_text("new")
    staging.sweep(tmp_path)
    assert content(tmp_path) == ["my model"]
    assert (tmp_path / "my model" / "f").read_text() == ("new" if new_is_there else "old")


def test_remove_folder(tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "f").write_text("x")
    staging.remove_folder(tmp_path / "m")
    assert content(tmp_path) == []


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "is full"),
        (RuntimeError(f"can't write ({os.strerror(errno.ENOSPC)})"), "is full"),
        (PermissionError(errno.EACCES, "Permission denied"), "cannot be written"),
    ],
)
def test_a_bad_disk_is_one_sentence(error, said, tmp_path):
    with pytest.raises(ConversionError, match=said), staging.staged_folder(tmp_path / "m"):
        raise error
    assert content(tmp_path) == []


def fill_with_a_full_file(request, destination, file_name):
    with staging.staged_folder(destination) as staged:
        (staged.folder / file_name).symlink_to("/dev/full")
        for _ in pipeline.fill_folder(request, staged.folder):
            pass


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("file_name", ["parameters.npz", "image_encoder.bin"])
def test_each_file_may_fill_the_disk(file_name, micro_checkpoint, micro_config, tmp_path):
    request = pipeline.Request(str(micro_checkpoint), "m", str(micro_config), 64)
    with pytest.raises(ConversionError, match="is full"):
        fill_with_a_full_file(request, tmp_path / "m", file_name)
    assert content(tmp_path) == []
