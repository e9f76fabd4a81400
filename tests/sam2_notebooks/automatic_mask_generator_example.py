"""The steps of SAM 2's ``automatic_mask_generator_example.ipynb``: only loading differs.

Pictures are drawn instead of photographed.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from napari_sam2_openvino import SAM2AutomaticMaskGenerator, load_model
from napari_sam2_openvino.core.model import Sam2Model


def load() -> Sam2Model:
    """Load the model, where the notebook calls ``build_sam2``."""
    return load_model("starter", precision="f32")


def steps(
    sam2: Any,
    image: np.ndarray,
    generator_class: Callable[..., Any] = SAM2AutomaticMaskGenerator,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each step's name and what it made, by the notebook's names."""
    mask_generator = generator_class(sam2)
    masks = mask_generator.generate(image)
    yield "defaults", {"masks": masks, "shown": show_anns(masks)}

    mask_generator_2 = generator_class(
        model=sam2,
        points_per_side=64,
        points_per_batch=128,
        pred_iou_thresh=0.7,
        stability_score_thresh=0.92,
        stability_score_offset=0.7,
        crop_n_layers=1,
        box_nms_thresh=0.7,
        crop_n_points_downscale_factor=2,
        min_mask_region_area=25.0,
        use_m2m=True,
    )
    masks2 = mask_generator_2.generate(image)
    yield "finer", {"masks": masks2, "shown": show_anns(masks2)}


def show_anns(anns: list[dict[str, Any]]) -> np.ndarray | None:
    """Paint every mask, largest first, as the notebook's function does."""
    if len(anns) == 0:
        return None
    sorted_anns = sorted(anns, key=lambda x: x["area"], reverse=True)
    img = np.ones((*sorted_anns[0]["segmentation"].shape, 4))
    img[:, :, 3] = 0
    for number, ann in enumerate(sorted_anns):
        img[ann["segmentation"]] = (number / len(sorted_anns), 0, 0, 0.5)
    return img
