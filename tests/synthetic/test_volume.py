import numpy as np
import pytest
from scipy import ndimage

from napari_sam2_openvino.synthetic import make_volume

SHAPE = (10, 72, 80)


def test_image_and_labels_fit() -> None:
    volume = make_volume(seed=2, shape=SHAPE, object_count=6)
    assert volume.image.shape == volume.labels.shape == SHAPE
    assert volume.image.dtype == np.uint16
    assert volume.labels.dtype == np.int32
    assert volume.spacing == (3.0, 1.0, 1.0)
    ids = np.unique(volume.labels[volume.labels > 0])
    np.testing.assert_array_equal(ids, np.arange(1, len(ids) + 1))
    assert len(ids) >= 3
    for obj_id in ids:
        assert ndimage.label(volume.labels == obj_id)[1] == 1, f"object {obj_id} is in pieces"


def test_same_seed_same_volume() -> None:
    first, again, other = (make_volume(seed, shape=SHAPE, object_count=4) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert not np.array_equal(first.labels, other.labels)


def test_objects_are_brighter_and_go_through_several_planes() -> None:
    volume = make_volume(seed=2, shape=SHAPE, object_count=6)
    inside = volume.labels > 0
    assert volume.image[inside].mean() > 2 * volume.image[~inside].mean()
    planes = [z.stop - z.start for z, _, _ in ndimage.find_objects(volume.labels)]
    assert np.median(planes) >= 4


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"shape": (4, 0, 64)}, "three positive lengths"), ({"object_count": 0}, "at least 1")],
)
def test_wrong_parameters_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_volume(0, **wrong)  # type: ignore[arg-type]
