"""What the parameters of light, noise and clutter do to the image of the same objects."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam2_openvino.synthetic import Kind, SceneParameters
from napari_sam2_openvino.synthetic.camera import take_image
from napari_sam2_openvino.synthetic.placement import Layout, place_outlines

PLAIN = SceneParameters(
    "fluorescence",
    (192, 192),
    object_count=(10, 10),
    radius=(10, 14),
    contrast=0.9,
    noise=0.0,
    shading=0.0,
    texture=0.0,
    clutter=0.0,
)


@pytest.fixture
def layout() -> Layout:
    return place_outlines(np.random.default_rng(4), PLAIN)


def take(layout: Layout, seed: int = 1, **changes: float) -> NDArray[np.float64]:
    image = take_image(np.random.default_rng(seed), layout, replace(PLAIN, **changes))  # type: ignore[arg-type]
    return image.astype(float) / image.max()


def test_noise_grows_with_its_parameter(layout: Layout) -> None:
    background = layout.labels == 0
    grain = []
    for noise in (0.0, 0.1, 0.4):
        image = take(layout, noise=noise)
        grain.append((image - ndimage.gaussian_filter(image, 1.5))[background].std())
    assert grain[0] < 0.6 * grain[1] < 0.4 * grain[2]


def test_blur_softens_edges(layout: Layout) -> None:
    steepest = [
        np.percentile(ndimage.gaussian_gradient_magnitude(take(layout, blur=blur), 0.7), 99)
        for blur in (0.0, 1.5, 3.0)
    ]
    assert steepest[0] > steepest[1] > steepest[2]


def test_low_contrast_brings_objects_closer_to_the_background(layout: Layout) -> None:
    inside, outside = layout.labels > 0, ndimage.binary_dilation(layout.labels > 0, iterations=9)
    ratios = []
    for contrast in (0.9, 0.6, 0.3):
        image = take(layout, contrast=contrast)
        ratios.append(image[inside].mean() / image[~outside].mean())
    assert ratios[0] > ratios[1] > ratios[2] > 1.1


def test_shading_makes_the_light_uneven(layout: Layout) -> None:
    phase = replace(PLAIN, kind="particles")

    def unevenness(shading: float) -> float:
        stds = []
        for seed in range(5):
            parameters = replace(phase, shading=shading)
            image = take_image(np.random.default_rng(seed), layout, parameters).astype(float)
            tiles = image.reshape(4, 48, 4, 48)
            stds.append(np.median(tiles, axis=(1, 3)).std())
        return float(np.mean(stds))

    assert unevenness(1.0) > 2 * unevenness(0.0)


def test_clutter_adds_what_is_no_object(layout: Layout) -> None:
    far = ~ndimage.binary_dilation(layout.labels > 0, iterations=6)
    clean, cluttered = (
        max(take(layout, seed=seed, clutter=clutter)[far].max() for seed in range(4))
        for clutter in (0.0, 1.0)
    )
    assert clean < 0.4
    assert cluttered > 0.9


def test_texture_structures_the_background(layout: Layout) -> None:
    far = ~ndimage.binary_dilation(layout.labels > 0, iterations=9)
    plain, textured = (
        np.mean([take(layout, s, texture=texture, contrast=0.5)[far].std() for s in range(3)])
        for texture in (0.0, 1.0)
    )
    assert textured > 2 * plain


def test_with_noise_of_its_own_two_images_differ_by_noise_only(layout: Layout) -> None:
    noisy = replace(PLAIN, noise=0.05)

    def image(noise_seed: int) -> NDArray[np.float64]:
        rng, noise_rng = np.random.default_rng(3), np.random.default_rng(noise_seed)
        return take_image(rng, layout, noisy, noise_rng).astype(float)

    difference = image(0) - image(1)
    assert difference.std() > 0
    assert abs(difference.mean()) < 0.05 * difference.std()
    np.testing.assert_array_equal(image(0), image(0))


@pytest.mark.parametrize("kind", ["fluorescence", "darkfield", "elongated", "cytoplasm"])
def test_objects_that_give_light_are_brighter(kind: Kind, layout: Layout) -> None:
    image = take_image(np.random.default_rng(0), layout, replace(PLAIN, kind=kind)).astype(float)
    inside = layout.labels > 0
    assert image[inside].mean() > 1.5 * image[~inside].mean()


def test_halos_surround_cells_in_phase_contrast(layout: Layout) -> None:
    """Just outside a cell it is brighter than far away, or darker in negative phase contrast."""
    inside = layout.labels > 0
    near = ndimage.binary_dilation(inside, iterations=3) & ~ndimage.binary_dilation(inside)
    far = ~ndimage.binary_dilation(inside, iterations=25)
    found = []
    for seed in range(6):
        parameters = replace(PLAIN, kind="phase")
        image = take_image(np.random.default_rng(seed), layout, parameters).astype(float)
        found.append((image[near].mean() - image[far].mean()) / image[far].mean())
    assert np.median(np.abs(found)) > 0.05
