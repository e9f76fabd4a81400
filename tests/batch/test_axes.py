"""What axes are called, what is guessed, and which planes a text chooses."""

import pytest

from napari_sam2_openvino.batch.axes import Axes, name_axes, select_planes
from napari_sam2_openvino.core.errors import InputError
from napari_sam2_openvino.core.types import PlaneIndex


@pytest.mark.parametrize(
    ("shape", "known", "letters", "is_guessed"),
    [
        ((64, 80), "", "YX", True),
        ((64, 80), "YX", "YX", False),
        ((64, 80, 3), "", "YXS", True),
        ((64, 80, 3), "YXS", "YXS", False),
        ((10, 64, 80), "", "ZYX", True),
        ((10, 64, 80), "QYX", "ZYX", True),
        ((10, 64, 80), "TYX", "TYX", False),
        ((2, 64, 80), "", "CYX", True),
        ((10, 2, 64, 80), "", "ZCYX", True),
        ((10, 20, 64, 80), "", "TZYX", True),
        ((10, 20, 64, 80, 3), "", "TZYXS", True),
        ((10, 20, 64, 80, 4), "", "TZYXS", True),
        ((5, 3, 20, 64, 80), "", "TCZYX", True),
        ((5, 9, 20, 64, 80), "", "TCZYX", True),
        ((5, 9, 20, 64, 80), "TZIYX", "TZCYX", True),
        ((3, 64, 80), "SYX", "CYX", True),
        ((64, 80, 2), "YXS", "YXC", True),
        ((9, 64, 80), "IYX", "ZYX", True),
        ((64, 80, 9), "YXZ", "YXZ", False),
        ((7, 64, 80), "ZZY", "ZXY", True),
    ],
)
def test_axes_are_named_by_the_file_or_guessed(shape, known, letters, is_guessed):
    axes = name_axes(shape, known)
    assert axes.letters == letters
    assert axes.is_guessed == is_guessed
    assert str(axes).endswith("(guessed)") == is_guessed


def test_what_the_user_says_counts_and_is_no_guess():
    assert name_axes((3, 64, 80), "CYX", "tyx") == Axes("TYX", (3, 64, 80))
    assert name_axes((3, 64, 80, 3), "", "zyx").letters == "ZYXS"
    assert str(name_axes((3, 64, 80), "", "tyx")) == "time 3, y 64, x 80"


@pytest.mark.parametrize(
    ("shape", "wanted", "message"),
    [
        ((3, 64, 80), "YX", "'YX' has 2 and the shape is 3 x 64 x 80: give 3, such as ZYX"),
        ((3, 64, 80), "ZZX", "distinct letters with Y and X"),
        ((3, 64, 80), "TZY", "distinct letters with Y and X"),
        ((3, 64, 80), "Y X", "distinct letters"),
        ((5, 64, 80), "SYX", r"Axis S .* call it C"),
        ((5, 6, 64, 80), "PRYX", "besides|Besides T, C, Z, Y, X and S one more"),
        ((64,), None, "at least two axes"),
        ((2, 3, 4, 5, 6, 64, 80), None, "name them"),
    ],
)
def test_axes_that_cannot_be_are_refused_in_a_sentence(shape, wanted, message):
    with pytest.raises(InputError, match=message):
        name_axes(shape, "", wanted)


def test_planes_of_the_labels_and_of_the_image():
    axes = name_axes((2, 5, 3, 64, 80), "", "ztcyx")
    # Time comes first in OME-Zarr, and channels are no axis of labels.
    assert axes.labels_letters == "TZYX"
    assert axes.labels_shape == (5, 2, 64, 80)
    assert axes.n_planes == 10
    assert axes.plane_hw == (64, 80)
    for number in range(10):
        position = axes.position(number)
        assert axes.number(position) == number
    assert axes.position(7) == (3, 1)
    assert axes.plane((3, 1)) == PlaneIndex((1, 3, 0, None, None))
    assert axes.name((3, 1)) == "t=3, z=1"


def test_planes_and_labels_have_y_before_x_whatever_the_image_has():
    axes = name_axes((80, 64, 5), "", "xyz")
    assert axes.is_transposed
    assert (axes.labels_letters, axes.labels_shape, axes.plane_hw) == ("ZYX", (5, 64, 80), (64, 80))
    assert axes.plane((3,)) == PlaneIndex((None, None, 3), transposed=True)
    assert not name_axes((64, 80, 5), "", "yxz").is_transposed


def test_a_single_plane_with_colours():
    axes = name_axes((64, 80, 3))
    assert (axes.n_planes, axes.position(0), axes.number(())) == (1, (), 0)
    assert axes.plane(()) == PlaneIndex((None, None))
    assert axes.has_colours
    assert axes.labels_shape == (64, 80)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("z=1", (1, 5, 9)),
        ("z=-1", (3, 7, 11)),
        ("z=1:3", (1, 2, 5, 6, 9, 10)),
        ("t=2, Z=::2", (8, 10)),
        ("t=1,z=2:", (6, 7)),
        ("t=:1", (0, 1, 2, 3)),
    ],
)
def test_planes_are_chosen_by_a_text(text, numbers):
    assert select_planes(name_axes((3, 4, 64, 80), "", "tzyx"), text) == numbers


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("z=4", "planes 0 to 3, so z=4 chooses none"),
        ("z=2:2", "chooses none"),
        ("z=", "chooses none"),
        ("y=2", "axes to choose from are: t or z"),
        ("10", "such as z=10"),
        ("z=1, t=0, z=3", "z=1, t=0, z=3' names it twice"),
    ],
)
def test_planes_that_are_not_there_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        select_planes(name_axes((3, 4, 64, 80), "", "tzyx"), text)
