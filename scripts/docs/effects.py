"""Draw what parameters do: a row of pictures for each, with the starter on images that are drawn.

    python scripts/docs/effects.py

Writes `docs/images/effect_NAME.png`, which the page of parameters shows. Run it whenever the
starter's weights are others.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from skimage.color import label2rgb
from skimage.segmentation import find_boundaries

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from napari_sam2_openvino import SAM2ImagePredictor, load_model
from napari_sam2_openvino.core.all_objects import default_parameters
from napari_sam2_openvino.core.labels_from_candidates import labels_from_candidates
from napari_sam2_openvino.core.model import Sam2Model
from napari_sam2_openvino.core.normalize import to_rgb
from napari_sam2_openvino.core.object_masks import LogitsCut, make_mask
from napari_sam2_openvino.core.object_parameters import AllObjectsParameters
from napari_sam2_openvino.core.parameters import MaskOptions
from napari_sam2_openvino.core.regions import Region
from napari_sam2_openvino.synthetic import make_scene
from starter.objects import run_search, with_values

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
SIDE = 230
CAPTION = 20

Pixels = NDArray[Any]

MASK_ROWS: Mapping[str, Sequence[Any]] = {
    "mask_threshold": (-4.0, 0.0, 4.0),
    "smoothing": (0, 6, 14),
}
"""Values of each of `MaskOptions`."""

OBJECT_ROWS: Mapping[str, Sequence[Any]] = {
    "points_per_side": (4, 8, 32),
    "pred_iou_thresh": (0.1, 0.5, 0.8),
    "stability_score_thresh": (0.3, 0.7, 0.9),
    "min_area": (0, 1500, 3000),
}
"""Values of each of `AllObjectsParameters`."""

OVERLAP_RULES = ("small over large", "high score over low", "large over small")


def main() -> None:
    """Draw every row."""
    model = load_model("starter", precision="f32")
    rows = {**mask_pictures(model), **object_pictures(model), "overlap": overlap_pictures(model)}
    for name, pictures in rows.items():
        path = IMAGES / f"effect_{name}.png"
        in_a_row(pictures).quantize(128).save(path, optimize=True)
        print(path)


def mask_pictures(model: Sam2Model) -> dict[str, dict[str, Pixels]]:
    """One object's mask with each value of what is done to its logits."""
    scene = make_scene("filaments", seed=5, shape=(256, 256), difficulty=0.3)
    largest = int(np.bincount(scene.labels.ravel())[1:].argmax()) + 1
    rows, columns = np.nonzero(scene.labels == largest)
    box = np.array([columns.min(), rows.min(), columns.max(), rows.max()], np.float32)
    predictor = SAM2ImagePredictor(model)
    predictor.set_image(scene.image)
    logits = predictor.predict(box=box, multimask_output=False)[2][0]
    hw = (scene.image.shape[0], scene.image.shape[1])

    def picture(options: MaskOptions) -> Pixels:
        cut = make_mask(LogitsCut.of(logits), Region.whole(hw), hw, options)
        labels = np.zeros(hw, np.int32)
        top, left = cut.origin
        height, width = cut.mask.shape
        labels[top : top + height, left : left + width] = cut.mask
        return painted(scene.image, labels)

    return {
        name: {f"{value:g}": picture(MaskOptions(**{name: value})) for value in values}
        for name, values in MASK_ROWS.items()
    }


def object_pictures(model: Sam2Model) -> dict[str, dict[str, Pixels]]:
    """Every object of an image with each value of how objects are found and shown."""
    image = make_scene("fluorescence", seed=8, shape=(320, 320), difficulty=0.5).image
    usual = default_parameters(model)
    return {
        name: {
            str(value): found(model, image, with_values(usual, **{name: value})) for value in values
        }
        for name, values in OBJECT_ROWS.items()
    }


def overlap_pictures(model: Sam2Model) -> dict[str, Pixels]:
    """Cells and their nuclei by each rule of whose a shared pixel is."""
    image = make_scene("cytoplasm", seed=3, shape=(256, 256), difficulty=0.1).image
    both = with_values(default_parameters(model), max_overlap=1.0, min_visible=0.0)
    return {rule: found(model, image, with_values(both, overlap=rule)) for rule in OVERLAP_RULES}


def found(model: Sam2Model, image: Pixels, parameters: AllObjectsParameters) -> Pixels:
    """Search an image and paint what is found."""
    candidates = run_search(model, image, parameters)
    return painted(image, labels_from_candidates(candidates, parameters.labels).labels)


def painted(image: Pixels, labels: Pixels) -> Pixels:
    """Lay labels with white edges over an image; shape (H, W, 3) of uint8."""
    laid = label2rgb(labels, to_rgb(image), alpha=0.35, bg_label=0, saturation=1)
    laid[find_boundaries(labels, mode="inner")] = 1
    return np.asarray(laid * 255, np.uint8)


def in_a_row(pictures: Mapping[str, Pixels]) -> Image.Image:
    """Set pictures side by side, each below its caption."""
    row = Image.new("RGB", (len(pictures) * (SIDE + 8) - 8, SIDE + CAPTION), "white")
    pen, font = ImageDraw.Draw(row), ImageFont.load_default(14)
    for index, (caption, pixels) in enumerate(pictures.items()):
        left = index * (SIDE + 8)
        row.paste(Image.fromarray(pixels).resize((SIDE, SIDE)), (left, CAPTION))
        pen.text((left + 2, 1), caption, fill="black", font=font)
    return row


if __name__ == "__main__":
    main()
