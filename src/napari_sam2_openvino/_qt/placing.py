"""A point that keys put and move, for those who do without a mouse."""

from functools import partial
from typing import TYPE_CHECKING, Any

from napari.layers import Points

from napari_sam2_openvino._layers import layer_edits
from napari_sam2_openvino._qt import status
from napari_sam2_openvino._qt.keys import Keys
from napari_sam2_openvino._qt.network_view import visible_part

if TYPE_CHECKING:
    from napari_sam2_openvino._qt.annotator import Annotator

# Steps of an arrow key from one edge of what is seen to the other.
_STEPS = 20
_ARROWS = {"Left": (-1, 0), "Right": (1, 0), "Up": (0, -1), "Down": (0, 1)}
_HELD = (
    "Arrow keys move the point, with Shift by one pixel. Escape lets go of it, as any other step "
    "does."
)


class Placing:
    """Puts a point in the middle of what is seen and lends it the arrow keys while it is selected.

    Lives in the main thread.

    Parameters
    ----------
    annotator : Annotator
    """

    def __init__(self, annotator: "Annotator") -> None:
        self._annotator = annotator
        self._points: Points | None = None
        verbs = {"Escape": self.end}
        for key, (x, y) in _ARROWS.items():
            verbs[key] = partial(self._move, x, y)
            verbs[f"Shift+{key}"] = partial(self._move, x, y, by_pixel=True)
        self._keys = Keys(verbs)
        annotator.plane_changed.connect(self._let_go)
        annotator.leaving.connect(self._let_go)

    def place(self) -> None:
        """Put a point, of the sign that is chosen, in the middle of what is seen of the image."""
        annotator = self._annotator
        if annotator.is_closed:
            return
        annotator.sync()
        drafting, image, plane = annotator.drafting, annotator.image, annotator.plane
        if drafting is None or image is None or plane is None:
            annotator.feedback.say(annotator.feedback.problem or status.NO_IMAGE)
            return
        self._let_go()
        points = drafting.layers.draw("points")
        assert isinstance(points, Points)
        y0, x0, y1, x1 = visible_part(image, plane)
        layer_edits.add_point(points, image, plane, ((x0 + x1 - 1) / 2, (y0 + y1 - 1) / 2))
        self._points = points
        points.selected_data.events.items_changed.connect(self._on_selection)
        self._keys.bind(points)
        # What is said next is about the point as it is now.
        annotator.sync()
        annotator.feedback.announce(_HELD)

    def end(self) -> None:
        """Let go of the point, which stays where it is."""
        if (points := self._points) is not None:
            points.selected_data = set()
        self._let_go()

    def _move(self, x: int, y: int, *, by_pixel: bool = False) -> None:
        image, plane = self._annotator.image, self._annotator.plane
        if self._points is None or image is None or plane is None:
            return
        y0, x0, y1, x1 = visible_part(image, plane)
        step = 1 if by_pixel else max(1, round(min(y1 - y0, x1 - x0) / _STEPS))
        layer_edits.shift_points(self._points, image, plane, (x * step, y * step))

    def _on_selection(self, _event: Any = None) -> None:
        if self._points is not None and not self._points.selected_data:
            self._let_go()

    def _let_go(self) -> None:
        points, self._points = self._points, None
        if points is not None:
            points.selected_data.events.items_changed.disconnect(self._on_selection)
            self._keys.release(points)
