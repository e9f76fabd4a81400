"""One of Meta's architectures, converted as a user converts it, memory included."""

import pytest
import torch
from tests.reference import perturbed_model

from napari_sam2_openvino.conversion import convert
from napari_sam2_openvino.core.model_folder import read_model_info

# At Meta's own 1024 it takes minutes; scripts/benchmark.py --parity does that for all eight.
IMAGE_SIZE = 512


@pytest.mark.slow
def test_tiny(tmp_path):
    model = perturbed_model("configs/sam2.1/sam2.1_hiera_t.yaml", seed=1)
    torch.save({"model": model.state_dict()}, tmp_path / "tiny.pt")
    del model
    info = read_model_info(convert(tmp_path / "tiny.pt", "tiny", image_size=IMAGE_SIZE))
    assert info.config.architecture == "sam2.1_hiera_tiny"
    assert info.self_check.differences.embedding < 1e-4
    assert info.self_check.differences.mask_logits < 1e-3
    assert info.self_check.differences.iou_predictions < 1e-4
    assert info.self_check.memory.conditioned_embed < 1e-3
    assert info.self_check.memory.maskmem_features < 1e-3
    assert info.weights == "f32"
