"""The steps of SAM 2's ``video_predictor_example.ipynb``: only loading differs.

Planes are an array, where SAM 2 reads a folder of JPEGs, and smaller; so are the prompts.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from napari_sam2_openvino import SAM2VideoPredictor, load_model


def load() -> SAM2VideoPredictor:
    """Load the model, where the notebook calls ``build_sam2_video_predictor``."""
    return SAM2VideoPredictor(load_model("starter", precision="f32"))


def steps(predictor: Any, inference_state: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each step's name and what it made, by the notebook's names.

    The state comes from ``predictor.init_state``, which the notebook gives a folder.
    """
    predictor.reset_state(inference_state)
    yield from _one_object(predictor, inference_state)
    predictor.reset_state(inference_state)
    yield from _box(predictor, inference_state)
    predictor.reset_state(inference_state)
    yield from _two_objects(predictor, inference_state)


def _one_object(predictor: Any, inference_state: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    ann_frame_idx, ann_obj_id = 0, 1
    for name, points, labels in (
        ("a click", np.array([[52, 87]], dtype=np.float32), np.array([1], np.int32)),
        ("a second click", np.array([[52, 87], [62, 55]], np.float32), np.array([1, 1], np.int32)),
    ):
        _, out_obj_ids, out_mask_logits = predictor.add_new_points_or_box(
            inference_state=inference_state,
            frame_idx=ann_frame_idx,
            obj_id=ann_obj_id,
            points=points,
            labels=labels,
        )
        yield name, show(out_obj_ids, out_mask_logits)
    yield "propagate", {"video_segments": propagate(predictor, inference_state)}

    _, out_obj_ids, out_mask_logits = predictor.add_new_points_or_box(
        inference_state=inference_state,
        frame_idx=3,
        obj_id=ann_obj_id,
        points=np.array([[20, 102]], dtype=np.float32),
        labels=np.array([0], np.int32),
    )
    yield "a correction", show(out_obj_ids, out_mask_logits)
    yield "propagate the correction", {"video_segments": propagate(predictor, inference_state)}


def _box(predictor: Any, inference_state: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    box = np.array([75, 0, 100, 100], dtype=np.float32)
    _, out_obj_ids, out_mask_logits = predictor.add_new_points_or_box(
        inference_state=inference_state, frame_idx=0, obj_id=4, box=box
    )
    yield "a box", show(out_obj_ids, out_mask_logits)

    _, out_obj_ids, out_mask_logits = predictor.add_new_points_or_box(
        inference_state=inference_state,
        frame_idx=0,
        obj_id=4,
        points=np.array([[115, 40]], dtype=np.float32),
        labels=np.array([1], np.int32),
        box=box,
    )
    yield "a box and a click", show(out_obj_ids, out_mask_logits)
    yield "propagate the box", {"video_segments": propagate(predictor, inference_state)}


def _two_objects(predictor: Any, inference_state: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    prompts = {}
    for name, ann_obj_id, points, labels in (
        ("first object", 2, [[50, 76]], [1]),
        ("first object again", 2, [[50, 76], [69, 56]], [1, 0]),
        ("second object", 3, [[100, 40]], [1]),
    ):
        coords, signs = np.array(points, dtype=np.float32), np.array(labels, np.int32)
        prompts[ann_obj_id] = coords, signs
        _, out_obj_ids, out_mask_logits = predictor.add_new_points_or_box(
            inference_state=inference_state,
            frame_idx=0,
            obj_id=ann_obj_id,
            points=coords,
            labels=signs,
        )
        yield name, show(out_obj_ids, out_mask_logits)
    yield "propagate both", {"video_segments": propagate(predictor, inference_state)}


def propagate(predictor: Any, inference_state: Any) -> dict[int, dict[int, np.ndarray]]:
    """Collect the masks of each plane by object."""
    video_segments = {}
    for out_frame_idx, out_obj_ids, out_mask_logits in predictor.propagate_in_video(
        inference_state
    ):
        video_segments[out_frame_idx] = show(out_obj_ids, out_mask_logits)
    return video_segments


def show(out_obj_ids: Any, out_mask_logits: Any) -> dict[int, np.ndarray]:
    """Return the masks as the notebook shows them: two-dimensional, by object."""
    masks = {}
    for i, out_obj_id in enumerate(out_obj_ids):
        mask = np.asarray(out_mask_logits[i] > 0.0)
        masks[int(out_obj_id)] = mask.reshape(mask.shape[-2:])
    return masks
