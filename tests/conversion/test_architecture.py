"""Which architecture a checkpoint has, and what a config may build."""

import dataclasses

import pytest
import torch
import yaml
from tests.reference import build_model

from napari_sam2_openvino.conversion import architecture
from napari_sam2_openvino.core.catalogue import CATALOGUE, downloads, find_entry
from napari_sam2_openvino.core.errors import ConversionError


def changed_config(micro_config, tmp_path, change):
    """Write the micro config with a change, and return its path."""
    content = yaml.safe_load(micro_config.read_text())
    change(content)
    (tmp_path / "changed.yaml").write_text(yaml.safe_dump(content))
    return str(tmp_path / "changed.yaml")


@pytest.fixture
def without_weights(monkeypatch):
    """Build models whose weights have shapes only."""
    linspace = torch.linspace
    # Hiera reads its numbers, which the meta device does not have.
    monkeypatch.setattr(torch, "linspace", lambda *args: linspace(*args, device="cpu"))
    with torch.device("meta"):
        yield


@pytest.mark.parametrize("entry", downloads(), ids=lambda entry: entry.name)
@pytest.mark.usefixtures("without_weights")
def test_each_of_metas_models_is_recognised(entry):
    weights = build_model(entry.config_file).state_dict()
    assert architecture.recognise(weights) == entry


def test_other_architectures_are_not_recognised(micro_model):
    assert architecture.recognise(micro_model.state_dict()) is None
    assert architecture.recognise({"a": torch.zeros(1)}) is None


@pytest.mark.parametrize("name", ["sam2.1_hiera_tiny", "sam2_hiera_base_plus"])
@pytest.mark.usefixtures("without_weights")
def test_our_builder_builds_what_sam2s_builds(name):
    config_file = find_entry(name).config_file
    ours = architecture.build(architecture.read_config(config_file), 1024, name)
    theirs = build_model(config_file)
    assert str(ours) == str(theirs)
    assert architecture.describe(ours, name) == architecture.describe(theirs, name)


@pytest.mark.usefixtures("without_weights")
def test_describe_tells_2_1_from_2_0():
    configs = [
        architecture.describe(build_model(find_entry(name).config_file), name)
        for name in ("sam2.1_hiera_tiny", "sam2_hiera_tiny")
    ]
    new, old = map(dataclasses.asdict, configs)
    differing = {key for key in new if new[key] != old[key]}
    assert differing == {
        "architecture",
        "no_obj_embed_spatial",
        "add_tpos_enc_to_obj_ptrs",
        "proj_tpos_enc_in_obj_ptrs",
        "use_signed_tpos_enc_to_obj_ptrs",
    }
    assert new["fill_hole_area"] == 8
    assert new["binarize_mask_from_pts_for_mem_enc"] is True
    assert new["dynamic_multimask_via_stability"] is True
    assert (new["image_size"], new["hidden_dim"], new["mem_dim"]) == (1024, 256, 64)


def test_image_size_reaches_prompts_and_rotary_encodings(micro_config):
    model = architecture.build(architecture.read_config(str(micro_config)), 64, "micro")
    assert model.image_size == 64
    assert model.sam_prompt_encoder.mask_input_size == (16, 16)
    attention = model.memory_attention.layers[0].self_attn
    assert attention.freqs_cis.shape[0] == 4 * 4


@pytest.mark.parametrize("image_size", [0, -32, 16, 32, 100, 1000])
def test_an_image_size_that_cannot_run_is_refused(image_size, micro_config):
    config = architecture.read_config(str(micro_config))
    with pytest.raises(ConversionError):
        architecture.build(config, image_size, "micro")


@pytest.mark.parametrize("image_size", [64, 96, 160])
def test_every_accepted_image_size_runs(image_size, micro_config):
    model = architecture.build(architecture.read_config(str(micro_config)), image_size, "micro")
    with torch.no_grad():
        model.forward_image(torch.zeros(1, 3, image_size, image_size))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c["model"]["image_encoder"].update(_target_="os.system"), "os.system"),
        (lambda c: c["model"]["image_encoder"].update(_target_=["os.system"]), "os.system"),
        (lambda c: c["model"].update(_target_="builtins.exec"), "not a SAM 2 config"),
        (lambda c: c["model"].update(extra={"_target_": "subprocess.run", "args": "true"}), "subp"),
        (lambda c: c["model"].update(extra=[{"_target_": "subprocess.run"}]), "subprocess.run"),
        (
            lambda c: c["model"]["image_encoder"]["trunk"].update(weights_path="w.pt"),
            "weights_path",
        ),
        (lambda c: c["model"].update(_partial_=True), "_partial_"),
        (lambda c: c["model"].update(_args_=[1]), "_args_"),
        (lambda c: c["model"].update(num_maskmem="${oc.env:HOME}"), "write the value"),
        (lambda c: c["model"].update(no_such_flag=1), "no_such_flag"),
        (lambda c: c["model"].update(use_high_res_features_in_sam=False), "use_high_res"),
        (lambda c: c.pop("model"), "not a SAM 2 config"),
    ],
)
def test_a_config_builds_nothing_but_sam2(change, said, micro_config, tmp_path):
    path = changed_config(micro_config, tmp_path, change)
    with pytest.raises(ConversionError, match=said):
        architecture.build(architecture.read_config(path), 128, "changed.yaml")


def test_a_config_cannot_make_python_objects(tmp_path):
    marker = tmp_path / "ran"
    text = f"model: !!python/object/apply:os.mkdir ['{marker}']\n"
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConversionError, match="not a YAML file"):
        architecture.read_config(str(tmp_path / "c.yaml"))
    assert not marker.exists()


@pytest.mark.parametrize(
    "name", ["nope.yaml", "configs/sam2.1/../../../x.yaml", "build_sam.py", ""]
)
def test_a_missing_config_is_one_sentence(name):
    with pytest.raises(ConversionError, match="There is no config"):
        architecture.read_config(name)


def test_metas_training_config_is_refused():
    name = "configs/sam2.1_training/sam2.1_hiera_b+_MOSE_finetune.yaml"
    with pytest.raises(ConversionError, match="not a SAM 2 config"):
        architecture.read_config(name)


def test_catalogue_is_complete_and_safe():
    assert len({entry.name for entry in CATALOGUE}) == len(CATALOGUE) == 10
    assert len({entry.sha256 for entry in downloads()}) == 8
    for entry in downloads():
        assert entry.url.startswith("https://dl.fbaipublicfiles.com/segment_anything_2/")
        assert len(bytes.fromhex(entry.sha256)) == 32
        assert entry.licence == "Apache-2.0"
        assert architecture.read_config(entry.config_file)["image_size"] == entry.image_size


def test_checkpoints_without_a_published_hash_come_from_the_user():
    from_user = {entry.name: entry for entry in CATALOGUE if not entry.can_be_downloaded}
    assert {name: entry.image_size for name, entry in from_user.items()} == {
        "hvit_t_cells": 1024,
        "MedSAM2": 512,
    }
    for entry in from_user.values():
        assert (entry.url, entry.sha256, entry.licence) == (None, None, "")
        assert entry.page.startswith("https://github.com/")
        architecture.read_config(entry.config_file)
