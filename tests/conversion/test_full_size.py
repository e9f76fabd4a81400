"""SAM 2.1 tiny at 1024 x 1024, converted as a user converts it."""

import pytest
import torch
from tests.reference import perturbed_model

from napari_sam2_openvino.conversion import convert
from napari_sam2_openvino.core.model_folder import read_model_info


@pytest.mark.slow
def test_tiny_at_1024(sam2_home, tmp_path):
    model = perturbed_model("configs/sam2.1/sam2.1_hiera_t.yaml", seed=1)
    with torch.no_grad():
        # Not exact in half precision, as in published checkpoints.
        model.sam_mask_decoder.mask_tokens.weight.mul_(1.001)
    torch.save({"model": model.state_dict()}, tmp_path / "tiny.pt")
    del model
    info = read_model_info(convert(tmp_path / "tiny.pt", "tiny", image_size=1024))
    assert info.config.architecture == "sam2.1_hiera_tiny"
    assert info.self_check.graph.embedding < 1e-4
    assert info.self_check.graph.mask_logits < 1e-3
    assert info.self_check.graph.iou_predictions < 1e-4
    assert 0 < info.self_check.checkpoint.mask_pixels <= 1
    assert info.self_check.checkpoint.mask_logits > info.self_check.graph.mask_logits
    assert sum(path.stat().st_size for path in (sam2_home / "models" / "tiny").iterdir()) < 75e6
