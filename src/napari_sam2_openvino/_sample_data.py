"""Images with ground truth for File > Open Sample, and prompts to try on them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.masks import innermost_point
from napari_sam2_openvino.core.types import FOREGROUND, Prompts

LayerData = tuple[Any, dict[str, Any], str]

_PIXEL_MICROMETRES = 0.25


def nuclei() -> list[LayerData]:
    """Make fluorescent nuclei in 16 bits, and their ground truth."""
    from napari_sam2_openvino.synthetic import SceneParameters, make_scene

    parameters = SceneParameters(
        "fluorescence",
        (512, 512),
        object_count=(16, 16),
        radius=(28, 46),
        irregularity=0.1,
        contrast=0.85,
        noise=0.015,
    )
    scene = make_scene("fluorescence", seed=12, parameters=parameters)
    return _layers("nuclei", scene.image, scene.labels, (1.0, 1.0))


def tissue() -> list[LayerData]:
    """Make stained tissue in RGB, and its ground truth."""
    from napari_sam2_openvino.synthetic import SceneParameters, make_scene

    parameters = SceneParameters(
        "tissue",
        (512, 640),
        object_count=(70, 70),
        radius=(13, 22),
        irregularity=0.1,
        contrast=0.85,
        noise=0.012,
        texture=0.5,
    )
    scene = make_scene("tissue", seed=9, parameters=parameters)
    return _layers("tissue", scene.image, scene.labels, (1.0, 1.0), rgb=True)


def stack() -> list[LayerData]:
    """Make a z-stack of nuclei in 16 bits, and its ground truth."""
    from napari_sam2_openvino.synthetic import make_volume

    volume = make_volume(seed=7, shape=(24, 256, 256))
    return _layers("stack", volume.image, volume.labels, volume.spacing)


def example_prompts(labels: NDArray[Any], count: int = 8) -> dict[int, Prompts]:
    """Choose clicks on objects of a ground truth.

    Parameters
    ----------
    labels : ndarray of int, shape (H, W)
    count : int, optional
        Of so many objects, from the largest to the smallest at even steps.

    Returns
    -------
    dict of int to Prompts
        For each object's label one foreground click, at the pixel that is farthest from its edge.
    """
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    by_size = np.argsort(-areas, kind="stable")[: np.count_nonzero(areas)]
    steps = np.linspace(0, len(by_size) - 1, min(count, len(by_size))).astype(int)
    prompts = {}
    for obj_id in by_size[steps]:
        click = innermost_point(labels == obj_id)
        prompts[int(obj_id)] = Prompts(click[None], np.array([FOREGROUND], np.int32))
    return prompts


def _layers(
    name: str,
    image: NDArray[Any],
    labels: NDArray[Any],
    spacing: tuple[float, ...],
    *,
    rgb: bool = False,
) -> list[LayerData]:
    where: dict[str, Any] = {
        "scale": tuple(_PIXEL_MICROMETRES * step for step in spacing),
        "units": ("µm",) * len(spacing),
        "axis_labels": ("z", "y", "x")[-len(spacing) :],
    }
    return [
        (image, {"name": name, "rgb": rgb, **where}, "image"),
        (labels, {"name": f"{name} ground truth", "visible": False, **where}, "labels"),
    ]
