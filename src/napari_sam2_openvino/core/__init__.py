"""The engine: SAM 2 on OpenVINO. Needs numpy, Pillow and openvino; no napari, no Qt, no torch."""
