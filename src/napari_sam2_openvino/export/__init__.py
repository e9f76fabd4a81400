"""Labels in the formats of other programs."""

from napari_sam2_openvino.core.labelled_image import LabelledImage
from napari_sam2_openvino.export.formats import FORMATS, ExportFormat, ExportJob, export_labels

__all__ = ["FORMATS", "ExportFormat", "ExportJob", "LabelledImage", "export_labels"]
