"""Convert, with its real child process."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest
import torch
from tests.conversion.children import left_behind, on_linux, run_until, workers

from napari_sam2_openvino.conversion import ConvertJob, convert
from napari_sam2_openvino.conversion.pipeline import require_extra
from napari_sam2_openvino.core.errors import (
    ConversionError,
    JobCancelledError,
    MissingExtraError,
)
from napari_sam2_openvino.core.model_folder import read_model_info
from napari_sam2_openvino.core.paths import checkpoints_dir, models_dir

FILES = {
    "image_encoder.xml",
    "image_encoder.bin",
    "mask_decoder.xml",
    "mask_decoder.bin",
    "memory_attention.xml",
    "memory_attention.bin",
    "memory_encoder.xml",
    "memory_encoder.bin",
    "parameters.npz",
    "model.json",
    "self_test.npz",
}
pytestmark = pytest.mark.usefixtures("sam2_home")


@pytest.fixture
def job(micro_checkpoint, micro_config):
    return ConvertJob(micro_checkpoint, "micro", micro_config)


def test_convert_gives_a_whole_model(micro_checkpoint, micro_config):
    reports = []
    folder = convert(
        micro_checkpoint,
        "my modèle",
        config=micro_config,
        image_size=64,
        on_progress=reports.append,
    )
    assert folder == models_dir() / "my modèle"
    assert {path.name for path in folder.iterdir()} == FILES
    assert left_behind() == ["my modèle"]
    info = read_model_info(folder)
    assert (info.name, info.config.image_size) == ("my modèle", 64)
    shares = [progress.done for progress in reports]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert len({progress.stage for progress in reports}) >= 5


@pytest.mark.parametrize("memory", [True, False])
def test_the_child_is_told_whether_memory_is_wanted(memory, micro_checkpoint, micro_config):
    job = ConvertJob(micro_checkpoint, "micro", micro_config, memory=memory)
    assert job._request().memory is memory


@on_linux
@pytest.mark.parametrize("stage", ["Reading the checkpoint", "Converting the image encoder"])
def test_cancel_leaves_no_process_and_no_file(stage, job):
    reports = run_until(job, stage)
    assert len(workers()) == 1
    timer = threading.Timer(0.1, job.cancel)
    timer.start()
    with pytest.raises(JobCancelledError):
        for _ in reports:
            pass
    timer.join()
    assert workers() == set()
    assert left_behind() == []


@on_linux
def test_cancel_ends_the_child_before_it_returns(job):
    run_until(job, "Converting the image encoder")
    job.cancel()
    # Even before anybody looks at the generator again.
    assert workers() == set()
    assert left_behind() == []


@on_linux
def test_closing_the_generator_ends_the_child(job):
    reports = run_until(job, "Computing the reference in PyTorch")
    reports.close()
    assert workers() == set()
    assert left_behind() == []


def test_a_job_that_was_cancelled_does_not_start(job):
    job.cancel()
    with pytest.raises(JobCancelledError):
        next(job.run())
    assert left_behind() == []


def test_folder_is_known_only_at_the_end(job):
    with pytest.raises(RuntimeError):
        _ = job.folder


@on_linux
def test_a_child_that_is_killed_is_one_sentence(job):
    reports = run_until(job, "Converting the image encoder")
    (worker,) = workers()
    os.kill(worker, signal.SIGKILL)
    with pytest.raises(ConversionError, match="memory ran out"):
        next(reports)
    assert left_behind() == []


@on_linux
def test_the_child_ends_with_its_parent(micro_checkpoint, micro_config, tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent(
            """
            import sys
            from napari_sam2_openvino.conversion import ConvertJob
            for progress in ConvertJob(sys.argv[1], "micro", sys.argv[2]).run():
                print(progress.stage, flush=True)
            """
        )
    )
    command = [sys.executable, script, micro_checkpoint, micro_config]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        for line in parent.stdout:
            if b"image encoder" in line:
                break
        assert len(workers()) == 1
        parent.kill()
    deadline = time.monotonic() + 20
    while (workers() or left_behind()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert workers() == set()
    assert left_behind() == []


def refused(*args, **kwargs):
    """Run a conversion that is refused, and return its sentence."""
    with pytest.raises(ConversionError) as caught:
        convert(*args, **kwargs)
    assert left_behind() == []
    return str(caught.value)


def test_image_size_is_never_guessed(tmp_path):
    weights = meta_like_weights()
    torch.save({"model": weights}, tmp_path / "sam2.1_hiera_tiny.pt")
    sentence = refused(tmp_path / "sam2.1_hiera_tiny.pt", "x")
    assert "give image_size" in sentence
    assert "512 for MedSAM2" in sentence


def meta_like_weights():
    """Return a few tensors that are enough to be taken for SAM 2.1 tiny."""
    blocks = {f"image_encoder.trunk.blocks.{n}.norm1.weight": torch.ones(1) for n in range(12)}
    patch_embed = {"image_encoder.trunk.patch_embed.proj.weight": torch.zeros(96, 3, 7, 7)}
    return {**blocks, **patch_embed, "no_obj_embed_spatial": torch.zeros(1, 64)}


def test_a_checkpoint_that_lacks_tensors_is_refused(tmp_path):
    torch.save(meta_like_weights(), tmp_path / "c.pt")
    sentence = refused(tmp_path / "c.pt", "x", image_size=256)
    assert "c.pt does not fit sam2.1_hiera_tiny: it lacks " in sentence


def test_an_unknown_architecture_needs_a_config(micro_checkpoint):
    assert "give the config" in refused(micro_checkpoint, "x", image_size=128)


def test_a_missing_checkpoint_is_refused(tmp_path):
    assert "There is no checkpoint" in refused(tmp_path / "no such é.pt", "x")


@pytest.mark.parametrize("name", ["", "a/b", "..", "starter"])
def test_a_bad_name_is_refused_before_anything_starts(name, micro_checkpoint):
    refused(micro_checkpoint, name)


@pytest.mark.parametrize("image_size", [0, -1])
def test_a_bad_image_size_is_refused(image_size, micro_checkpoint):
    assert "positive" in refused(micro_checkpoint, "x", image_size=image_size)


def test_an_existing_model_is_kept(micro_checkpoint):
    (models_dir() / "x").mkdir(parents=True)
    (models_dir() / "x" / "file").touch()
    with pytest.raises(ConversionError, match="already a model x"):
        convert(micro_checkpoint, "x")
    assert (models_dir() / "x" / "file").exists()


def test_a_catalogue_model_must_be_downloaded_first():
    assert "napari-sam2 models download sam2_hiera_tiny" in refused("sam2_hiera_tiny", "x")


def test_a_damaged_download_is_not_used(micro_checkpoint):
    checkpoints_dir().mkdir(parents=True)
    path = checkpoints_dir() / "sam2_hiera_tiny.pt"
    path.write_bytes(micro_checkpoint.read_bytes())
    assert "is damaged: download it again" in refused("sam2_hiera_tiny", "x")


def test_a_pytorch_that_reads_checkpoints_unsafely_is_refused(monkeypatch):
    monkeypatch.setattr("torch.__version__", "2.5.1+cpu")
    with pytest.raises(MissingExtraError, match=r"2\.10 or newer, but 2\.5\.1\+cpu is installed"):
        require_extra()


@pytest.mark.parametrize("package", ["torch", "sam2"])
def test_a_missing_extra_is_one_sentence(package, micro_checkpoint, tmp_path, monkeypatch):
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text("raise ModuleNotFoundError('no such module')")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    with pytest.raises(MissingExtraError, match=r'pip install "napari-sam2-openvino\[convert\]"'):
        convert(micro_checkpoint, "x", image_size=128)
    assert left_behind() == []


def test_folders_named_like_packages_are_not_imported(tmp_path, monkeypatch):
    for package in ("torch", "sam2"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(tmp_path)
    assert "There is no checkpoint" in refused("missing.pt", "x")


def test_what_libraries_print_does_not_disturb_the_reports(tmp_path):
    script = textwrap.dedent(
        """
        import os
        from napari_sam2_openvino.conversion import pipeline, worker

        def noisy(request, folder):
            print("from python", flush=True)
            os.system("echo from a process")
            yield pipeline.Progress("one", 0.5)

        pipeline.fill_folder = noisy
        worker.main()
        """
    )
    (tmp_path / "noisy.py").write_text(script)
    request = {"checkpoint": "c", "name": "n"}
    message = {"task": "convert", "request": request, "folder": str(tmp_path / "f")}
    with subprocess.Popen(
        [sys.executable, tmp_path / "noisy.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        child.stdin.write(json.dumps(message).encode() + b"\n")
        child.stdin.flush()
        lines = [json.loads(line) for line in child.stdout]
    assert [next(iter(line)) for line in lines] == ["progress", "finished"]
