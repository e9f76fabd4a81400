"""The same planes on workers of Dask: a real cluster of processes on this computer."""

import time
from pathlib import Path

import distributed
import numpy as np
import pytest
import tifffile
from tests.batch.segmenters import BrightSpots
from tests.batch.stacks import spots
from tests.batch.test_job import STACK, expected, read, settings

from napari_sam2_openvino.batch.dask_runner import DaskRunner
from napari_sam2_openvino.batch.job import BatchJob
from napari_sam2_openvino.core.errors import InputError, JobCancelledError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster():
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
    ) as started:
        yield started


def run(images, scheduler, recipe=None, **options):
    chosen = settings(recipe)
    job = BatchJob(images, chosen, runner=DaskRunner(scheduler, **options))
    for _ in job.run():
        pass
    assert job.report.is_whole, str(job.report)
    return job


def test_one_to_three_workers_give_the_same_labels(tmp_path):
    for n_workers in (1, 2, 3):
        output = tmp_path / f"{n_workers}.zarr"
        run([(STACK, output)], "local", n_workers=n_workers)
        np.testing.assert_array_equal(read(output)[0], expected(STACK))


def test_planes_of_a_worker_that_dies_are_done_by_another(cluster, tmp_path):
    deadly = tmp_path / "deadly"
    deadly.touch()
    recipe = BrightSpots(dies_at=2, deadly=deadly)
    run([(STACK, tmp_path / "labels.zarr")], cluster.scheduler_address, recipe)
    assert not deadly.exists()
    np.testing.assert_array_equal(read(tmp_path / "labels.zarr")[0], expected(STACK))


def test_files_of_a_folder_are_shared_out_too(cluster, tmp_path):
    images = []
    for number in range(5):
        plane = spots((48, 64), seed=number)
        tifffile.imwrite(tmp_path / f"{number}.tif", plane)
        images.append((tmp_path / f"{number}.tif", tmp_path / f"{number} labels.tif"))
    job = run(images, cluster.scheduler_address)
    assert len(job.report.stacks) == 5
    for number, (_, output) in enumerate(images):
        np.testing.assert_array_equal(read(output)[0], expected(spots((48, 64), seed=number)))


def test_a_client_of_ones_own_is_used_and_cancelled(cluster, tmp_path):
    with distributed.Client(cluster, set_as_default=False) as client:
        job = BatchJob(
            [(spots((40, 48, 64)), tmp_path / "labels.zarr")],
            settings(BrightSpots(seconds=0.05)),
            runner=DaskRunner(client, threads=1),
        )
        reports = job.run()
        while not next(reports).detail.startswith("4 of 40"):
            pass
        job.cancel()
        with pytest.raises(JobCancelledError):
            list(reports)
        assert 4 <= job.report.stacks[0].n_finished < 20
        assert client.status == "running"


def test_workers_that_are_busy_are_not_waited_for(tmp_path):
    job = BatchJob(
        [(spots((9, 48, 64)), tmp_path / "labels.zarr")],
        settings(BrightSpots(seconds=20)),
        runner=DaskRunner("local", 2),
    )
    reports = job.run()
    started = time.perf_counter()
    while time.perf_counter() < started + 6:
        next(reports)
    job.cancel()
    cancelled = time.perf_counter()
    with pytest.raises(JobCancelledError):
        list(reports)
    assert time.perf_counter() < cancelled + 2
    assert not list((tmp_path / "labels.zarr.partial" / "planes").iterdir())


def test_workers_need_not_work_in_the_same_folder(cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("in.npy", STACK)
    run([("in.npy", Path("labels.zarr"))], cluster.scheduler_address)
    np.testing.assert_array_equal(read(tmp_path / "labels.zarr")[0], expected(STACK))


def test_a_scheduler_that_is_not_there_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_sam2_openvino.batch.dask_runner._CONNECT_SECONDS", 1)
    with pytest.raises(InputError, match="no scheduler at"):
        run([(STACK, tmp_path / "labels.zarr")], "tcp://127.0.0.1:9")


def test_no_workers_are_refused():
    with pytest.raises(InputError, match="at least 1 worker"):
        DaskRunner("local", n_workers=0)
