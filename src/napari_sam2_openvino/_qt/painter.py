"""Keeps the preview in step with the answers: outlines are drawn in a worker."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from napari_sam2_openvino._layers.coordinates import plane_hw
from napari_sam2_openvino._layers.outlines import (
    NOTHING,
    Drawing,
    Outline,
    OutlineKind,
    draw_outlines,
)
from napari_sam2_openvino._qt.jobs import ComputeWorker
from napari_sam2_openvino._qt.prompt_layers import PromptLayers
from napari_sam2_openvino._session.answers import ObjectAnswer
from napari_sam2_openvino._session.objects import HOVER
from napari_sam2_openvino.core.plane_box import Box
from napari_sam2_openvino.core.types import PlaneIndex


def outlines_of(answers: Mapping[int, ObjectAnswer], focus: int | None) -> list[Outline]:
    """Return the outlines of objects by obj_id, that of the object in focus in its own look."""
    outlines = []
    for obj_id, answer in answers.items():
        kind: OutlineKind = "current" if obj_id == focus else "other"
        if obj_id == HOVER:
            kind = "hover"
        outlines.append(Outline(kind, answer.outline, Box.of(answer.mask)))
    return outlines


@dataclass(frozen=True, eq=False)
class _Wish:
    """What is to be seen."""

    layers: PromptLayers
    plane: PlaneIndex
    outlines: Sequence[Outline]

    def allows(self, other: "_Wish", drawing: Drawing) -> bool:
        """Whether what was drawn for an earlier wish is a part of this one."""
        if (other.layers, other.plane) != (self.layers, self.plane):
            return False
        return drawing.keys <= {each.key for each in self.outlines}


class Painter:
    """Draws outlines in a worker of its own, so that none waits for an encode.

    Lives in the main thread. While one wish is drawn only the newest is kept, and a drawing with
    anything that is wanted no more is dropped.
    """

    def __init__(self) -> None:
        self._worker = ComputeWorker()
        self._wish: _Wish | None = None
        self._running: _Wish | None = None
        # The last drawing, to which new outlines are added, and what it was for.
        self._drawn: tuple[_Wish, Drawing] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether something is still to be drawn."""
        return self._running is not None

    def show(
        self, layers: PromptLayers, plane: PlaneIndex | None, outlines: Sequence[Outline]
    ) -> None:
        """Show outlines on a plane as soon as they are drawn; at once if there are none."""
        if plane is None or not outlines:
            self._wish = None
            layers.show(NOTHING, plane)
            return
        self._wish = _Wish(layers, plane, outlines)
        if self._running is None:
            self._start(self._wish)

    def close(self) -> None:
        """Let go of the worker."""
        self._wish = self._drawn = None
        self._worker.close()

    def _start(self, wish: _Wish) -> None:
        self._running = wish
        before = NOTHING
        if self._drawn is not None and wish.allows(*self._drawn):
            before = self._drawn[1]
        hw = plane_hw(wish.layers.image, wish.plane)
        self._worker(
            partial(draw_outlines, wish.outlines, hw, before),
            partial(self._on_drawn, wish),
            self._on_error,
        )

    def _on_drawn(self, wish: _Wish, drawing: Drawing) -> None:
        self._running = None
        self._drawn = wish, drawing
        newest = self._wish
        if newest is not None and newest.allows(wish, drawing):
            wish.layers.show(drawing, wish.plane)
        if newest is not None and newest is not wish:
            self._start(newest)

    def _on_error(self, error: Exception) -> None:
        self._running = None
        raise error
