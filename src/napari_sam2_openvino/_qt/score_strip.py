"""A strip that shows how objects went from plane to plane: their area, their score, what is odd."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QBrush, QColor, QPainter, QPen, QPolygonF
from qtpy.QtWidgets import QWidget

from napari_sam2_openvino._qt.plane_strip import OBJECTS_COLOR, PROMPTS_COLOR, READY_COLOR
from napari_sam2_openvino._qt.strip import MARGIN, WIDE_CELL, Strip

# Of Okabe and Ito's set as well; what is odd has a mark above and is hatched, too.
ODD_COLOR = QColor(213, 94, 0)

_HEIGHT = 64
# From top to bottom: marks, area as bars, score as a line.
_MARKS_LANE = (2.0, 8.0)
_AREA_LANE = (12.0, 30.0)
_SCORE_LANE = (46.0, 14.0)
# A plane whose area is this many times that of its neighbours, or this part of it, is odd.
_ODD_RATIO = 2.0


@dataclass(frozen=True)
class PlaneFinding:
    """What was found on a plane of one object, or of several together.

    Parameters
    ----------
    area : int
        Pixels; 0 where nothing is there.
    score : float
        The lowest probability, 0 to 1, of those objects being there that are.
    is_known : bool, optional
        Whether it was given there, by prompts or by a mask.
    """

    area: int
    score: float
    is_known: bool = False


@dataclass(frozen=True)
class ScoreStates:
    """What there is to say about each plane along an axis.

    Parameters
    ----------
    n_planes : int
    current : int
        The plane in view.
    found : mapping of int to PlaneFinding
        By plane; without those that nothing was looked for on.
    axis : str, optional
        Name of the axis.
    """

    n_planes: int = 1
    current: int = 0
    found: Mapping[int, PlaneFinding] = field(default_factory=dict)
    axis: str = "plane"

    def is_odd(self, plane: int) -> bool:
        """Whether a plane is to be looked at: its area jumps, or it is a gap."""
        here = self.found.get(plane)
        beside = [self.found[each].area for each in (plane - 1, plane + 1) if each in self.found]
        if here is None or here.is_known or not beside:
            return False
        if not here.area:
            return len(beside) == 2 and min(beside) > 0
        ratios = [area / here.area for area in beside if area]
        return bool(ratios) and (min(ratios) > _ODD_RATIO or max(ratios) < 1 / _ODD_RATIO)


class ScoreStrip(Strip):
    """Shows area and score of each plane; a click goes to one.

    Parameters
    ----------
    parent : QWidget, optional
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(_HEIGHT, parent)
        self._states = ScoreStates()
        self.setAccessibleName("What was found on each plane")

    @property
    def states(self) -> ScoreStates:
        """What is shown."""
        return self._states

    def set_states(self, states: ScoreStates) -> None:
        """Show what there is to say about the planes."""
        if states != self._states:
            self._states = states
            self.setAccessibleDescription(self.describe(states.current))
            self.update()

    def describe(self, plane: int) -> str:
        """Return in a few words what there is to say about a plane."""
        states = self._states
        here = states.found.get(plane)
        if here is None:
            what = "nothing was looked for"
        elif not here.area:
            what = "no object is here"
        else:
            what = f"{here.area} pixels, object score {here.score:.2f}"
            what += ", given here" if here.is_known else ""
        odd = " It differs from its neighbours: look at it." if states.is_odd(plane) else ""
        return (
            f"{states.axis} {plane} of {states.n_planes}: {what}.{odd}\n"
            "Bars: area. Line below: object score. Diamonds: given. Triangles: look here."
        )

    def paintEvent(self, _event: Any) -> None:  # noqa: N802
        """Paint the lanes, then the plane in view over them."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        faint = QColor(self.text_color)
        faint.setAlpha(45)
        for top, height in (_AREA_LANE, _SCORE_LANE):
            painter.fillRect(QRectF(MARGIN, top, self.inner_width, height), faint)
        self.paint_current(painter)
        cells = self._cells()
        self._paint_areas(painter, cells)
        self._paint_scores(painter, cells)
        self._paint_marks(painter, cells)
        painter.end()

    def _cells(self) -> dict[int, list[int]]:
        """Return the planes of each cell in which anything was looked for."""
        states = self._states
        n_cells = min(states.n_planes, self.inner_width)
        cells: dict[int, list[int]] = {}
        for plane in sorted(states.found):
            cells.setdefault(plane * n_cells // states.n_planes, []).append(plane)
        return cells

    def _cell_width(self) -> float:
        return self.inner_width / min(self._states.n_planes, self.inner_width)

    def _paint_areas(self, painter: QPainter, cells: Mapping[int, list[int]]) -> None:
        found, width = self._states.found, self._cell_width()
        largest = max((each.area for each in found.values()), default=0)
        top, height = _AREA_LANE
        gap = 1.0 if width >= WIDE_CELL else 0.0
        for cell, planes in cells.items():
            area = max(found[plane].area for plane in planes)
            left = MARGIN + cell * width
            if not area:
                # Nothing is there: a line along the floor tells it from what was not looked at.
                painter.fillRect(QRectF(left, top + height - 1, width - gap, 1), self.text_color)
                continue
            # So that the least is seen.
            tall = max(2.0, height * area / largest)
            bar = QRectF(left, top + height - tall, width - gap, tall)
            is_odd = any(self._states.is_odd(plane) for plane in planes)
            painter.fillRect(bar, ODD_COLOR if is_odd else OBJECTS_COLOR)
            if is_odd:
                painter.fillRect(bar, QBrush(self.text_color, Qt.BrushStyle.BDiagPattern))

    def _paint_scores(self, painter: QPainter, cells: Mapping[int, list[int]]) -> None:
        found, width = self._states.found, self._cell_width()
        top, height = _SCORE_LANE
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(READY_COLOR, 1.6))
        places = [
            (cell, QPointF(MARGIN + (cell + 0.5) * width, top + height * (1 - score)))
            for cell, planes in cells.items()
            if (score := _lowest(found, planes)) is not None
        ]
        numbers = np.array([cell for cell, _ in places])
        for run in np.split(np.arange(len(places)), np.flatnonzero(np.diff(numbers) > 1) + 1):
            line = [places[index][1] for index in run]
            painter.drawPolyline(QPolygonF(line))
            if width >= WIDE_CELL:
                for place in line:
                    painter.drawEllipse(place, 1.5, 1.5)

    def _paint_marks(self, painter: QPainter, cells: Mapping[int, list[int]]) -> None:
        found, width = self._states.found, self._cell_width()
        top, height = _MARKS_LANE
        half = height / 2
        painter.setPen(Qt.PenStyle.NoPen)
        for cell, planes in cells.items():
            x = MARGIN + (cell + 0.5) * width
            if any(found[plane].is_known for plane in planes):
                corners: NDArray[Any] = np.array([(-half, half), (0, 0), (half, half), (0, height)])
                painter.setBrush(PROMPTS_COLOR)
            elif any(self._states.is_odd(plane) for plane in planes):
                corners = np.array([(-half, 0), (half, 0), (0, height)])
                painter.setBrush(ODD_COLOR)
            else:
                continue
            painter.drawPolygon(QPolygonF([QPointF(x + dx, top + dy) for dx, dy in corners]))


def _lowest(found: Mapping[int, PlaneFinding], planes: list[int]) -> float | None:
    scores = [found[plane].score for plane in planes if found[plane].area]
    return min(scores) if scores else None
