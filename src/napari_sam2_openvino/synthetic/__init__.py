"""Microscopy-like images with ground truth, made from a seed.

They serve as sample data, in tests and to train the starter model. Pure numpy and scipy.
"""

from napari_sam2_openvino.synthetic.parameters import KINDS, Kind, SceneParameters
from napari_sam2_openvino.synthetic.scene import Scene, make_scene
from napari_sam2_openvino.synthetic.volume import Volume, make_volume

__all__ = ["KINDS", "Kind", "Scene", "SceneParameters", "Volume", "make_scene", "make_volume"]
