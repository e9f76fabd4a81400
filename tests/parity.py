"""Compare the engine with PyTorch's SAM 2, prompt set by prompt set.

Both sides see the same image, prompts and weights. A set passes if at least 99.9 % of the mask
pixels agree and the scores differ by at most 1e-3. Sets in which SAM 2's own choice between masks
hangs on a tie are listed apart: there the smallest rounding decides.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino import SAM2ImagePredictor
from napari_sam2_openvino.core.model import Sam2Model
from napari_sam2_openvino.core.transforms import build_tokens, stability_scores, to_model_space

MIN_PIXEL_AGREEMENT = 0.999
MAX_SCORE_DIFFERENCE = 1e-3
TIE = 1e-4
# From smaller than any model's input to larger, in pixels (height, width).
IMAGE_SIZES = (
    (64, 64),
    (3000, 2000),
    (300, 451),
    (2000, 3000),
    (97, 800),
    (1024, 1024),
    (1500, 210),
    (512, 512),
    (257, 129),
    (1111, 1777),
)
SETS_PER_IMAGE = 20


@dataclass(frozen=True, eq=False)
class PromptSet:
    """Arguments of one call of ``predict``."""

    kind: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Comparison:
    """How one prompt set came out on both sides."""

    image: str
    kind: str
    pixel_agreement: float
    score_difference: float
    low_res_difference: float
    tie: bool

    @property
    def passed(self) -> bool:
        """Whether masks and scores agree."""
        return (
            self.pixel_agreement >= MIN_PIXEL_AGREEMENT
            and self.score_difference <= MAX_SCORE_DIFFERENCE
        )


def make_image(rng: np.random.Generator, hw: tuple[int, int], *, grey: bool) -> NDArray[np.uint8]:
    """Blobs of several sizes on a gradient, with noise; the same in each channel if grey."""
    from skimage.transform import resize

    channels = 1 if grey else 3
    image = np.zeros((*hw, channels))
    for cells in (3, 9, 30):
        image += resize(rng.normal(size=(cells, cells, channels)), (*hw, channels), order=1)
    image += rng.normal(scale=0.15, size=image.shape)
    image = (image - image.min()) / np.ptp(image) * 255
    return np.repeat(image, 3 // channels, axis=2).astype(np.uint8)


def prompt_sets(
    rng: np.random.Generator, hw: tuple[int, int], low_res: NDArray[np.float32], n_sets: int
) -> Iterator[PromptSet]:
    """Points, boxes, both, and mask inputs with and without them, in turn.

    ``low_res`` is the mask input, of shape (1, h, w).
    """
    kinds = ("points", "box", "points+box", "mask", "points+mask", "box+mask")
    size = np.array(hw[::-1], np.float32)
    for number in range(n_sets):
        kind = kinds[number % len(kinds)]
        arguments: dict[str, Any] = {"multimask_output": bool(number // len(kinds) % 2)}
        if "points" in kind:
            count = int(rng.integers(1, 6))
            labels = np.r_[1, rng.integers(0, 2, count - 1)].astype(np.int32)
            coords = (rng.uniform(0, 1, (count, 2)) * (size - 1)).astype(np.float32)
            arguments |= {"point_coords": coords, "point_labels": labels}
        if "box" in kind:
            low = rng.uniform(0, 0.6, 2)
            high = low + rng.uniform(0.1, 0.4, 2)
            arguments["box"] = np.r_[low * size, high * size].astype(np.float32)
        if "mask" in kind:
            arguments["mask_input"] = low_res
        yield PromptSet(kind, arguments)


def is_tie(model: Sam2Model, predictor: SAM2ImagePredictor, arguments: dict[str, Any]) -> bool:
    """Whether SAM 2's choice of the single mask hangs on less than `TIE`."""
    if arguments["multimask_output"]:
        return False
    embedding = predictor._embeddings[-1]
    coords, labels, box = (
        None if arguments.get(name) is None else np.asarray(arguments[name])[None]
        for name in ("point_coords", "point_labels", "box")
    )
    if coords is not None:
        coords = to_model_space(coords, embedding.image_hw, model.image_size)
    if box is not None:
        box = to_model_space(box.reshape(1, 2, 2), embedding.image_hw, model.image_size)
    mask = arguments.get("mask_input")
    output = model.decode(
        embedding, *build_tokens(coords, labels, box), None if mask is None else mask[None]
    )
    config = model.info.config
    stability = stability_scores(
        output.low_res_masks[:, 0], config.dynamic_multimask_stability_delta
    )[0]
    second, first = np.sort(output.iou_predictions[0, 1:])[-2:]
    near_threshold = abs(stability - config.dynamic_multimask_stability_thresh) < TIE
    unstable = stability < config.dynamic_multimask_stability_thresh + TIE
    return bool(near_threshold or (unstable and first - second < TIE))


def compare(
    reference: Any,
    model: Sam2Model,
    seed: int,
    image_sizes: tuple[tuple[int, int], ...] = IMAGE_SIZES,
    sets_per_image: int = SETS_PER_IMAGE,
    first: int = 0,
) -> Iterator[Comparison]:
    """Yield a comparison for each prompt set of seeded random images.

    Parameters
    ----------
    reference : sam2.sam2_image_predictor.SAM2ImagePredictor
    model : Sam2Model
        In f32.
    seed : int
    image_sizes : tuple of (height, width), optional
        In pixels. Every other image is grey.
    sets_per_image : int, optional
    first : int, optional
        How many images were compared before: they are made, so that the others stay the same, but
        not compared.
    """
    rng = np.random.default_rng(seed)
    predictor = SAM2ImagePredictor(model)
    for number, hw in enumerate(image_sizes):
        grey = bool(number % 2)
        image = make_image(rng, hw, grey=grey)
        if number < first:
            for _ in prompt_sets(rng, hw, np.zeros((1, 1, 1), np.float32), sets_per_image):
                pass
            continue
        reference.set_image(image)
        predictor.set_image(image[..., 0] if grey else image)
        centre = {"point_coords": [[hw[1] / 2, hw[0] / 2]], "point_labels": [1]}
        _, _, low_res = reference.predict(**centre, multimask_output=True)
        name = f"{hw[0]} x {hw[1]} {'grey' if grey else 'RGB'}"
        for prompts in prompt_sets(rng, hw, low_res[:1], sets_per_image):
            yield _compare_set(reference, predictor, model, name, prompts)


def _compare_set(
    reference: Any, predictor: SAM2ImagePredictor, model: Sam2Model, name: str, prompts: PromptSet
) -> Comparison:
    expected_masks, expected_scores, expected_low_res = reference.predict(**prompts.arguments)
    masks, scores, low_res = predictor.predict(**prompts.arguments)
    assert masks.shape == expected_masks.shape
    assert masks.dtype == bool
    return Comparison(
        image=name,
        kind=prompts.kind + (" x3" if prompts.arguments["multimask_output"] else ""),
        pixel_agreement=float((masks == expected_masks.astype(bool)).mean()),
        score_difference=float(np.abs(scores - expected_scores).max()),
        low_res_difference=float(np.abs(low_res - expected_low_res).max()),
        tie=is_tie(model, predictor, prompts.arguments),
    )
