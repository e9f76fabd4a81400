"""The keys, as a page that can be read beside the image."""

from collections.abc import Iterable
from html import escape
from itertools import groupby
from typing import Any

from qtpy.QtCore import QEvent
from qtpy.QtGui import QPalette
from qtpy.QtWidgets import QTextBrowser, QVBoxLayout, QWidget

from napari_sam2_openvino._qt.actions import ACTIONS, NAPARI_KEYS, Action

_INTRODUCTION = (
    "Keys work while the pointer's window is the canvas: click on the image first. All of them "
    "are in the command palette too, and can be changed in Preferences, Plugin Preferences."
)


class HelpPanel(QWidget):
    """Lists what each key does.

    Parameters
    ----------
    actions : iterable of Action, optional
        As returned by `rebind`.
    parent : QWidget, optional
    """

    def __init__(self, actions: Iterable[Action] = ACTIONS, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._actions = tuple(actions)
        self.browser = QTextBrowser()
        self.browser.setOpenExternalLinks(False)
        self.browser.setMinimumHeight(160)
        self.browser.setAccessibleName("Keys")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.browser)
        self._show()

    def set_actions(self, actions: Iterable[Action]) -> None:
        """List these keys."""
        self._actions = tuple(actions)
        self._show()

    def changeEvent(self, event: Any) -> None:  # noqa: N802
        """Follow the theme."""
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange):
            self._show()
        super().changeEvent(event)

    def _show(self) -> None:
        faint = self.palette().color(QPalette.ColorRole.PlaceholderText).name()
        self.browser.setHtml(keys_page(self._actions, faint))


def keys_page(actions: Iterable[Action], faint: str = "gray") -> str:
    """Return the keys as a page of HTML.

    Parameters
    ----------
    actions : iterable of Action
        Those without a key are left out.
    faint : str, optional
        Colour of what matters less.
    """
    parts = [f"<p>{escape(_INTRODUCTION)}</p>"]
    keyed = [each for each in actions if each.keys]
    for group, members in groupby(keyed, lambda each: each.group):
        rows = [_row(each.key_text, each.title, each.tip, faint) for each in members]
        parts += [f"<h4>{escape(group)}</h4>", _table(rows)]
    rows = [_row(key, layers, text, faint) for key, layers, text in NAPARI_KEYS]
    parts += ["<h4>Keys of napari</h4>", _table(rows)]
    return "".join(parts)


def _table(rows: Iterable[str]) -> str:
    return f'<table width="100%" cellspacing="0" cellpadding="3">{"".join(rows)}</table>'


def _row(key: str, title: str, text: str, faint: str) -> str:
    # Spaces that do not break keep "Shift+U" and "Alt+0 … Alt+9" on lines of their own.
    shown = "<br>".join(escape(part) for part in key.replace(" … ", " …|").split("|"))
    return (
        f'<tr><td width="64"><b>{shown}</b></td><td>{escape(title)}<br>'
        f'<span style="color:{faint}">{escape(text)}</span></td></tr>'
    )
