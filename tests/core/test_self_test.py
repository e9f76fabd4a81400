"""Wrong masks are noticed, whatever the reason."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from napari_sam2_openvino.core.errors import ModelFormatError
from napari_sam2_openvino.core.model_folder import (
    SELF_TEST_FILE,
    read_model_info,
    write_model_info,
)
from napari_sam2_openvino.core.self_test import (
    SelfTestResult,
    read_self_test,
    run_self_test,
    write_self_test,
)


class Spoilt:
    """A model whose masks are spoilt on their way out, as a device does that computes wrongly."""

    def __init__(self, model, spoil):
        self._model = model
        self._spoil = spoil

    def __getattr__(self, name):
        return getattr(self._model, name)

    def decode(self, *args):
        output = self._model.decode(*args)
        return output._replace(low_res_masks=self._spoil(output.low_res_masks))


@pytest.fixture(scope="module")
def folder(micro_folder, tmp_path_factory):
    """Return a copy of a model without what it must answer."""
    folder = tmp_path_factory.mktemp("model") / "micro"
    shutil.copytree(micro_folder, folder)
    (folder / SELF_TEST_FILE).unlink()
    return folder


def test_conversion_keeps_what_the_model_must_answer(micro_folder, micro_model):
    assert (micro_folder / SELF_TEST_FILE).is_file()
    assert run_self_test(micro_model) == SelfTestResult(1.0)
    assert read_self_test(micro_folder).masks.any(axis=(2, 3)).mean() > 0.5


def test_without_the_file_the_model_is_its_own_judge(folder, micro_model):
    test = read_self_test(folder)
    np.testing.assert_array_equal(test.masks, read_self_test(micro_model.folder).masks)


def test_what_is_kept_of_other_weights_does_not_count(micro_folder, tmp_path, monkeypatch):
    shutil.copytree(micro_folder, tmp_path / "model")
    info = read_model_info(micro_folder)
    other = replace(info, source=replace(info.source, sha256="0" * 64))
    write_model_info(tmp_path / "model", other)
    made = []
    monkeypatch.setattr("napari_sam2_openvino.core.self_test._made_by", made.append)
    read_self_test(tmp_path / "model")
    assert len(made) == 1


@pytest.mark.parametrize(
    "spoil",
    [
        np.negative,
        np.zeros_like,
        lambda masks: np.full_like(masks, np.nan),
        lambda masks: masks[:, :, ::-1],
        lambda masks: np.roll(masks, masks.shape[-1] // 3, axis=-1),
        lambda masks: masks[:1].repeat(len(masks), axis=0),
    ],
)
def test_wrong_masks_fail(micro_model, spoil):
    assert not run_self_test(Spoilt(micro_model, spoil)).passed


def test_rounding_passes(micro_model):
    rounded = Spoilt(micro_model, lambda masks: masks.astype(np.float16).astype(np.float32))
    assert run_self_test(rounded).passed


def test_a_damaged_file_is_one_sentence(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "model")
    (tmp_path / "model" / SELF_TEST_FILE).write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(ModelFormatError, match="is damaged"):
        read_self_test(tmp_path / "model")


def test_it_is_written_whole(folder, tmp_path):
    write_self_test(folder, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [SELF_TEST_FILE]
