"""Comparisons and trials in their child process, and models that wait for the user's word."""

import os
import shutil
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
from skimage import data
from tests.conversion.children import left_behind, on_linux, run_until, workers

from napari_sam2_openvino.comparison.saved_report import read_report
from napari_sam2_openvino.conversion import staging
from napari_sam2_openvino.conversion.compare_job import CompareJob
from napari_sam2_openvino.conversion.proposal import Proposal
from napari_sam2_openvino.conversion.tune_job import TuneJob
from napari_sam2_openvino.core.errors import (
    ConversionError,
    DeviceError,
    InputError,
    JobCancelledError,
    ModelNotFoundError,
)
from napari_sam2_openvino.core.model_folder import (
    Quantization,
    read_model_info,
    write_model_info,
)
from napari_sam2_openvino.core.models import choose_default, list_models
from napari_sam2_openvino.core.paths import models_dir, reports_dir
from napari_sam2_openvino.core.tunings import read_tuning

IMAGE = data.coins()[:100, :120]


@pytest.fixture
def names(micro_folder, sam2_home):
    """Put two models of the same weights among the user's."""
    assert not sam2_home.exists()
    models_dir().mkdir(parents=True)
    for name in ("one é", "two"):
        shutil.copytree(micro_folder, models_dir() / name)
    return "one é", "two"


def test_a_comparison_writes_its_report_and_nothing_else(names):
    for _ in range(2):
        job = CompareJob(*names, [IMAGE])
        stages = [progress.stage for progress in job.run()]
        assert stages[0] == "Reading the images"
        assert "Comparing masks" in stages
        report = read_report(job.folder)
        assert report.b.masks.mean == report.a.masks.mean > 0.9
        assert [path.name for path in reports_dir().iterdir()] == ["two compared with one é"]
        assert {path.suffix for path in job.folder.iterdir()} == {".json", ".md", ".png"}


def test_the_report_of_two_long_names_has_a_name_that_file_systems_allow(micro_folder, sam2_home):
    assert not sam2_home.exists()
    models_dir().mkdir(parents=True)
    names = "é" * 90, "é" * 89 + "e"
    for name in names:
        shutil.copytree(micro_folder, models_dir() / name)
    folders = set()
    for a, b in (names, names[::-1]):
        for _ in range(2):
            job = CompareJob(a, b, [IMAGE])
            list(job.run())
            assert read_report(job.folder).b.masks.mean > 0.9
            folders.add(job.folder)
    assert set(reports_dir().iterdir()) == folders
    assert len(folders) == 2


def test_a_comparison_without_images_is_refused(names):
    with pytest.raises(InputError, match="at least one image"):
        list(CompareJob(*names, []).run())
    assert list(reports_dir().iterdir()) == []


@on_linux
@pytest.mark.parametrize(
    ("make", "stage"),
    [
        (lambda names: CompareJob(*names, [IMAGE]), "Loading the models"),
        (lambda names: TuneJob(names[0]), "Reading the self-test"),
    ],
)
def test_cancel_leaves_no_process_and_no_file(names, make, stage):
    job = make(names)
    reports = run_until(job, stage)
    assert len(workers()) == 1
    timer = threading.Timer(0.1, job.cancel)
    timer.start()
    with pytest.raises(JobCancelledError):
        for _ in reports:
            pass
    timer.join()
    assert workers() == set()
    assert not reports_dir().exists() or list(reports_dir().iterdir()) == []
    assert left_behind() == sorted(names)
    assert read_tuning(models_dir() / names[0]).trials == ()


def test_a_trial_says_what_it_found_and_it_is_remembered(names):
    job = TuneJob(names[0])
    assert [progress.stage for progress in job.run()][-1] == "Tuned"
    assert job.tuning == read_tuning(models_dir() / names[0])
    best = job.tuning.best()
    assert best is not None
    (listing,) = (each for each in list_models() if each.name == names[0])
    assert listing.runs_on == str(best.choice)
    assert listing.warning == ""


def test_a_model_with_wrong_masks_is_caught_and_is_no_default(names):
    name = names[0]
    # What it must answer, answered by nobody.
    path = models_dir() / name / "self_test.npz"
    with np.load(path) as archive:
        values = dict(archive)
    np.savez_compressed(path, **values | {"masks": ~values["masks"]})
    assert choose_default(list_models(), name) == name
    with pytest.raises(DeviceError, match="gives wrong masks on CPU"):
        list(TuneJob(name, only_check=True).run())
    (listing,) = (each for each in list_models() if each.name == name)
    assert "wrong masks" in listing.warning
    assert listing.is_ready
    assert choose_default(list_models(), name) == "starter"


def test_a_right_model_passes_the_check(names):
    job = TuneJob(names[0], only_check=True)
    list(job.run())
    assert job.tuning.trials[0].passed
    assert choose_default(list_models(), "nothing like it") == "starter"


def test_a_missing_model_is_one_sentence():
    with pytest.raises(ModelNotFoundError):
        TuneJob("nobody")


def test_a_proposal_is_hidden_until_it_is_accepted(names, micro_folder):
    proposal = Proposal("three ü")
    shutil.copytree(micro_folder, proposal.folder)
    assert "three ü" not in {each.name for each in list_models()}
    # Whoever makes models meanwhile leaves it alone.
    staging.sweep(models_dir())
    folder = proposal.accept()
    assert folder == models_dir() / "three ü"
    assert left_behind() == sorted([*names, "three ü"])


def test_a_proposal_that_is_discarded_is_gone(names, micro_folder):
    proposal = Proposal("three")
    shutil.copytree(micro_folder, proposal.folder)
    proposal.discard()
    assert left_behind() == sorted(names)


def test_a_model_whose_name_is_taken_meanwhile_gets_a_number(names, micro_folder):
    job = CompareJob(*names, [IMAGE])
    list(job.run())
    proposal = Proposal("two 8")
    shutil.copytree(micro_folder, proposal.folder)
    shutil.copytree(job.folder, proposal.folder / "report")
    figures = ("balanced", names[0], "0", 8, "f32", 0.98, 0.7)
    quantization = Quantization(*figures, is_advised=False, advice="It is not worth it.")
    info = replace(read_model_info(proposal.folder), name="two 8", quantization=quantization)
    write_model_info(proposal.folder, info)
    for name in ("two 8", "two 8-2"):
        shutil.copytree(micro_folder, models_dir() / name)
    folder = proposal.accept()
    assert folder == models_dir() / "two 8-3"
    assert left_behind() == sorted([*names, "two 8", "two 8-2", "two 8-3"])
    # It is called so wherever it is named.
    info, report = read_model_info(folder), read_report(folder / "report")
    assert (info.name, report.b.name, proposal.name) == ("two 8-3",) * 3
    assert "two 8-3" in info.quantization.advice == report.advice.sentence


@pytest.mark.usefixtures("names")
@pytest.mark.parametrize("name", ["starter", "two", "", "a/b"])
def test_a_proposal_needs_a_name_that_is_free(name):
    with pytest.raises(ConversionError):
        Proposal(name)


def test_a_proposal_of_a_process_that_is_no_more_is_swept(names, micro_folder):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    proposal = Proposal("three")
    name = proposal.folder.name.replace(f"-{os.getpid()}-", f"-{ended.pid}-")
    shutil.copytree(micro_folder, models_dir() / name)
    staging.sweep(models_dir())
    assert left_behind() == sorted(names)
