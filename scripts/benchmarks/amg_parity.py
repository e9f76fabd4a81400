"""Whether the search for every object finds what SAM 2's own generator finds."""

import time
from typing import Any

import numpy as np
from tests.amg_parity import RecordsComparison, compare_records
from tests.parity import make_image
from tests.reference import reference_generator

from benchmarks.models import SEED, model_folder, reference_model
from napari_sam2_openvino import SAM2AutomaticMaskGenerator, load_model
from napari_sam2_openvino.core.models import STARTER
from napari_sam2_openvino.core.normalize import to_rgb
from napari_sam2_openvino.synthetic import make_scene

MODES = ("binary_mask", "uncompressed_rle", "coco_rle")
# Random masks overlap so much that suppression would leave one: it keeps all of them.
RANDOM: dict[str, Any] = {"box_nms_thresh": 1.0, "crop_nms_thresh": 1.0}
RANDOM_RUNS: tuple[dict[str, Any], ...] = (
    {"points_per_side": 13},
    {"points_per_side": 13},
    {"points_per_side": 13},
    {"points_per_side": 13},
    {"points_per_side": 13, "mask_threshold": 1.0},
    {"points_per_side": 13, "stability_score_offset": 0.5},
    {"points_per_side": 12, "use_m2m": True},
    {"points_per_side": 9, "crop_n_layers": 1},
    {"points_per_side": 11, "crop_n_layers": 1, "crop_overlap_ratio": 0.1},
    {"points_per_side": 20, "multimask_output": False},
)
STARTER_THRESHOLDS = {"pred_iou_thresh": 0.6, "stability_score_thresh": 0.8}
STARTER_RUNS: tuple[dict[str, Any], ...] = (
    {},
    {},
    {},
    {"use_m2m": True, "points_per_side": 16},
    {"use_m2m": True, "points_per_side": 16},
    {"crop_n_layers": 1, "points_per_side": 16},
    {"crop_n_layers": 2, "points_per_side": 16, "crop_n_points_downscale_factor": 2},
    {"multimask_output": False},
    {"box_nms_thresh": 0.5, "mask_threshold": -1.0},
    {"box_nms_thresh": 0.9, "stability_score_offset": 2.0},
)
KINDS = ("fluorescence", "tissue")


def amg_parity(name: str, n_images: int) -> bool:
    """Compare ours in f32 with PyTorch, image by image; return whether all agree."""
    reference = reference_model(name)
    model = load_model(model_folder(name, reference), precision="f32")
    passed = True
    for number in range(n_images):
        image, options = _image(name, number), _options(name, number)
        started = time.perf_counter()
        expected = reference_generator(reference, **options).generate(image)
        found = SAM2AutomaticMaskGenerator(model, **options).generate(image)
        result = compare_records(expected, found)
        enough = name == STARTER or result.expected >= 100
        passed &= result.passed and enough
        print(_line(name, number, image, options, result), "" if enough else "TOO FEW", flush=True)
        print(f"  ({time.perf_counter() - started:.0f} s)", flush=True)
    return passed


def _image(name: str, number: int) -> np.ndarray:
    if name == STARTER:
        kind = KINDS[number % len(KINDS)]
        return to_rgb(make_scene(kind, seed=900 + number, shape=(400, 512)).image)
    return make_image(np.random.default_rng(SEED + number), (1024, 1024), grey=bool(number % 2))


def _options(name: str, number: int) -> dict[str, Any]:
    runs, base = (STARTER_RUNS, STARTER_THRESHOLDS) if name == STARTER else (RANDOM_RUNS, RANDOM)
    return base | runs[number % len(runs)] | {"output_mode": MODES[number % len(MODES)]}


def _line(
    name: str, number: int, image: np.ndarray, options: dict[str, Any], result: RecordsComparison
) -> str:
    shown = ", ".join(f"{key}={value}" for key, value in options.items())
    return (
        f"{name}, image {number} ({image.shape[0]} x {image.shape[1]}), {shown}: "
        f"{'agrees' if result.passed else 'FAILS'}: {result.expected} masks, ours "
        f"{result.found}, {result.matched} matched at IoU {result.min_iou:.4f} and more, largest "
        f"difference of scores {result.score_difference:.1e}"
    )
