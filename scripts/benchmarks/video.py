"""Whether our videos are those of PyTorch, and how long both take."""

import numpy as np
from tests.reference import let_memory_count
from tests.video_parity import SCENES, compare_videos

from benchmarks.models import SEED, model_folder, reference_model
from napari_sam2_openvino import SAM2VideoPredictor, load_model
from napari_sam2_openvino.core.volume_parameters import VolumeParameters


def video(name: str) -> bool:
    """Compare a model of the catalogue with PyTorch on all scenes; return whether all passed."""
    reference = let_memory_count(reference_model(name), SEED)
    engine = load_model(model_folder(name, reference), precision="f32")
    parameters = VolumeParameters(method="memory", fill_hole_area=0)
    results = []
    for result in compare_videos(reference, SAM2VideoPredictor(engine, parameters), SEED):
        results.append(result)
        if not result.passed:
            print(f"  FAIL: {result}")
    failed = [result for result in results if not result.passed]
    print(
        f"{name} ({engine.precision}): {len(results)} planes of videos, "
        f"{len(results) - len(failed)} agree, {len(failed)} fail; smallest pixel agreement "
        f"{min(each.pixel_agreement for each in results):.5f}, largest score difference "
        f"{max(each.score_difference for each in results):.1e}; objects on "
        f"{sum(each.foreground > 0 for each in results)} of them"
    )
    for scene in SCENES:
        seconds = [each.seconds for each in results if each.scene == scene and each.seconds]
        theirs, ours = np.median(seconds, axis=0)
        print(f"  {scene}: PyTorch {theirs:.2f} s, ours {ours:.2f} s a plane that is tracked")
    return not failed
