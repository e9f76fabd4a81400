"""The layers of ours that belong to one image: points, shapes and the preview."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from napari.layers import Image, Labels, Layer, Points, Shapes
from napari.viewer import Viewer

from napari_sam2_openvino._layers import drawing, layer_edits, marks_io, preview, snapshots
from napari_sam2_openvino._layers.outlines import Drawing
from napari_sam2_openvino._qt.keys import Keys
from napari_sam2_openvino.core.marks import Mark
from napari_sam2_openvino.core.types import PlaneIndex

Tool = Literal["points", "box", "lasso", "scribble"]

# Between them they tell of every edit, paste included; which one it was does not matter.
_EDIT_EVENTS = ("data", "features", "set_data")
_SHAPE_MODES = {"box": "add_rectangle", "lasso": "add_polygon_lasso", "scribble": "add_path"}


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
        self, viewer: Viewer, image: Image, on_edit: Callable[..., None], keys: Keys
    ) -> None:
        self._viewer = viewer
        self.image = image
        self._on_edit = on_edit
        self._keys = keys
        self._current = (1, drawing.POSITIVE)
        self.known = drawing.take_known(image)
        """What was left with the image, or with layers that are gone on with."""
        self.points: Points | None = None
        self.shapes: Shapes | None = None
        self.preview: Labels | None = None
        self._adopt()

    def draw(self, tool: Tool) -> Points | Shapes:
        """Select the layer of a tool, ready to draw."""
        self.add_preview()
        layer = self._need_points() if tool == "points" else self._need_shapes()
        self._viewer.layers.selection.active = layer
        layer.mode = "add" if tool == "points" else _SHAPE_MODES[tool]
        return layer

    def read(
        self, plane: PlaneIndex, left_out: marks_io.LeftOut | None = None
    ) -> dict[int, tuple[Mark, ...]]:
        """Return the prompts on a plane, by obj_id.

        Raises
        ------
        InputError
            If a prompt cannot be used, unless there is a set in which it is noted.
        """
        drawing.show_prompts(self.points, self.shapes, self._current[0] or None)
        return marks_io.read_marks(self.points, self.shapes, self.image, plane, left_out)

    def planes(self, plane: PlaneIndex) -> dict[PlaneIndex, set[int]]:
        """Return which planes parallel to one have prompts, and of which objects."""
        return marks_io.objects_with_prompts(self.points, self.shapes, self.image, plane)

    def place(self, placed: Sequence[marks_io.PlacedMark]) -> None:
        """Append marks of any planes and objects."""
        self.add_preview()
        if any(each.mark.kind == "point" for each in placed):
            self._need_points()
        if any(each.mark.kind != "point" for each in placed):
            self._need_shapes()
        marks_io.place_marks(self.points, self.shapes, self.image, placed)

    def remove(self, obj_ids: Collection[int], plane: PlaneIndex | None = None) -> None:
        """Remove the prompts of some objects, on a plane or everywhere."""
        layer_edits.remove_object(self.points, self.shapes, self.image, obj_ids, plane)

    def remove_all(self) -> None:
        """Remove every prompt."""
        for layer in self._drawn_layers():
            with layer_edits.editing(layer):
                layer.remove(list(range(len(layer.data))))

    def renumber(self, new_ids: Mapping[int, int]) -> None:
        """Give objects other ids."""
        layer_edits.renumber(self.points, self.shapes, new_ids)

    def separate(self, obj_id: int, largest: int) -> int:
        """Make every positive prompt of an object but the first an object of its own.

        Parameters
        ----------
        obj_id : int
        largest : int
            New ids begin above it.

        Returns
        -------
        int
            The largest id that there is now.
        """
        has_first = False
        for layer in self._drawn_layers():
            features = layer.features
            if not {drawing.OBJECT_FEATURE, drawing.POLARITY_FEATURE} <= set(features):
                continue
            is_theirs = features[drawing.OBJECT_FEATURE] == obj_id
            is_theirs &= features[drawing.POLARITY_FEATURE] == drawing.POSITIVE
            rows = np.flatnonzero(is_theirs.to_numpy(bool))[0 if has_first else 1 :]
            has_first |= bool(is_theirs.any())
            if len(rows):
                features = features.copy()
                column = features.columns.get_loc(drawing.OBJECT_FEATURE)
                features.iloc[rows, column] = np.arange(largest + 1, largest + 1 + len(rows))
                largest += len(rows)
                layer.features = features
        return largest

    def adopt_boxes(self, obj_id: int) -> None:
        """Give boxes and lassos to an object that were drawn while prompts counted for all."""
        shapes = self.shapes
        if shapes is None or drawing.is_drawing(shapes):
            return
        names = {drawing.OBJECT_FEATURE, drawing.POLARITY_FEATURE}
        if not names <= set(shapes.features) or len(shapes.features) != shapes.nshapes:
            return
        is_box = np.array([kind not in drawing.SCRIBBLES for kind in shapes.shape_type], bool)
        is_lost = (shapes.features[drawing.OBJECT_FEATURE] == drawing.FOR_ALL) & is_box
        if is_lost.any():
            features = shapes.features.copy()
            features.loc[is_lost, drawing.POLARITY_FEATURE] = drawing.POSITIVE
            features.loc[is_lost, drawing.OBJECT_FEATURE] = obj_id
            shapes.features = features

    @property
    def is_drawing(self) -> bool:
        """Whether a shape is being drawn."""
        return self.shapes is not None and drawing.is_drawing(self.shapes)

    @property
    def obj_ids(self) -> frozenset[int]:
        """The objects that have prompts on any plane."""
        found = [drawing.objects_of(layer.features) for layer in self._drawn_layers()]
        return frozenset().union(*found)

    def has_prompts(self, obj_id: int) -> bool:
        """Whether there is any prompt of an object."""
        return obj_id in self.obj_ids

    def set_current(self, obj_id: int, polarity: str) -> None:
        """Choose what the next prompt belongs to, and its sign."""
        self._current = obj_id, polarity
        for layer in self._drawn_layers():
            self._apply_current(layer)

    @property
    def polarity(self) -> str:
        """The sign of the next prompt; napari takes it from a prompt that is selected."""
        active = self._viewer.layers.selection.active
        for layer in self._drawn_layers():
            if layer == active:
                return drawing.polarity(layer)
        return self._current[1]

    def snapshot(self) -> snapshots.PromptSnapshot:
        """Return all prompts as a value."""
        return snapshots.snapshot(self.points, self.shapes)

    def restore(self, snapshot: snapshots.PromptSnapshot) -> None:
        """Put back all prompts as they were."""
        if snapshot.has_points:
            self._need_points()
        if snapshot.has_shapes:
            self._need_shapes()
        snapshots.restore(self.points, self.shapes, snapshot)

    def add_preview(self) -> None:
        """Make the layer of the outlines, if there is none."""
        if self.preview is None:
            active = self._viewer.layers.selection.active
            self.preview = preview.new_preview_layer(self.image)
            layers = self._viewer.layers
            # Below the prompts.
            first = min((layers.index(each) for each in self._drawn_layers()), default=len(layers))
            layers.insert(first, self.preview)
            layers.selection.active = active

    def show(self, drawing: Drawing, plane: PlaneIndex | None) -> None:
        """Show outlines of objects on a plane; nothing without a plane."""
        if self.preview is None:
            return
        if plane is None:
            preview.hide_preview(self.preview)
        else:
            preview.show_drawing(self.preview, self.image, plane, drawing)

    def follow_image(self) -> None:
        """Give our layers the place in the world that the image has now."""
        for layer in self._drawn_layers():
            for name, value in drawing.spatial_metadata(self.image).items():
                setattr(layer, name, value)
        if self.preview is not None:
            # Its place is set whenever it shows something.
            self.preview.units = self.image.units
            self.preview.axis_labels = self.image.axis_labels

    def forget(self, layer: Layer) -> None:
        """Note that a layer was removed from the viewer."""
        for name in ("points", "shapes", "preview"):
            if getattr(self, name) == layer:
                self._disconnect(layer)
                setattr(self, name, None)

    def close(self, known: object) -> None:
        """Take the preview away and leave the prompts to the user, with what is known of them."""
        for layer in self._drawn_layers():
            self._disconnect(layer)
            drawing.leave_known(layer, known)
        if self.preview is not None and self.preview in self._viewer.layers:
            self._viewer.layers.remove(self.preview)
        self.points = self.shapes = self.preview = None

    def _drawn_layers(self) -> list[Points | Shapes]:
        return [layer for layer in (self.shapes, self.points) if layer is not None]

    def _need_points(self) -> Points:
        if self.points is None:
            self._adopt()
        if self.points is None:
            self.points = self._add(drawing.new_points_layer(self.image))
        return self.points

    def _need_shapes(self) -> Shapes:
        if self.shapes is None:
            self._adopt()
        if self.shapes is None:
            self.shapes = self._add(drawing.new_shapes_layer(self.image))
        return self.shapes

    def _apply_current(self, layer: Points | Shapes) -> None:
        obj_id, polarity = self._current
        drawing.set_current_object(layer, obj_id)
        if drawing.polarity(layer) != polarity:
            drawing.set_polarity(layer, polarity)

    def _on_mode(self, event: Any) -> None:
        # Where a prompt was selected, to be moved, napari lets the next one be as that.
        if str(event.source.mode).startswith("add"):
            self._apply_current(event.source)

    def _adopt(self) -> None:
        """Go on with layers that a widget before this one has left."""
        left = [each for each in self._viewer.layers if drawing.is_left(each, self.image)]
        for layer in left:
            if isinstance(layer, Points) and self.points is None:
                self.points = layer
            elif isinstance(layer, Shapes) and self.shapes is None:
                self.shapes = layer
            else:
                continue
            self.known = drawing.take_known(layer) or self.known
            self._apply_current(layer)
            self._connect(layer)
        if self.obj_ids:
            self.add_preview()

    def _add(self, layer: Any) -> Any:
        self._apply_current(layer)
        self._connect(layer)
        active = self._viewer.layers.selection.active
        self._viewer.add_layer(layer)
        self._viewer.layers.selection.active = active
        return layer

    def _connect(self, layer: Points | Shapes) -> None:
        for name in _EDIT_EVENTS:
            layer.events[name].connect(self._on_edit)
        layer.events.mode.connect(self._on_mode)
        self._keys.bind(layer)
        drawing.set_in_use(layer, True)

    def _disconnect(self, layer: Layer) -> None:
        for name in _EDIT_EVENTS:
            layer.events[name].disconnect(self._on_edit)
        layer.events.mode.disconnect(self._on_mode)
        self._keys.release(layer)
        drawing.set_in_use(layer, False)
