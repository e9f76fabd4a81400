"""What each step of a click costs, without a window."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tests.parity import make_image

from benchmarks.models import SEED, model_folder, reference_model
from benchmarks.speed import interleaved
from napari_sam2_openvino import SAM2ImagePredictor, load_model
from napari_sam2_openvino._layers.outlines import Outline, draw_outlines
from napari_sam2_openvino._session.answers import ObjectAnswer
from napari_sam2_openvino.core.marks import Mark, ObjectPrompts
from napari_sam2_openvino.core.mask_resizing import masks_from_logits
from napari_sam2_openvino.core.models import STARTER
from napari_sam2_openvino.core.object_decoder import ObjectDecoder
from napari_sam2_openvino.core.parameters import MaskOptions
from napari_sam2_openvino.core.paths import cache_dir
from napari_sam2_openvino.core.plane_box import Box
from napari_sam2_openvino.core.regions import Region
from napari_sam2_openvino.core.transforms import build_tokens, preprocess, to_model_space

HW = (2048, 2048)
# (x, y) in pixels.
CLICK = np.array([[900, 1100]], np.float32)


def click(name: str, repeats: int) -> None:
    """Print the median time of each step of a click on a 2048 x 2048 image, in its order."""
    source = STARTER if name == STARTER else model_folder(name, reference_model(name))
    print(f"{name}: {_load_times(source)}")
    bench = ClickBench(source)
    for step, median in interleaved(bench.steps(), repeats).items():
        print(f"{name}, 2048 x 2048, {step}: {1e3 * median:.1f} ms")
    shares = ", ".join(f"{100 * share:.1f} %" for share in bench.covered)
    print(f"{name}: the masks cover {shares} of the image")


def _load_times(source: Path | str) -> str:
    """Load and encode twice: what compiles first, and then comes from the cache."""
    shutil.rmtree(cache_dir(), ignore_errors=True)
    image = np.zeros((*HW, 3), np.uint8)
    found = []
    for _ in range(2):
        started = time.perf_counter()
        model = load_model(source)
        loaded = time.perf_counter()
        model.encode(image)
        found.append(f"{loaded - started:.2f} s and {time.perf_counter() - loaded:.2f} s")
        del model
    return f"load and first encode, compiled {found[0]}, from the cache {found[1]}"


class ClickBench:
    """A model with an image that is encoded, and each step of a click on it.

    Parameters
    ----------
    source : str or path-like
        As `load_model` takes it.
    """

    def __init__(self, source: Path | str) -> None:
        self._model = load_model(source)
        self._predictor = SAM2ImagePredictor(self._model)
        self._rgb = make_image(np.random.default_rng(SEED), HW, grey=False)
        self._predictor.set_image(self._rgb)
        self._embedding = self._model.encode(self._rgb)
        self._tokens = build_tokens(
            to_model_space(CLICK[None], HW, self._model.image_size), np.ones((1, 1), np.int32), None
        )
        decoded = self._model.decode(self._embedding, *self._tokens)
        self._logits = decoded.low_res_masks[0, 1:]
        masks = masks_from_logits(self._logits, HW)
        self.covered = [float(mask.mean()) for mask in masks]
        self._answer = self._answered()

    def steps(self) -> dict[str, Callable[[], object]]:
        """Return what is timed, by its name."""
        model, image_size = self._model, self._model.image_size
        return {
            "preprocessing": lambda: preprocess(self._rgb, image_size),
            "encode, preprocessing included": lambda: model.encode(self._rgb),
            "copies of the embedding, once an image": self._copy,
            "decoder call": lambda: model.decode(self._embedding, *self._tokens),
            "three masks to the size of the image": lambda: masks_from_logits(self._logits, HW),
            "predict, three masks": lambda: self._predictor.predict(CLICK, [1]),
            "window: decoder call, its four masks kept": self._decoded,
            "window: mask and outline of the best": self._made,
            "window: drawing of the outline": self._drawn,
            "window: all three": self._answer_and_draw,
        }

    def _copy(self) -> None:
        model = self._model
        model._mask_decoder.set_embedding(model.decoder_arrays(self._embedding))

    def _decoded(self) -> object:
        # A decoder of its own remembers nothing of the click before.
        prompts, region = _prompts(), Region(0, 0, *HW)
        return ObjectDecoder(self._model).predict(self._embedding, region, [prompts])[0]

    def _answered(self) -> ObjectAnswer:
        (prediction,) = ObjectDecoder(self._model).predict(
            self._embedding, Region(0, 0, *HW), [_prompts()]
        )
        return ObjectAnswer.make(1, _prompts(), Region(0, 0, *HW), prediction, HW, MaskOptions())

    def _made(self) -> ObjectAnswer:
        return self._answer.remade(HW, MaskOptions())

    def _drawn(self) -> object:
        return _draw(self._answer)

    def _answer_and_draw(self) -> object:
        return _draw(self._answered())


def _prompts() -> ObjectPrompts:
    return ObjectPrompts((Mark("point", (tuple(CLICK[0].tolist()),)),))


def _draw(answer: ObjectAnswer) -> object:
    outline = Outline("current", answer.outline, Box.of(answer.mask))
    return draw_outlines([outline], HW)
