"""Objects through a stack without a window: a job, its files, and what a kill leaves."""

import contextlib
import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
import zarr
from tests.reference import perturbed_model
from typer.testing import CliRunner

from napari_sam2_openvino._files.images import open_image, save_labels
from napari_sam2_openvino.batch.propagation import PropagationJob, PropagationSettings
from napari_sam2_openvino.batch.segmenter import ModelRecipe
from napari_sam2_openvino.batch.volume_prompts import (
    VolumePrompts,
    prompts_from_labels,
    read_prompts,
)
from napari_sam2_openvino.cli import app
from napari_sam2_openvino.conversion.pipeline import Request, fill_folder
from napari_sam2_openvino.core.errors import DeviceError, InputError, JobCancelledError
from napari_sam2_openvino.core.marks import MaskCut
from napari_sam2_openvino.core.records import MaskRecord
from napari_sam2_openvino.core.tunings import Choice, Trial, read_tuning, write_tuning
from napari_sam2_openvino.core.volume_parameters import VolumeParameters

MICRO_CONFIG = Path(__file__).parents[1] / "conversion" / "micro.yaml"
HW = (72, 96)
FIRST = {"obj_id": 3, "plane": 1, "box": [8, 8, 40, 40]}
SECOND = {"obj_id": 1, "plane": 4, "points": [[70, 40]], "labels": [1]}
OUTSIDE = MaskRecord.of(MaskCut(np.ones((3, 1), bool), (70, 0))).model_dump()


def stack(n_planes=7):
    """Return two bright discs on noise, the second one of planes from 2 on."""
    rows, columns = np.mgrid[: HW[0], : HW[1]]
    planes = np.random.default_rng(0).normal(40, 4, (n_planes, *HW))
    planes[:, np.hypot(rows - 24, columns - 24) < 14] += 150
    planes[2:, np.hypot(rows - 40, columns - 70) < 12] += 120
    return np.clip(planes, 0, 255).astype(np.uint8)


def prompts(*entries):
    return VolumePrompts.model_validate_json(json.dumps({"prompts": entries}))


@pytest.fixture
def recipe(starter_model):
    return ModelRecipe.of(starter_model)


@pytest.fixture(scope="module")
def micro_recipe(tmp_path_factory):
    """Return a micro model that remembers."""
    folder = tmp_path_factory.mktemp("micro")
    weights = perturbed_model(MICRO_CONFIG, seed=3).state_dict()
    torch.save({"model": weights}, folder / "micro.pt")
    (folder / "model").mkdir()
    for _ in fill_folder(
        Request(str(folder / "micro.pt"), "m", str(MICRO_CONFIG)), folder / "model"
    ):
        pass
    return ModelRecipe.of(folder / "model", precision="f32")


def run(output, recipe, *, image=None, entries=(FIRST, SECOND), until=None, **options):
    settings = PropagationSettings(recipe, **options)
    image = stack() if image is None else image
    job = PropagationJob(image, prompts(*entries), output, settings, axes="ZYX"[-image.ndim :])
    planes = 0
    for progress in job.run():
        planes += progress.stage == "Propagating"
        if planes == until:
            job.cancel()
            until = None
    return job


def labels(output):
    return np.asarray(zarr.open_array(output / "0", mode="r"))


def test_objects_are_carried_both_ways(recipe, tmp_path):
    output = tmp_path / "out.zarr"
    run(output, recipe)
    found = labels(output)
    assert found.shape == (7, *HW)
    assert [set(np.unique(plane)) for plane in found[2:]] == [{0, 1, 3}] * 5
    assert all(3 in plane for plane in found[:2])
    assert not list(tmp_path.glob("*.partial"))
    made_from = json.loads((tmp_path / "out.zarr.json").read_text())["made_from"]
    assert made_from["segmenter"]["model"].startswith("starter")


@pytest.mark.parametrize("method", ["projection", "memory"])
@pytest.mark.parametrize("until", [2, 7])
def test_cancelled_and_resumed_equals_a_straight_run(until, method, micro_recipe, tmp_path):
    options = {"parameters": VolumeParameters(method=method, min_overlap=0)}
    straight, resumed = tmp_path / "straight.zarr", tmp_path / "resumed.zarr"
    run(straight, micro_recipe, **options)
    with pytest.raises(JobCancelledError):
        run(resumed, micro_recipe, until=until, **options)
    assert (tmp_path / "resumed.zarr.partial").is_dir()
    run(resumed, micro_recipe, resume=True, **options)
    np.testing.assert_array_equal(labels(resumed), labels(straight))


def test_what_was_begun_is_not_mixed_with_something_else(recipe, tmp_path):
    output = tmp_path / "out.zarr"
    with pytest.raises(JobCancelledError):
        run(output, recipe, until=2)
    with pytest.raises(InputError, match="was begun already: resume or overwrite"):
        run(output, recipe)
    with pytest.raises(InputError, match=r"other settings, prompts \("):
        run(output, recipe, entries=(FIRST,), resume=True)
    with pytest.raises(InputError, match="with another image, of which z=1 differs"):
        run(output, recipe, image=stack()[::-1].copy(), resume=True)
    run(output, recipe, entries=(FIRST,), overwrite=True)
    assert set(np.unique(labels(output))) == {0, 3}
    with pytest.raises(InputError, match="is there already"):
        run(output, recipe)


@pytest.mark.parametrize(
    ("changed", "error", "sentence"),
    [
        ({"device": "NPU.7"}, DeviceError, "The device must be one of"),
        ({"method": "memory"}, InputError, "memory"),
        ({"image": np.full((7, *HW), np.nan, np.float32)}, InputError, "must hold numbers"),
    ],
    ids=["device", "method", "image"],
)
def test_what_cannot_be_done_overwrites_and_begins_nothing(
    changed, error, sentence, recipe, tmp_path
):
    output = tmp_path / "out.zarr"
    run(output, recipe)
    files, before = sorted(tmp_path.rglob("*")), labels(output)
    other = replace(recipe, device=changed.get("device", "CPU"))
    parameters = VolumeParameters(method=changed.get("method", "automatic"))
    options = {"image": changed.get("image"), "parameters": parameters}
    with pytest.raises(error, match=sentence):
        run(output, other, overwrite=True, **options)
    with pytest.raises(error, match=sentence):
        run(tmp_path / "new.zarr", other, **options)
    assert sorted(tmp_path.rglob("*")) == files
    np.testing.assert_array_equal(labels(output), before)


@pytest.mark.parametrize("until", [2, None])
def test_what_another_tool_wrote_meanwhile_is_not_replaced(until, recipe, tmp_path):
    output = tmp_path / "out.zarr"
    with contextlib.suppress(JobCancelledError):
        run(output, recipe, until=until)
    others = np.full((7, *HW), 77, np.uint16)
    save_labels(output, others, overwrite=True)
    with pytest.raises(InputError, match="is not what its job has written there"):
        run(output, recipe, resume=True)
    with open_image(output) as file:
        np.testing.assert_array_equal(file.levels[0], others)


def test_its_own_image_is_never_replaced(recipe, tmp_path):
    image = zarr.create_array(tmp_path / "image.zarr", data=stack())
    path = tmp_path / "image.zarr"
    settings = PropagationSettings(recipe, overwrite=True)
    with pytest.raises(InputError, match="is an image that is read"):
        PropagationJob(path, prompts(FIRST), tmp_path / "." / "image.zarr", settings, axes="ZYX")
    np.testing.assert_array_equal(image[:], stack())


def test_a_single_plane(recipe, tmp_path):
    entry = {**FIRST, "plane": 0}
    run(tmp_path / "out.zarr", recipe, image=stack()[0], entries=(entry,))
    assert set(np.unique(labels(tmp_path / "out.zarr"))) == {0, 3}


def test_axes_of_length_one_are_no_second_axis(recipe, tmp_path):
    settings = PropagationSettings(recipe)
    output = tmp_path / "out.zarr"
    job = PropagationJob(stack()[None, None], prompts(FIRST), output, settings, axes="TCZYX")
    for _ in job.run():
        pass
    assert labels(output).shape == (1, 7, *HW)
    assert all(3 in plane for plane in labels(output)[0])


def test_what_is_finished_is_resumed_without_doing_anything(recipe, tmp_path):
    output = tmp_path / "out.zarr"
    run(output, recipe)
    written = (tmp_path / "out.zarr.json").stat().st_mtime_ns
    run(output, recipe, resume=True)
    assert (tmp_path / "out.zarr.json").stat().st_mtime_ns == written
    assert not list(tmp_path.glob("*.partial"))
    changed = stack()
    changed[0] += 1
    with pytest.raises(InputError, match="was made with another image, of which z=0 differs"):
        run(output, recipe, image=changed, resume=True)
    with pytest.raises(InputError, match=r"was made with other settings, prompts \("):
        run(output, recipe, entries=(FIRST,), resume=True)


@pytest.mark.usefixtures("sam2_home")
@pytest.mark.parametrize("until", [2, None])
def test_an_automatic_precision_stays_the_one_that_a_job_began_with(until, tmp_path):
    recipe, output = ModelRecipe.of("starter"), tmp_path / "out.zarr"
    with contextlib.suppress(JobCancelledError):
        run(output, recipe, until=until)
    best = Choice("CPU", "f16" if recipe.load().precision == "f32" else "f32")
    write_tuning(read_tuning(recipe.folder).having(Trial(best, True, 1.0, 0.1, 0.01)))
    run(output, recipe, resume=True)
    made_from = json.loads((tmp_path / "out.zarr.json").read_text())["made_from"]
    assert made_from["segmenter"]["precision"] not in ("auto", best.precision)


@pytest.mark.parametrize("damage", [lambda whole: whole[:90], lambda _: b""])
def test_a_damaged_plane_is_told_of(damage, recipe, tmp_path):
    output = tmp_path / "out.zarr"
    with pytest.raises(JobCancelledError):
        run(output, recipe, until=3)
    frame = sorted((tmp_path / "out.zarr.partial" / "frames").iterdir())[0]
    frame.write_bytes(damage(frame.read_bytes()))
    with pytest.raises(InputError, match="cannot be used"):
        run(output, recipe, resume=True)


def test_prompts_on_the_last_plane(recipe, tmp_path):
    entry = {**FIRST, "plane": 6}
    run(tmp_path / "out.zarr", recipe, entries=(entry,))
    assert all(3 in plane for plane in labels(tmp_path / "out.zarr"))


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ([{**FIRST, "plane": 7}], "plane 7, but planes are 0 to 6"),
        ([FIRST, FIRST], "on plane 1 twice"),
        ([{"obj_id": 1, "plane": 0, "mask": OUTSIDE}], "by a mask that is not inside 72 x 96"),
        ([{**SECOND, "points": [[5000, 9]]}], "at x 5000, y 9, outside planes of 96 x 72 pixels"),
        ([{**FIRST, "box": [0, 60, 20, 90]}], "at x 10, y 75, outside"),
    ],
    ids=["plane", "twice", "mask", "point", "box"],
)
def test_prompts_that_do_not_fit(entries, sentence, recipe, tmp_path):
    with pytest.raises(InputError, match=sentence):
        run(tmp_path / "out.zarr", recipe, entries=entries)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "holds no prompts"),
        ('{"prompts": []}', "prompts: Tuple should have at least 1"),
        ('{"prompts": [{"obj_id": 0, "plane": 0, "box": [0,0,1,1]}]}', "prompts.0.obj_id"),
        ('{"prompts": [{"obj_id": 5000000000, "plane": 0, "box": [0,0,1,1]}]}', "prompts.0.obj_id"),
        ('{"prompts": [{"obj_id": 1, "plane": 0}]}', "points, a box or both, or a mask"),
        ('{"prompts": [{"obj_id": 1, "plane": 0, "points": [[1,2]]}]}', "a 1 or a 0 for each"),
        ('{"prompts": [{"obj_id": 1, "plane": 0, "box": [5,0,1,1]}]}', "x0 < x1"),
        ('{"prompts": [{"obj_id": 1, "plane": 0, "box": [0,0,1,1], "x": 1}]}', "prompts.0.x"),
    ],
    ids=["cut off", "none", "id", "large id", "nothing", "labels", "box", "unknown"],
)
def test_files_that_hold_no_prompts(text, sentence, tmp_path):
    path = tmp_path / "prompts.json"
    path.write_text(text)
    with pytest.raises(InputError, match=sentence):
        read_prompts(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_prompts(tmp_path / "none.json")


@pytest.mark.parametrize("is_stack", [True, False])
def test_objects_of_labels_are_prompts(is_stack, recipe, tmp_path):
    rows, columns = np.mgrid[: HW[0], : HW[1]]
    labelled = np.zeros(HW, np.uint16)
    labelled[np.hypot(rows - 24, columns - 24) < 14] = 7
    labelled[np.hypot(rows - 40, columns - 70) < 12] = 2
    all_planes = np.zeros((7, *HW), np.uint16)
    all_planes[3] = labelled
    path = tmp_path / "labels.tif"
    tifffile.imwrite(path, all_planes if is_stack else labelled)
    found = prompts_from_labels(path, 3, 7, HW)
    if is_stack:
        assert prompts_from_labels(path, None, 7, HW) == found
    else:
        with pytest.raises(InputError, match="labels of one plane: say which"):
            prompts_from_labels(path, None, 7, HW)
    with pytest.raises(InputError, match="Planes are 0 to 6"):
        prompts_from_labels(path, 7, 7, HW)
    assert [(each.obj_id, each.plane) for each in found.prompts] == [(2, 3), (7, 3)]
    for each in found.prompts:
        cut = each.mask.value()
        assert cut.mask.sum() == np.count_nonzero(labelled == each.obj_id)
    tifffile.imwrite(tmp_path / "others.tif", np.zeros((5, *HW), np.uint16))
    with pytest.raises(InputError, match="labels of one plane or of 7"):
        prompts_from_labels(tmp_path / "others.tif", 3, 7, HW)
    tifffile.imwrite(tmp_path / "turned.tif", np.ones((7, *HW[::-1]), np.uint16))
    with pytest.raises(InputError, match=r"as the volume has, but theirs are .* choose labels"):
        prompts_from_labels(tmp_path / "turned.tif", 3, 7, HW)
    tifffile.imwrite(tmp_path / "empty.tif", np.zeros((7, *HW), np.uint16))
    for place, plane in (("any plane", None), ("plane 2", 2)):
        with pytest.raises(InputError, match=f"no object on {place}"):
            prompts_from_labels(tmp_path / "empty.tif", plane, 7, HW)
    tifffile.imwrite(tmp_path / "long.tif", labelled[None, None], metadata={"axes": "TZYX"})
    assert prompts_from_labels(tmp_path / "long.tif", 3, 7, HW) == found
    np.save(tmp_path / "large.npy", np.full(HW, 2**40))
    with pytest.raises(InputError, match="Labels go up to 4294967295, but"):
        prompts_from_labels(tmp_path / "large.npy", 3, 7, HW)
    job = PropagationJob(stack(), found, tmp_path / "out.zarr", PropagationSettings(recipe))
    for _ in job.run():
        pass
    assert set(np.unique(labels(tmp_path / "out.zarr")[5])) == {0, 2, 7}


def small_things():
    """Return what is lost in a mask of low resolution: a spot, a line, a hole, neighbours."""
    labelled = np.zeros((400, 400), np.uint16)
    labelled[50:53, 50:53] = 9
    labelled[100:101, 40:240] = 2
    labelled[150:250, 50:150] = 3
    labelled[200:202, 100:102] = 0
    labelled[150:250, 150:200] = 4
    return labelled


def test_masks_that_are_given_are_written_as_they_are_on_their_planes(recipe, tmp_path):
    given = small_things()
    stacked = np.stack([np.zeros_like(given), given, np.zeros_like(given), given[::-1]])
    tifffile.imwrite(
        tmp_path / "given.tif", stacked, metadata={"axes": "ZYX"}, photometric="minisblack"
    )
    image = np.full(stacked.shape, 40, np.uint8) + 100 * (stacked[1] == 3).astype(np.uint8)
    found = prompts_from_labels(tmp_path / "given.tif", None, 4, given.shape)
    output = tmp_path / "out.zarr"
    job = PropagationJob(image, found, output, PropagationSettings(recipe), axes="ZYX")
    for _ in job.run():
        pass
    # Plane 1 is gone through again on the way back.
    for plane in (1, 3):
        is_given = stacked[plane] > 0
        np.testing.assert_array_equal(labels(output)[plane][is_given], stacked[plane][is_given])
        assert not labels(output)[plane][~is_given].any()


def test_killed_and_resumed_by_the_command(tmp_path):
    tifffile.imwrite(tmp_path / "stack.tif", stack(24), metadata={"axes": "ZYX"})
    (tmp_path / "prompts.json").write_text(json.dumps({"prompts": [FIRST, SECOND]}))

    def command(output, *options):
        module = [sys.executable, "-m", "napari_sam2_openvino.cli", "propagate", "stack.tif"]
        return [*module, "--prompts", "prompts.json", "-o", output, *options]

    subprocess.run(command("straight.zarr"), cwd=tmp_path, check=True, capture_output=True)
    with subprocess.Popen(command("out.zarr"), cwd=tmp_path, stderr=subprocess.PIPE) as process:
        planes = tmp_path / "out.zarr.partial" / "planes"
        deadline = time.monotonic() + 60
        while len(list(planes.glob("*.json"))) < 4:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    assert (tmp_path / "out.zarr.partial").is_dir()
    done = subprocess.run(
        command("out.zarr", "--resume"), cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "out.zarr"
    np.testing.assert_array_equal(labels(tmp_path / "out.zarr"), labels(tmp_path / "straight.zarr"))


def test_the_command_asks_where_objects_are(tmp_path):
    np.save(tmp_path / "stack.npy", stack())
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "napari_sam2_openvino.cli",
            "propagate",
            "stack.npy",
            "-o",
            "o.zarr",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Say where objects are: --prompts" in done.stderr


def test_the_command_does_not_both_resume_and_overwrite():
    arguments = ["stack.tif", "--prompts", "prompts.json", "-o", "out.zarr"]
    answer = CliRunner().invoke(app, ["propagate", *arguments, "--resume", "--overwrite"])
    assert answer.exit_code == 1
    assert "give only one of them" in answer.stderr


def test_the_command_refuses_percentiles_that_would_not_be_used():
    arguments = ["stack.tif", "--prompts", "prompts.json", "-o", "out.zarr"]
    answer = CliRunner().invoke(app, ["propagate", *arguments, "--high-percentile", "90"])
    assert answer.exit_code == 1
    assert "--high-percentile does nothing without --intensities percentiles" in answer.stderr


def test_while_one_propagation_writes_another_is_refused(recipe, tmp_path):
    settings = PropagationSettings(recipe)
    first, second = (
        PropagationJob(stack(), prompts(FIRST), tmp_path / "out.zarr", settings, axes="ZYX")
        for _ in range(2)
    )
    with contextlib.closing(first.run()) as steps:
        while next(steps).stage != "Propagating":
            pass
        with pytest.raises(InputError, match="Another job writes to"):
            list(second.run())
    assert not (tmp_path / "out.zarr.lock").exists()
