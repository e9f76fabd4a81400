"""Runs a batch in a process of its own, which is killed at random moments and started again."""

import random
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent

_SCRIPT = """
import sys
from pathlib import Path
from tests.batch.segmenters import BrightSpots
from napari_sam2_openvino.batch.job import BatchJob
from napari_sam2_openvino.batch.parameters import BatchParameters, LinkParameters
from napari_sam2_openvino.batch.stack import StackSettings

image, output, link, seconds = sys.argv[1:]
parameters = BatchParameters(linking=LinkParameters(link))
settings = StackSettings(BrightSpots(seconds=float(seconds)), parameters, resume=True)
job = BatchJob([(Path(image), Path(output))], settings)
for _ in job.run():
    pass
sys.exit(not job.report.is_whole)
"""


def command(image, output, link="none", seconds=0.05):
    """Return the command that segments an image, or goes on with it."""
    return [sys.executable, "-c", _SCRIPT, str(image), str(output), link, str(seconds)]


def start(arguments):
    return subprocess.Popen(arguments, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def kill_some_times(arguments, output, n_kills, seed):
    """Kill a run so many times, each time after some plane more was begun; then let it end."""
    rng = random.Random(seed)
    journal = output.with_name(f"{output.name}.partial") / "planes"
    for _ in range(n_kills):
        n_before = _n_finished(journal)
        process = start(arguments)
        while _n_finished(journal) <= n_before and process.poll() is None:
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.12))
        process.kill()
        process.communicate()
    process = start(arguments)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 0, error


def _n_finished(journal):
    return len(list(journal.glob("[0-9]*.json"))) if journal.is_dir() else 0
