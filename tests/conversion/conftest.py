"""A micro SAM 2 with every parameter perturbed, its checkpoint, and its model folder."""

from pathlib import Path

import pytest

from napari_sam2_openvino.conversion.pipeline import Request, fill_folder

MICRO_CONFIG = Path(__file__).parent / "micro.yaml"


@pytest.fixture(scope="session")
def micro_config():
    return MICRO_CONFIG


@pytest.fixture(scope="session")
def micro_model():
    pytest.importorskip("sam2", reason="converting needs the extra convert")
    from tests.reference import perturbed_model

    return perturbed_model(MICRO_CONFIG, seed=7)


@pytest.fixture(scope="session")
def micro_checkpoint(micro_model, tmp_path_factory):
    import torch

    path = tmp_path_factory.mktemp("check points é") / "micro ü.pt"
    torch.save({"model": micro_model.state_dict()}, path)
    return path


@pytest.fixture(scope="session")
def micro_folder(micro_checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("micro")
    request = Request(str(micro_checkpoint), "micro", str(MICRO_CONFIG))
    for _ in fill_folder(request, folder):
        pass
    return folder
