"""The graphs of a model in 8 bits, by NNCF."""

import shutil
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino.conversion.norm_folding import fold_norms
from napari_sam2_openvino.conversion.norm_rounding import fuse_rounding
from napari_sam2_openvino.conversion.recipes import Recipe, kept_operations
from napari_sam2_openvino.core.attention import separate_heads
from napari_sam2_openvino.core.model_folder import IMAGE_ENCODER_FILE, MASK_DECODER_FILE
from napari_sam2_openvino.core.progress import Progress
from napari_sam2_openvino.core.runtime import expect_points
from napari_sam2_openvino.core.transforms import preprocess

if TYPE_CHECKING:
    import openvino

_POLL_S = 0.2
_OFF = -1.0


def write_quantized_graphs(
    source: Path,
    folder: Path,
    recipe: Recipe,
    images: Sequence[Callable[[], NDArray[np.uint8]]],
    image_size: int,
) -> Generator[Progress, None, None]:
    """Write image encoder and mask decoder of a model in 8 bits.

    Parameters
    ----------
    source, folder : Path
        The model, and where the graphs go.
    recipe : Recipe
    images : sequence of callable
        Each returns one calibration image, uint8 of shape (H, W, 3), as the network sees it.
    image_size : int
        S of the model.
    """
    import openvino

    expect_points()
    core = openvino.Core()
    encoder = core.read_model(source / IMAGE_ENCODER_FILE)
    if recipe.activations:
        calibration = _Calibration(images[: recipe.most_images], image_size)
        yield Progress("Quantizing the image encoder", 0.0)
        fold_norms(encoder)
        encoder = yield from calibration.watch(partial(_full, encoder, recipe, calibration))
        fuse_rounding(encoder)
        separate_heads(encoder, of_all=True)
    else:
        yield Progress("Storing weights in 8 bits", 0.0)
        encoder = _weights(encoder, recipe)
    openvino.save_model(encoder, folder / IMAGE_ENCODER_FILE, compress_to_fp16=False)
    if recipe.decoder_weights:
        yield Progress("Storing weights in 8 bits", 0.9)
        decoder = _weights(core.read_model(source / MASK_DECODER_FILE), recipe)
        openvino.save_model(decoder, folder / MASK_DECODER_FILE, compress_to_fp16=False)
    else:
        for file in (source / MASK_DECODER_FILE, (source / MASK_DECODER_FILE).with_suffix(".bin")):
            shutil.copyfile(file, folder / file.name)
    yield Progress("Quantized", 1.0)


class _Calibration:
    """Prepares calibration images when NNCF asks for them, and counts them for whoever waits."""

    def __init__(self, images: Sequence[Callable[[], NDArray[np.uint8]]], image_size: int) -> None:
        self._images = images
        self._image_size = image_size
        self._given = 0
        self._result: Any = None
        self._error: BaseException | None = None

    def __len__(self) -> int:
        return len(self._images)

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Give every image, one at a time: as many passes as NNCF needs."""
        for load in self._images:
            self._given += 1
            yield preprocess(load(), self._image_size)

    def watch(self, action: Callable[[], Any]) -> Generator[Progress, None, Any]:
        """Run a call that reads the images in a thread; report how far it is, return its result."""
        thread = threading.Thread(target=self._run, args=(action,), daemon=True)
        thread.start()
        shown = -1
        while thread.is_alive():
            thread.join(_POLL_S)
            if self._given != shown:
                shown = self._given
                # After the last image biases are corrected, which takes about as long again.
                done = 0.45 * min(1.0, shown / len(self._images))
                detail = f"{min(shown, len(self._images))} of {len(self._images)} images"
                yield Progress("Quantizing the image encoder", done, detail)
        if self._error is not None:
            raise self._error
        return self._result

    def _run(self, action: Callable[[], Any]) -> None:
        try:
            self._result = action()
        except BaseException as error:
            self._error = error


def _full(graph: "openvino.Model", recipe: Recipe, calibration: _Calibration) -> "openvino.Model":
    """Compute in 8 bits, weights and activations."""
    import nncf

    strength = _OFF if recipe.smooth_quant is None else recipe.smooth_quant
    return nncf.quantize(
        graph,
        nncf.Dataset(calibration),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(calibration),
        ignored_scope=nncf.IgnoredScope(names=kept_operations(graph, recipe), validate=False),
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            smooth_quant_alphas=nncf.AdvancedSmoothQuantParameters(matmul=strength)
        ),
    )


def _weights(graph: "openvino.Model", recipe: Recipe) -> "openvino.Model":
    """Store weights in 8 bits and compute as before."""
    import nncf

    return nncf.compress_weights(
        graph,
        mode=nncf.CompressWeightsMode.INT8_SYM,
        ignored_scope=nncf.IgnoredScope(names=kept_operations(graph, recipe), validate=False),
    )
