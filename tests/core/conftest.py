"""A micro SAM 2, converted once: the reference in PyTorch and the engine with the same weights."""

from pathlib import Path

import pytest

from napari_sam2_openvino import SAM2ImagePredictor, convert, load_model

MICRO_CONFIG = Path(__file__).parent.parent / "conversion" / "micro.yaml"


@pytest.fixture(scope="session")
def micro_reference_model():
    pytest.importorskip("sam2", reason="the reference needs the extra convert")
    from tests.reference import perturbed_model

    return perturbed_model(MICRO_CONFIG, seed=3)


@pytest.fixture(scope="session")
def micro_folder(micro_reference_model, tmp_path_factory):
    import torch

    checkpoint = tmp_path_factory.mktemp("checkpoints") / "micro.pt"
    torch.save({"model": micro_reference_model.state_dict()}, checkpoint)
    return convert(checkpoint, "engine-micro", config=MICRO_CONFIG)


@pytest.fixture(scope="session")
def micro_model(micro_folder):
    return load_model(micro_folder, precision="f32")


@pytest.fixture
def predictor(micro_model):
    return SAM2ImagePredictor(micro_model)


@pytest.fixture
def reference(micro_reference_model):
    from tests.reference import reference_predictor

    return reference_predictor(micro_reference_model)
