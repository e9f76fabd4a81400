"""Sections of a widget that fold."""

from qtpy.QtWidgets import QWidget
from superqt import QCollapsible


def folded(title: str, content: QWidget, *, is_open: bool = False) -> QCollapsible:
    """Return a widget under a title that hides and shows it."""
    fold = QCollapsible(title)
    fold.setDuration(0)
    fold.addWidget(content)
    if is_open:
        fold.expand(animate=False)
    return fold
