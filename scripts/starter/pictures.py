"""What the starter does on real images, with prompts that were chosen before any mask was seen.

    python scripts/starter/pictures.py

Writes `docs/images/starter_real.png` with the model that ships, and prints figures for `coins`, the
image whose ground truth a threshold gives.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage
from skimage import data, filters, measure, morphology, segmentation

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from napari_sam2_openvino import SAM2ImagePredictor, load_model
from starter.shapes import corners, ellipse_in_box, innermost_point, iou

OUT = Path(__file__).resolve().parents[2] / "docs" / "images" / "starter_real.png"
SIDE = 480

CLICKS: dict[str, list[tuple[float, float]]] = {
    "coins": [(44, 53), (155, 51), (335, 44), (45, 124), (206, 124), (347, 187), (46, 260)],
    "cell": [(427, 373)],
    "immunohistochemistry": [(315, 400), (336, 114), (218, 285)],
    "microaneurysms": [(16, 23), (49, 71)],
    "retina": [(250, 665), (702, 699)],
    "hubble_deep_field": [(725, 471), (123, 400), (422, 717), (775, 737), (290, 109)],
}
"""(x, y) in pixels; one mask each, the best of three by score."""

BOXES: dict[str, list[tuple[float, float, float, float]]] = {
    "coins": [(80, 173, 124, 217), (189, 170, 236, 216)],
    "cell": [(360, 305, 494, 440)],
    "immunohistochemistry": [(254, 306, 384, 494)],
    "retina": [(180, 573, 321, 762)],
}
"""(x0, y0, x1, y1) in pixels; the single mask each."""


def main() -> None:
    """Draw all images, and judge the coins."""
    predictor = SAM2ImagePredictor(load_model("starter", precision="f32"))
    drawn = [draw(predictor, name) for name in CLICKS]
    rows = [np.concatenate(drawn[:3], axis=1), np.concatenate(drawn[3:], axis=1)]
    OUT.parent.mkdir(exist_ok=True)
    Image.fromarray(np.concatenate(rows)).quantize(200).save(OUT, optimize=True)
    print(OUT)
    judge_coins(predictor)


def draw(predictor: SAM2ImagePredictor, name: str) -> NDArray[np.uint8]:
    """Draw an image with its prompts and the edges of their masks, shape (SIDE, SIDE, 3)."""
    image = getattr(data, name)()
    predictor.set_image(image)
    scale = SIDE / max(image.shape[:2])
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    canvas = Image.new("RGB", (SIDE, SIDE), "white")
    canvas.paste(Image.fromarray(image).convert("RGB").resize(size))
    for x, y in CLICKS[name]:
        masks, scores, _ = predictor.predict(point_coords=[[x, y]], point_labels=[1])
        _outline(canvas, masks[scores.argmax()], size, (255, 60, 60))
    for box in BOXES.get(name, []):
        masks, _, _ = predictor.predict(box=np.array(box), multimask_output=False)
        _outline(canvas, masks[0], size, (60, 220, 255))
    pen = ImageDraw.Draw(canvas)
    for x, y in CLICKS[name]:
        left, top = x * scale, y * scale
        pen.ellipse([left - 3, top - 3, left + 3, top + 3], fill=(255, 255, 0), outline=(0, 0, 0))
    for box in BOXES.get(name, []):
        pen.rectangle([value * scale for value in box], outline=(60, 220, 255))
    return np.asarray(canvas)


def judge_coins(predictor: SAM2ImagePredictor) -> None:
    """Print the mean IoU over all coins, from boxes and from clicks, and that of ellipses."""
    image = data.coins()
    labels = coin_labels(image)
    predictor.set_image(image)
    rows: list[list[Any]] = []
    for obj_id in range(1, labels.max() + 1):
        true = labels == obj_id
        box, click = corners(true), innermost_point(true)
        from_box = predictor.predict(box=box.ravel(), multimask_output=False)[0][0]
        masks, scores, _ = predictor.predict(point_coords=click[None], point_labels=[1])
        single = predictor.predict(
            point_coords=click[None], point_labels=[1], multimask_output=False
        )[0][0]
        answers = (from_box, single, masks[scores.argmax()], ellipse_in_box(box, true.shape))
        rows.append([iou(mask, true) for mask in answers])
    names = ("box", "one click, single mask", "one click, best of three", "ellipse in box")
    for name, value in zip(names, np.mean(rows, axis=0), strict=True):
        print(f"coins ({len(rows)}), {name}: {value:.3f}")


def coin_labels(image: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Ground truth by a watershed from dark and bright markers, as in scikit-image's examples."""
    markers = np.zeros(image.shape, np.int32)
    markers[image < 30], markers[image > 150] = 1, 2
    coins = segmentation.watershed(filters.sobel(image), markers) == 2
    coins = morphology.opening(ndimage.binary_fill_holes(coins), morphology.disk(3))
    labels = measure.label(coins)
    areas = np.bincount(labels.ravel())
    labels[areas[labels] < 200] = 0
    relabelled: NDArray[np.int32] = segmentation.relabel_sequential(labels)[0].astype(np.int32)
    return relabelled


def _outline(
    canvas: Image.Image, mask: NDArray[np.bool_], size: tuple[int, int], colour: tuple[int, ...]
) -> None:
    large = np.asarray(Image.fromarray(mask.astype(np.uint8) * 255).resize(size)) > 127
    edge = ndimage.binary_dilation(large) & ~ndimage.binary_erosion(large)
    canvas.paste(colour, (0, 0), Image.fromarray(edge.astype(np.uint8) * 255))


if __name__ == "__main__":
    main()
