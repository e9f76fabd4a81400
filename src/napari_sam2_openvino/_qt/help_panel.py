"""The keys, as a page that can be read beside the image."""

from collections.abc import Iterable
from html import escape
from itertools import groupby

from qtpy.QtWidgets import QCheckBox, QTextBrowser, QVBoxLayout, QWidget

from napari_sam2_openvino._qt.actions import ACTIONS, NAPARI_KEYS, Action

_INTRODUCTION = (
    "Keys work when the canvas has the focus: click on the image first. Change them in "
    "Preferences, Plugin Preferences."
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
        self.details_box = QCheckBox("In detail")
        self.details_box.toggled.connect(self._show)
        layout.addWidget(self.browser)
        layout.addWidget(self.details_box)
        self._show()

    def set_actions(self, actions: Iterable[Action]) -> None:
        """List these keys."""
        self._actions = tuple(actions)
        self._show()

    def _show(self) -> None:
        self.browser.setHtml(keys_page(self._actions, in_detail=self.details_box.isChecked()))


def keys_page(actions: Iterable[Action], *, in_detail: bool = True) -> str:
    """Return the keys as a page of HTML.

    Parameters
    ----------
    actions : iterable of Action
        Those without a key are left out.
    in_detail : bool, optional
        Whether to give the tips too.
    """
    parts = [f"<p>{escape(_INTRODUCTION)}</p>"]
    keyed = [each for each in actions if each.keys]
    for group, members in groupby(keyed, lambda each: each.group):
        rows = [_row(each.key_text, each.title, each.tip if in_detail else "") for each in members]
        parts += [f"<h4>{escape(group)}</h4>", _table(rows)]
    rows = [_row(key, f"{layers}: {text}") for key, layers, text in NAPARI_KEYS]
    parts += ["<h4>Keys of napari</h4>", _table(rows)]
    return "".join(parts)


def _table(rows: Iterable[str]) -> str:
    return f'<table width="100%" cellspacing="0" cellpadding="2">{"".join(rows)}</table>'


def _row(keys: str, title: str, tip: str = "") -> str:
    # A narrow column: "Alt+0 … Alt+9" and lists of keys break after each key.
    shown = escape(keys).replace(" … ", " …<br>").replace(", ", ",<br>").replace(" ", "&nbsp;")
    told = f"<br><small>{escape(tip)}</small>" if tip else ""
    return f'<tr><td width="98"><b>{shown}</b></td><td>{escape(title)}{told}</td></tr>'
