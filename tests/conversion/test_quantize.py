"""Quantize, with its real child process."""

import json
import os
import re
import shutil
import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from skimage import data
from tests.conversion.children import left_behind, on_linux, run_until, workers
from tests.damage import damage_scales

from napari_sam2_openvino import compare_models, list_models, load_model, quantize
from napari_sam2_openvino.comparison.saved_report import read_report
from napari_sam2_openvino.conversion import QuantizeJob, needs
from napari_sam2_openvino.conversion.quantize_pipeline import split_images
from napari_sam2_openvino.conversion.recipes import PRESETS
from napari_sam2_openvino.core.errors import (
    ConversionError,
    InputError,
    JobCancelledError,
    MissingExtraError,
)
from napari_sam2_openvino.core.model_folder import read_model_info, write_model_info
from napari_sam2_openvino.core.paths import starter_dir
from napari_sam2_openvino.core.self_test import run_self_test

COINS = data.coins()
IMAGES = [COINS[row : row + 100, column : column + 120] for row in (0, 150) for column in (0, 200)]
LABELS = [(image > 110).astype(np.uint8) for image in IMAGES]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sam2 hóme")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAPARI_SAM2_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def quantized(micro_folder, home):
    """Return the folder of a quantized model and the progress of making it."""
    reports = []
    folder = quantize(
        micro_folder,
        (image.astype(np.uint16) for image in IMAGES),
        "micro é 8",
        labels=LABELS,
        on_progress=reports.append,
    )
    assert folder.is_relative_to(home)
    return folder, reports


@pytest.fixture
def job(micro_folder, sam2_home):
    assert not sam2_home.exists()
    return QuantizeJob(micro_folder, IMAGES, "micro")


def test_the_result_is_a_whole_model_with_its_report(quantized, micro_folder):
    folder, _ = quantized
    original = {path.name for path in micro_folder.iterdir()}
    assert {path.name for path in folder.iterdir()} == original | {"report", "self_test.npz"}
    assert left_behind() == ["micro é 8"]
    info, source = read_model_info(folder), read_model_info(micro_folder)
    assert (info.name, info.weights, info.config) == ("micro é 8", "int8", source.config)
    assert info.quantization.original == "micro"
    assert info.quantization.preset == "balanced"
    assert info.quantization.calibration_images == 3
    report = json.loads((folder / "report" / "report.json").read_text(encoding="utf-8"))
    assert report["prompts_from"] == "labels"
    assert report["images"] == 1
    assert report["b"]["masks"]["mean"] == info.quantization.mean_mask_iou > 0.5
    assert report["advice"]["sentence"] == info.quantization.advice
    assert info.self_check.prompt_sets == report["prompts"]
    assert (folder / "report" / report["worst"][0]["picture"]).is_file()
    sizes = [(each / "image_encoder.bin").stat().st_size for each in (folder, micro_folder)]
    assert sizes[0] < 0.6 * sizes[1]


def test_it_loads_and_passes_its_self_test(quantized):
    folder, _ = quantized
    model = load_model("micro é 8")
    assert model.folder == folder
    assert run_self_test(model).passed
    (listing,) = (each for each in list_models() if each.name == "micro é 8")
    assert listing.weights == "int8"
    assert listing.description.startswith("micro in 8 bits; its report says: ")


def test_progress_tells_stages_and_memory(quantized):
    _, reports = quantized
    shares = [progress.done for progress in reports]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    stages = list(dict.fromkeys(progress.stage for progress in reports))
    assert stages[:2] == ["Reading the images", "Quantizing the image encoder"]
    assert "Comparing masks" in stages
    assert re.fullmatch(r"needs about \d\.\d GB of memory", reports[0].detail)


def test_damaged_scales_are_caught(quantized, micro_folder, tmp_path):
    folder, _ = quantized
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    damage_scales(broken)
    write_model_info(broken, replace(read_model_info(broken), name="broken"))
    result = run_self_test(load_model(broken, precision="f32"))
    assert not result.passed
    report = compare_models(micro_folder, broken, IMAGES[:1], labels=LABELS[:1])
    assert not report.advice.use_b
    assert report.b.masks.mean < report.a.masks.mean - 0.1


@on_linux
def test_cancel_leaves_no_process_and_no_file(job):
    reports = run_until(job, "Quantizing the image encoder")
    assert len(workers()) == 1
    timer = threading.Timer(0.1, job.cancel)
    timer.start()
    with pytest.raises(JobCancelledError, match="quantization was cancelled"):
        for _ in reports:
            pass
    timer.join()
    assert workers() == set()
    assert left_behind() == []


@on_linux
def test_cancel_while_images_are_read_starts_no_process(job):
    reports = run_until(job, "Reading the images")
    job.cancel()
    with pytest.raises(JobCancelledError):
        next(reports)
    assert workers() == set()
    assert left_behind() == []


def refused(error, *args, **kwargs):
    """Quantize, see it refused and nothing left behind, and return the sentence."""
    with pytest.raises(error) as caught:
        quantize(*args, **kwargs)
    assert left_behind() == []
    return str(caught.value)


@pytest.mark.usefixtures("sam2_home")
def test_what_cannot_be_used_is_refused(micro_folder):
    assert "balanced" in refused(InputError, micro_folder, IMAGES, "x", preset="best")
    assert "at least one image" in refused(InputError, micro_folder, [], "x")
    blank = [np.zeros_like(each) for each in LABELS]
    assert "those of the 4 images" in refused(InputError, micro_folder, IMAGES, "x", labels=blank)
    assert "labels for each" in refused(InputError, micro_folder, IMAGES, "x", labels=[])
    assert "choose another name" in refused(ConversionError, micro_folder, IMAGES, "starter")
    assert "shape" in refused(InputError, micro_folder, [np.zeros(4, np.uint8)], "x")


@pytest.mark.usefixtures("sam2_home")
def test_a_quantized_model_is_not_quantized_again(quantized):
    assert "quantize micro, the model" in refused(ConversionError, quantized[0], IMAGES, "x")


@pytest.mark.usefixtures("sam2_home")
def test_too_little_memory_is_told_before_it_begins(micro_folder, monkeypatch):
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=300_000_000))
    sentence = refused(ConversionError, micro_folder, IMAGES, "x")
    assert re.search(r"needs about \d\.\d GB of memory, but only 0\.3 GB are free", sentence)


def test_more_memory_is_asked_for_a_larger_model(micro_folder):

    micro, starter = (
        needs.needed_memory(each, PRESETS["balanced"]) for each in (micro_folder, starter_dir())
    )
    assert micro < starter < 4e9
    assert needs.needed_memory(starter_dir(), PRESETS["safe"]) < starter


def test_more_time_is_told_for_more_images_and_for_a_larger_model(micro_folder, monkeypatch):
    monkeypatch.setattr(needs, "_products_per_second", lambda: 1e10)

    def seconds(folder, preset, images):
        return needs.estimate_need(folder, PRESETS[preset], images).seconds

    few, many = (seconds(starter_dir(), "balanced", count) for count in (4, 32))
    assert 10 < few < many < 200
    assert seconds(micro_folder, "balanced", 32) < many
    assert seconds(starter_dir(), "safe", 32) < few


@pytest.mark.usefixtures("sam2_home")
def test_without_nncf_one_sentence_says_what_to_install(micro_folder, tmp_path, monkeypatch):
    (tmp_path / "nncf.py").write_text("raise ModuleNotFoundError('no such module')")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    sentence = refused(MissingExtraError, micro_folder, IMAGES, "x")
    assert 'pip install "napari-sam2-openvino[convert]"' in sentence


def test_every_fourth_image_is_kept_for_judging():
    assert split_images([True] * 9) == ([0, 1, 2, 4, 5, 6, 8], [3, 7])
    assert split_images([True] * 4) == ([0, 1, 2], [3])
    assert split_images([True] * 3) == ([0, 1, 2], [0, 1, 2])
    assert split_images([True]) == ([0], [0])


def test_images_without_objects_do_not_judge():
    assert split_images([True, False, True] * 3) == ([0, 1, 2, 3, 4, 6, 7, 8], [5])
    assert split_images([False, True, False, False]) == ([0, 1, 2, 3], [1])


@pytest.mark.usefixtures("sam2_home")
def test_labels_of_some_images_are_enough(micro_folder):
    # The fourth would be the one that judges.
    labels = [*LABELS[:3], np.zeros_like(LABELS[3])]
    folder = quantize(micro_folder, IMAGES, "x", preset="safe", labels=labels)
    assert read_model_info(folder).quantization.calibration_images == 4
    assert read_report(folder / "report").images == 3


def test_no_image_is_left_but_pictures_of_the_worst(quantized):
    folder, _ = quantized
    assert {path.suffix for path in folder.rglob("*.*")} == {
        *(".xml", ".bin", ".npz", ".json", ".md", ".png"),
    }
