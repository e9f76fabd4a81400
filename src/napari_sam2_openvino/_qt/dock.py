"""What every dock widget does: it lets go of everything when it is closed."""

import atexit
from contextlib import suppress
from typing import Any
from weakref import WeakSet

from qtpy.QtCore import QCoreApplication, QEvent
from qtpy.QtWidgets import QApplication, QWidget

_open: "WeakSet[DockWidget]" = WeakSet()


@atexit.register
def _destroy_all() -> None:
    """Destroy docks that are open when Python ends: after that Qt does so in any order."""
    for dock in list(_open):
        # Its window may have destroyed it already.
        with suppress(RuntimeError):
            dock._close_down()
            dock.setParent(None)
            dock.deleteLater()
            QCoreApplication.sendPostedEvents(dock, QEvent.Type.DeferredDelete.value)
    # PyQt then destroys napari's windows, one by one, in a walk over a table of all of its objects.
    # What the one's destruction tells the event filter of the next becomes objects in that table,
    # and where it has to grow the walk goes on in memory that was given back.
    if (app := QCoreApplication.instance()) is not None:
        for window in QApplication.topLevelWidgets():
            app.removeEventFilter(window)


class DockWidget(QWidget):
    """A widget that napari docks, and that knows when it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self._was_docked = False
        self._closed = False
        _open.add(self)

    def reset_choices(self, _event: Any = None) -> None:
        """Read the viewer's layers anew; napari calls this when they change."""
        if not self._closed:
            self._read_layers()

    def event(self, event: Any) -> bool:
        """Notice that the dock is closed: napari then takes the widget out of it."""
        if event.type() == QEvent.Type.ParentChange:
            if self.parent() is not None:
                self._was_docked = True
            elif self._was_docked:
                self._close_down()
        return bool(super().event(event))

    def closeEvent(self, event: Any) -> None:  # noqa: N802
        """Notice that the widget is closed where it is a window of its own."""
        self._close_down()
        super().closeEvent(event)

    def _close_down(self) -> None:
        self._closed = True
        _open.discard(self)
        self._let_go()

    def _read_layers(self) -> None:
        """Read the viewer's layers anew."""
        raise NotImplementedError

    def _let_go(self) -> None:
        """End what runs and disconnect what would call back; may be called more than once."""
        raise NotImplementedError
