"""The starter with another name, and one whose encoder was damaged."""

import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from napari_sam2_openvino.core.model_folder import read_model_info, write_model_info
from napari_sam2_openvino.core.paths import starter_dir
from napari_sam2_openvino.synthetic import make_scene


def copy_of_starter(folder, name):
    shutil.copytree(starter_dir(), folder, ignore=shutil.ignore_patterns("self_test.npz"))
    write_model_info(folder, replace(read_model_info(folder), name=name))
    return folder


@pytest.fixture(scope="session")
def twin(tmp_path_factory):
    return copy_of_starter(tmp_path_factory.mktemp("twin") / "model", "twin")


@pytest.fixture(scope="session")
def damaged(tmp_path_factory):
    """Shrink the largest weights of the image encoder to a tenth."""
    folder = copy_of_starter(tmp_path_factory.mktemp("damaged") / "model", "damaged")
    text = (folder / "image_encoder.xml").read_text(encoding="utf-8")
    constants = re.findall(r'type="f16" shape="[^"]*" offset="(\d+)" size="(\d+)"', text)
    by_size = sorted(((int(length), int(start)) for start, length in constants), reverse=True)
    for size, offset in by_size[:40]:
        path = folder / "image_encoder.bin"
        weights = np.memmap(path, np.float16, "r+", offset, (size // 2,))
        weights[:] *= 0.1
        weights.flush()
    return folder


@pytest.fixture(scope="session")
def scene():
    return make_scene("fluorescence", 7, shape=(256, 256), difficulty=0.2)
