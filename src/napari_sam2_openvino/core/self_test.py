"""Does a model answer what it must, here and now? A wrong device or a damaged file answers else.

What it must answer is kept in the model folder: an image, prompts, and the masks that the original
gave on a CPU in f32. A folder without is judged by itself, on the CPU in f32.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.core.errors import DAMAGED_ARCHIVE, ModelFormatError
from napari_sam2_openvino.core.model import Sam2Model
from napari_sam2_openvino.core.model_folder import SELF_TEST_FILE, read_model_info
from napari_sam2_openvino.core.paths import temporary_beside
from napari_sam2_openvino.core.transforms import build_tokens, to_model_space

Masks = NDArray[np.bool_]

# Measured with the starter: bf16 and INT8 0.99, the embedding of another image at most 0.31.
LEAST_MASK_IOU = 0.85
_GRID_SIDE = 3
_BOX_SHARE = 0.3


@dataclass(frozen=True, eq=False)
class SelfTest:
    """What a model must answer.

    Parameters
    ----------
    image : ndarray of uint8, shape (H, W, 3)
    masks : ndarray of bool, shape (prompts, 4, S / 4, S / 4)
        All four masks of each prompt.
    """

    image: NDArray[np.uint8]
    masks: Masks


@dataclass(frozen=True)
class SelfTestResult:
    """How well a model answers.

    Parameters
    ----------
    mask_iou : float
        Pixels that its masks share with those it must give, as a share of all that either has; 0
        if its numbers are not finite.
    """

    mask_iou: float

    @property
    def passed(self) -> bool:
        """Whether the masks are those of the model."""
        return self.mask_iou >= LEAST_MASK_IOU


def write_self_test(original: Path, folder: Path) -> None:
    """Keep in a folder what the model of another, or the same, answers on the CPU in f32.

    Raises
    ------
    ModelFormatError, DeviceError
        If the original cannot be loaded.
    OSError
        If the folder cannot be written to.
    """
    model = Sam2Model(original, "CPU", "f32", cache_dir=None)
    test = _made_by(model)
    path = folder / SELF_TEST_FILE
    temporary = temporary_beside(path)
    np.savez_compressed(
        temporary,
        image=test.image,
        masks=np.packbits(test.masks),
        shape=np.array(test.masks.shape),
        checkpoint=np.array(model.info.source.sha256),
    )
    temporary.replace(path)


def read_self_test(folder: Path) -> SelfTest:
    """Return what the model of a folder must answer.

    If the folder does not keep it, or keeps that of other weights, it is what the model itself
    answers on the CPU in f32.

    Raises
    ------
    ModelFormatError
        If the folder or the file is damaged.
    DeviceError
        If OpenVINO failed.
    """
    path = folder / SELF_TEST_FILE
    if path.is_file():
        test = _read(path, read_model_info(folder).source.sha256)
        if test is not None:
            return test
    return _made_by(Sam2Model(folder, "CPU", "f32", cache_dir=None))


def run_self_test(model: Sam2Model, test: SelfTest | None = None) -> SelfTestResult:
    """Ask a loaded model what it must answer: an encode and two decodes.

    Parameters
    ----------
    model : Sam2Model
    test : SelfTest, optional
        By default that of the model's folder.

    Raises
    ------
    ModelFormatError
        If the file with the answers is damaged.
    DeviceError
        If OpenVINO failed.
    """
    test = test or read_self_test(model.folder)
    masks, is_finite = _answers(model, test.image)
    if not is_finite or masks.shape != test.masks.shape:
        return SelfTestResult(0.0)
    shared = np.count_nonzero(masks & test.masks)
    either = np.count_nonzero(masks | test.masks)
    return SelfTestResult(float(shared / either) if either else 1.0)


def _made_by(model: Sam2Model) -> SelfTest:
    image = _image()
    return SelfTest(image, _answers(model, image)[0])


def _answers(model: Sam2Model, image: NDArray[np.uint8]) -> tuple[Masks, bool]:
    """Return all four masks of each prompt at low resolution, and whether all was finite."""
    embedding = model.encode(image)
    side = np.array(image.shape[1::-1], np.float32)
    clicks = (np.indices((_GRID_SIDE, _GRID_SIDE)).reshape(2, -1).T + 0.5) / _GRID_SIDE
    middles = to_model_space(clicks.astype(np.float32) * side, image.shape[:2], model.image_size)
    half = np.float32(_BOX_SHARE * model.image_size / 2)
    boxes = np.stack([middles - half, middles + half], axis=1)
    labels = np.ones((len(middles), 1), np.int32)
    outputs = [
        model.decode(embedding, *build_tokens(middles[:, None], labels, None)),
        model.decode(embedding, *build_tokens(None, None, boxes)),
    ]
    logits = np.concatenate([output.low_res_masks for output in outputs])
    scores = np.concatenate([output.iou_predictions for output in outputs])
    return logits > 0, bool(np.isfinite(logits).all() and np.isfinite(scores).all())


def _image() -> NDArray[np.uint8]:
    """Return a photograph of coins: objects, texture and uneven light, and it comes along."""
    from skimage import data

    grey: NDArray[np.uint8] = data.coins()
    return np.repeat(grey[..., None], 3, axis=2)


def _read(path: Path, checkpoint: str) -> SelfTest | None:
    """Return what a file says, or None if it is about other weights."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            if str(archive["checkpoint"]) != checkpoint:
                return None
            shape = tuple(archive["shape"].tolist())
            masks = np.unpackbits(archive["masks"], count=int(np.prod(shape)))
            return SelfTest(archive["image"], masks.reshape(shape).astype(bool))
    except DAMAGED_ARCHIVE as error:
        raise ModelFormatError(
            f"{path} is damaged: convert or quantize the model again."
        ) from error
