"""The steps of SAM 2's ``image_predictor_example.ipynb``: only imports and loading differ.

Pictures are drawn instead of photographed, at a quarter of the size, and so are the prompts.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from napari_sam2_openvino import SAM2ImagePredictor, load_model


def load() -> SAM2ImagePredictor:
    """Load the model, where the notebook calls ``build_sam2``."""
    return SAM2ImagePredictor(load_model("starter", precision="f32"))


def steps(
    predictor: Any, image: np.ndarray, other: np.ndarray
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each step's name and what it made, by the notebook's names."""
    predictor.set_image(image)
    yield "embedding", {"shape": np.empty(predictor.get_image_embedding().shape)}

    input_point, input_label = np.array([[125, 94]]), np.array([1])
    masks, scores, logits = predictor.predict(
        point_coords=input_point,
        point_labels=input_label,
        multimask_output=True,
    )
    sorted_ind = np.argsort(scores)[::-1]
    masks, scores, logits = masks[sorted_ind], scores[sorted_ind], logits[sorted_ind]
    yield "one click", {"masks": masks, "scores": scores, "logits": logits}

    input_point = np.array([[125, 94], [281, 156]])
    mask_input = logits[np.argmax(scores), :, :]
    for name, input_label in (
        ("two clicks", np.array([1, 1])),
        ("a background click", np.array([1, 0])),
    ):
        masks, scores, _ = predictor.predict(
            point_coords=input_point,
            point_labels=input_label,
            mask_input=mask_input[None, :, :],
            multimask_output=False,
        )
        yield name, {"masks": masks, "scores": scores}

    yield from _boxes(predictor)
    yield from _batch(predictor, image, other)


def _boxes(predictor: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    input_box = np.array([106, 150, 175, 219])
    masks, scores, _ = predictor.predict(
        point_coords=None,
        point_labels=None,
        box=input_box[None, :],
        multimask_output=False,
    )
    yield "a box", {"masks": masks, "scores": scores, "shown": masks[0]}

    masks, scores, logits = predictor.predict(
        point_coords=np.array([[144, 196]]),
        point_labels=np.array([0]),
        box=input_box,
        multimask_output=False,
    )
    yield "a box and a click", {"masks": masks, "scores": scores, "logits": logits}

    input_boxes = np.array(
        [[19, 69, 425, 212], [344, 150, 412, 206], [106, 150, 175, 219], [300, 138, 319, 150]]
    )
    masks, scores, _ = predictor.predict(
        point_coords=None,
        point_labels=None,
        box=input_boxes,
        multimask_output=False,
    )
    yield "four boxes", {"masks": masks, "scores": scores, "shown": masks[0].squeeze(0)}


def _batch(
    predictor: Any, image: np.ndarray, other: np.ndarray
) -> Iterator[tuple[str, dict[str, Any]]]:
    img_batch = [image, other]
    boxes_batch = [
        np.array([[19, 69, 425, 212], [344, 150, 412, 206], [106, 150, 175, 219]]),
        np.array(
            [[112, 75, 175, 132], [125, 5, 150, 28], [12, 205, 80, 250], [138, 140, 192, 190]]
        ),
    ]
    predictor.set_image_batch(img_batch)
    masks_batch, scores_batch, _ = predictor.predict_batch(
        None, None, box_batch=boxes_batch, multimask_output=False
    )
    yield "boxes of two images", {"masks": masks_batch, "scores": scores_batch}

    pts_batch = [
        np.array([[[125, 94]], [[162, 106]]]),
        np.array([[[100, 75]], [[50, 137]], [[188, 200]]]),
    ]
    labels_batch = [np.array([[1], [1]]), np.array([[1], [1], [1]])]
    masks_batch, scores_batch, _ = predictor.predict_batch(
        pts_batch, labels_batch, box_batch=None, multimask_output=True
    )
    best_masks = []
    for masks, scores in zip(masks_batch, scores_batch, strict=True):
        best_masks.append(masks[range(len(masks)), np.argmax(scores, axis=-1)])
    yield "clicks of two images", {"masks": masks_batch, "best_masks": best_masks}
