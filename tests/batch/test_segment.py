"""`segment_stack` and `napari-sam2 segment`, with the starter."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from tests.batch.test_job import read
from typer.testing import CliRunner

from napari_sam2_openvino import segment_stack
from napari_sam2_openvino.batch import segmenter
from napari_sam2_openvino.batch.job import BatchJob
from napari_sam2_openvino.batch.objects import EveryObject, recommended_parameters
from napari_sam2_openvino.batch.parameters import BatchParameters, LinkParameters
from napari_sam2_openvino.batch.segmenter import ModelRecipe
from napari_sam2_openvino.batch.stack import StackSettings
from napari_sam2_openvino.cli import app
from napari_sam2_openvino.core.all_objects import find_objects
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.labels_from_candidates import labels_from_candidates
from napari_sam2_openvino.core.planes import make_plane_source
from napari_sam2_openvino.core.reading import ImageArrays
from napari_sam2_openvino.core.tunings import Choice, Trial, read_tuning, write_tuning
from napari_sam2_openvino.core.types import PlaneIndex
from napari_sam2_openvino.synthetic import make_scene

BEST = recommended_parameters(ModelRecipe.of("starter"))
OBJECTS = replace(
    BEST,
    generator=replace(BEST.generator, points_per_side=6),
    filter=replace(BEST.filter, pred_iou_thresh=0.3, stability_score_thresh=0.3),
)
OPTIONS = ["--points-per-side", "6", "--pred-iou-thresh", "0.3", "--stability-score-thresh", "0.3"]


@pytest.fixture(scope="module")
def stack():
    scenes = [make_scene("fluorescence", seed=seed, shape=(96, 128)).image for seed in range(5)]
    return np.stack(scenes)


@pytest.fixture(scope="module")
def wanted(stack, starter_model):
    """What the window finds on each plane."""
    planes = []
    arrays = ImageArrays((stack,), "stack")
    for number in range(len(stack)):
        source = make_plane_source([arrays], PlaneIndex((number, None, None)))
        steps = find_objects(starter_model, source, OBJECTS)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                planes.append(labels_from_candidates(end.value, OBJECTS.labels).labels)
                break
    assert all(plane.max() >= 2 for plane in planes)
    return np.stack(planes)


def command(*arguments):
    answer = CliRunner().invoke(app, ["segment", *map(str, arguments)])
    assert not isinstance(answer.exception, Exception) or isinstance(answer.exception, SystemExit)
    return answer


def test_a_stack_gets_the_labels_of_the_window(stack, wanted, starter_model, tmp_path):
    output = tmp_path / "labels.zarr"
    details = []
    report = segment_stack(
        stack,
        starter_model,
        output,
        parameters=BatchParameters(OBJECTS),
        on_progress=lambda progress: details.append(progress.detail),
    )
    np.testing.assert_array_equal(read(output)[0], wanted)
    assert report.is_whole
    assert report.n_objects == sum(len(np.unique(plane)) - 1 for plane in wanted)
    assert any("4 of 5 planes" in detail for detail in details)


@pytest.mark.slow
def test_workers_give_the_labels_of_this_process(stack, tmp_path):
    parameters = BatchParameters(OBJECTS)
    here = tmp_path / "here.tif"
    segment_stack(stack, "starter", here, parameters=parameters)
    assert read(here)[0].max() >= 2
    for workers in (1, 2):
        there = tmp_path / f"{workers}.tif"
        segment_stack(
            stack, "starter", there, parameters=parameters, scheduler="local", workers=workers
        )
        np.testing.assert_array_equal(read(there)[0], read(here)[0])


def test_what_cannot_be_done_is_raised(stack, tmp_path):
    with pytest.raises(InputError, match="cannot be linked along t"):
        segment_stack(
            stack,
            "starter",
            tmp_path / "labels.zarr",
            parameters=BatchParameters(linking=LinkParameters("t")),
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["labels.zarr", "labels.tif"])
@pytest.mark.parametrize("scheduler", [(), ("--scheduler", "local")], ids=["here", "local"])
def test_a_device_that_is_not_there_overwrites_and_begins_nothing(scheduler, name, stack, tmp_path):
    tifffile.imwrite(tmp_path / "in.tif", stack[:2], metadata={"axes": "ZYX"})
    output = tmp_path / name
    assert command(tmp_path / "in.tif", "-o", output, *OPTIONS).exit_code == 0
    files, before = sorted(tmp_path.rglob("*")), read(output)[0]
    wrong = *OPTIONS, *scheduler, "--device", "NPU.7"
    for where in (output, "--overwrite"), (tmp_path / f"new {name}",):
        answer = command(tmp_path / "in.tif", "-o", *where, *wrong)
        assert answer.exit_code == 1
        assert answer.stderr.count("The device must be one of") == 1
    assert sorted(tmp_path.rglob("*")) == files
    np.testing.assert_array_equal(read(output)[0], before)


@pytest.mark.usefixtures("sam2_home")
@pytest.mark.parametrize("n_planes", [1, 2])
def test_an_automatic_precision_stays_the_one_that_a_job_began_with(n_planes, stack, tmp_path):
    recipe = ModelRecipe.of("starter")
    output = tmp_path / "labels.zarr"
    images = [(stack[:2], output)]
    job = BatchJob(images, StackSettings(EveryObject(recipe, OBJECTS)), axes="zyx")
    for progress in job.run():
        if progress.detail.startswith(f"{n_planes} of 2") and n_planes == 1:
            break
    best = Choice("CPU", "f16" if recipe.load().precision == "f32" else "f32")
    write_tuning(read_tuning(recipe.folder).having(Trial(best, True, 1.0, 0.1, 0.01)))
    settings = StackSettings(EveryObject(recipe, OBJECTS), resume=True)
    for _ in (job := BatchJob(images, settings, axes="zyx")).run():
        pass
    assert job.report.is_whole, job.report.stacks
    made_from = json.loads((tmp_path / "labels.zarr.json").read_text())["made_from"]
    assert made_from["segmenter"]["precision"] not in ("auto", best.precision)
    other = StackSettings(
        EveryObject(replace(recipe, precision=best.precision), OBJECTS), resume=True
    )
    for _ in (job := BatchJob(images, other, axes="zyx")).run():
        pass
    assert f"now {best.precision})" in str(job.errors[0])


def test_a_recipe_says_all_that_labels_depend_on():
    recipe = ModelRecipe.of("starter", precision="f32")
    first = EveryObject(recipe, OBJECTS).identity()
    assert first["generator.points_per_side"] == "6"
    assert first["precision"] == "f32"
    assert "points_per_batch" not in str(first)
    other = EveryObject(recipe, recommended_parameters(recipe)).identity()
    assert other.keys() == first.keys()
    assert other != first


def test_a_loaded_model_is_not_loaded_again(starter_model):
    assert ModelRecipe.of(starter_model).load() is starter_model
    assert ModelRecipe.of("starter", precision="f32").load() is starter_model
    other = ModelRecipe.of("starter", precision="f32").load(threads=1)
    assert other is not starter_model
    assert ModelRecipe.of("starter", precision="f32").load(threads=1) is other


def test_a_model_that_was_replaced_under_its_name_is_loaded_anew(starter_model, tmp_path):
    recipe = ModelRecipe(shutil.copytree(starter_model.folder, tmp_path / "model"))
    first = recipe.load(threads=1)
    assert recipe.load(threads=1) is first
    with (recipe.folder / "mask_decoder.xml").open("a") as file:
        file.write("<!-- Another one. -->")
    second = recipe.load(threads=1)
    assert second.key != first.key
    assert recipe.load(threads=1) is second


def test_the_command_writes_the_labels_of_a_file(stack, wanted, tmp_path):
    tifffile.imwrite(tmp_path / "in.tif", stack, metadata={"axes": "ZYX"})
    arguments = tmp_path / "in.tif", "-o", tmp_path / "labels.zarr", *OPTIONS, "--precision", "f32"
    answer = command(*arguments)
    assert answer.exit_code == 0, answer.output
    assert "z 5, y 96, x 128" in answer.stderr
    assert "5 of 5 planes" in answer.stdout
    np.testing.assert_array_equal(read(tmp_path / "labels.zarr")[0], wanted)
    answer = command(*arguments)
    assert answer.exit_code == 1
    assert "there already" in answer.stderr
    answer = command(*arguments, "--resume", "--json")
    assert answer.exit_code == 0
    report = json.loads(answer.stdout)
    assert report["is_whole"]
    assert report["stacks"][0]["n_finished"] == 5
    answer = command(*arguments, "--resume", "--min-area", "50")
    assert answer.exit_code == 1
    assert "filter.min_area (0, now 50)" in answer.stderr


def test_a_folder_with_a_bad_file_is_done_and_the_exit_code_says_so(stack, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(2):
        tifffile.imwrite(folder / f"{number}.tif", stack[number])
    (folder / "0bad.tif").touch()
    answer = command(folder, "-o", tmp_path / "out", *OPTIONS)
    assert answer.exit_code == 1
    assert "0bad.tif: The image" in answer.stderr
    assert "on 2 planes of 3 images; 1 failed" in answer.stderr
    assert sorted(path.name for path in (tmp_path / "out").glob("*.tif")) == ["0.tif", "1.tif"]
    (folder / "0bad.tif").unlink()
    assert command(folder, "-o", tmp_path / "out", *OPTIONS, "--resume").exit_code == 0


def test_a_plane_is_tried_first(stack, wanted, tmp_path):
    tifffile.imwrite(tmp_path / "in.tif", stack, metadata={"axes": "ZYX"})
    arguments = tmp_path / "in.tif", "--try-plane", "z=3", *OPTIONS, "--precision", "f32"
    answer = command(*arguments, "-o", tmp_path / "try.tif")
    assert answer.exit_code == 0, answer.output
    n_objects = len(np.unique(wanted[3])) - 1
    assert answer.stdout.startswith(f"z=3: {n_objects} objects in ")
    assert "5 planes take" in answer.stdout
    assert "2 planes take" in command(*arguments, "--planes", "z=:2").stdout
    # Not each of its many steps is drawn where that is no terminal.
    assert "Done" in answer.stderr
    assert answer.stderr.count("\r") < 12
    np.testing.assert_array_equal(read(tmp_path / "try.tif")[0], wanted[3])
    report = json.loads(command(*arguments, "--json").stdout)
    assert report["n_objects"] == n_objects


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["in.tif"], "Say where the labels go"),
        (["missing.tif", "-o", "l.tif"], "There is no image"),
        (["in.tif", "-o", "l.tif", "--model", "no-such"], "no model 'no-such'"),
        (["in.tif", "-o", "l.tif", "--points-per-side", "0"], "Points per side must be between"),
        (["in.tif", "-o", "l.tif", "--channels", "a"], "--channels takes numbers"),
        (["in.tif", "-o", "l.tif", "--scheduler", "local", "--workers", "0"], "at least 1 worker"),
        (["in.tif", "-o", "l.tif", "--workers", "2"], "--workers needs a scheduler"),
        (["in.tif", "-o", "l.tif", "--fill-holes", "9"], "does nothing without --prompts"),
        (
            ["in.tif", "-o", "l.tif", "--prompts", "t.csv", "--points-per-side", "8"],
            "--points-per-side does nothing with --prompts",
        ),
        (["in.tif", "-o", "l.tif", "--low-percentile", "9"], "without --intensities percentiles"),
        (["in.tif", "-o", "l.tif", "--threads", "0"], "--threads must be at least 1"),
        (["in.tif", "-o", "l.tif", "--resume", "--overwrite"], "give only one of them"),
        (["in.tif", "in.tif", "--try-plane", "z=1"], "tried on one image"),
        (["in.tif", "--try-plane", "y=0", "--scheduler", "local"], "leave --scheduler out"),
    ],
)
def test_what_a_command_cannot_do_is_one_sentence(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite("in.tif", np.zeros((20, 30), np.uint8))
    answer = command(*arguments)
    assert answer.exit_code == 1
    assert message in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("name", ["segment", "propagate"])
def test_what_needs_a_window_is_not_offered(name):
    page = CliRunner().invoke(app, [name, "--help"]).output
    assert "minimum to maximum" in page
    assert "displayed" not in page


def test_of_a_file_of_several_images_it_is_told_which_one_is_read(tmp_path):
    folder, prompts = tmp_path / "in", tmp_path / "prompts.csv"
    folder.mkdir()
    path = folder / "slide.tif"
    prompts.write_text("x,y\n20,20\n")
    with tifffile.TiffWriter(path, ome=True) as writer:
        for side in (64, 16):
            writer.write(np.zeros((side, side), np.uint8))
    answer = command(path, "-o", tmp_path / "labels.tif", "--prompts", prompts)
    assert "slide.tif: y 64, x 64; the largest of 2 images of the file" in answer.stderr
    # So does a folder, after a file that is refused.
    with tifffile.TiffWriter(folder / "a.tif", ome=True) as writer:
        for _ in range(2):
            writer.write(np.zeros((64, 64), np.uint8))
    answer = command(folder, "-o", tmp_path / "out", "--prompts", prompts)
    assert answer.exit_code == 1
    assert "; the largest of 2 images" in answer.stderr
    assert "a.tif holds 2 images" in answer.stderr
    assert (tmp_path / "out" / "slide.tif").exists()


@pytest.mark.parametrize("where", [["-o", "labels.tif"], ["--try-plane", "y=0"]])
def test_the_threads_of_this_process_are_those_that_are_asked_for(where, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite("in.tif", np.zeros((20, 30), np.uint8))
    asked = []

    def load(*_, threads, **__):
        asked.append(threads)
        raise InputError("That is enough.")

    monkeypatch.setattr(segmenter, "_LOADED", {})
    monkeypatch.setattr(segmenter, "load_model", load)
    assert "That is enough." in command("in.tif", *where, "--threads", "3").stderr
    assert asked == [3]
