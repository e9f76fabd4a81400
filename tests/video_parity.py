"""Compare the video predictor with PyTorch's, scene by scene and plane by plane.

Both sides see the same planes, prompts and weights. A plane passes if at least 99.9 % of the mask
pixels agree and object scores differ by at most 1e-2.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tests.parity import make_image
from tests.reference import let_memory_count, perturbed_model

from napari_sam2_openvino import SAM2VideoPredictor
from napari_sam2_openvino.conversion.pipeline import Request, fill_folder
from napari_sam2_openvino.core.transforms import preprocess

MIN_PIXEL_AGREEMENT = 0.999
MAX_SCORE_DIFFERENCE = 1e-2
N_PLANES = 8
# As ``build_sam2_video_predictor`` sets them, but for the holes: on a CPU they stay.
_VIDEO_ARGUMENTS = {"fill_hole_area": 0, "binarize_mask_from_pts_for_mem_enc": True}


def convert_micro(folder: Path, config: Path, seed: int) -> tuple[Any, Path]:
    """Return a micro reference whose memory counts, and its model folder, with memory graphs."""
    reference = let_memory_count(perturbed_model(config, seed=seed), seed)
    torch.save({"model": reference.state_dict()}, folder / "micro.pt")
    (folder / "model").mkdir()
    request = Request(str(folder / "micro.pt"), "micro", str(config))
    for _ in fill_folder(request, folder / "model"):
        pass
    return reference, folder / "model"


@dataclass(frozen=True)
class PlaneComparison:
    """How one plane of a scene came out on both sides."""

    scene: str
    step: str
    frame_idx: int
    pixel_agreement: float
    score_difference: float
    foreground: float
    seconds: tuple[float, float] | None = None
    """What the step of a propagation took, theirs and ours; only where objects were tracked."""

    @property
    def passed(self) -> bool:
        """Whether masks and scores agree."""
        return (
            self.pixel_agreement >= MIN_PIXEL_AGREEMENT
            and self.score_difference <= MAX_SCORE_DIFFERENCE
        )


class Float32Torch:
    """The module torch, in which bfloat16 is float32: memories of the reference are not rounded."""

    bfloat16 = torch.float32

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)


@contextmanager
def memories_in_float32() -> Iterator[None]:
    """Keep the reference's memories as they are computed."""
    from sam2 import sam2_video_predictor

    sam2_video_predictor.torch = Float32Torch()  # type: ignore[attr-defined]
    try:
        yield
    finally:
        sam2_video_predictor.torch = torch  # type: ignore[attr-defined]


def reference_video_predictor(model: Any, *, correct_as_cond: bool = True) -> Any:
    """Return SAM 2's own ``SAM2VideoPredictor`` with the weights and flags of a model."""
    from sam2.sam2_video_predictor import SAM2VideoPredictor as Reference

    reference = Reference.__new__(Reference)
    reference.__dict__.update(model.__dict__)
    reference.non_overlap_masks = False
    reference.clear_non_cond_mem_around_input = False
    reference.add_all_frames_to_correct_as_cond = correct_as_cond
    for name, value in _VIDEO_ARGUMENTS.items():
        setattr(reference, name, value)
    return reference


class Reference:
    """The reference, with the planes as tensors instead of a folder of JPEGs."""

    def __init__(self, model: Any, planes: NDArray[np.uint8], *, correct_as_cond: bool) -> None:
        self.predictor = reference_video_predictor(model, correct_as_cond=correct_as_cond)
        images = torch.cat(
            [
                torch.from_numpy(preprocess(np.repeat(plane[..., None], 3, 2), model.image_size))
                for plane in planes
            ]
        )
        from sam2 import sam2_video_predictor

        loader = sam2_video_predictor.load_video_frames
        sam2_video_predictor.load_video_frames = lambda **_: (images, *planes.shape[1:])
        try:
            self.state = self.predictor.init_state("")
        finally:
            sam2_video_predictor.load_video_frames = loader

    def scores(self, frame_idx: int) -> NDArray[np.float32]:
        """Return the object scores on a plane, NaN where an object has none."""
        found = []
        for number in range(len(self.state["obj_ids"])):
            new = self.state["temp_output_dict_per_obj"][number]
            old = self.state["output_dict_per_obj"][number]
            outputs = [
                place[kind].get(frame_idx)
                for place in (new, old)
                for kind in ("cond_frame_outputs", "non_cond_frame_outputs")
            ]
            output = next((each for each in outputs if each is not None), None)
            found.append(np.nan if output is None else float(output["object_score_logits"]))
        return np.array(found, np.float32)


class Pair:
    """Both sides, driven together; `results` grows with each answer.

    With a file to keep them in, both states are written after each step, and the steps that an
    earlier run has done are passed over.
    """

    def __init__(
        self,
        reference: Reference,
        predictor: SAM2VideoPredictor,
        planes: NDArray[np.uint8],
        scene: str,
        kept: Path | None = None,
    ) -> None:
        self.reference = reference
        self.predictor = predictor
        self.state = predictor.init_state(planes)
        self.scene = scene
        self.results: list[PlaneComparison] = []
        self._kept = kept
        self._n_done = self._n_seen = self._n_passes = 0
        self._passes: list[list[list[int]]] = []
        if kept is not None and kept.is_file():
            self._go_on(torch.load(kept, weights_only=False))

    def _go_on(self, saved: dict[str, Any]) -> None:
        self._n_done, self.results = saved["n_done"], saved["results"]
        self._passes = saved["passes"]
        self.reference.state = saved["reference"]
        self.state.objects.update(saved["objects"])

    @contextmanager
    def _step(self) -> Iterator[bool]:
        """Say whether a step is still to be done, and keep what it brings."""
        self._n_seen += 1
        is_new = self._n_seen > self._n_done
        yield is_new
        if is_new and self._kept is not None:
            saved = {
                "n_done": self._n_seen,
                "results": self.results,
                "passes": self._passes,
                "reference": self.reference.state,
                "objects": self.state.objects,
            }
            unfinished = self._kept.with_suffix(".part")
            torch.save(saved, unfinished)
            os.replace(unfinished, self._kept)

    def prompt(self, frame_idx: int, obj_id: int, **prompts: Any) -> None:
        """Give both the same points or box."""
        with self._step() as is_new:
            if is_new:
                self._prompt(frame_idx, obj_id, prompts)

    def mask(self, frame_idx: int, obj_id: int, mask: NDArray[np.bool_]) -> None:
        """Give both the same mask."""
        with self._step() as is_new:
            if is_new:
                self._mask(frame_idx, obj_id, mask)

    def clear(self, frame_idx: int, obj_id: int) -> None:
        """Clear the prompts of an object on a plane, on both sides."""
        with self._step() as is_new:
            if is_new:
                self._clear(frame_idx, obj_id)

    def remove(self, obj_id: int) -> None:
        """Remove an object on both sides."""
        with self._step() as is_new:
            if is_new:
                self._remove(obj_id)

    def propagate(self, **options: Any) -> None:
        """Propagate on both sides and compare each plane."""
        if self._kept is None:
            self._propagate(options)
            return
        # Plane by plane, as the predictors themselves do: each is a step.
        self._n_passes += 1
        if len(self._passes) < self._n_passes:
            self._passes.append(self._parts(**options))
        for part in self._passes[self._n_passes - 1]:
            with self._step() as is_new:
                if is_new:
                    reverse = options.get("reverse", False)
                    n_more = len(part) - 1
                    self._propagate(
                        {
                            "start_frame_idx": part[0],
                            "max_frame_num_to_track": n_more,
                            "reverse": reverse,
                        }
                    )

    def _parts(
        self,
        start_frame_idx: int | None = None,
        max_frame_num_to_track: int = N_PLANES,
        reverse: bool = False,
    ) -> list[list[int]]:
        """Return the planes of a pass, in parts that give the same when they are passed alone."""
        if start_frame_idx is None:
            objects = self.state.objects.values()
            start_frame_idx = min(at for obj in objects for at in (*obj.cond, *obj.new_cond))
        if not reverse:
            end = min(start_frame_idx + max_frame_num_to_track, N_PLANES - 1)
            return [[at] for at in range(start_frame_idx, end + 1)]
        # The reference does not begin a pass backwards at plane 0.
        return [*([at] for at in range(start_frame_idx, 1, -1)), [1, 0]]

    def _prompt(self, frame_idx: int, obj_id: int, prompts: dict[str, Any]) -> None:
        theirs = self.reference.predictor.add_new_points_or_box(
            self.reference.state, frame_idx, obj_id, **prompts
        )
        ours = self.predictor.add_new_points_or_box(self.state, frame_idx, obj_id, **prompts)
        self._compare(f"prompt {obj_id}", theirs, ours)

    def _mask(self, frame_idx: int, obj_id: int, mask: NDArray[np.bool_]) -> None:
        theirs = self.reference.predictor.add_new_mask(
            self.reference.state, frame_idx, obj_id, mask
        )
        ours = self.predictor.add_new_mask(self.state, frame_idx, obj_id, mask)
        self._compare(f"mask {obj_id}", theirs, ours)

    def _clear(self, frame_idx: int, obj_id: int) -> None:
        theirs = self.reference.predictor.clear_all_prompts_in_frame(
            self.reference.state, frame_idx, obj_id
        )
        ours = self.predictor.clear_all_prompts_in_frame(self.state, frame_idx, obj_id)
        self._compare(f"clear {obj_id}", theirs, ours)

    def _remove(self, obj_id: int) -> None:
        ids, theirs = self.reference.predictor.remove_object(self.reference.state, obj_id)
        our_ids, ours = self.predictor.remove_object(self.state, obj_id)
        assert tuple(ids) == our_ids
        by_frame = dict(theirs)
        assert {each.frame_idx for each in ours} == set(by_frame)
        for each in ours:
            self._compare(
                f"remove {obj_id}", (each.frame_idx, list(ids), by_frame[each.frame_idx]), each
            )

    def _propagate(self, options: dict[str, Any]) -> None:
        step = "backwards" if options.get("reverse") else "forwards"
        theirs = self.reference.predictor.propagate_in_video(self.reference.state, **options)
        ours = self.predictor.propagate_in_video(self.state, **options)
        timed = zip(_timed(theirs), _timed(ours), strict=True)
        for (one, their_seconds), (other, our_seconds) in timed:
            is_tracked = all(other.frame_idx not in obj.cond for obj in self.state.objects.values())
            self._compare(step, one, other, (their_seconds, our_seconds) if is_tracked else None)

    def _compare(
        self, step: str, theirs: Any, ours: Any, seconds: tuple[float, float] | None = None
    ) -> None:
        frame_idx, obj_ids, logits = theirs
        assert (frame_idx, tuple(obj_ids)) == (ours.frame_idx, ours.obj_ids)
        expected = (logits[:, 0] > 0).numpy()
        masks = ours.masks
        assert masks.shape == expected.shape
        scores = self.reference.scores(frame_idx)
        np.testing.assert_array_equal(np.isnan(scores), np.isnan(ours.object_scores))
        differences = np.abs(scores - ours.object_scores)[~np.isnan(scores)]
        self.results.append(
            PlaneComparison(
                self.scene,
                step,
                frame_idx,
                float((masks == expected).mean(axis=(1, 2)).min()),
                float(differences.max(initial=0)),
                float(expected.mean()),
                seconds,
            )
        )


def _timed(steps: Iterator[Any]) -> Iterator[tuple[Any, float]]:
    """Give each step of a generator, and how long it took."""
    while True:
        started = time.perf_counter()
        step = next(steps, None)
        if step is None:
            return
        yield step, time.perf_counter() - started


def make_planes(seed: int, hw: tuple[int, int], count: int = N_PLANES) -> NDArray[np.uint8]:
    """Return planes that change slowly: blends of two images, with some noise."""
    rng = np.random.default_rng(seed)
    first, last = (make_image(rng, hw, grey=True)[..., 0].astype(float) for _ in range(2))
    shares = np.linspace(0, 0.6, count)[:, None, None]
    blended = (1 - shares) * first + shares * last + rng.normal(scale=3, size=(count, *hw))
    return np.clip(blended, 0, 255).astype(np.uint8)


def one_object(pair: Pair, hw: tuple[int, int]) -> None:
    """One click in the middle, both directions; a correction; both directions again."""
    height, width = hw
    pair.prompt(3, 1, points=[[width * 0.4, height * 0.5]], labels=[1])
    pair.propagate()
    pair.propagate(start_frame_idx=3, reverse=True)
    clicks = [[width * 0.5, height * 0.45], [width * 0.9, height * 0.1]]
    pair.prompt(5, 1, points=clicks, labels=[1, 0])
    pair.propagate(start_frame_idx=3)
    pair.propagate(start_frame_idx=5, reverse=True)


def refined_object(pair: Pair, hw: tuple[int, int]) -> None:
    """A box, then clicks that are added to it; a part of the planes; prompts on the last plane."""
    height, width = hw
    pair.prompt(0, 1, box=[width * 0.2, height * 0.25, width * 0.7, height * 0.8])
    pair.prompt(0, 1, points=[[width * 0.5, height * 0.5]], labels=[1], clear_old_points=False)
    pair.propagate(max_frame_num_to_track=3)
    pair.prompt(7, 1, points=[[width * 0.45, height * 0.5]], labels=[1])
    pair.propagate()
    pair.clear(0, 1)
    pair.propagate(start_frame_idx=7, reverse=True)


def three_objects(pair: Pair, hw: tuple[int, int]) -> None:
    """A click, a box and a mask on different planes; a correction; one is removed."""
    height, width = hw
    rows, columns = np.mgrid[:height, :width]
    disc = (rows - height * 0.6) ** 2 + (columns - width * 0.3) ** 2 < (0.2 * min(hw)) ** 2
    pair.prompt(2, 4, points=[[width * 0.6, height * 0.4]], labels=[1])
    pair.prompt(2, 2, box=[width * 0.1, height * 0.1, width * 0.45, height * 0.5])
    pair.mask(4, 9, disc)
    pair.propagate()
    pair.propagate(start_frame_idx=4, reverse=True)
    pair.prompt(6, 2, points=[[width * 0.3, height * 0.35]], labels=[1])
    pair.mask(1, 9, np.roll(disc, 5, axis=1))
    pair.propagate(start_frame_idx=1)
    pair.remove(4)
    pair.propagate(start_frame_idx=6, reverse=True)


SCENES: dict[str, Callable[[Pair, tuple[int, int]], None]] = {
    "one object": one_object,
    "refined object": refined_object,
    "three objects": three_objects,
}
SIZES = ((90, 120), (200, 130), (160, 160))


def compare_videos(
    model: Any,
    predictor: SAM2VideoPredictor,
    seed: int,
    *,
    scenes: tuple[str, ...] = (),
    kept: Path | None = None,
) -> Iterator[PlaneComparison]:
    """Yield a comparison for each answer of each scene.

    Parameters
    ----------
    model : sam2.modeling.sam2_base.SAM2Base
    predictor : SAM2VideoPredictor
        In f32, with ``fill_hole_area`` 0.
    seed : int
    scenes : tuple of str, optional
        All by default.
    kept : Path, optional
        A folder in which finished steps are kept, so that a run that was cut off goes on.
    """
    for number, name in enumerate(SCENES):
        if scenes and name not in scenes:
            continue
        hw = SIZES[number]
        planes = make_planes(seed + number, hw)
        with memories_in_float32():
            reference = Reference(
                model,
                planes,
                correct_as_cond=predictor.add_all_frames_to_correct_as_cond,
            )
            file = None if kept is None else kept / f"{name.replace(' ', '_')}.pt"
            pair = Pair(reference, predictor, planes, name, file)
            SCENES[name](pair, hw)
        yield from pair.results
