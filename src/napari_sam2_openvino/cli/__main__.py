"""``python -m napari_sam2_openvino.cli``."""

from napari_sam2_openvino.cli import main

main()
