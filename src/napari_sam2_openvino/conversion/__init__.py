"""Long jobs on models, each in a child process: the only part that needs torch, sam2 and NNCF.

What needs them is imported by the child process of a job; importing this package is cheap.
"""

from napari_sam2_openvino.conversion.checkpoint_conversion import ConvertJob, convert
from napari_sam2_openvino.conversion.quantization import QuantizeJob, quantize

__all__ = ["ConvertJob", "QuantizeJob", "convert", "quantize"]
