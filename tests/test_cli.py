"""The command ``napari-sam2``, called in this process and as a process."""

import json
import os
import re
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
import zarr
from tests.reference import build_model, perturbed_model
from typer.testing import CliRunner

from napari_sam2_openvino.cli import app
from napari_sam2_openvino.core.paths import models_dir, starter_dir

MICRO_CONFIG = Path(__file__).parent / "conversion" / "micro.yaml"
COMMANDS = [
    *(("models", name) for name in ("list", "path", "download", "convert", "check", "remove")),
    ("models", "quantize"),
    ("models", "compare"),
    ("recipe", "run"),
    ("recipe", "show"),
]
DOCUMENTED = Path(__file__).parent.parent / "docs" / "sessions.md"
pytestmark = pytest.mark.usefixtures("sam2_home")


def call(*args, **options):
    return CliRunner().invoke(app, [str(arg) for arg in args], **options)


def call_process(*args):
    command = [sys.executable, "-m", "napari_sam2_openvino.cli", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def assert_one_sentence(result, said):
    """Check that a command failed with one line on stderr (after its progress) and no traceback."""
    code = (
        result.returncode if isinstance(result, subprocess.CompletedProcess) else result.exit_code
    )
    assert code == 1
    assert "Traceback" not in result.stderr
    assert said in result.stderr.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def random_checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoints") / "random wéights.pt"
    torch.save(build_model(MICRO_CONFIG).state_dict(), path)
    return path


@pytest.mark.parametrize(("group", "command"), COMMANDS)
def test_every_command_shows_an_example(group, command):
    result = call(group, command, "--help")
    assert result.exit_code == 0
    assert f"napari-sam2 {group} {command}" in result.stdout.replace("\n", " ").replace("  ", " ")


def test_list_names_the_catalogue():
    result = call("models", "list")
    assert result.exit_code == 0
    assert "sam2.1_hiera_tiny" in result.stdout
    rows = {row["name"]: row for row in json.loads(call("models", "list", "--json").stdout)}
    assert rows["sam2_hiera_large"]["is_ready"] is False
    assert rows["sam2_hiera_large"]["image_size"] == 1024
    assert rows["sam2_hiera_large"]["licence"] == "Apache-2.0"


def test_path_of_the_models_and_of_one():
    assert call("models", "path").stdout.strip() == str(models_dir())
    assert call("models", "path", "starter").stdout.strip() == str(starter_dir())
    assert_one_sentence(call("models", "path", "nope"), "There is no model 'nope'")


def test_convert_check_list_and_remove(random_checkpoint):
    name = "random é"
    result = call_process(
        *("models", "convert", random_checkpoint, "--name", name),
        *("--config", MICRO_CONFIG, "--image-size", 64),
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == str(models_dir() / name)
    assert "Converting the image encoder" in result.stderr
    assert name in call("models", "list").stdout

    again = call("models", "convert", random_checkpoint, "--name", name)
    assert_one_sentence(again, "already a model")

    text = call("models", "check", name).stdout
    assert "image size 64" in text
    assert "never trained" in text
    report = json.loads(call("models", "check", name, "--json").stdout)
    assert report["self_check"]["random_weights"] is True
    assert report["self_check"]["differences"]["mask_pixels"] > 0.999
    assert report["seconds"]["decode"] > 0

    declined = call("models", "remove", name, input="n\n")
    assert declined.exit_code == 1
    assert (models_dir() / name).is_dir()
    assert call("models", "remove", name, "--yes").exit_code == 0
    assert list(models_dir().iterdir()) == []


def test_check_needs_no_torch(tmp_path):
    blocked = tmp_path / "torch"
    blocked.mkdir()
    (blocked / "__init__.py").write_text("raise ImportError('torch was imported')")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    code = "from napari_sam2_openvino.cli import app; app(['models', 'check', 'starter'])"
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "starter" in result.stdout


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["convert", "missing é.pt", "--name", "x"], "There is no checkpoint"),
        (["convert", "sam2_hiera_tiny", "--name", "x"], "is not downloaded yet"),
        (["convert", "c.pt", "--name", "a/b"], "cannot be the name of a model"),
        (["download", "resnet"], "choose one of"),
        (["check", "nope"], "There is no model"),
        (["remove", "nope", "--yes"], "There is no converted model 'nope'"),
        (["remove", "../x", "--yes"], "cannot be the name of a model"),
        (["remove", "starter", "--yes"], "There is no converted model 'starter'"),
    ],
)
def test_errors_are_one_sentence(args, said):
    assert_one_sentence(call("models", *args), said)


def test_errors_of_the_process_are_one_sentence():
    result = call_process("models", "convert", "missing é.pt", "--name", "x")
    assert_one_sentence(result, "There is no checkpoint")
    assert result.stdout == ""


@pytest.mark.skipif(sys.platform == "win32", reason="sends signals")
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_conversion_that_is_ended_leaves_nothing(sent, code, tmp_path):
    checkpoint = tmp_path / "c.pt"
    torch.save(perturbed_model(MICRO_CONFIG, 0).state_dict(), checkpoint)
    # A suite that was started in the background hands on that SIGINT is ignored.
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from napari_sam2_openvino.cli import main; main()"
    )
    command = [sys.executable, "-c", program, "models", "convert"]
    command += [str(checkpoint), "--name", "x", "--config", str(MICRO_CONFIG)]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        seen = ""
        while "image encoder" not in seen:
            seen += process.stderr.read(1)
        process.send_signal(sent)
        _, rest = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in rest
    assert list(models_dir().iterdir()) == []


@pytest.fixture
def recipe(tmp_path):
    """Return a folder with the session of the documentation, and an image that it fits."""
    text = re.search(r"```json\n(.*?)```", DOCUMENTED.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "sessión.json").write_text(text[1], encoding="utf-8")
    rows, columns = np.mgrid[:512, :512]
    disc = (rows - 200) ** 2 + (columns - 120) ** 2 < 40**2
    tifffile.imwrite(tmp_path / "image.tif", np.where(disc, 180, 40).astype(np.uint8))
    return tmp_path


def run_recipe(folder, *options, output="labels.tif"):
    return call(
        "recipe",
        "run",
        folder / "sessión.json",
        folder / "image.tif",
        "-o",
        folder / output,
        *options,
    )


def test_the_recipe_of_the_documentation_runs(recipe):
    result = run_recipe(recipe)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.strip() == str(recipe / "labels.tif")
    assert "Segmenting" in result.stderr
    labels = tifffile.imread(recipe / "labels.tif")
    assert labels.dtype == np.uint16
    assert 0.8 < (labels == 1).sum() / (np.pi * 40**2) < 1.2

    assert_one_sentence(run_recipe(recipe), "is there already")
    report = json.loads(run_recipe(recipe, "--overwrite", "--json").stdout)
    (row,) = report["objects"]
    assert row["obj_id"] == 1
    assert row["n_pixels"] == (labels == 1).sum()
    assert report["output"] == str(recipe / "labels.tif")


def test_show_lists_the_objects_of_a_session(recipe):
    result = call("recipe", "show", recipe / "sessión.json")
    assert result.exit_code == 0
    assert "cells, 512 x 512" in result.stdout
    assert "1 commits, 0 drafts" in result.stdout
    assert "point x 1" in result.stdout
    shown = json.loads(call("recipe", "show", recipe / "sessión.json", "--json").stdout)
    assert shown["objects"][0]["prompts"]["marks"][0]["vertices"] == [[120.0, 200.0]]


def test_errors_of_a_recipe_are_one_sentence(recipe):
    nope = recipe / "nope"
    session, image = recipe / "sessión.json", recipe / "image.tif"
    output = ("-o", recipe / "labels.tif")
    for args, said in (
        (("show", nope), "cannot be read"),
        (("show", image), "holds no valid JSON"),
        (("run", nope, image, *output), "cannot be read"),
        (("run", session, nope, *output), "There is no image"),
        (("run", session, session, *output), "cannot be read"),
        (("run", session, image, image, *output), "give as many"),
        (("run", session, image, "-o", recipe / "labels.doc"), "choose another"),
        (("run", session, image, "--model", "nope", *output), "There is no model"),
        (("run", session, image, "--device", "nope", *output), "The device must be one of"),
    ):
        assert_one_sentence(call("recipe", *args), said)
    assert sorted(path.name for path in recipe.iterdir()) == ["image.tif", "sessión.json"]


def test_importing_the_command_is_light():
    code = (
        "import sys, napari_sam2_openvino.cli; "
        "slow = {'torch', 'openvino', 'napari', 'sam2', 'qtpy', 'requests'}; "
        "print(sorted(slow & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


@pytest.fixture
def labels_file(tmp_path):
    labels = np.zeros((2, 30, 40), np.uint16)
    labels[0, 3:9, 5:15] = 7
    labels[1, 3:9, 5:15] = 7
    path = tmp_path / "lábels.tif"
    tifffile.imwrite(path, labels, metadata={"axes": "ZYX"})
    return path


def test_the_version_is_that_of_the_package():
    result = call("--version")
    assert result.exit_code == 0
    assert result.stdout == f"napari-sam2-openvino {version('napari-sam2-openvino')}\n"


def test_export_has_an_example():
    result = call("export", "--help")
    assert result.exit_code == 0
    assert "napari-sam2 export labels.tif" in result.stdout


def test_export_takes_sizes_image_and_table(labels_file, tmp_path):
    image, table, output = tmp_path / "image.npy", tmp_path / "table.csv", tmp_path / "out.csv"
    np.save(image, np.full((2, 30, 40), 5.0))
    table.write_text("label,class_name,score\n7,nucleus,0.5\n")
    options = ("--format", "csv", "--scale", "2,0.5,0.5", "--unit", "um", "--json")
    result = call(
        "export", labels_file, "-o", output, *options, "--image", image, "--features", table
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"output": str(output), "format": "csv"}
    names, values = output.read_text().strip().splitlines()
    row = dict(zip(names.split(","), values.split(","), strict=True))
    assert float(row["volume_um3"]) == 2 * 60 * 2 * 0.25
    assert (row["class_name"], row["score"], row["intensity_mean"]) == ("nucleus", "0.5", "5.0")


def test_export_of_a_file_uses_the_sizes_that_the_file_tells(labels_file, tmp_path):
    stored, output = tmp_path / "labels.zarr", tmp_path / "out.csv"
    options = ("--format", "ome-zarr", "--scale", "0.5", "--unit", "µm")
    assert call("export", labels_file, "-o", stored, *options).exit_code == 0
    assert call("export", stored, "-o", output, "--format", "csv").exit_code == 0
    assert "volume_um3" in output.read_text()
    for option, volume in (("--scale=2", "volume_um3"), ("--unit=nm", "volume_nm3")):
        options = ("--format", "csv", "--overwrite", option)
        assert call("export", stored, "-o", output, *options).exit_code == 0
        assert volume in output.read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--format", "yolo"), "must be one of coco"),
        (("--format", "coco"), "written to .json"),
        (("--format", "csv", "--scale", "1,2"), "one size of a pixel for each of z, y, x"),
        (("--format", "csv", "--scale", "big"), "--scale takes numbers"),
        (("--format", "csv", "--unit", "parsec"), "'parsec'"),
        (("--format", "csv", "--unit", "um"), "tells none along z, y, x: add --scale"),
        (("--format", "csv", "--scale", "0.5"), "names none: add --unit"),
        (("--format", "csv", "--axes", "YXZ"), "end with YX"),
        (("--format", "csv", "--image", "nowhere.tif"), "There is no image"),
        (("--format", "csv", "--features", "nowhere.csv"), "cannot be read"),
    ],
)
def test_export_fails_with_one_sentence(labels_file, tmp_path, options, said):
    result = call("export", labels_file, "-o", tmp_path / "out.csv", *options)
    assert_one_sentence(result, said)
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("column", ["label", "index"])
def test_export_takes_a_table_by_either_column_but_not_by_two_that_differ(
    labels_file, tmp_path, column
):
    table, output = tmp_path / "table.csv", tmp_path / "out.json"
    options = ("--format", "coco", "--features", table, "--overwrite")
    frame = pd.DataFrame({"label": [6, 7], "class_name": ["debris", "nucleus"], "area": [1.5, 2]})
    frame.rename(columns={"label": column}).to_csv(table, index=False)
    for _ in range(2):
        assert call("export", labels_file, "-o", output, *options).exit_code == 0
        attributes = [each["attributes"] for each in json.loads(output.read_text())["annotations"]]
        assert attributes == [{"area": 2, "label": 7}] * 2
        frame.assign(index=frame["label"]).to_csv(table, index=False)
    # pandas counts the rows in a column of this name.
    frame.reset_index().to_csv(table, index=False)
    result = call("export", labels_file, "-o", output, *options)
    assert_one_sentence(result, "has both columns `index` and `label`, and they differ")


def test_export_never_writes_over_what_it_reads(labels_file, tmp_path):
    result = call("export", labels_file, "-o", labels_file, "--format", "tiff", "--overwrite")
    assert_one_sentence(result, "is an image that is read")
    inside = zarr.create_array(tmp_path / "in.zarr" / "cells", data=tifffile.imread(labels_file))
    options = ("--format", "ome-zarr", "--overwrite")
    result = call("export", tmp_path / "in.zarr" / "cells", "-o", tmp_path / "in.zarr", *options)
    assert_one_sentence(result, "is an image that is read")
    assert inside[:].any()
