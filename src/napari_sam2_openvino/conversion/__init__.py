"""SAM 2 checkpoints to OpenVINO: the only part that needs torch and sam2.

What needs them is imported by the child process that converts; importing this package is cheap.
"""

from napari_sam2_openvino.conversion.child import ConvertJob, convert

__all__ = ["ConvertJob", "convert"]
