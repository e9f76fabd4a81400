"""Microscopy-like images with ground truth, made from a seed.

They serve as sample data, in tests and to train the starter model. Pure numpy and scipy.
"""

from napari_sam2_openvino.synthetic.parameters import KINDS, Kind, SceneParameters
from napari_sam2_openvino.synthetic.scene import Scene, make_scene
from napari_sam2_openvino.synthetic.time_series import TimeSeries, make_time_series
from napari_sam2_openvino.synthetic.tracks import Motion
from napari_sam2_openvino.synthetic.volume import Volume, make_volume

__all__ = [
    "KINDS",
    "Kind",
    "Motion",
    "Scene",
    "SceneParameters",
    "TimeSeries",
    "Volume",
    "make_scene",
    "make_time_series",
    "make_volume",
]
