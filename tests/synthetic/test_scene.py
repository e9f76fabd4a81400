import numpy as np
import pytest
from scipy import ndimage

from napari_sam2_openvino.synthetic import KINDS, Kind, SceneParameters, make_scene
from napari_sam2_openvino.synthetic.placement import Labels


def assert_numbered_in_one_piece(labels: Labels) -> None:
    ids = np.unique(labels[labels > 0])
    np.testing.assert_array_equal(ids, np.arange(1, len(ids) + 1))
    assert len(ids) > 0
    for obj_id in ids:
        assert ndimage.label(labels == obj_id)[1] == 1, f"object {obj_id} is in pieces"


@pytest.mark.parametrize("difficulty", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("kind", KINDS)
def test_image_and_labels_fit(kind: Kind, difficulty: float) -> None:
    scene = make_scene(kind, seed=3, shape=(96, 130), difficulty=difficulty)
    channels = (3,) if kind in {"tissue", "smear", "cytoplasm"} else ()
    assert scene.image.shape == (96, 130, *channels)
    assert scene.image.dtype == (np.uint16 if kind in {"fluorescence", "membrane"} else np.uint8)
    assert scene.labels.shape == (96, 130)
    assert scene.labels.dtype == np.int32
    assert scene.object_count == scene.labels.max()
    assert_numbered_in_one_piece(scene.labels)


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_same_scene(kind: Kind) -> None:
    first, again, other = (make_scene(kind, seed, shape=(64, 64)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert not np.array_equal(first.labels, other.labels)


@pytest.mark.parametrize("kind", KINDS)
def test_objects_can_be_seen(kind: Kind) -> None:
    """Neither black nor white nor flat, and the edges of objects are where the image changes."""
    scene = make_scene(kind, seed=1, difficulty=0.0)
    image = scene.image.astype(float)
    grey = image.mean(axis=-1) if image.ndim == 3 else image
    edges = ndimage.gaussian_gradient_magnitude(grey, 1.5)
    on_edge = np.zeros(scene.labels.shape, bool)
    on_edge[:-1] |= scene.labels[:-1] != scene.labels[1:]
    on_edge[:, :-1] |= scene.labels[:, :-1] != scene.labels[:, 1:]
    near = ndimage.binary_dilation(on_edge, iterations=2)
    far = ~ndimage.binary_dilation(on_edge, iterations=6)
    assert edges[near].mean() > 1.5 * edges[far].mean()
    assert np.mean(scene.image == scene.image.max()) < 0.2


def test_easy_objects_keep_apart() -> None:
    for seed in range(5):
        labels = make_scene("elongated", seed, difficulty=0.0).labels
        grown = ndimage.grey_dilation(labels, size=(5, 5))
        assert np.all((labels == 0) | (grown == labels))


def test_hard_scenes_have_more_and_smaller_objects() -> None:
    easy, hard = (
        [make_scene("darkfield", seed, difficulty=difficulty).object_count for seed in range(12)]
        for difficulty in (0.0, 1.0)
    )
    assert max(easy) < np.median(hard)
    assert max(hard) > 100
    assert min(hard) < 20


@pytest.mark.parametrize("size", [256, 512])
def test_hard_parameters_span_the_whole_range(size: int) -> None:
    rng = np.random.default_rng(0)
    drawn = [SceneParameters.at_difficulty("phase", 1.0, (size, size), rng) for _ in range(400)]
    scale = size / 512
    radii = [radius for parameters in drawn for radius in parameters.radius]
    assert min(radii) == 4
    assert 80 * scale < max(radii) <= 100 * scale
    counts = [parameters.object_count[1] for parameters in drawn]
    assert min(parameters.object_count[0] for parameters in drawn) == 1
    assert max(counts) == 300
    assert 0.3 < np.mean(np.array(counts) > 100) < 0.7
    for name in ("touching", "irregularity", "contrast", "shading", "texture", "clutter"):
        values = [getattr(parameters, name) for parameters in drawn]
        assert max(values) - min(values) > 0.45, name


def test_easy_parameters_are_alike() -> None:
    rng = np.random.default_rng(0)
    drawn = [SceneParameters.at_difficulty("phase", 0.0, (512, 512), rng) for _ in range(100)]
    assert max(parameters.object_count[1] for parameters in drawn) <= 6
    assert min(parameters.radius[0] for parameters in drawn) > 40
    assert min(parameters.gap for parameters in drawn) > 5
    assert {parameters.touching for parameters in drawn} == {0.0}
    assert {parameters.clutter for parameters in drawn} == {0.0}


def test_a_crowded_canvas_is_not_overfilled() -> None:
    parameters = SceneParameters("brightfield", (48, 48), object_count=(200, 200), radius=(4, 6))
    scene = make_scene("brightfield", 0, parameters=parameters)
    assert 3 < scene.object_count < 60
    assert_numbered_in_one_piece(scene.labels)


def test_objects_too_large_for_the_image_leave_one_that_fits() -> None:
    parameters = SceneParameters("tissue", (32, 32), object_count=(1, 1), radius=(90, 90))
    scene = make_scene("tissue", 0, parameters=parameters)
    assert scene.object_count == 1
    assert 0 < np.count_nonzero(scene.labels) < 32 * 32


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kind": "x-ray"}, "kind must be one of"),
        ({"shape": (8, 64)}, "at least 16 x 16"),
        ({"object_count": (5, 2)}, "object_count must be"),
        ({"radius": (0.0, 2.0)}, "radius must be"),
        ({"gap": -1.0}, "gap must not be negative"),
        ({"contrast": 1.5}, "contrast must lie between 0 and 1"),
        ({"clutter": -0.1}, "clutter must lie between 0 and 1"),
        ({"blur": -1.0}, "blur must not be negative"),
    ],
)
def test_wrong_parameters_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SceneParameters(**{"kind": "tissue"} | wrong)  # type: ignore[arg-type]


def test_wrong_difficulty_or_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="difficulty must lie between 0 and 1"):
        make_scene("tissue", 0, difficulty=2.0)
    with pytest.raises(ValueError, match="kind must be one of"):
        make_scene("x-ray", 0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="parameters are for kind 'tissue'"):
        make_scene("membrane", 0, parameters=SceneParameters("tissue"))
