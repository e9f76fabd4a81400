"""What a model is loaded with, found by measurement; a device that computes wrongly is not used."""

import json

import numpy as np
import pytest
from tests.core.test_self_test import Spoilt

from napari_sam2_openvino import load_model
from napari_sam2_openvino.batch.segmenter import ModelRecipe
from napari_sam2_openvino.core import tuning as tuning_module
from napari_sam2_openvino.core.devices import Device
from napari_sam2_openvino.core.errors import DeviceError, JobCancelledError
from napari_sam2_openvino.core.paths import cache_dir
from napari_sam2_openvino.core.tuning import choices, load_choice, tune
from napari_sam2_openvino.core.tunings import Choice, Trial, Tuning, read_tuning, write_tuning

pytestmark = pytest.mark.usefixtures("sam2_home")

CPU = Choice("CPU", "f32")
STAND_IN = Choice("NPU", "f16")
BROKEN = Choice("GPU", "f32")


def load(folder, choice):
    """Load on the CPU; one device is a stand-in that answers with wrong masks, one cannot load."""
    if choice == BROKEN:
        raise DeviceError("OpenVINO could not compile image_encoder.xml for GPU.")
    model = load_choice(folder, CPU)
    return Spoilt(model, lambda masks: masks[..., ::-1]) if choice == STAND_IN else model


def result_of(steps):
    kept = []

    def drive():
        kept.append((yield from steps))

    reports = list(drive())
    return kept[0], reports


def trial(choice, encode=1.0, decode=0.01, *, passed=True):
    return Trial(choice, passed, 1.0 if passed else 0.2, encode, decode)


def test_a_device_that_returns_wrong_masks_is_not_offered(micro_folder):
    found, reports = result_of(tune(micro_folder, [STAND_IN, BROKEN, CPU], load=load))
    wrong, broken, right = found.trials
    assert (wrong.passed, wrong.encode_seconds) == (False, None)
    assert wrong.mask_iou < 0.7
    assert (broken.passed, broken.problem[:8]) == (False, "OpenVINO")
    assert right.passed
    assert right.mask_iou > 0.999
    assert found.best() == right
    assert found.best("NPU") is None
    assert 0 < right.decode_seconds < 5
    shares = [progress.done for progress in reports]
    assert shares == sorted(shares)
    assert reports[1].detail == "NPU f16"
    assert read_tuning(micro_folder) == found


def test_what_was_measured_is_used(micro_folder):
    threads = Choice("CPU", "f32", 1)
    write_tuning(read_tuning(micro_folder).having(trial(threads)).having(trial(CPU, 2.0)))
    model = load_model(micro_folder)
    assert model.precision == "f32"
    for device in ("CPU", "auto"):
        identity = ModelRecipe.of(micro_folder, device).identity()
        assert (identity["device"], identity["precision"]) == ("CPU", "f32")
    # Something that was measured elsewhere has no effect.
    (path,) = cache_dir().glob("tuning/*.json")
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, "openvino": "2020.1"}))
    assert read_tuning(micro_folder).trials == ()
    assert ModelRecipe.of(micro_folder).identity()["precision"] == "auto"
    path.write_text("{")
    assert read_tuning(micro_folder).trials == ()


def test_the_best_device_is_used_where_that_is_asked_for(micro_folder, monkeypatch):
    loaded = []

    def note(_folder, choice):
        loaded.append(choice)

    monkeypatch.setattr(tuning_module, "load_choice", note)
    fast = Choice("GPU", "f16")
    write_tuning(read_tuning(micro_folder).having(trial(fast)).having(trial(CPU, 2.0)))
    load_model(micro_folder, device="auto")
    load_model(micro_folder)
    assert loaded == [fast, CPU]
    write_tuning(read_tuning(micro_folder).having(trial(fast, passed=False)))
    load_model(micro_folder, device="auto")
    assert loaded[-1] == CPU


def test_by_default_a_precision_is_used_that_passes_and_looked_at_once(micro_folder, monkeypatch):
    model = load_model(micro_folder)
    (known,) = read_tuning(micro_folder).trials
    assert (known.choice, known.passed) == (Choice("CPU", "auto"), True)

    def fail(*_):
        raise AssertionError("asked again")

    monkeypatch.setattr(tuning_module, "run_self_test", fail)
    assert load_model(micro_folder).precision == model.precision


def test_a_default_that_gives_wrong_masks_gives_way_to_f32(micro_folder, monkeypatch):
    def spoilt(folder, choice):
        model = load_choice(folder, choice)
        return model if choice.precision == "f32" else Spoilt(model, np.negative)

    monkeypatch.setattr(tuning_module, "load_choice", spoilt)
    assert load_model(micro_folder).precision == "f32"
    assert [each.passed for each in read_tuning(micro_folder).trials] == [False, True]
    assert load_model(micro_folder).precision == "f32"


def test_a_model_that_is_wrong_everywhere_is_refused(micro_folder, monkeypatch):
    monkeypatch.setattr(
        tuning_module, "load_choice", lambda *args: Spoilt(load_choice(*args), np.negative)
    )
    for _ in range(2):
        with pytest.raises(DeviceError, match=r"wrong masks on CPU \(IoU 0\.\d\d"):
            load_model(micro_folder)


def test_cancel_remembers_nothing(micro_folder):
    steps = tune(micro_folder, [CPU], load=load, cancelled=lambda: True)
    with pytest.raises(JobCancelledError):
        list(steps)
    assert read_tuning(micro_folder).trials == ()


def test_a_cache_that_cannot_be_written_is_no_error(micro_folder, sam2_home):
    sam2_home.mkdir(parents=True)
    (sam2_home / "cache").write_text("a file")
    write_tuning(read_tuning(micro_folder))


def test_every_precision_of_every_device_is_tried_and_a_core_less_on_the_cpu():
    devices = (Device("CPU", "", ("f32", "bf16")), Device("GPU.0", "", ("f32", "f16")))
    assert choices(devices, cores=8) == [
        Choice("CPU", "f32"),
        Choice("CPU", "f32", 7),
        Choice("CPU", "bf16"),
        Choice("CPU", "bf16", 7),
        Choice("GPU.0", "f32"),
        Choice("GPU.0", "f16"),
    ]
    assert choices(devices[:1], cores=1) == [Choice("CPU", "f32"), Choice("CPU", "bf16")]


@pytest.mark.parametrize(("seconds", "threads"), [(1.05, 7), (1.3, None)])
def test_a_core_is_left_to_the_window_where_it_costs_little(seconds, threads):
    trials = (
        trial(Choice("CPU", "bf16"), 1.0, 0.0),
        trial(Choice("CPU", "bf16", 7), seconds, 0.0),
        trial(Choice("CPU", "f32", 7), 1.06, 0.0),
        trial(Choice("GPU", "f16"), 0.1, 0.0, passed=False),
    )
    best = Tuning("m", "c", "o", trials).best()
    assert best.choice == Choice("CPU", "bf16", threads)


def test_a_model_is_wrong_if_nothing_on_the_cpu_gives_its_masks():
    wrong = trial(Choice("CPU", "auto"), None, None, passed=False)
    elsewhere = trial(Choice("GPU", "f32"), None, None, passed=False)
    right = trial(CPU, None, None)
    assert not Tuning("m", "c", "o").is_wrong
    assert not Tuning("m", "c", "o", (elsewhere,)).is_wrong
    assert Tuning("m", "c", "o", (wrong, elsewhere)).is_wrong
    assert not Tuning("m", "c", "o", (wrong, right)).is_wrong


def test_what_it_runs_on_is_the_best_or_what_passed():
    timed = trial(Choice("CPU", "bf16", 3))
    assert Tuning("m", "c", "o").runs_on == ""
    assert Tuning("m", "c", "o", (trial(CPU, None, None),)).runs_on == "CPU f32"
    assert Tuning("m", "c", "o", (trial(CPU, None, None), timed)).runs_on == "CPU bf16, 3 threads"
    assert Tuning("m", "c", "o", (trial(CPU, None, None, passed=False),)).runs_on == ""
    assert str(Choice("CPU", "f32", 1)) == "CPU f32, 1 thread"
