"""Finding, listing and loading models."""

import gc
import json
import shutil
import weakref
from dataclasses import replace
from pathlib import Path

import pytest

from napari_sam2_openvino import list_models, load_model
from napari_sam2_openvino.core.catalogue import CATALOGUE, find_entry
from napari_sam2_openvino.core.errors import (
    DeviceError,
    InputError,
    ModelFormatError,
    ModelNotFoundError,
)
from napari_sam2_openvino.core.model_content import content_hash
from napari_sam2_openvino.core.model_folder import (
    INFO_FILE,
    PARAMETERS_FILE,
    read_model_info,
    write_model_info,
)
from napari_sam2_openvino.core.models import find_model_folder
from napari_sam2_openvino.core.paths import checkpoints_dir, models_dir
from napari_sam2_openvino.core.runtime import Runtime


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


def put_another_model(folder):
    """Replace a model by one of another checkpoint."""
    info = read_model_info(folder)
    write_model_info(folder, replace(info, source=replace(info.source, sha256="0" * 64)))


@pytest.mark.parametrize("read_late", [lambda m: m.memory, lambda m: m.point_graphs()])
def test_a_model_takes_no_graphs_of_one_that_replaced_it(copied_folder, read_late):
    model = load_model(copied_folder, precision="f32")
    put_another_model(copied_folder)
    with pytest.raises(ModelFormatError, match=r"^Model engine-micro was replaced: load it again"):
        read_late(model)
    assert read_late(load_model(copied_folder, precision="f32")) is not None


def test_a_model_that_is_replaced_while_a_graph_is_read_is_told_of(copied_folder, monkeypatch):
    def compile_and_replace(runtime, path):
        put_another_model(copied_folder)
        return compile_graph(runtime, path)

    compile_graph = Runtime.compile
    monkeypatch.setattr(Runtime, "compile", compile_and_replace)
    with pytest.raises(ModelFormatError, match="was replaced"):
        load_model(copied_folder, precision="f32")


def test_a_model_that_nobody_holds_any_more_leaves_the_memory_at_once(micro_folder):
    model = load_model(micro_folder, precision="f32")
    assert model.memory is not None
    left = weakref.ref(model)
    gc.disable()
    try:
        del model
        assert left() is None
    finally:
        gc.enable()


def test_a_listing_tells_a_model_from_one_that_took_its_name(micro_folder, sam2_home):
    folder = shutil.copytree(micro_folder, models_dir() / "mine")
    assert folder.is_relative_to(sam2_home)
    before = next(each for each in list_models() if each.name == "mine")
    assert before.content == content_hash(folder)
    put_another_model(folder)
    after = next(each for each in list_models() if each.name == "mine")
    assert after.content not in ("", before.content)


def test_a_copied_model_has_the_name_of_its_folder(micro_folder, copied_folder, sam2_home):
    folder = shutil.copytree(micro_folder, models_dir() / "copy é")
    assert folder.is_relative_to(sam2_home)
    assert load_model("copy é", precision="f32").name == "copy é"
    assert load_model(folder, precision="f32").name == "copy é"
    # Elsewhere a folder can have any name, and one that is being made has a passing one.
    assert load_model(copied_folder, precision="f32").name == "engine-micro"
    unfinished = folder.rename(models_dir() / ".unfinished-0-0-0")
    assert load_model(unfinished, precision="f32").name == "engine-micro"


@pytest.mark.parametrize(
    ("name", "checkpoint", "described"),
    [
        ("sam2.1_hiera_large", "", ""),
        ("mine", "sam2.1_hiera_large", "sam2.1_hiera_large"),
        # Nobody knows the hash of this one.
        ("hvit_t_cells", "", "hvit_t_cells"),
    ],
)
def test_only_models_of_the_catalogue_are_described_as_such(
    micro_folder, sam2_home, name, checkpoint, described
):
    folder = shutil.copytree(micro_folder, models_dir() / name)
    assert folder.is_relative_to(sam2_home)
    info = read_model_info(folder)
    entry = find_entry(checkpoint)
    sha256 = info.source.sha256 if entry is None else entry.sha256
    source = replace(info.source, sha256=sha256)
    write_model_info(folder, replace(info, name=name, source=source))
    listing = next(each for each in list_models() if each.name == name)
    expected = find_entry(described)
    architecture = info.config.architecture
    assert listing.description == (architecture if expected is None else expected.description)


@pytest.mark.parametrize(
    ("sha256", "expected"),
    [("", ["converted", "in catalogue"]), (CATALOGUE[0].sha256, ["converted"])],
)
def test_a_model_of_the_users_own_hides_none_of_the_catalogue(
    micro_folder, sam2_home, sha256, expected
):
    entry = CATALOGUE[0]
    folder = shutil.copytree(micro_folder, models_dir() / entry.name)
    assert folder.is_relative_to(sam2_home)
    info = read_model_info(folder)
    source = replace(info.source, sha256=sha256 or info.source.sha256)
    write_model_info(folder, replace(info, source=source))
    listings = [each for each in list_models() if each.name == entry.name]
    assert [each.state for each in listings] == expected
    assert len({each.description for each in listings}) == len(expected)
    # What cannot be read has only its name left.
    (folder / INFO_FILE).write_text("{}")
    assert [each.state for each in list_models() if each.name == entry.name] == ["damaged"]


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
