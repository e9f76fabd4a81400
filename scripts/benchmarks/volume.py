"""How well and how fast objects are carried through volumes."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_sam2_openvino import SAM2VideoPredictor, load_model
from napari_sam2_openvino.batch.propagation import PropagationJob, PropagationSettings
from napari_sam2_openvino.batch.segmenter import ModelRecipe
from napari_sam2_openvino.batch.volume_prompts import VolumePrompt, VolumePrompts
from napari_sam2_openvino.core.volume_parameters import VolumeParameters
from napari_sam2_openvino.synthetic.volume import Volume, make_volume

# Not among those that anything was chosen on.
HELD_OUT = range(200, 206)
N_EMPTY = 4
SIDE = 512


@dataclass(frozen=True)
class ObjectResult:
    """One object: mean IoU over its planes, planes that are missed, and planes too many."""

    iou: float
    n_planes: int
    missed: int
    beyond: int


def quality(name: str, parameters: VolumeParameters) -> list[ObjectResult]:
    """Carry each object of volumes held out from a box on its middle plane, and judge it."""
    predictor = SAM2VideoPredictor(load_model(name), parameters)
    results = []
    for seed in HELD_OUT:
        volume = with_empty_ends(make_volume(seed))
        found = _carry(predictor, volume)
        results += [
            judge(found == obj_id, volume.labels == obj_id) for obj_id in _objects(volume.labels)
        ]
    how = "memory" if predictor.uses_memory else "projection"
    print(f"{name}, {how}: {summary(results)}")
    return results


def summary(results: list[ObjectResult]) -> str:
    """Return the figures of some objects as a line."""
    shares = [each.missed / each.n_planes for each in results]
    return (
        f"{len(results)} objects, mean IoU {np.mean([each.iou for each in results]):.3f}, "
        f"median {np.median([each.iou for each in results]):.3f}; "
        f"planes missed {np.mean(shares):.1%}, planes beyond the end "
        f"{np.mean([each.beyond for each in results]):.2f} for each object, "
        f"none for {np.mean([each.beyond == 0 for each in results]):.0%}"
    )


def with_empty_ends(volume: Volume) -> Volume:
    """Let the first and last planes show nothing but the camera's noise."""
    image, labels = volume.image.copy(), volume.labels.copy()
    rng = np.random.default_rng(volume.seed)
    for number in (*range(N_EMPTY), *range(len(image) - N_EMPTY, len(image))):
        dark = np.percentile(image[number], 5)
        image[number] = np.clip(rng.normal(dark, 40, image[number].shape), 0, 4095)
        labels[number] = 0
    return Volume(image, labels, volume.spacing, volume.seed)


def _objects(labels: NDArray[np.int32]) -> list[int]:
    return [int(obj_id) for obj_id in np.unique(labels) if obj_id > 0]


def middle_boxes(labels: NDArray[np.int32]) -> VolumePrompts:
    """Return a box around each object on its middle plane."""
    prompts = []
    for obj_id in _objects(labels):
        planes = np.flatnonzero((labels == obj_id).any(axis=(1, 2)))
        middle = int(planes[len(planes) // 2])
        rows, columns = np.nonzero(labels[middle] == obj_id)
        box = (columns.min() - 0.5, rows.min() - 0.5, columns.max() + 0.5, rows.max() + 0.5)
        prompts.append(VolumePrompt(obj_id=obj_id, plane=middle, box=tuple(map(float, box))))
    return VolumePrompts(prompts=tuple(prompts))


def _carry(predictor: SAM2VideoPredictor, volume: Volume) -> NDArray[np.uint32]:
    state = predictor.init_state(volume.image)
    prompts = middle_boxes(volume.labels)
    prompted = [prompt.plane for prompt in prompts.prompts]
    for prompt in prompts.prompts:
        prompt.give(predictor, state)
    found = np.zeros(volume.labels.shape, np.uint32)
    passes = ((min(prompted), False), (max(prompted), True))
    for start, reverse in passes:
        for each in predictor.propagate_in_video(state, start, reverse=reverse):
            found[each.frame_idx] = each.labels
    return found


def judge(found: NDArray[np.bool_], true: NDArray[np.bool_]) -> ObjectResult:
    """Compare what was found of an object with what it is, both of shape (planes, H, W)."""
    planes = np.flatnonzero(true.any(axis=(1, 2)))
    ious = [
        np.count_nonzero(found[at] & true[at]) / np.count_nonzero(found[at] | true[at])
        for at in planes
    ]
    shown = found.any(axis=(1, 2))
    return ObjectResult(
        float(np.mean(ious)),
        len(planes),
        int(np.count_nonzero(~shown[planes])),
        int(np.count_nonzero(shown) - np.count_nonzero(shown[planes])),
    )


def many(name: str, n_planes: int, n_objects: int, folder: Path) -> None:
    """Time a job, and watch the memory of the process; projection, unless the model remembers."""
    volume = make_volume(
        1, shape=(n_planes, SIDE, SIDE), object_count=n_objects, radius=(14.0, 26.0)
    )
    recipe = ModelRecipe.of(load_model(name))
    job = PropagationJob(
        volume.image, middle_boxes(volume.labels), folder / "out.zarr", PropagationSettings(recipe)
    )
    started, resident = time.perf_counter(), []
    for progress in job.run():
        if progress.stage == "Propagating":
            resident.append(_resident_megabytes())
    print(
        f"{name}: {len(_objects(volume.labels))} objects through {n_planes} planes of "
        f"{SIDE} x {SIDE} in {time.perf_counter() - started:.0f} s ({len(resident)} steps); "
        f"resident {resident[len(resident) // 4]} MB after a quarter, "
        f"{resident[len(resident) // 2]} MB after half, {resident[-1]} MB at the end"
    )


def _resident_megabytes() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) // 1024
    return 0
