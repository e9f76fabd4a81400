"""Two models on the same images and prompts: what one costs and gains against the other."""

from napari_sam2_openvino.comparison.compare import compare_models
from napari_sam2_openvino.comparison.figures import ComparisonReport

__all__ = ["ComparisonReport", "compare_models"]
