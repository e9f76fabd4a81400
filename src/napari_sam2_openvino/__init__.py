"""SAM 2 on OpenVINO for napari, scripts and notebooks.

Importing this package loads neither napari, openvino nor torch: each public name is imported when
it is first used.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_sam2_openvino.batch.segment import segment_stack
    from napari_sam2_openvino.comparison import compare_models
    from napari_sam2_openvino.conversion import convert, quantize
    from napari_sam2_openvino.core.automatic_mask_generator import SAM2AutomaticMaskGenerator
    from napari_sam2_openvino.core.image_predictor import SAM2ImagePredictor
    from napari_sam2_openvino.core.models import list_models, load_model
    from napari_sam2_openvino.core.video_predictor import SAM2VideoPredictor

    __version__: str

_HOMES = {
    "SAM2AutomaticMaskGenerator": "napari_sam2_openvino.core.automatic_mask_generator",
    "SAM2ImagePredictor": "napari_sam2_openvino.core.image_predictor",
    "SAM2VideoPredictor": "napari_sam2_openvino.core.video_predictor",
    "compare_models": "napari_sam2_openvino.comparison",
    "convert": "napari_sam2_openvino.conversion",
    "list_models": "napari_sam2_openvino.core.models",
    "load_model": "napari_sam2_openvino.core.models",
    "quantize": "napari_sam2_openvino.conversion",
    "segment_stack": "napari_sam2_openvino.batch.segment",
}

__all__ = [
    "SAM2AutomaticMaskGenerator",
    "SAM2ImagePredictor",
    "SAM2VideoPredictor",
    "compare_models",
    "convert",
    "list_models",
    "load_model",
    "quantize",
    "segment_stack",
]


def __getattr__(name: str) -> object:
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("napari-sam2-openvino")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
