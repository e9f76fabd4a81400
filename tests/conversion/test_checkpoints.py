"""Checkpoints come in several forms, and broken in many ways."""

import os
import zipfile

import pytest
import torch

from napari_sam2_openvino.conversion.checkpoints import (
    load_weights,
    read_checkpoint,
    sha256_of_file,
)
from napari_sam2_openvino.core.errors import ConversionError

WEIGHTS = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2)}


class Harmful:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize(
    "content",
    [
        {"model": WEIGHTS},
        {"model": WEIGHTS, "model_type": "hvit_t", "epoch": 3},
        WEIGHTS,
        {f"module.{name}": tensor for name, tensor in WEIGHTS.items()},
        {"model": {f"module.{name}": tensor for name, tensor in WEIGHTS.items()}},
        {name: tensor.half() for name, tensor in WEIGHTS.items()},
        {name: tensor.bfloat16() for name, tensor in WEIGHTS.items()},
    ],
    ids=["model key", "more keys", "bare", "module.", "model key and module.", "half", "bfloat16"],
)
def test_every_form_gives_the_same_weights(content, tmp_path):
    torch.save(content, tmp_path / "c.pt")
    weights = read_checkpoint(tmp_path / "c.pt")
    assert weights.keys() == WEIGHTS.keys()
    for name, tensor in weights.items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, WEIGHTS[name])


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_code_in_a_checkpoint_never_runs(zipped, tmp_path):
    content = {"model": WEIGHTS, "callback": Harmful(tmp_path / "ran")}
    torch.save(content, tmp_path / "c.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(ConversionError, match="could run code"):
        read_checkpoint(tmp_path / "c.pt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_file_is_refused(share, tmp_path):
    path = tmp_path / "c.pt"
    torch.save({"model": {"a": torch.zeros(5000)}}, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ConversionError, match="damaged"):
        read_checkpoint(path)


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path):
    (tmp_path / "c.pt").write_text("<html>not found</html>")
    with pytest.raises(ConversionError, match=r"damaged or not a PyTorch checkpoint"):
        read_checkpoint(tmp_path / "c.pt")


@pytest.mark.parametrize(
    "content",
    [{}, [torch.zeros(2)], torch.zeros(2), {"epoch": 3}, {"model": {"a": 1}}, {1: torch.zeros(1)}],
)
def test_foreign_content_is_refused(content, tmp_path):
    torch.save(content, tmp_path / "c.pt")
    with pytest.raises(ConversionError, match="holds no SAM 2 weights"):
        read_checkpoint(tmp_path / "c.pt")


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(ConversionError, match="There is no checkpoint"):
        sha256_of_file(tmp_path / "c.pt")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda weights: weights.pop("weight"), "lacks weight"),
        (lambda weights: weights.update(extra=torch.zeros(1)), "has the unknown extra"),
        (lambda weights: weights.update(weight=torch.zeros(1, 3)), "another shape of weight"),
        (lambda weights: weights.update(bias=torch.full((2,), torch.nan)), "not finite in bias"),
    ],
    ids=["missing", "unexpected", "shape", "nan"],
)
def test_weights_that_do_not_fit_are_named(change, said, tmp_path):
    model = torch.nn.Linear(3, 2)
    weights = dict(model.state_dict())
    load_weights(model, weights, tmp_path / "c.pt", "the model")
    change(weights)
    with pytest.raises(ConversionError, match=said):
        load_weights(model, weights, tmp_path / "c.pt", "the model")


def test_many_missing_tensors_are_counted(tmp_path):
    model = torch.nn.Sequential(*(torch.nn.Linear(1, 1) for _ in range(5)))
    with pytest.raises(ConversionError, match=r"lacks 0\.weight, 0\.bias, 1\.weight and 7 more"):
        load_weights(model, {}, tmp_path / "c.pt", "the model")


def test_an_archive_that_unpacks_to_far_more_is_refused(tmp_path):
    torch.save({"model": {"a": torch.zeros(5_000_000)}}, tmp_path / "c.pt")
    with (
        zipfile.ZipFile(tmp_path / "c.pt") as stored,
        zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in stored.namelist():
            packed.writestr(name, stored.read(name))
    assert (tmp_path / "bomb.pt").stat().st_size < 100_000
    with pytest.raises(ConversionError, match="would unpack to 20 MB"):
        read_checkpoint(tmp_path / "bomb.pt")
    assert read_checkpoint(tmp_path / "c.pt").keys() == {"a"}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_tensor_that_repeats_one_number_a_billion_times_is_refused(dtype, tmp_path):
    torch.save({"a": torch.zeros(1, dtype=dtype).expand(10**12)}, tmp_path / "c.pt")
    with pytest.raises(ConversionError, match="larger than what is stored"):
        read_checkpoint(tmp_path / "c.pt")


def test_a_sparse_tensor_is_refused(tmp_path):
    torch.save({"a": torch.eye(3).to_sparse()}, tmp_path / "c.pt")
    with pytest.raises(ConversionError):
        read_checkpoint(tmp_path / "c.pt")
