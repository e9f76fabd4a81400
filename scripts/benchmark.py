"""Measure the engine and the window.

    python scripts/benchmark.py --parity                 all models, 200 prompt sets each
    python scripts/benchmark.py --parity starter
    python scripts/benchmark.py --video                  tiny models, 3 scenes each
    python scripts/benchmark.py --video sam2_hiera_tiny --keep runs/video    goes on where it was
    python scripts/benchmark.py --volume starter         quality on volumes held out, then speed
    python scripts/benchmark.py --speed starter sam2.1_hiera_tiny
    python scripts/benchmark.py --click sam2.1_hiera_tiny          each step of a click
    python scripts/benchmark.py --encoder sam2.1_hiera_tiny --calibration 24 --outliers
    python scripts/benchmark.py --compared sam2.1_hiera_tiny --keep runs/compared
    python scripts/benchmark.py --window starter sam2.1_hiera_tiny
    python scripts/benchmark.py --ahead 300
    python scripts/benchmark.py --stack 200              a batch, killed and resumed, on workers
    python scripts/benchmark.py --amg-parity starter sam2.1_hiera_tiny
    python scripts/benchmark.py --amg sam2.1_hiera_tiny --repeats 1
    python scripts/benchmark.py --quick starter --images 2
    python scripts/benchmark.py --sliders 2000
    python scripts/benchmark.py --walk 200

They run in the environment that ``scripts/test.py`` makes (it has PyTorch); --window, --ahead,
--sliders and --walk need a display, and --compared needs the packages onnx and onnxruntime beside
it. With --keep FOLDER models are made once, and --parity, --video, --encoder and --compared go on
where they were. Meta's architectures get seeded weights with every parameter perturbed; the starter
is the trained one. Figures of speed are medians of runs in which the two sides take turns.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.parity import SETS_PER_IMAGE  # noqa: E402
from tests.video_parity import SCENES  # noqa: E402

from benchmarks.ahead import ahead  # noqa: E402
from benchmarks.amg import SURVIVALS, amg  # noqa: E402
from benchmarks.amg_parity import amg_parity  # noqa: E402
from benchmarks.click import click  # noqa: E402
from benchmarks.compared import TASKS, compared  # noqa: E402
from benchmarks.encoder import encoder  # noqa: E402
from benchmarks.parity import parity  # noqa: E402
from benchmarks.quick import quick  # noqa: E402
from benchmarks.sliders import sliders  # noqa: E402
from benchmarks.speed import speed  # noqa: E402
from benchmarks.stack import stack  # noqa: E402
from benchmarks.video import video  # noqa: E402
from benchmarks.volume import many, quality  # noqa: E402
from benchmarks.walk import walk  # noqa: E402
from benchmarks.window import window  # noqa: E402
from napari_sam2_openvino.core.models import STARTER  # noqa: E402
from napari_sam2_openvino.core.paths import HOME_VARIABLE  # noqa: E402
from napari_sam2_openvino.core.volume_parameters import VolumeParameters  # noqa: E402

PARITY_MODELS = ("sam2.1_hiera_tiny", "sam2_hiera_tiny", STARTER)
VIDEO_MODELS = ("sam2.1_hiera_tiny", "sam2_hiera_tiny")


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parity", nargs="*", metavar="MODEL", help="compare with PyTorch")
    parser.add_argument("--video", nargs="*", metavar="MODEL", help="compare videos with PyTorch")
    parser.add_argument(
        "--scenes", nargs="+", type=int, default=(), metavar="N", help="of --video, from 1"
    )
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="of models and what is finished"
    )
    parser.add_argument("--volume", nargs="+", metavar="MODEL", help="carry objects through planes")
    parser.add_argument("--planes", type=int, default=30, help="of the volume that is timed")
    parser.add_argument("--objects", type=int, default=50, help="in the volume that is timed")
    parser.add_argument("--speed", nargs="+", metavar="MODEL", help="time encode and click")
    parser.add_argument("--click", nargs="+", metavar="MODEL", help="time the steps of a click")
    parser.add_argument("--encoder", nargs="+", metavar="MODEL", help="its encoder, INT8 as well")
    parser.add_argument("--calibration", type=int, default=24, help="images for --encoder's INT8")
    parser.add_argument("--outliers", action="store_true", help="channels that stand out")
    parser.add_argument("--threads", type=int, default=0, help="of --encoder, both sides")
    parser.add_argument("--compared", nargs="+", metavar="MODEL", help="all runtimes in turn")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS, help="of --compared")
    parser.add_argument("--window", nargs="+", metavar="MODEL", help="time the widget")
    parser.add_argument("--ahead", type=int, metavar="PLANES", help="encode a zarr stack ahead")
    parser.add_argument("--stack", type=int, metavar="PLANES", help="segment a stack in a batch")
    parser.add_argument("--amg", nargs="+", metavar="MODEL", help="time the search for objects")
    parser.add_argument(
        "--amg-parity", nargs="+", metavar="MODEL", help="compare the search with PyTorch"
    )
    parser.add_argument("--quick", nargs="+", metavar="MODEL", help="compare the quick search")
    parser.add_argument("--points", type=int, default=32, help="points per side for --amg")
    parser.add_argument(
        "--images", type=int, default=10, help="images for --amg-parity, of a kind for --quick"
    )
    parser.add_argument(
        "--survival", nargs="*", choices=list(SURVIVALS), help="thresholds for --amg; all of them"
    )
    parser.add_argument("--sliders", type=int, metavar="N", help="filter that many candidates")
    parser.add_argument("--walk", type=int, metavar="STEPS", help="gaps over random edits")
    parser.add_argument("--sets", type=int, default=SETS_PER_IMAGE, help="prompt sets per image")
    parser.add_argument("--repeats", type=int, default=5, help="timed rounds")
    arguments = parser.parse_args()
    chosen = (
        arguments.speed,
        arguments.click,
        arguments.encoder,
        arguments.compared,
        arguments.window,
        arguments.ahead,
        arguments.stack,
        arguments.volume,
        arguments.amg,
        arguments.amg_parity,
        arguments.quick,
        arguments.sliders,
        arguments.walk,
    )
    if arguments.parity is None and arguments.video is None and not any(chosen):
        parser.error(
            "choose --parity, --video, --volume, --speed, --encoder, --compared, --window, "
            "--ahead, --stack, --amg, --amg-parity, --quick, --sliders or --walk"
        )
    passed = True
    with folder(arguments.keep) as home:
        # The user's own models and caches stay out of it.
        os.environ[HOME_VARIABLE] = home
        for name in (arguments.parity or PARITY_MODELS) if arguments.parity is not None else ():
            passed &= parity(name, arguments.sets, Path(home))
        if arguments.video is not None:
            passed &= videos(arguments)
        for name in arguments.volume or ():
            quality(name, VolumeParameters())
            many(name, arguments.planes, arguments.objects, Path(home))
        speeds(arguments, Path(home))
        for name in arguments.amg_parity or ():
            passed &= amg_parity(name, arguments.images)
        for name in arguments.amg or ():
            amg(name, arguments.points, arguments.repeats, arguments.survival)
        for name in arguments.quick or ():
            quick(name, arguments.images)
        if arguments.stack:
            passed &= stack(arguments.stack, Path(home))
        in_window(arguments, Path(home))
    return 0 if passed else 1


@contextmanager
def folder(kept: Path | None) -> Iterator[str]:
    """Give a folder for models and caches: one that stays, or one for this run."""
    if kept is None:
        with tempfile.TemporaryDirectory() as home:
            yield home
    else:
        kept.mkdir(parents=True, exist_ok=True)
        yield str(kept)


def videos(arguments: argparse.Namespace) -> bool:
    """Compare videos with PyTorch; return whether all passed."""
    scenes = tuple(list(SCENES)[number - 1] for number in arguments.scenes)
    passed = [video(name, scenes, arguments.keep) for name in arguments.video or VIDEO_MODELS]
    return all(passed)


def speeds(arguments: argparse.Namespace, home: Path) -> None:
    """Time encode and click, and compare precisions of image encoders, and runtimes."""
    for name in arguments.speed or ():
        speed(name, arguments.repeats)
    for name in arguments.click or ():
        click(name, arguments.repeats)
    for name in arguments.encoder or ():
        encoder(
            name,
            arguments.repeats,
            arguments.calibration,
            home,
            outliers=arguments.outliers,
            threads=arguments.threads,
        )
    for name in arguments.compared or ():
        compared(name, arguments.tasks, arguments.repeats, home)


def in_window(arguments: argparse.Namespace, home: Path) -> None:
    """Run what needs a display."""
    for name in arguments.window or ():
        window(name, arguments.repeats)
    if arguments.ahead:
        ahead(arguments.ahead, home)
    if arguments.sliders:
        sliders(arguments.sliders)
    if arguments.walk:
        walk(arguments.walk)


if __name__ == "__main__":
    sys.exit(main())
