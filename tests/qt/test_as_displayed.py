"""What the network sees "as displayed", held against the canvas itself."""

import numpy as np
import pytest

from napari_sam2_openvino._layers import planes
from napari_sam2_openvino.core.normalize import ChannelView
from napari_sam2_openvino.core.parameters import Normalization
from napari_sam2_openvino.core.regions import Region
from napari_sam2_openvino.core.types import PlaneIndex

GREY = np.repeat([[1000], [3000]], 32, axis=0).astype(np.uint16) * np.ones((1, 64), np.uint16)
COLOURS = np.repeat([[[0.2, 0.5, 0.8]], [[0.4, 0.4, 0.6]]], 32, axis=0) * np.ones((1, 64, 1))


@pytest.mark.parametrize(
    ("pixels", "shown"),
    [
        (GREY, {"contrast_limits": (500, 4000), "gamma": 0.6}),
        (COLOURS.astype(np.float32), {"contrast_limits": (0.1, 0.7)}),
        (COLOURS.astype(np.float32), {"contrast_limits": (0, 1), "gamma": 1.5}),
        ((COLOURS * 255).astype(np.uint8), {"contrast_limits": (50, 150)}),
    ],
)
def test_as_displayed_is_what_the_canvas_shows(pixels, shown, make_napari_viewer):
    viewer = make_napari_viewer(show=True)
    image = viewer.add_image(pixels, rgb=pixels.ndim == 3, interpolation2d="nearest", **shown)
    viewer.reset_view()
    canvas = viewer.screenshot(canvas_only=True, flash=False)[..., :3]
    view = planes.with_shown_limits(ChannelView(Normalization("as displayed")), [image])
    source = planes.plane_source([image], PlaneIndex((None, None)), view)
    seen = source.load(Region.whole(source.hw))
    middle = canvas.shape[0] // 2, canvas.shape[1] // 2
    for row, offset in ((8, -40), (56, 40)):
        expected = canvas[middle[0] + offset, middle[1]]
        np.testing.assert_allclose(seen[row, 32].astype(int), expected, atol=4)
