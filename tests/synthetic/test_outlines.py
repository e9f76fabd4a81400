from collections.abc import Callable

import numpy as np
import pytest
from scipy import ndimage

from napari_sam2_openvino.synthetic import outlines, strokes
from napari_sam2_openvino.synthetic.outlines import Form, rasterize

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
