"""openvino's converter reports its use to its makers by default; ours does not."""

from pathlib import Path

import torch
from tests.reference import perturbed_model

from napari_sam2_openvino import convert

MICRO_CONFIG = Path(__file__).parent / "conversion" / "micro.yaml"


def test_converting_sends_nothing(sam2_home, tmp_path, monkeypatch):
    # A user who was never asked, on a machine that is not a build server.
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("CI", "TF_BUILD", "JENKINS_URL"):
        monkeypatch.delenv(name, raising=False)
    checkpoint = tmp_path / "micro.pt"
    torch.save({"model": perturbed_model(MICRO_CONFIG, seed=1).state_dict()}, checkpoint)
    folder = convert(checkpoint, "micro", config=MICRO_CONFIG)
    assert folder.is_relative_to(sam2_home)
    # Where it keeps the number that it reports under.
    assert not (tmp_path / "intel").exists()
