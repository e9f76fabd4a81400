"""What OpenVINO is asked for, and what becomes of its failures."""

import contextlib
import stat

import numpy as np
import pytest

from napari_sam2_openvino import load_model
from napari_sam2_openvino.core.devices import is_listed
from napari_sam2_openvino.core.errors import DeviceError, InputError, JobCancelledError
from napari_sam2_openvino.core.image_graphs import ImageEncoder
from napari_sam2_openvino.core.model_folder import INFO_FILE, read_model_info, write_model_info
from napari_sam2_openvino.core.runtime import check_numbers

RGB = np.zeros((8, 8, 3), np.uint8)


class Request:
    """An inference request that goes on for ever, or fails, as OpenVINO's do."""

    def __init__(self, error=None):
        self.error = error
        self.cancelled = False

    def create_infer_request(self):
        return self

    def start_async(self, _inputs, share_inputs):
        assert share_inputs is False
        if self.error:
            raise self.error

    def wait_for(self, _milliseconds):
        return False

    def cancel(self):
        self.cancelled = True

    def wait(self):
        raise RuntimeError("Infer Request was canceled")


def test_a_cancelled_encode_is_cancelled_in_openvino():
    request = Request()
    answers = iter([False, False, True])
    with pytest.raises(JobCancelledError):
        ImageEncoder(request)(np.zeros((1, 3, 8, 8), np.float32), lambda: next(answers))
    assert request.cancelled


def test_openvinos_errors_become_a_sentence():
    request = Request(RuntimeError("Exception from x.cpp\n\n  out of memory \n"))
    with pytest.raises(DeviceError, match=r"could not encode the image \(out of memory\): choose"):
        ImageEncoder(request)(np.zeros((1, 3, 8, 8), np.float32))


def test_a_model_can_be_used_after_a_cancel(micro_model):
    expected = micro_model.encode(RGB)
    for _ in range(5):
        # It may be done before it is asked whether to go on.
        with contextlib.suppress(JobCancelledError):
            micro_model.encode(RGB, cancelled=lambda: True)
    again = micro_model.encode(RGB)
    np.testing.assert_array_equal(again.image_embed, expected.image_embed)


def test_a_cache_that_cannot_be_written_is_done_without(micro_folder, tmp_path, monkeypatch):
    (tmp_path / "home").write_text("a file, where a folder should be")
    monkeypatch.setenv("NAPARI_SAM2_HOME", str(tmp_path / "home"))
    model = load_model(micro_folder, precision="f32")
    assert model.encode(RGB).image_hw == (8, 8)


def test_the_key_of_embeddings_tells_precisions_and_encoders_apart(micro_folder, starter_model):
    keys = {load_model(micro_folder, precision=p).key for p in ("f32", "f16")}
    assert len({*keys, starter_model.key}) == len(keys) + 1
    assert load_model(micro_folder, precision="f32").key in keys


def test_the_description_can_be_read_by_whom_the_graphs_can(micro_folder):
    write_model_info(micro_folder, read_model_info(micro_folder))
    modes = {stat.S_IMODE(file.stat().st_mode) for file in micro_folder.iterdir()}
    assert len(modes) == 1
    assert (micro_folder / INFO_FILE).is_file()


def test_inference_uses_the_threads_it_is_given_also_from_the_cache(micro_folder):
    for threads in (1, 2, 1):
        model = load_model(micro_folder, precision="f32", threads=threads)
        compiled = model._image_encoder._request.get_compiled_model()
        assert compiled.get_property("INFERENCE_NUM_THREADS") == threads


def test_no_threads_are_refused(micro_folder):
    with pytest.raises(InputError, match="at least 1 thread, but threads is 0"):
        load_model(micro_folder, threads=0)


def test_results_that_are_no_numbers_are_one_sentence():
    class Tensor:
        data = np.array([1, np.nan], np.float32)

    class Sound(Request):
        def wait_for(self, _milliseconds):
            return True

        def get_tensor(self, _name):
            return Tensor

    with pytest.raises(DeviceError, match=r"could not encode the image \(its result holds NaN"):
        ImageEncoder(Sound())(np.zeros((1, 3, 8, 8), np.float32))


def test_large_results_are_numbers():
    check_numbers([np.full(100, 3e38, np.float32)], "encode the image")


def test_a_device_that_ignores_a_cancel_holds_nobody(caplog):
    class Deaf(Request):
        def wait(self):
            raise AssertionError("It would wait for ever.")

    with pytest.raises(JobCancelledError):
        ImageEncoder(Deaf())(np.zeros((1, 3, 8, 8), np.float32), lambda: True)
    assert "goes on with what was cancelled" in caplog.text


@pytest.mark.parametrize(
    ("device", "listed", "expected"),
    [
        ("CPU", ("CPU",), True),
        ("GPU", ("CPU",), False),
        ("GPU", ("CPU", "GPU"), True),
        ("GPU.0", ("CPU", "GPU"), True),
        ("GPU.1", ("CPU", "GPU"), False),
        ("GPU", ("CPU", "GPU.0", "GPU.1"), True),
        ("GPU.1", ("CPU", "GPU.0", "GPU.1"), True),
        ("GPU.2", ("CPU", "GPU.0", "GPU.1"), False),
        ("", ("CPU",), False),
    ],
)
def test_devices_are_named_as_openvino_names_them(device, listed, expected):
    assert is_listed(device, listed) is expected
