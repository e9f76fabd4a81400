"""The same planes as tasks of Dask: on this computer or on a cluster."""

import contextlib
import os
import signal
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

from napari_sam2_openvino.batch.plane_work import PlaneOutcome, PlaneWorker, StackTask
from napari_sam2_openvino.batch.runners import PlaneDone, PlaneTask
from napari_sam2_openvino.batch.segmenter import Cancelled
from napari_sam2_openvino.core.errors import (
    DeviceError,
    InputError,
    JobCancelledError,
    MissingExtraError,
)

LOCAL = "local"
"""The scheduler that is started on this computer, and ended with the job."""

# How often futures are looked at.
_POLL_SECONDS = 0.1
# Tasks that wait beside the one that runs, so that no worker waits for the next.
_PER_WORKER = 2
_CONNECT_SECONDS = 30

# A worker gets one task after the other, and nothing else lives on from one to the next.
_WORKER = PlaneWorker()


@dataclass(frozen=True)
class DaskRunner:
    """Segments planes on the workers of a scheduler, see `Runner`.

    Each worker process compiles the model once and takes one plane at a time. A plane whose worker
    dies is given to another one. The workers read the images and write the labels themselves, so
    they need the same file system, and this package.

    Parameters
    ----------
    scheduler : str or distributed.Client
        "local", or the address of a scheduler, such as "tcp://10.0.0.1:8786".
    n_workers : int, optional
        Processes of "local"; one by default. A cluster has as many as it has.
    threads : int, optional
        Processor threads for each worker. By default those of the computer are divided among the
        processes of "local", and a worker of a cluster uses as many as it was started with.

    Raises
    ------
    MissingExtraError
        If distributed is not installed.
    """

    scheduler: Any
    n_workers: int | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        try:
            import distributed  # noqa: F401
        except ImportError as error:
            raise MissingExtraError(
                "A scheduler needs the package distributed: run "
                '`pip install "napari-sam2-openvino[cluster]"`.'
            ) from error
        if self.n_workers is not None and self.n_workers < 1:
            raise InputError(
                f"There must be at least 1 worker, but {self.n_workers} are asked for."
            )

    @property
    def is_local(self) -> bool:
        """Whether the workers are on this computer, and have what this process has."""
        return bool(self.scheduler == LOCAL)

    def __call__(
        self, tasks: Iterator[PlaneTask], cancelled: Cancelled
    ) -> Generator[PlaneDone | None, None, None]:
        """Segment planes, see `Runner`."""
        with self._client() as (client, threads):
            pending: dict[Any, PlaneTask] = {}
            try:
                yield from self._submit(client, threads, tasks, pending, cancelled)
            finally:
                client.cancel(list(pending))

    def _submit(
        self,
        client: Any,
        threads: int | None,
        tasks: Iterator[PlaneTask],
        pending: dict[Any, PlaneTask],
        cancelled: Cancelled,
    ) -> Generator[PlaneDone | None, None, None]:
        has_more = True
        while has_more or pending:
            if cancelled():
                raise JobCancelledError("The segmentation was cancelled.")
            room = _PER_WORKER * max(1, len(client.nthreads()))
            while has_more and len(pending) < room:
                task = next(tasks, None)
                if task is None:
                    has_more = False
                    break
                future = client.submit(
                    segment_on_worker, task.task, task.number, threads, pure=False
                )
                pending[future] = task
            done = [future for future in pending if future.done()]
            for future in done:
                task = pending.pop(future)
                yield PlaneDone(task.stack, _outcome(future, task))
            if not done:
                yield None
                time.sleep(_POLL_SECONDS)

    @contextlib.contextmanager
    def _client(self) -> Iterator[tuple[Any, int | None]]:
        """Connect to the scheduler, or start one; and say how many threads a worker uses."""
        import distributed

        if isinstance(self.scheduler, distributed.Client):
            yield self.scheduler, self.threads
            return
        if self.scheduler != LOCAL:
            try:
                client = distributed.Client(
                    self.scheduler, timeout=_CONNECT_SECONDS, set_as_default=False
                )
            except (OSError, ValueError) as error:
                raise InputError(
                    f"There is no scheduler at {self.scheduler} ({error}): start one, or check the "
                    "address."
                ) from error
            with client:
                yield client, self.threads
            return
        from dask.system import CPU_COUNT

        n_workers = self.n_workers or 1
        cluster = distributed.LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address=":0",
            silence_logs=50,
        )
        with cluster, distributed.Client(cluster, set_as_default=False) as client:
            try:
                yield client, self.threads or max(1, CPU_COUNT // n_workers)
            except BaseException:
                _kill_workers(cluster)
                raise


def _kill_workers(cluster: Any) -> None:
    """End processes at once whose planes nobody waits for; what they leave is not trusted."""
    for nanny in cluster.workers.values():
        nanny.auto_restart = False
        with contextlib.suppress(ProcessLookupError):
            os.kill(nanny.pid, getattr(signal, "SIGKILL", signal.SIGTERM))


def segment_on_worker(task: StackTask, number: int, threads: int | None) -> PlaneOutcome:
    """Segment one plane; run by a worker."""
    import distributed

    if threads is None:
        threads = int(distributed.get_worker().state.nthreads)
    steps = _WORKER.segment(task, number, threads, lambda: False)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            outcome: PlaneOutcome = end.value
            return outcome


def _outcome(future: Any, task: PlaneTask) -> PlaneOutcome:
    import distributed

    if future.status == "finished":
        outcome: PlaneOutcome = future.result()
        return outcome
    error = future.exception() if future.status == "error" else None
    if isinstance(error, distributed.KilledWorker):
        problem = (
            "Every worker that segmented it died, perhaps for want of memory: give workers more, "
            "and resume."
        )
        return PlaneOutcome(task.number, None, problem)
    if error is None:
        raise DeviceError("The scheduler dropped a task: see that it runs, and resume.")
    raise error
