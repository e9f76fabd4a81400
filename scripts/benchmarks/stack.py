"""A batch over a stack: memory, kills and resumes, workers; always the same labels."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

from napari_sam2_openvino.synthetic import make_scene

SHAPE = (256, 256)
N_KILLS = 10
WORKERS = (1, 2, 3)
# Resident memory at any plane after the first ones, compared with that at the first of them.
FROM_PLANE, MOST_GROWTH = 10, 0.1
# So that the starter finds what is there, whatever is recommended for it.
OPTIONS = (
    *("--points-per-side", "8"),
    *("--pred-iou-thresh", "0.5"),
    *("--stability-score-thresh", "0.7"),
)
_POLL_SECONDS = 0.02


@dataclass
class Run:
    """One run of the command, watched from outside."""

    output: Path
    process: subprocess.Popen[bytes]
    started: float = field(default_factory=time.perf_counter)

    @classmethod
    def start(cls, image: Path, output: Path, *options: str) -> "Run":
        """Begin, or go on with, the labels of an image."""
        command = [sys.executable, "-m", "napari_sam2_openvino.cli", "segment", str(image)]
        command += ["-o", str(output), "--resume", *OPTIONS, *options]
        with output.with_name(f"{output.name}.log").open("w") as log:
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)
        return cls(output, process)

    @property
    def n_finished(self) -> int:
        """How many planes are finished; 0 before the first and after the last."""
        folder = self.output.with_name(f"{self.output.name}.partial") / "planes"
        return len(list(folder.glob("[0-9]*.json"))) if folder.is_dir() else 0

    def ticks(self) -> Iterator[int]:
        """Give the number of finished planes again and again until the run ends."""
        while self.process.poll() is None:
            yield self.n_finished
            time.sleep(_POLL_SECONDS)

    def finish(self) -> float:
        """Wait for the end, and return the seconds since the start."""
        for _ in self.ticks():
            pass
        if self.process.returncode:
            raise SystemExit(self.output.with_name(f"{self.output.name}.log").read_text()[-2000:])
        return time.perf_counter() - self.started

    def kill(self) -> None:
        """End it as the system does when memory runs out."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def stack(n_planes: int, folder: Path) -> bool:
    """Segment a stack in all these ways and print figures; return whether all is as it must be."""
    image = _make(folder / "stack.zarr", n_planes)
    labels, passed = _memory(image, folder / "undisturbed.zarr", n_planes)
    killed = _killed(image, folder / "killed.zarr", n_planes)
    passed &= _compare(f"killed {N_KILLS} times and resumed", labels, killed)
    for n_workers in WORKERS:
        output = folder / f"{n_workers} workers.zarr"
        seconds = Run.start(image, output, *_workers(n_workers)).finish()
        what = f"{n_workers} workers, {seconds:.0f} s with their start"
        passed &= _compare(what, labels, _read(output))
    output = folder / "a worker killed.zarr"
    _kill_a_worker(Run.start(image, output, *_workers(max(WORKERS))), n_planes // 2)
    passed &= _compare(f"{max(WORKERS)} workers, one of them killed", labels, _read(output))
    return passed


def _make(path: Path, n_planes: int) -> Path:
    import zarr

    array = zarr.create_array(
        path, shape=(n_planes, *SHAPE), chunks=(1, *SHAPE), dtype="uint16", dimension_names="zyx"
    )
    for number in range(n_planes):
        array[number] = make_scene("fluorescence", seed=number, shape=SHAPE).image
    return path


def _memory(image: Path, output: Path, n_planes: int) -> tuple[np.ndarray, bool]:
    """Run in peace and watch the memory."""
    # Not timed: the graphs are compiled and kept.
    Run.start(image, output.with_name("warm.zarr"), "--planes", "z=0:3").finish()
    run = Run.start(image, output)
    process = psutil.Process(run.process.pid)
    resident: dict[int, float] = {}
    first = 0.0
    for n_finished in run.ticks():
        if n_finished:
            first = first or time.perf_counter()
            resident[n_finished] = process.memory_info().rss / 1e6
    seconds = run.finish()
    known = {plane: value for plane, value in resident.items() if plane >= FROM_PLANE}
    start = known[min(known)]
    growth = max(abs(value - start) for value in known.values()) / start
    labels = _read(output)
    n_objects = sum(len(np.unique(plane)) - 1 for plane in labels)
    pace = 60 * (n_planes - 1) / (run.started + seconds - first)
    print(
        f"{n_planes} planes of {SHAPE[0]} x {SHAPE[1]}, starter, 8 x 8 points: {n_objects} "
        f"objects, {seconds:.0f} s, {pace:.0f} planes per minute; resident {start:.0f} MB at plane "
        f"{min(known)}, {known[max(known)]:.0f} MB at plane {max(known)}, at most "
        f"{100 * growth:.1f} % away from the first",
        flush=True,
    )
    return labels, growth <= MOST_GROWTH and n_objects > n_planes


def _killed(image: Path, output: Path, n_planes: int) -> np.ndarray:
    rng = random.Random(0)
    kept = []
    for number in range(N_KILLS):
        run = Run.start(image, output)
        # At any moment: while it starts, reads, segments or writes.
        wanted = (number + 1) * n_planes // (N_KILLS + 2)
        until = None
        for n_finished in run.ticks():
            if until is None and (n_finished >= wanted or rng.random() < 0.001):
                until = time.perf_counter() + rng.uniform(0, 0.5)
            if until is not None and time.perf_counter() >= until:
                break
        run.kill()
        kept.append(run.n_finished)
    print(f"killed at planes {', '.join(map(str, kept))}", flush=True)
    Run.start(image, output).finish()
    return _read(output)


def _workers(count: int) -> tuple[str, ...]:
    return "--scheduler", "local", "--workers", str(count)


def _kill_a_worker(run: Run, at_plane: int) -> None:
    for n_finished in run.ticks():
        if n_finished >= at_plane:
            break
    children = psutil.Process(run.process.pid).children(recursive=True)
    # What uses memory is a worker; the others watch over them.
    max(children, key=lambda each: each.memory_info().rss).send_signal(signal.SIGKILL)
    run.finish()


def _read(path: Path) -> np.ndarray:
    import zarr

    return np.asarray(zarr.open_array(path / "0", mode="r")[...])


def _compare(what: str, labels: np.ndarray, others: np.ndarray) -> bool:
    is_equal = bool(np.array_equal(labels, others))
    print(f"{what}: {'identical' if is_equal else 'DIFFERENT'}", flush=True)
    return is_equal
