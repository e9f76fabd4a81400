"""The layers of ours that belong to one image: points, boxes and the preview."""

from collections.abc import Callable
from typing import Any

from napari.layers import Image, Labels, Layer, Points, Shapes
from napari.viewer import Viewer

from napari_sam2_openvino import _layers
from napari_sam2_openvino._engine import ObjectMask
from napari_sam2_openvino._qt.keys import Keys
from napari_sam2_openvino.core.types import PlaneIndex, Prompts

# Between them they tell of every edit, paste included; which one it was does not matter.
_EDIT_EVENTS = ("data", "features", "set_data")


class PromptLayers:
    """Makes the layers when they are first needed, and keeps them by reference.

    Parameters
    ----------
    viewer : Viewer
    image : Image
    on_edit : callable
        Bound method that is called, often, when prompts may have changed.
    keys : Keys
        Keys of the widget, which new layers are given.
    """

    def __init__(
        self,
        viewer: Viewer,
        image: Image,
        on_edit: Callable[..., None],
        keys: Keys,
    ) -> None:
        self._viewer = viewer
        self.image = image
        self._on_edit = on_edit
        self._keys = keys
        self.points: Points | None = None
        self.boxes: Shapes | None = None
        self.preview: Labels | None = None

    def draw_points(self) -> Points:
        """Select the points layer, ready for clicks."""
        self._add_preview()
        if self.points is None:
            self.points = self._add(_layers.new_points_layer(self.image))
        self._viewer.layers.selection.active = self.points
        self.points.mode = "add"
        return self.points

    def draw_box(self) -> Shapes:
        """Select the layer of boxes, ready for a rectangle."""
        self._add_preview()
        if self.boxes is None:
            self.boxes = self._add(_layers.new_boxes_layer(self.image))
        self._viewer.layers.selection.active = self.boxes
        self.boxes.mode = "add_rectangle"
        return self.boxes

    def read(self, plane: PlaneIndex) -> Prompts:
        """Return the prompts on a plane.

        Raises
        ------
        InputError
            If a prompt cannot be used.
        """
        if self.points is not None:
            _layers.show_polarity(self.points)
        return _layers.prompts_from_layers(self.points, self.boxes, self.image, plane)

    def on_plane(self, plane: PlaneIndex) -> list[tuple[Points | Shapes, list[int]]]:
        """Return which points and boxes lie on a plane."""
        found = [
            (layer, _layers.on_plane(layer, self.image, plane))
            for layer in (self.points, self.boxes)
            if layer is not None
        ]
        return [(layer, here) for layer, here in found if here]

    def show(self, answer: ObjectMask | None, plane: PlaneIndex | None) -> None:
        """Show the outline of an object, or nothing."""
        if self.preview is None:
            return
        if answer is None or plane is None:
            _layers.hide_preview(self.preview)
        else:
            _layers.show_preview(self.preview, self.image, plane, answer.outline, answer.origin)

    def follow_image(self) -> None:
        """Give our layers the place in the world that the image has now."""
        for layer in (self.points, self.boxes):
            if layer is not None:
                for name, value in _layers.spatial_metadata(self.image).items():
                    setattr(layer, name, value)
        if self.preview is not None:
            # Its place is set whenever it shows something.
            self.preview.units = self.image.units
            self.preview.axis_labels = self.image.axis_labels

    def forget(self, layer: Layer) -> None:
        """Note that a layer was removed from the viewer."""
        for name in ("points", "boxes", "preview"):
            if getattr(self, name) == layer:
                self._disconnect(layer)
                setattr(self, name, None)

    def close(self) -> None:
        """Take the preview away and leave the prompts to the user."""
        for layer in (self.points, self.boxes):
            if layer is not None:
                self._disconnect(layer)
        if self.preview is not None and self.preview in self._viewer.layers:
            self._viewer.layers.remove(self.preview)
        self.points = self.boxes = self.preview = None

    def _add_preview(self) -> None:
        if self.preview is None:
            self.preview = _layers.new_preview_layer(self.image)
            self._viewer.add_layer(self.preview)

    def _add(self, layer: Any) -> Any:
        for name in _EDIT_EVENTS:
            layer.events[name].connect(self._on_edit)
        self._keys.bind(layer)
        self._viewer.add_layer(layer)
        return layer

    def _disconnect(self, layer: Layer) -> None:
        for name in _EDIT_EVENTS:
            layer.events[name].disconnect(self._on_edit)
        self._keys.release(layer)
