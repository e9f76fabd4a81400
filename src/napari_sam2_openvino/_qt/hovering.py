"""What a click at the pointer would give, before the click."""

from collections.abc import Callable
from typing import Any

import numpy as np
from napari.viewer import Viewer

from napari_sam2_openvino._layers import coordinates
from napari_sam2_openvino.core.marks import Mark, ObjectPrompts, is_inside
from napari_sam2_openvino.core.types import PlaneIndex

# napari tells of each pixel that the pointer passes.
_COARSE = 1.0


class Hover:
    """Follows the pointer over the canvas. Lives in the main thread.

    Parameters
    ----------
    viewer : Viewer
    on_move : callable
        Bound method that is called when the pointer is somewhere else.
    """

    def __init__(self, viewer: Viewer, on_move: Callable[[], None]) -> None:
        self._viewer = viewer
        self._on_move = on_move
        self._position: tuple[float, ...] | None = None
        self.is_on = False
        # Made once: a bound method is another object each time.
        self._callback = self._on_mouse_move
        viewer.mouse_move_callbacks.append(self._callback)
        viewer.events.mouse_over_canvas.connect(self._on_canvas)

    def set_on(self, is_on: bool) -> None:
        """Begin or stop."""
        self.is_on = is_on
        self._position = None
        self._on_move()

    def prompts(self, image: Any, plane: PlaneIndex) -> ObjectPrompts | None:
        """Return the click at the pointer; None off the image, or while it is off."""
        if not self.is_on or self._position is None:
            return None
        x, y = coordinates.to_xy(self._in_image(image), plane)[0].tolist()
        if not is_inside((x, y), coordinates.plane_hw(image, plane)):
            return None
        place = (round(x / _COARSE) * _COARSE, round(y / _COARSE) * _COARSE)
        return ObjectPrompts((Mark("point", (place,)),))

    def position(self) -> tuple[float, ...]:
        """Return where the pointer is, in world coordinates."""
        return tuple(self._viewer.cursor.position)

    def close(self) -> None:
        """Stop following."""
        if self._callback in self._viewer.mouse_move_callbacks:
            self._viewer.mouse_move_callbacks.remove(self._callback)
        self._viewer.events.mouse_over_canvas.disconnect(self._on_canvas)

    def _in_image(self, image: Any) -> Any:
        position = np.asarray(self._position, float)[-image.ndim :]
        return np.atleast_2d(image.world_to_data(position))

    def _on_canvas(self, _event: Any = None) -> None:
        if not self._viewer.mouse_over_canvas and self._position is not None:
            self._position = None
            self._on_move()

    def _on_mouse_move(self, _viewer: Any, event: Any) -> None:
        if self.is_on:
            self._position = tuple(event.position)
            self._on_move()
