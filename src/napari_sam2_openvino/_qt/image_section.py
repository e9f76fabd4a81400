"""The part of the window that is about what the network sees."""

from functools import partial
from typing import Any

from napari.layers import Image

from napari_sam2_openvino._layers.planes import image_shape
from napari_sam2_openvino._qt.annotator import Annotator
from napari_sam2_openvino._qt.image_panel import AxisChoice, ChannelChoice, ImagePanel
from napari_sam2_openvino._qt.network_view import describe_region, show_input
from napari_sam2_openvino.core.regions import Region

# Longer axes hold no channels.
_MOST_CHANNELS = 32


class ImageSection(ImagePanel):
    """An image panel that works on an annotator.

    Parameters
    ----------
    annotator : Annotator
    """

    def __init__(self, annotator: Annotator) -> None:
        self._annotator = annotator
        self._displayed: tuple[int, ...] = ()
        super().__init__(self._find_layers, self._find_axes)
        view = annotator.view
        self.channels_changed.connect(self._on_channels_chosen)
        self.normalization_changed.connect(view.set_normalization)
        self.show_input_clicked.connect(self.show_input)
        self.use_contrast_clicked.connect(view.use_contrast)
        view.contrast_offered.connect(self.offer_contrast)
        annotator.session.region_changed.connect(self._on_region)
        annotator.image_changed.connect(self._on_image)
        annotator.plane_changed.connect(self._on_plane)

    def show_input(self) -> None:
        """Add the image that the network sees as a layer."""
        annotator = self._annotator
        image, plane = annotator.image, annotator.plane
        if image is not None and plane is not None:
            annotator.session.show_input(partial(show_input, annotator.viewer, image, plane))

    def show_view(self) -> None:
        """Show the channels and intensities that are in use: of another image, or a session."""
        view = self._annotator.view
        self.normalization = view.normalization
        if view.others:
            red, green, blue = (*view.others, None, None)[:3]
            self.channels = ChannelChoice(
                "layers", layers=(red, green, blue), as_grey=view.view.as_grey
            )
        elif view.view.axis is not None:
            red, green, blue = (*view.view.indices, None, None)[:3]
            self.channels = ChannelChoice(
                "axis",
                axis=view.view.axis,
                indices=(red, green, blue),
                as_grey=view.view.as_grey,
            )
        else:
            self.channels = ChannelChoice(as_grey=view.view.as_grey)

    def _find_layers(self, _combo: Any) -> list[tuple[str, Any]]:
        image = self._annotator.image
        return [
            (layer.name, layer)
            for layer in self._annotator.viewer.layers
            if isinstance(layer, Image)
            and (image is None or (layer.ndim == image.ndim and not layer.rgb))
        ]

    def _find_axes(self) -> list[AxisChoice]:
        image, dims = self._annotator.image, self._annotator.viewer.dims
        if image is None or image.rgb:
            return []
        # The plane in view may be none of the image, or not be read yet.
        of_planes = [axis - dims.ndim + image.ndim for axis in dims.order[-2:]]
        return [
            AxisChoice(axis, str(image.axis_labels[axis]), length)
            for axis, length in enumerate(image_shape(image))
            # What is in use stays while planes are looked at along it.
            if axis == self._annotator.view.view.axis
            or (axis not in of_planes and length <= _MOST_CHANNELS)
        ]

    def _on_image(self) -> None:
        self.show_view()
        self.reset_choices()

    def _on_plane(self) -> None:
        displayed = tuple(self._annotator.viewer.dims.order[-2:])
        if displayed != self._displayed:
            self._displayed = displayed
            self.reset_choices()

    def _on_channels_chosen(self, choice: ChannelChoice) -> None:
        layers = [each for each in choice.layers if each is not None]
        indices = [each for each in choice.indices if each is not None]
        self._annotator.view.set_channels(layers, choice.axis, indices, as_grey=choice.as_grey)
        # An axis that lies in the view was on offer only while it was in use.
        self.reset_choices()

    def _on_region(self, region: Region | None) -> None:
        self.show_region(describe_region(region, self._annotator.session.source))
