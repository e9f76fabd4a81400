"""A window with the widget in it, and what a user would do there: for tests and scripts."""

from collections.abc import Callable
from typing import Any

from tests.disc_engine import DiscEngine

from napari_sam2_openvino._layers.features import ObjectTable
from napari_sam2_openvino._session.jobs import State

# Far longer than anything takes, so that a busy machine does not fail a test.
WAIT_MS = 30_000


class Window:
    """A viewer, our widget in it, and what a user would do with them."""

    def __init__(
        self, viewer: Any, widget: Any, qtbot: Any, engines: dict[str, DiscEngine]
    ) -> None:
        self.viewer = viewer
        self.widget = widget
        self.annotator = widget.annotator
        self.session = widget.annotator.session
        self.engines = engines
        self.qtbot = qtbot

    @property
    def engine(self) -> DiscEngine:
        return self.engines[self.session.model_name]

    @property
    def status(self) -> str:
        return self.widget.status_label.text()

    @property
    def answer(self) -> Any:
        """What there is of the object that verbs are about."""
        focus = self.annotator.focus
        return None if focus is None else self.session.answer(focus)

    @property
    def marks(self) -> list[tuple[str, list[tuple[float, float]], bool]]:
        """What was decoded last: kind, vertices and sign of each mark."""
        _, prompts = self.engine.decoded[-1]
        return [(each.kind, list(each.vertices), each.is_positive) for each in prompts.marks]

    @property
    def clicks(self) -> list[tuple[float, float]]:
        """The points that were decoded last, as (x, y)."""
        return [vertices[0] for kind, vertices, _ in self.marks if kind == "point"]

    @property
    def labels(self) -> Any:
        """The layer that objects are committed to."""
        return self.annotator.target

    @property
    def preview(self) -> Any:
        return self.layers.preview if self.annotator.drafting else None

    @property
    def layers(self) -> Any:
        """The layers of prompts of the image."""
        return self.annotator.drafting.layers

    def table(self) -> Any:
        """Return what the target's table says of each object, by obj_id."""
        return {} if self.labels is None else ObjectTable(self.labels).rows()

    def do(self, verb: str, *arguments: int) -> None:
        """Do what a key, a button or a command does."""
        self.widget.verbs[verb](*arguments)

    def show_plane(self, number: int, axis: int = 0) -> None:
        """Move a slider."""
        self.viewer.dims.set_current_step(axis, number)

    def wait(self, condition: Callable[[], Any], timeout: int = WAIT_MS) -> None:
        self.qtbot.waitUntil(lambda: bool(condition()), timeout=timeout)

    def wait_for_encode(self) -> None:
        """Wait until the engine encodes; the state tells only that it is about to."""
        self.wait(lambda: self.session.state is State.ENCODING and self.engine.n_encodes)

    def settle(self) -> None:
        """Wait until the newest edit is answered."""
        self.qtbot.wait(60)
        self.wait(
            lambda: (
                not self.annotator._timer.isActive()
                and not self.session.is_busy
                and self.session.is_settled
                and not self.annotator.painter.is_busy
            )
        )
        # Repaint before the next change of layers: software GL crashes otherwise.
        self.qtbot.wait(20)

    def click(self, *coords: float) -> None:
        """Add a point where a click would."""
        self.do("draw_points")
        self.layers.points.add(coords)

    def draw_box(self, y0: float, x0: float, y1: float, x1: float, *lead: float) -> None:
        """Draw a rectangle, of a stack on the plane ``lead``."""
        self.do("draw_box")
        corners = ((y0, x0), (y0, x1), (y1, x1), (y1, x0))
        self.layers.shapes.add_rectangles([[*lead, y, x] for y, x in corners])

    def press(self, key: str) -> None:
        """Press a key with the active layer as it is."""
        keymap = {}
        active = self.viewer.layers.selection.active
        for owner in (self.viewer, active):
            if owner is not None:
                keymap.update({str(name): (call, owner) for name, call in owner.keymap.items()})
        call, owner = keymap[key]
        call(owner)
