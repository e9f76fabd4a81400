"""A strip that shows the planes of a stack: which are ready, which have prompts or objects."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QPainter, QPolygonF
from qtpy.QtWidgets import QWidget

from napari_sam2_openvino._qt.strip import MARGIN, WIDE_CELL, Strip

# Okabe and Ito's, told apart by people who confuse red and green; each kind has its own lane and
# shape as well.
READY_COLOR = QColor(86, 180, 233)
PROMPTS_COLOR = QColor(230, 159, 0)
OBJECTS_COLOR = QColor(0, 158, 115)

_HEIGHT = 30
# From top to bottom: objects as blocks, prompts as diamonds, ready as a line.
_OBJECTS_LANE = (3.0, 8.0)
_PROMPTS_LANE = (13.0, 7.0)
_READY_LANE = (22.0, 4.0)


@dataclass(frozen=True)
class PlaneStates:
    """What there is to say about each plane along an axis.

    Parameters
    ----------
    n_planes : int
    current : int
        The plane in view.
    ready : frozenset of int
        Planes whose embedding is in memory or on disk.
    with_prompts, with_objects : frozenset of int
        Planes that have prompts, and planes that have committed objects.
    axis : str, optional
        Name of the axis.
    """

    n_planes: int = 1
    current: int = 0
    ready: frozenset[int] = frozenset()
    with_prompts: frozenset[int] = frozenset()
    with_objects: frozenset[int] = frozenset()
    axis: str = "plane"


class PlaneStrip(Strip):
    """Shows which planes are ready, and which have prompts or objects; a click goes to one.

    Parameters
    ----------
    parent : QWidget, optional
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(_HEIGHT, parent)
        self._states = PlaneStates()
        self._lanes: dict[str, NDArray[np.float64]] = {}
        self.setAccessibleName("Planes")

    @property
    def states(self) -> PlaneStates:
        """What is shown."""
        return self._states

    def set_states(self, states: PlaneStates) -> None:
        """Show what there is to say about the planes."""
        if states != self._states:
            self._states = states
            self._lanes = {}
            self.setAccessibleDescription(self.describe(states.current))
            self.update()

    def paintEvent(self, _event: Any) -> None:  # noqa: N802
        """Paint the lanes, then the plane in view over them."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        faint = QColor(self.text_color)
        faint.setAlpha(45)
        for top, height in (_OBJECTS_LANE, _PROMPTS_LANE, _READY_LANE):
            painter.fillRect(QRectF(MARGIN, top, self.inner_width, height), faint)
        self.paint_current(painter)
        lanes = self._binned()
        self._paint_blocks(painter, lanes["ready"], _READY_LANE, READY_COLOR)
        self._paint_blocks(painter, lanes["objects"], _OBJECTS_LANE, OBJECTS_COLOR)
        self._paint_diamonds(painter, lanes["prompts"])
        painter.end()

    def resizeEvent(self, event: Any) -> None:  # noqa: N802
        """Lay the planes out anew."""
        self._lanes = {}
        super().resizeEvent(event)

    def _binned(self) -> dict[str, NDArray[np.float64]]:
        """Return for each lane and cell the share of its planes that have what the lane shows."""
        if not self._lanes:
            states = self._states
            n_cells = min(states.n_planes, self.inner_width)
            cell_of = np.arange(states.n_planes) * n_cells // states.n_planes
            in_cell = np.bincount(cell_of, minlength=n_cells)
            for name, planes in (
                ("ready", states.ready),
                ("prompts", states.with_prompts),
                ("objects", states.with_objects),
            ):
                here = _inside(planes, states.n_planes)
                self._lanes[name] = np.bincount(cell_of[here], minlength=n_cells) / in_cell
        return self._lanes

    def _paint_blocks(
        self,
        painter: QPainter,
        shares: NDArray[np.float64],
        lane: tuple[float, float],
        color: QColor,
    ) -> None:
        width = self.inner_width / len(shares)
        gap = 1.0 if width >= WIDE_CELL else 0.0
        for first, end, share in _runs(shares, merge=not gap):
            shade = QColor(color)
            # A cell of which only some planes are ready is paler, but never too pale to see.
            shade.setAlphaF(0.4 + 0.6 * share)
            left = MARGIN + first * width
            painter.fillRect(QRectF(left, lane[0], (end - first) * width - gap, lane[1]), shade)

    def _paint_diamonds(self, painter: QPainter, shares: NDArray[np.float64]) -> None:
        width = self.inner_width / len(shares)
        top, height = _PROMPTS_LANE
        half = height / 2
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(PROMPTS_COLOR)
        last = -np.inf
        for cell in np.flatnonzero(shares):
            x = MARGIN + (cell + 0.5) * width
            # Diamonds that would cover each other are one.
            if x - last >= 2.0:
                last = x
                corners = [(x - half, top + half), (x, top), (x + half, top + half)]
                corners.append((x, top + height))
                painter.drawPolygon(QPolygonF([QPointF(*corner) for corner in corners]))

    def describe(self, plane: int) -> str:
        """Return in a few words what there is to say about a plane."""
        states = self._states
        said = [
            word
            for word, planes in (
                ("in view", (states.current,)),
                ("encoded", states.ready),
                ("prompts", states.with_prompts),
                ("committed objects", states.with_objects),
            )
            if plane in planes
        ]
        what = ", ".join(said) if said else "nothing yet"
        return (
            f"{states.axis} {plane} of {states.n_planes}: {what}.\n"
            "Blocks: committed objects. Diamonds: prompts. Line below: encoded."
        )


def _inside(planes: Iterable[int], n_planes: int) -> NDArray[np.int64]:
    given = np.fromiter(planes, np.int64)
    return given[(given >= 0) & (given < n_planes)]


def _runs(shares: NDArray[np.float64], *, merge: bool) -> list[tuple[int, int, float]]:
    """Return (first cell, end, share) of what is to be painted as one, where there is any."""
    if not merge:
        return [(int(cell), int(cell) + 1, float(shares[cell])) for cell in np.flatnonzero(shares)]
    starts = np.flatnonzero(np.diff(shares, prepend=np.nan) != 0)
    ends = np.append(starts[1:], len(shares))
    return [
        (int(first), int(end), float(shares[first]))
        for first, end in zip(starts, ends, strict=True)
        if shares[first]
    ]
