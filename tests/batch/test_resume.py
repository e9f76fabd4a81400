"""A batch that was killed, or that met something else, goes on where it was, or says why not."""

import errno
import json
import shutil
import subprocess
import sys
from pathlib import Path

import filelock
import numpy as np
import pytest
import tifffile
from tests.batch.killed import command, kill_some_times
from tests.batch.segmenters import BrightSpots
from tests.batch.stacks import spots
from tests.batch.test_job import STACK, expected, leftovers, read, run, settings
from typer.testing import CliRunner

from napari_sam2_openvino._files.images import open_image, save_labels
from napari_sam2_openvino._files.labels_store import LabelsStore
from napari_sam2_openvino.batch.images import stack_image
from napari_sam2_openvino.batch.job import BatchJob
from napari_sam2_openvino.batch.journal import JobIdentity, Journal, PlaneRecord, write_whole
from napari_sam2_openvino.batch.outputs import read_noted
from napari_sam2_openvino.batch.parameters import BatchParameters, LinkParameters, PlaneParameters
from napari_sam2_openvino.batch.plane_work import PlaneWorker
from napari_sam2_openvino.batch.stack import Stack
from napari_sam2_openvino.batch.trial import TrialJob
from napari_sam2_openvino.cli import app
from napari_sam2_openvino.core.errors import InputError, JobCancelledError

IDENTITY = JobIdentity("image", "z 4, y 2, x 2", "", {"model": "a", "points_per_side": "8"})


@pytest.mark.slow
@pytest.mark.parametrize(("name", "link"), [("labels.zarr", "none"), ("labels.tif", "z")])
def test_killed_again_and_again_the_labels_are_those_of_a_run_in_peace(name, link, tmp_path):
    image = tmp_path / "in.tif"
    tifffile.imwrite(image, spots((12, 48, 64)), metadata={"axes": "ZYX"})
    parameters = BatchParameters(linking=LinkParameters(link))
    run(image, tmp_path / f"undisturbed {name}", parameters=parameters)
    output = tmp_path / name
    kill_some_times(command(image, output, link), output, n_kills=3, seed=11)
    np.testing.assert_array_equal(read(output)[0], read(tmp_path / f"undisturbed {name}")[0])
    assert not output.with_name(f"{name}.partial").exists()


def begun(tmp_path, n_planes, output="labels.zarr", **options):
    """Begin a job and leave it when some planes are done, as a kill does."""
    job = BatchJob([(STACK, tmp_path / output)], settings(**options))
    for progress in job.run():
        if progress.detail.startswith(f"{n_planes} of"):
            break
    return tmp_path / output


def test_finished_planes_are_not_done_again_and_others_not_trusted(tmp_path):
    output = begun(tmp_path, 3)
    store = LabelsStore(output)
    # What a killed write leaves is done again; what is finished is not looked at.
    store.write((3,), np.full((48, 64), 77))
    store.write((0,), np.full((48, 64), 99))
    job = run(STACK, output, resume=True)
    labels = read(output)[0]
    assert (labels[0] == 99).all()
    np.testing.assert_array_equal(labels[1:], expected(STACK)[1:])
    assert job.report.stacks[0].n_finished == 6


@pytest.mark.parametrize("options", [{"resume": True}, {"overwrite": True}])
def test_while_one_job_writes_another_is_refused(options, tmp_path):
    output = tmp_path / "labels.zarr"
    first = BatchJob([(STACK, output)], settings())
    steps = first.run()
    while "2 of" not in next(steps).detail:
        pass
    (problem,) = run(STACK, output, **options).report.stacks[0].problems
    assert "Another job writes to" in problem
    for _ in steps:
        pass
    np.testing.assert_array_equal(read(output)[0], expected(STACK))
    assert not leftovers(tmp_path, output)


def test_a_lock_that_a_kill_left_is_in_nobodys_way(tmp_path):
    command = (
        "import os, sys; from pathlib import Path;"
        "from napari_sam2_openvino.batch.output_lock import OutputLock;"
        "lock = OutputLock(Path(sys.argv[1])); lock.acquire(); os._exit(9)"
    )
    output = tmp_path / "labels.zarr"
    assert subprocess.run([sys.executable, "-c", command, output], check=False).returncode == 9
    assert (tmp_path / "labels.zarr.lock").exists()
    assert run(STACK, output).report.is_whole
    assert not leftovers(tmp_path, output)


def test_where_a_file_system_has_no_locks_labels_are_written_all_the_same(tmp_path, monkeypatch):
    def refuse(_lock, *_args, **_options):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    assert run(STACK, tmp_path / "labels.zarr").report.is_whole


def test_to_resume_and_to_overwrite_at_a_time_is_refused():
    with pytest.raises(InputError, match="give only one of them"):
        settings(resume=True, overwrite=True)


def test_without_resume_what_was_begun_is_refused(tmp_path):
    output = begun(tmp_path, 2)
    assert "resume or overwrite" in str(run(STACK, output).errors[0])
    assert run(STACK, output, overwrite=True).report.is_whole


@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
        (STACK, {"recipe": BrightSpots(200)}, r"threshold \(128, now 200\)"),
        (STACK + 1, {}, "with another image, of which z=0 differs"),
        (STACK.astype(np.float32), {}, r"image \(uint16, now float32\)"),
        (STACK, {"planes": "z=1:"}, r"planes \(, now z=1:\)"),
        (
            STACK,
            {"parameters": BatchParameters(planes=PlaneParameters(skip_empty=0.1))},
            r"skip_empty \(0.0, now 0.1\)",
        ),
    ],
)
@pytest.mark.parametrize("is_finished", [False, True])
def test_resume_with_something_else_is_refused(image, options, message, is_finished, tmp_path):
    output = begun(tmp_path, 6 if is_finished else 2)
    if is_finished:
        run(STACK, output, resume=True)
    before = read(output)[0]
    job = run(image, output, resume=True, **options)
    with pytest.raises(InputError, match=message):
        raise job.errors[0]
    assert not job.report.is_whole
    np.testing.assert_array_equal(read(output)[0], before)


@pytest.mark.parametrize("n_planes", [3, 6])
def test_a_finished_plane_that_is_another_one_by_now_is_not_resumed_over(n_planes, tmp_path):
    output = begun(tmp_path, n_planes)
    changed = STACK.copy()
    changed[1] = changed[1, ::-1]
    message = str(run(changed, output, resume=True).errors[0])
    assert "with another image, of which z=1 differs" in message
    assert run(STACK, output, resume=True).report.is_whole


def test_of_many_planes_some_are_compared(tmp_path):
    image = np.concatenate([STACK] * 20)
    run(image, tmp_path / "labels.tif")
    record = json.loads((tmp_path / "labels.tif.json").read_text())
    assert len(record["image_planes"]) == 32
    assert {"0", "119"} <= set(record["image_planes"])
    image[119, 0, 0] += 1
    message = str(run(image, tmp_path / "labels.tif", resume=True).errors[0])
    assert "another image, of which z=119 differs" in message


def test_channels_that_are_seen_are_compared_and_others_not(tmp_path):
    image = np.stack([STACK[:4], STACK[2:]], axis=1)
    output = tmp_path / "labels.tif"
    options = {"axes": "zcyx", "parameters": BatchParameters(channels=(1,))}
    run(image, output, **options)
    unseen, seen = image.copy(), image.copy()
    unseen[:, 0], seen[:, 1] = 7, seen[:, 1, ::-1]
    assert run(unseen, output, resume=True, **options).report.is_whole
    message = str(run(seen, output, resume=True, **options).errors[0])
    assert "was made with another image, of which z=0 differs" in message


@pytest.mark.parametrize("number", [0, 1, 5])
@pytest.mark.parametrize("link", ["none", "z"])
def test_a_plane_that_failed_can_be_repaired(link, number, tmp_path):
    linked = BatchParameters(linking=LinkParameters(link))
    whole = STACK.astype(np.float32)
    damaged = whole.copy()
    damaged[number] = np.nan
    output = tmp_path / "labels.tif"
    assert run(damaged, output, parameters=linked).report.stacks[0].n_finished == 5
    assert run(whole, output, parameters=linked, resume=True).report.is_whole
    run(whole, tmp_path / "in peace.tif", parameters=linked)
    np.testing.assert_array_equal(read(output)[0], read(tmp_path / "in peace.tif")[0])


def other_tool(output):
    """Write labels as another tool would, whatever is there."""
    save_labels(output, np.full(STACK.shape, 77, np.uint16), axes="ZYX", overwrite=True)


def is_others(output):
    with open_image(output) as file:
        return (np.asarray(file.levels[0]) == 77).all()


@pytest.mark.parametrize("link", ["none", "z"])
@pytest.mark.parametrize("n_planes", [3, 6])
@pytest.mark.parametrize("name", ["labels.zarr", "labels.tif", "labels.npy"])
def test_what_another_tool_wrote_meanwhile_is_not_replaced(name, n_planes, link, tmp_path):
    linked = BatchParameters(linking=LinkParameters(link))
    output = begun(tmp_path, n_planes, name, parameters=linked)
    if n_planes == 6:
        assert run(STACK, output, parameters=linked, resume=True).report.is_whole
    other_tool(output)
    job = run(STACK, output, parameters=linked, resume=True)
    assert "is not what its job has written there, but something else" in str(job.errors[0])
    assert is_others(output)
    if n_planes == 3 and name != "labels.zarr":
        output.rename(tmp_path / f"away {name}")
        assert run(STACK, output, parameters=linked, resume=True).report.is_whole
    assert run(STACK, output, parameters=linked, overwrite=True).report.is_whole
    assert run(STACK, output, parameters=linked, resume=True).report.is_whole


@pytest.mark.parametrize("name", ["labels.zarr", "labels.tif"])
def test_what_another_tool_writes_while_a_job_runs_is_not_called_its_own(name, tmp_path):
    job = BatchJob([(STACK, tmp_path / name)], settings())
    for progress in job.run():
        if progress.detail.startswith("5 of"):
            other_tool(tmp_path / name)
    assert "something else" in str(job.report.stacks[0])
    assert is_others(tmp_path / name)
    assert not (tmp_path / f"{name}.json").exists()


def test_labels_of_planes_that_failed_are_the_jobs_own_also_after_a_kill(tmp_path, monkeypatch):
    damaged = STACK.astype(np.float32)
    damaged[[1, 3]] = np.nan
    output = tmp_path / "labels.tif"
    run(damaged, output)
    damaged[1] = STACK[1]
    replaced = Path.replace

    def killed(self, target):
        if Path(target) == output:
            raise KeyboardInterrupt
        return replaced(self, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        run(damaged, output, resume=True)
    monkeypatch.undo()
    assert not read(output)[0][1].any()
    assert run(STACK.astype(np.float32), output, resume=True).report.is_whole
    np.testing.assert_array_equal(read(output)[0], expected(STACK))
    assert not leftovers(tmp_path, output)


@pytest.mark.parametrize("overwrite", [False, True])
def test_the_trial_of_a_plane_leaves_what_was_begun(overwrite, tmp_path):
    output = begun(tmp_path, 3)
    trial = TrialJob(STACK, "z=1", settings(overwrite=overwrite), output=output)
    with pytest.raises(InputError, match="A job was begun for"):
        list(trial.run())
    assert trial.labels is None
    assert run(STACK, output, resume=True).report.is_whole
    np.testing.assert_array_equal(read(output)[0], expected(STACK))


def test_the_trial_of_a_plane_that_replaces_labels_is_not_taken_for_them(tmp_path):
    run(STACK, tmp_path / "labels.tif")
    list(TrialJob(STACK, "z=1", settings(overwrite=True), output=tmp_path / "labels.tif").run())
    assert read(tmp_path / "labels.tif")[0].ndim == 2
    assert not (tmp_path / "labels.tif.json").exists()
    message = str(run(STACK, tmp_path / "labels.tif", resume=True).errors[0])
    assert "was not made by a batch" in message


@pytest.mark.parametrize("n_planes", [2, 6])
def test_axes_that_were_guessed_can_be_named(n_planes, tmp_path):
    output = begun(tmp_path, n_planes)
    assert stack_image(STACK).axes.is_guessed
    assert run(STACK, output, resume=True, axes="zyx").report.is_whole
    assert run(STACK, output, resume=True).report.is_whole
    assert "axes (z 6, y 48, x 64, now time 6" in str(
        run(STACK, output, resume=True, axes="tyx").errors[0]
    )


@pytest.mark.parametrize("name", ["labels.zarr", "labels.tif"])
def test_resume_of_what_is_finished_does_nothing(name, tmp_path):
    run(STACK, tmp_path / name)
    written = (tmp_path / f"{name}.json").stat().st_mtime_ns
    job = run(STACK, tmp_path / name, resume=True)
    assert job.report.is_whole
    assert (
        job.report.stacks[0].n_objects
        == json.loads((tmp_path / f"{name}.json").read_text())["n_objects"]
    )
    assert (tmp_path / f"{name}.json").stat().st_mtime_ns == written


def test_planes_whose_store_is_gone_are_not_called_finished(tmp_path):
    output = begun(tmp_path, 2)
    output.rename(tmp_path / "elsewhere.zarr")
    assert "is gone" in str(run(STACK, output, resume=True).errors[0])


def test_a_kill_before_the_first_plane_leaves_nothing_in_the_way(tmp_path):
    Journal(tmp_path / "labels.zarr.partial").begin(IDENTITY)
    (tmp_path / "labels.zarr.partial" / "job.json").unlink()
    assert run(STACK, tmp_path / "labels.zarr").report.is_whole


@pytest.mark.parametrize("name", ["labels.zarr", "labels.tif"])
def test_what_half_a_journal_says_counts_for_no_other_job(name, tmp_path):
    output = begun(tmp_path, 3, name)
    (tmp_path / f"{name}.partial" / "job.json").unlink()
    shutil.rmtree(output, ignore_errors=True)
    other = STACK[::-1].copy()
    assert run(other, output).report.is_whole
    np.testing.assert_array_equal(read(output)[0], expected(other))


def test_a_plane_that_comes_late_is_not_taken_for_one_of_the_job_that_overwrote(tmp_path):
    output = tmp_path / "labels.zarr"
    first = Stack(stack_image(STACK), output, settings())
    late = PlaneWorker().segment(first.task(), 0, None, lambda: False)
    next(late)
    first.close()
    second = Stack(stack_image(STACK), output, settings(BrightSpots(200), overwrite=True))
    with pytest.raises(JobCancelledError):
        list(late)
    assert second.pending() == second.numbers
    assert not LabelsStore(output).read((0,)).any()
    second.close()


def test_a_journal_tells_what_is_different():
    other = JobIdentity("image", "z 4, y 2, x 2", "", {"model": "b", "device": "CPU"})
    assert IDENTITY.differences(IDENTITY) == []
    assert IDENTITY.differences(other) == [
        "model (a, now b)",
        "points_per_side (8, now none)",
        "device (none, now CPU)",
    ]


def test_a_journal_of_another_version_or_damaged_is_refused(tmp_path):
    journal = Journal(tmp_path / "labels.zarr.partial")
    journal.begin(IDENTITY)
    journal.finish_plane(3, PlaneRecord(5, 0.5))
    assert journal.has_plane(3)
    assert not journal.has_plane(2)
    assert journal.record(3) == PlaneRecord(5, 0.5)
    for content in (b'{"format_version": 99}', b"{", b"[]"):
        write_whole(journal.folder / "job.json", content)
        with pytest.raises(InputError, match="overwrite what was begun"):
            read_noted(tmp_path / "labels.zarr")


def test_labels_of_another_version_are_left_alone(tmp_path):
    output = tmp_path / "labels.tif"
    run(STACK, output)
    record = json.loads((tmp_path / "labels.tif.json").read_text())
    for content in ({"n_objects": 3, "made_from": record["made_from"]}, {**record, "files": 7}, []):
        (tmp_path / "labels.tif.json").write_text(json.dumps(content))
        message = str(run(STACK, output, resume=True).errors[0])
        assert "choose another name for the labels, or overwrite them" in message
    np.testing.assert_array_equal(read(output)[0], expected(STACK))


def test_a_small_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "file.json"
    write_whole(path, b"old")
    with pytest.raises(TypeError):
        write_whole(path, "no bytes")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_export_does_not_take_the_place_of_labels_that_are_not_finished(tmp_path):
    output = begun(tmp_path, 2, "labels.tif")
    assert not output.exists()
    np.save(tmp_path / "other.npy", np.ones(STACK.shape, np.uint8))
    arguments = ["export", str(tmp_path / "other.npy"), "--format", "tiff", "-o", str(output)]
    said = CliRunner().invoke(app, arguments)
    assert said.exit_code == 1
    assert f"{output} was begun by another command and is not finished" in said.stderr
    assert not output.exists()
    run(STACK, output, resume=True)
    np.testing.assert_array_equal(read(output)[0], expected(STACK))


def test_an_export_says_that_labels_are_not_finished(tmp_path):
    output = begun(tmp_path, 2)
    arguments = ["export", str(output), "--format", "csv", "--overwrite", "-o"]
    said = CliRunner().invoke(app, [*arguments, str(tmp_path / "begun.csv")])
    assert said.exit_code == 0
    assert f"{output} is not finished, so objects may be missing" in said.stderr
    run(STACK, output, resume=True)
    said = CliRunner().invoke(app, [*arguments, str(tmp_path / "whole.csv")])
    assert said.exit_code == 0
    assert "not finished" not in said.stderr
    counts = [len(path.read_text().splitlines()) for path in sorted(tmp_path.glob("*.csv"))]
    assert counts[0] < counts[1]
