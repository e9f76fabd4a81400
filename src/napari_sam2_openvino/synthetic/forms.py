"""Which forms the objects of which kind have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

import numpy as np

from napari_sam2_openvino.synthetic import outlines, strokes
from napari_sam2_openvino.synthetic.outlines import Draw, Form, warped
from napari_sam2_openvino.synthetic.parameters import Kind, SceneParameters

THINNEST = 1.4
"""Objects are drawn larger than asked for where they would be nowhere deeper, in pixels."""

_FORMS: Mapping[Kind, tuple[tuple[Draw, ...], tuple[Draw, ...]]] = MappingProxyType(
    {
        "fluorescence": (
            (outlines.disc, outlines.ellipse),
            (outlines.lobed, outlines.amoeboid, outlines.dumbbell, outlines.crescent),
        ),
        "brightfield": (
            (outlines.disc, outlines.ellipse),
            (outlines.dumbbell, strokes.bent, outlines.amoeboid, outlines.lobed),
        ),
        "darkfield": (
            (outlines.disc, outlines.ellipse),
            (strokes.bent, outlines.crescent, outlines.ring, strokes.filament, outlines.lobed),
        ),
        "tissue": ((outlines.ellipse,), (outlines.lobed, outlines.amoeboid, strokes.bent)),
        "elongated": ((strokes.bent,), (strokes.bent, outlines.dumbbell, outlines.crescent)),
        "electron": (
            (outlines.disc, outlines.ellipse),
            (strokes.bent, outlines.lobed, outlines.dumbbell, outlines.ring),
        ),
        "phase": (
            (outlines.disc, outlines.ellipse, outlines.amoeboid),
            (outlines.amoeboid, strokes.star, strokes.bent, outlines.crescent, outlines.dumbbell),
        ),
        "cytoplasm": (
            (outlines.amoeboid, outlines.ellipse),
            (strokes.star, outlines.lobed, outlines.crescent, outlines.amoeboid),
        ),
        "filaments": (
            (strokes.filament, strokes.bent),
            (strokes.filament, strokes.branching, strokes.star, outlines.ring),
        ),
        "smear": (
            (outlines.disc, outlines.ellipse),
            (outlines.amoeboid, outlines.crescent, outlines.lobed),
        ),
        "particles": (
            (outlines.disc, outlines.ellipse),
            (outlines.polygon, outlines.polygon, outlines.lobed, outlines.ring),
        ),
    }
)
"""Regular and irregular forms of every kind whose objects lie on a background."""


def draw_forms(
    rng: np.random.Generator, parameters: SceneParameters, count: int
) -> Iterator[tuple[Form, float]]:
    """Draw the objects of one scene, which are like each other as cells of one culture are.

    Parameters
    ----------
    rng : numpy.random.Generator
    parameters : SceneParameters
        Of any kind whose objects lie on a background.
    count : int

    Yields
    ------
    Form
    float
        The radius of the disc of the same area, in pixels.
    """
    regular, irregular = _choose(rng, parameters.kind)
    for _ in range(count):
        radius = float(rng.uniform(*parameters.radius))
        draws = irregular if rng.random() < parameters.irregularity else regular
        yield warped(rng, draws[int(rng.integers(len(draws)))](rng)), radius


def _choose(rng: np.random.Generator, kind: Kind) -> tuple[tuple[Draw, ...], tuple[Draw, ...]]:
    """Choose the forms of one scene: one regular and one or two irregular ones, or rarely all."""
    regular, irregular = _FORMS[kind]
    if rng.random() < 0.25:
        return regular, irregular
    chosen = rng.permutation(len(irregular))[: int(rng.integers(1, 3))]
    return (regular[int(rng.integers(len(regular)))],), tuple(irregular[i] for i in chosen)
