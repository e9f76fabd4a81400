"""Whether our videos are those of PyTorch, and how long both take."""

from pathlib import Path

import numpy as np
from tests.reference import let_memory_count
from tests.video_parity import SCENES, PlaneComparison, compare_videos

from benchmarks.models import SEED, kept_reference, model_folder, reference_model
from napari_sam2_openvino import SAM2VideoPredictor, load_model
from napari_sam2_openvino.core.volume_parameters import VolumeParameters


def video(name: str, scenes: tuple[str, ...] = (), kept: Path | None = None) -> bool:
    """Compare a model of the catalogue with PyTorch; return whether all planes passed.

    Parameters
    ----------
    name : str
    scenes : tuple of str, optional
        All by default.
    kept : Path, optional
        A folder for finished steps, so that a run that was cut off goes on.
    """
    reference = kept_reference(name) if kept else None
    if reference is None:
        reference = let_memory_count(reference_model(name), SEED)
    engine = load_model(model_folder(name, reference), precision="f32")
    parameters = VolumeParameters(method="memory", fill_hole_area=0)
    predictor = SAM2VideoPredictor(engine, parameters)
    if kept is not None:
        kept = kept / name
        kept.mkdir(parents=True, exist_ok=True)
    results: list[PlaneComparison] = []
    for scene in scenes or SCENES:
        of_scene = list(compare_videos(reference, predictor, SEED, scenes=(scene,), kept=kept))
        _report_scene(scene, of_scene)
        results += of_scene
    failed = [result for result in results if not result.passed]
    print(
        f"{name} ({engine.precision}): {len(results)} planes of videos, "
        f"{len(results) - len(failed)} agree, {len(failed)} fail; smallest pixel agreement "
        f"{min(each.pixel_agreement for each in results):.5f}, largest score difference "
        f"{max(each.score_difference for each in results):.1e}; objects on "
        f"{sum(each.foreground > 0 for each in results)} of them",
        flush=True,
    )
    return not failed


def _report_scene(scene: str, results: list[PlaneComparison]) -> None:
    """Print a scene's line, after a line for each plane that differs."""
    for result in results:
        if not result.passed:
            print(f"  FAIL: {result}")
    theirs, ours = np.median([each.seconds for each in results if each.seconds], axis=0)
    print(
        f"  {scene}: {sum(each.passed for each in results)} of {len(results)} planes agree; "
        f"PyTorch {theirs:.2f} s, ours {ours:.2f} s a plane that is tracked",
        flush=True,
    )
