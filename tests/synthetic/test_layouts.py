"""Where objects are put: apart, touching, one beside the other, and what is inside them."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam2_openvino.synthetic import KINDS, Kind, SceneParameters, make_scene
from napari_sam2_openvino.synthetic.placement import place_outlines
from napari_sam2_openvino.synthetic.tessellation import tessellate

WITH_PARTS: list[Kind] = ["brightfield", "membrane", "electron", "phase", "cytoplasm", "smear"]


def touching_pairs(labels: NDArray[np.int32]) -> set[tuple[int, int]]:
    pairs = set()
    for a, b in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
        meet = (a != b) & (a > 0) & (b > 0)
        pairs |= {(min(p), max(p)) for p in zip(a[meet].tolist(), b[meet].tolist(), strict=True)}
    return pairs


def draw(**changes: object) -> SceneParameters:
    values = {"kind": "fluorescence", "shape": (256, 256), "object_count": (30, 30)}
    return SceneParameters(**values | {"radius": (9.0, 12.0)} | changes)  # type: ignore[arg-type]


def test_touching_makes_objects_touch() -> None:
    rng = np.random.default_rng
    apart = [place_outlines(rng(s), draw(touching=0.0, gap=3.0)).labels for s in range(3)]
    together = [place_outlines(rng(s), draw(touching=0.9)).labels for s in range(3)]
    assert not any(touching_pairs(labels) for labels in apart)
    assert all(len(touching_pairs(labels)) > 10 for labels in together)


def test_overlap_is_marked_inside_objects_and_only_where_they_may_overlap() -> None:
    crowded = place_outlines(np.random.default_rng(1), draw(touching=0.9))
    assert crowded.overlap.sum() > 100
    assert (crowded.labels[crowded.overlap] > 0).all()
    apart = place_outlines(np.random.default_rng(1), draw(gap=3.0))
    assert not apart.overlap.any()


def test_three_hundred_objects_fit() -> None:
    parameters = draw(shape=(512, 512), object_count=(300, 300), radius=(4.0, 9.0), touching=0.5)
    layout = place_outlines(np.random.default_rng(0), parameters)
    assert layout.labels.max() > 280
    assert len(layout.radii) == layout.labels.max() + 1
    assert 3.5 < np.median(layout.radii[1:]) < 9


def test_depth_grows_from_the_edge_inwards() -> None:
    layout = place_outlines(np.random.default_rng(0), draw(gap=3.0, irregularity=0.0))
    assert not layout.depth[layout.labels == 0].any()
    true = ndimage.distance_transform_edt(layout.labels > 0)
    inside = layout.labels > 0
    assert np.corrcoef(layout.depth[inside], true[inside])[0, 1] > 0.9


def test_a_tessellation_fills_the_image_or_leaves_whole_cells_out() -> None:
    parameters = draw(kind="membrane", radius=(12.0, 12.0))
    layouts = [tessellate(np.random.default_rng(seed), parameters) for seed in range(12)]
    background = [np.mean(layout.labels == 0) for layout in layouts]
    assert np.median(background) < 0.03
    assert max(background) > 0.05
    for layout in layouts:
        assert len(touching_pairs(layout.labels)) > layout.labels.max()
        assert layout.labels.max() <= 330


def test_the_depth_of_a_cell_is_that_from_its_border() -> None:
    layout = tessellate(np.random.default_rng(1), draw(kind="membrane", radius=(20.0, 20.0)))
    border = np.zeros(layout.labels.shape, bool)
    border[1:] |= layout.labels[1:] != layout.labels[:-1]
    border[:, 1:] |= layout.labels[:, 1:] != layout.labels[:, :-1]
    assert np.median(layout.depth[border]) < 1.5
    assert np.median(layout.depth[~border]) > 4


@pytest.mark.parametrize("kind", WITH_PARTS)
def test_parts_lie_inside_the_objects_of_their_number(kind: Kind) -> None:
    found = 0
    parameters = SceneParameters(kind, (160, 160), (10, 10), (14, 20), irregularity=0.7)
    for seed in range(12):
        scene = make_scene(kind, seed, parameters=parameters)
        if scene.parts is None:
            continue
        for obj_id in np.unique(scene.parts[scene.parts > 0]):
            found += 1
            part = scene.parts == obj_id
            assert (scene.labels[part] == obj_id).all()
            assert ndimage.label(part)[1] == 1
            assert part.sum() >= 12
            assert 0.08 <= part.sum() / (scene.labels == obj_id).sum() <= 0.6
    assert found >= 5


def test_other_kinds_have_no_parts() -> None:
    for kind in set(KINDS) - set(WITH_PARTS):
        assert all(make_scene(kind, seed, shape=(64, 64)).parts is None for seed in range(3))


@pytest.mark.parametrize("kind", ["cytoplasm", "smear"])
def test_parts_can_be_seen(kind: Kind) -> None:
    differences = []
    parameters = SceneParameters(kind, (200, 200), (8, 8), (22, 28), contrast=0.9, clutter=0.0)
    for seed in range(10):
        scene = make_scene(kind, seed, parameters=parameters)
        if scene.parts is None:
            continue
        for obj_id in np.unique(scene.parts[scene.parts > 0]):
            part = scene.parts == obj_id
            rest = (scene.labels == obj_id) & ~part
            colours = [scene.image[mask].astype(float).mean(axis=0) for mask in (part, rest)]
            differences.append(np.abs(np.subtract(*colours)).max())
    assert np.percentile(differences, 20) > 15
