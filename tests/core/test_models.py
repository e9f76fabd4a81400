"""Finding, listing and loading models."""

import json
import shutil
from pathlib import Path

import pytest

from napari_sam2_openvino import list_models, load_model
from napari_sam2_openvino.core.catalogue import CATALOGUE
from napari_sam2_openvino.core.errors import (
    DeviceError,
    InputError,
    ModelFormatError,
    ModelNotFoundError,
)
from napari_sam2_openvino.core.model import content_hash
from napari_sam2_openvino.core.model_folder import INFO_FILE, PARAMETERS_FILE, read_model_info
from napari_sam2_openvino.core.models import find_model_folder
from napari_sam2_openvino.core.paths import checkpoints_dir, models_dir


@pytest.fixture
def copied_folder(micro_folder, tmp_path):
    return shutil.copytree(micro_folder, tmp_path / "Modèle à moi")


def test_converted_models_are_listed_before_the_catalogue(micro_folder):
    listings = list_models()
    by_name = {listing.name: listing for listing in listings}
    assert by_name["engine-micro"].folder == micro_folder
    assert by_name["engine-micro"].is_ready
    assert listings[0].name == "starter"
    assert listings[0].description.startswith("Comes with the package")
    offered = [listing for listing in listings if not listing.is_ready]
    assert {listing.name for listing in offered} == {entry.name for entry in CATALOGUE}
    assert listings[-len(offered) :] == tuple(offered)


def test_a_model_is_found_by_name_and_by_folder(micro_folder, copied_folder):
    assert find_model_folder("engine-micro") == micro_folder
    assert find_model_folder(copied_folder) == copied_folder
    assert find_model_folder(str(copied_folder)) == copied_folder
    assert load_model(copied_folder, precision="f32").precision == "f32"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no-such-model", "choose one of"),
        ("sam2.1_hiera_large", "napari-sam2 models download sam2.1_hiera_large"),
        ("no/such/folder", "check the path"),
        ("", "choose one of"),
    ],
)
def test_a_missing_model_comes_with_the_remedy(name, message):
    with pytest.raises(ModelNotFoundError, match=message):
        load_model(name)


def test_each_listing_says_its_state(micro_folder, sam2_home):
    assert not sam2_home.exists()
    assert {listing.state for listing in list_models()} == {"converted", "in catalogue"}
    shutil.copytree(micro_folder, models_dir() / "whole é")
    (models_dir() / "damaged").mkdir()
    (models_dir() / ".unfinished-0-0-0").mkdir()
    checkpoints_dir().mkdir()
    (checkpoints_dir() / "sam2.1_hiera_tiny.pt").write_bytes(b"12345")
    by_name = {listing.name: listing for listing in list_models()}
    assert by_name["whole é"].state == "converted"
    assert by_name["whole é"].n_bytes == sum(each.stat().st_size for each in micro_folder.iterdir())
    assert read_model_info(micro_folder).source.sha256 in by_name["whole é"].source
    damaged = by_name["damaged"]
    assert (damaged.state, damaged.is_ready) == ("damaged", False)
    assert "lacks" in damaged.problem
    assert by_name["sam2.1_hiera_tiny"].state == "downloaded"
    assert by_name["sam2.1_hiera_tiny"].n_bytes == 5
    assert by_name["sam2.1_hiera_small"].n_bytes == 184_416_285
    assert not any(name.startswith(".") for name in by_name)


def test_a_model_that_comes_as_a_file_says_where_from():
    with pytest.raises(ModelNotFoundError, match=r"checkpoint from https:.* --image-size"):
        load_model("MedSAM2")


def test_damaged_folders_are_refused(copied_folder):
    (copied_folder / "mask_decoder.xml").unlink()
    with pytest.raises(ModelFormatError, match=r"lacks mask_decoder\.xml: convert"):
        load_model(copied_folder)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("format_version", 99, "format 99"),
        ("config", {"architecture": "x"}, r"config\.image_size"),
        ("name", None, "name"),
    ],
)
def test_foreign_descriptions_are_refused(copied_folder, key, value, message):
    content = json.loads((copied_folder / INFO_FILE).read_text())
    content[key] = value
    (copied_folder / INFO_FILE).write_text(json.dumps(content))
    with pytest.raises(ModelFormatError, match=message):
        read_model_info(copied_folder)


@pytest.mark.parametrize("damage", [lambda _: b"not an archive", lambda _: b"", lambda a: a[:900]])
def test_damaged_parameters_are_refused(damage, copied_folder):
    path = copied_folder / PARAMETERS_FILE
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ModelFormatError, match="damaged"):
        load_model(copied_folder)


def test_a_folder_that_cannot_be_read_hides_no_other_model(monkeypatch):
    (models_dir() / "locked").mkdir(parents=True)
    is_file = Path.is_file

    def refuse(path):
        if path.parent.name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return is_file(path)

    # What Python up to 3.13 does, for anyone but root.
    monkeypatch.setattr(Path, "is_file", refuse)
    by_name = {each.name: each for each in list_models()}
    assert "starter" in by_name
    assert "cannot be read (Permission denied)" in by_name["locked"].problem


def test_a_model_that_goes_while_it_is_in_use_is_told_of(copied_folder):
    (copied_folder / INFO_FILE).unlink()
    with pytest.raises(ModelFormatError, match="cannot be read any more"):
        content_hash(copied_folder)


def test_a_truncated_graph_is_refused(copied_folder):
    xml = copied_folder / "image_encoder.xml"
    xml.write_bytes(xml.read_bytes()[:1000])
    with pytest.raises(DeviceError, match=r"could not compile image_encoder\.xml"):
        load_model(copied_folder)


def test_devices_and_precisions_are_checked(micro_folder):
    with pytest.raises(DeviceError, match=r"must be one of .*CPU.*, but is 'TPU'"):
        load_model(micro_folder, device="TPU")
    with pytest.raises(InputError, match="precision must be one of"):
        load_model(micro_folder, precision="int4")


def test_the_effective_precision_is_reported(micro_folder):
    assert load_model(micro_folder, precision="f32").precision == "f32"
    assert load_model(micro_folder).precision in ("f32", "bf16", "f16")
