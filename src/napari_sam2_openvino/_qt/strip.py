"""Planes of a stack side by side: where they are, what is under the pointer, a click goes there."""

from typing import Any, Protocol

import numpy as np
from qtpy.QtCore import QEvent, QRectF, QSize, Qt
from qtpy.QtCore import Signal as QtSignal  # type: ignore[attr-defined]
from qtpy.QtGui import QColor, QPainter, QPalette, QPen
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

MARGIN = 4
# Between cells that are at least so wide there is a gap.
WIDE_CELL = 5


class States(Protocol):
    """What every strip knows of its planes."""

    @property
    def n_planes(self) -> int:
        """How many there are."""

    @property
    def current(self) -> int:
        """The plane in view."""


class Strip(QWidget):
    """A row of planes; a click goes to one.

    Where there are more planes than pixels, one cell stands for several.

    Parameters
    ----------
    height : int
        In pixels.
    parent : QWidget, optional

    Signals
    -------
    plane_clicked : int
        The plane under the pointer, at each press and while it is dragged.
    """

    plane_clicked = QtSignal(int)

    def __init__(self, height: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._height = height
        self._last_clicked = -1
        self.setMouseTracking(True)
        # Keys belong to the canvas.
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    @property
    def states(self) -> States:
        """What is shown."""
        raise NotImplementedError

    def describe(self, plane: int) -> str:
        """Return in a few words what there is to say about a plane."""
        raise NotImplementedError

    def plane_at(self, x: float) -> int:
        """Return the plane at a horizontal position in pixels of the widget."""
        # Multiplied first: whole pixels then give exact planes.
        place = (x - MARGIN) * self.states.n_planes / self.inner_width
        return int(np.clip(place, 0, self.states.n_planes - 1))

    @property
    def inner_width(self) -> int:
        """Width of all planes together in pixels."""
        return max(self.width() - 2 * MARGIN, 1)

    def sizeHint(self) -> QSize:  # noqa: N802
        """Return the size that Qt is to prefer."""
        return QSize(200, self._height)

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Return the least size."""
        return QSize(60, self._height)

    def mousePressEvent(self, event: Any) -> None:  # noqa: N802
        """Go to the plane under the pointer."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._last_clicked = -1
            self._click(event.position().x())

    def mouseMoveEvent(self, event: Any) -> None:  # noqa: N802
        """Follow the pointer while the button is down."""
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._click(event.position().x())

    def event(self, event: Any) -> bool:
        """Say in a tooltip what there is at the pointer."""
        if event.type() == QEvent.Type.ToolTip:
            QToolTip.showText(
                event.globalPos(), self.describe(self.plane_at(event.pos().x())), self
            )
            return True
        return bool(super().event(event))

    @property
    def text_color(self) -> QColor:
        """Colour of text in the window."""
        return self.palette().color(QPalette.ColorRole.WindowText)

    def paint_current(self, painter: QPainter) -> None:
        """Paint a frame around the plane in view."""
        states, text = self.states, self.text_color
        width = self.inner_width / states.n_planes
        left = MARGIN + states.current * width
        if width >= WIDE_CELL:
            frame = QRectF(left - 0.5, 0.5, width, self._height - 1.0)
        else:
            center = left + width / 2
            frame = QRectF(center - 2.5, 0.5, 5.0, self._height - 1.0)
        fill = QColor(text)
        fill.setAlpha(60)
        painter.setPen(QPen(text, 1.5))
        painter.setBrush(fill)
        painter.drawRoundedRect(frame, 2, 2)

    def _click(self, x: float) -> None:
        plane = self.plane_at(x)
        if plane != self._last_clicked:
            self._last_clicked = plane
            self.plane_clicked.emit(plane)
