from collections.abc import Callable

import numpy as np
import pytest
from scipy import ndimage

from napari_sam2_openvino.synthetic import outlines, strokes
from napari_sam2_openvino.synthetic.outlines import Form, crop, rasterize, rotated, warped

COMPACT = [
    outlines.disc,
    outlines.ellipse,
    outlines.lobed,
    outlines.amoeboid,
    outlines.polygon,
    outlines.dumbbell,
]
THIN = [
    outlines.crescent,
    outlines.ring,
    strokes.bent,
    strokes.filament,
    strokes.star,
    strokes.branching,
]
Draw = Callable[[np.random.Generator], Form]


@pytest.mark.parametrize("draw", COMPACT + THIN)
@pytest.mark.parametrize("radius", [6.0, 40.0])
def test_outlines_have_the_area_of_their_disc_and_stay_inside_their_field(
    draw: Draw, radius: float
) -> None:
    for seed in range(10):
        inside = rasterize(draw(np.random.default_rng(seed)), radius) < 0
        assert inside.sum() == pytest.approx(np.pi * radius**2, rel=0.1)
        assert not inside[[0, -1]].any()
        assert not inside[:, [0, -1]].any()
        assert ndimage.label(inside)[1] == 1


@pytest.mark.parametrize("draw", COMPACT + THIN)
def test_fields_are_about_distances_from_the_edge(draw: Draw) -> None:
    for seed in range(5):
        field = rasterize(draw(np.random.default_rng(seed)), 30.0)
        inside = field < 0
        true = ndimage.distance_transform_edt(inside)
        assert 0.4 < -field.min() / true.max() < 1.5


def test_thin_forms_fill_their_boxes_less() -> None:
    def filled(draw: Draw) -> float:
        portions = []
        for seed in range(10):
            inside = rasterize(draw(np.random.default_rng(seed)), 30.0) < 0
            rows, columns = ndimage.find_objects(inside.astype(int))[0]
            portions.append(inside[rows, columns].mean())
        return float(np.mean(portions))

    least = min(filled(draw) for draw in (outlines.ellipse, outlines.amoeboid))
    assert all(filled(draw) < least for draw in THIN)


def test_what_would_be_too_thin_or_too_long_is_scaled() -> None:
    form = strokes.filament(np.random.default_rng(0))
    thin = rasterize(form, 5.0)
    assert -rasterize(form, 5.0, thinnest=3.0).min() == pytest.approx(3, rel=0.05)
    assert -thin.min() < 2
    rows, columns = ndimage.find_objects((rasterize(form, 60.0, longest=80.0) < 0).astype(int))[0]
    assert 60 < max(rows.stop - rows.start, columns.stop - columns.start) <= 81


@pytest.mark.parametrize("draw", COMPACT + THIN)
def test_warped_and_rotated_forms_stay_inside_their_field(draw: Draw) -> None:
    for seed in range(6):
        rng = np.random.default_rng(seed)
        inside = rasterize(rotated(warped(rng, draw(rng)), 0.7 * seed), 20.0) < 0
        assert inside.sum() == pytest.approx(np.pi * 20**2, rel=0.1)
        assert not inside[[0, -1]].any()
        assert not inside[:, [0, -1]].any()


def test_rotating_by_a_right_angle_turns_the_field() -> None:
    form = strokes.bent(np.random.default_rng(1))
    field, turned = rasterize(form, 20.0), rasterize(rotated(form, np.pi / 2), 20.0)
    assert min(np.abs(np.rot90(field, k) - turned).max() for k in (1, 3)) < 0.1
    assert np.abs(field - turned).max() > 2


def test_a_field_is_cropped_to_what_lies_in_the_image() -> None:
    field = np.arange(25, dtype=np.float32).reshape(5, 5)
    part, window = crop(field, (0, 3), (6, 4))
    np.testing.assert_array_equal(part, field[2:, :3])
    assert window == (slice(0, 3), slice(1, 4))
    part, window = crop(field, (-9, 2), (6, 4))
    assert part.size == 0
    assert np.zeros((6, 4))[window].size == 0
