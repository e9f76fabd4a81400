from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam2_openvino.synthetic import (
    KINDS,
    Kind,
    Motion,
    SceneParameters,
    TimeSeries,
    make_time_series,
)
from napari_sam2_openvino.synthetic.outlines import ellipse
from napari_sam2_openvino.synthetic.tracks import simulate

MOVING = [kind for kind in KINDS if kind != "membrane"]
STEADY = Motion(speed=0.15, division=0.0, turnover=0.0)
PARAMETERS = SceneParameters(
    "fluorescence",
    (128, 144),
    object_count=(12, 12),
    radius=(9, 12),
    irregularity=0.2,
    contrast=0.9,
    noise=0.01,
)


def make_nuclei(seed: int, motion: Motion, frames: int = 6) -> TimeSeries:
    return make_time_series(
        "fluorescence", seed, frames=frames, motion=motion, parameters=PARAMETERS
    )


def seen(labels: NDArray[np.int32]) -> set[int]:
    return set(np.unique(labels).tolist()) - {0}


@pytest.mark.parametrize("kind", MOVING)
def test_image_and_labels_fit(kind: Kind) -> None:
    series = make_time_series(kind, seed=2, frames=3, shape=(80, 96), difficulty=0.7)
    channels = (3,) if kind in {"tissue", "smear", "cytoplasm"} else ()
    assert series.image.shape == (3, 80, 96, *channels)
    assert series.image.dtype == (np.uint16 if kind == "fluorescence" else np.uint8)
    assert series.labels.shape == (3, 80, 96)
    assert series.labels.dtype == np.int32
    assert seen(series.labels) == set(range(1, series.labels.max() + 1))
    assert len(series.parents) == series.labels.max() + 1


def test_at_any_time_an_object_is_in_one_piece() -> None:
    crossing = SceneParameters("filaments", (128, 128), (14, 14), (10, 14), irregularity=0.0)
    for seed in range(3):
        series = make_time_series(
            "filaments", seed, frames=4, motion=Motion(speed=0.6), parameters=crossing
        )
        for labels in series.labels:
            for obj_id in seen(labels):
                assert ndimage.label(labels == obj_id)[1] == 1


def test_objects_do_not_stay_on_top_of_each_other() -> None:
    rng = np.random.default_rng(0)
    forms = [(ellipse(rng), 10.0)] * 20
    history = simulate(rng, forms, (120, 120), 8, Motion(speed=0.6, division=0.1))
    for tracks in history:
        centres = np.array([track.centre for track in tracks])
        radii = np.array([track.radius for track in tracks])
        distances = np.hypot(*(centres[:, None] - centres[None]).transpose(2, 0, 1))
        pairs = np.triu_indices(len(tracks), 1)
        closeness = (distances / (radii[:, None] + radii[None]))[pairs]
        assert np.mean(closeness < 0.6) < 0.01


def test_same_seed_same_series() -> None:
    first, again, other = (make_nuclei(seed, Motion(), frames=2) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert not np.array_equal(first.labels, other.labels)


def test_an_object_keeps_its_number_and_looks_while_it_moves() -> None:
    series = make_nuclei(3, STEADY)
    moved, brightness = [], []
    for obj_id in seen(series.labels[0]) & seen(series.labels[-1]):
        masks = series.labels == obj_id
        touches_border = masks[:, [0, -1]].any() or masks[:, :, [0, -1]].any()
        if touches_border:
            continue
        for before, after in pairwise(masks):
            assert (before & after).sum() > 0.4 * (before | after).sum()
        centres = [ndimage.center_of_mass(mask) for mask in masks]
        moved.append(np.hypot(*np.subtract(centres[0], centres[-1])))
        light = [series.image[t][mask].mean() for t, mask in enumerate(masks)]
        brightness.append(np.std(light) / np.mean(light))
    assert len(moved) >= 4
    assert max(moved) > 3
    assert max(brightness) < 0.15


def test_texture_moves_with_its_object() -> None:
    parameters = SceneParameters(
        "fluorescence", (96, 96), (1, 1), (24, 24), contrast=1.0, noise=0, shading=0, clutter=0
    )
    compared = 0
    for seed in range(24):
        series = make_time_series(
            "fluorescence", seed, frames=2, motion=Motion(0.3, 0, 0), parameters=parameters
        )
        inside = ndimage.binary_erosion(series.labels > 0, np.ones((1, 9, 9)))
        if inside.sum(axis=(1, 2)).min() < 800:
            continue  # much of the object lies outside the image
        step = np.subtract(*(ndimage.center_of_mass(mask) for mask in series.labels[::-1] > 0))
        if np.hypot(*step) > 4:
            compared += 1
            followed, stayed = (
                _correlation(series.image, inside, np.rint(move).astype(int))
                for move in (step, 0 * step)
            )
            assert followed > stayed
    assert compared >= 3


def _correlation(
    image: NDArray[np.uint8] | NDArray[np.uint16],
    inside: NDArray[np.bool_],
    step: NDArray[np.int64],
) -> float:
    """Correlation of the first image, moved, with the second where both show the object."""
    light, mask = (np.roll(a[0], step, axis=(0, 1)) for a in (image, inside))
    both = mask & inside[1]
    return float(np.corrcoef(light[both], image[1][both])[0, 1])


def test_what_does_not_move_differs_by_noise_only() -> None:
    series = make_nuclei(1, Motion(speed=0.0, division=0.0, turnover=0.0), frames=3)
    # Objects at the beginning still push each other apart for a while.
    np.testing.assert_array_equal(series.labels[1] > 0, series.labels[2] > 0)
    difference = np.abs(series.image[1].astype(float) - series.image[2])
    assert difference.any()
    assert difference.mean() < 0.05 * series.image.max()


def test_daughters_begin_where_their_mother_ended() -> None:
    series = make_nuclei(2, Motion(speed=0.1, division=0.3, turnover=0.0))
    first_seen = {
        obj_id: int(np.flatnonzero((series.labels == obj_id).any(axis=(1, 2)))[0])
        for obj_id in seen(series.labels)
    }
    daughters = np.flatnonzero(series.parents)
    assert len(daughters) >= 6
    near = []
    for daughter in daughters:
        mother, time = int(series.parents[daughter]), first_seen[int(daughter)]
        assert not (series.labels[time:] == mother).any()
        if (series.labels[time - 1] == mother).any():
            centres = [
                ndimage.center_of_mass(series.labels[t] == obj_id)
                for t, obj_id in ((time, daughter), (time - 1, mother))
            ]
            near.append(np.hypot(*np.subtract(*centres)))
    assert np.median(near) < 1.5 * PARAMETERS.radius[1]


def test_objects_come_and_go_without_moving() -> None:
    still, changing = (
        make_nuclei(7, Motion(speed=0.0, division=0.0, turnover=turnover))
        for turnover in (0.0, 0.3)
    )
    assert still.labels.max() <= PARAMETERS.object_count[1]
    assert changing.labels.max() > PARAMETERS.object_count[1]
    assert not changing.parents.any()
    at_times = [seen(labels) for labels in changing.labels]
    assert any(after - before for before, after in pairwise(at_times))
    assert any(before - after for before, after in pairwise(at_times))


def test_objects_touch() -> None:
    labels = make_nuclei(7, Motion(speed=0.5)).labels
    right, left = labels[:, :, 1:], labels[:, :, :-1]
    assert ((right > 0) & (left > 0) & (right != left)).any()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kind": "membrane"}, "kind must be one of"),
        ({"frames": 0}, "frames must be at least 1"),
        ({"parameters": SceneParameters("tissue")}, "parameters are for kind 'tissue'"),
    ],
)
def test_wrong_arguments_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_time_series(**{"kind": "phase", "seed": 0} | wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [{"speed": -0.1}, {"division": 1.1}, {"turnover": -1.0}])
def test_wrong_motion_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must"):
        Motion(**wrong)
