"""Buttons for drawing objects and committing them."""

from collections.abc import Callable, Iterable, Mapping
from typing import get_args

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from napari_sam2_openvino._layers import drawing
from napari_sam2_openvino._qt.actions import Action, find_action, key_sentence, tooltip
from napari_sam2_openvino._qt.annotator import Annotator
from napari_sam2_openvino._qt.verbs import Verbs
from napari_sam2_openvino._session.objects import Mode
from napari_sam2_openvino.core.commit import CommitMode

_BUTTONS = (
    (("Points", "draw_points"), ("Box", "draw_box")),
    (("Lasso", "draw_lasso"), ("Scribble", "draw_scribble")),
    (("Undo", "undo"), ("Redo", "redo")),
    (("Next mask", "next_mask"), ("Next object", "next_object")),
    (("Clear", "clear"), ("Previous object", "previous_object")),
    (("Commit", "commit"), ("Commit all", "commit_all")),
)
_MODES = {
    Mode.ONE_OBJECT: "one object at a time",
    Mode.EACH_PROMPT: "each prompt is an object",
}
_COMMIT_TIPS = (
    "What happens where objects overlap. keep existing: pixels of other objects stay theirs. "
    "overwrite: the mask takes them. only where empty: an object is written only if it overlaps "
    "no other."
)


class PromptsPanel(QWidget):
    """Tools, polarity, mode and what to do with the mask.

    Parameters
    ----------
    annotator : Annotator
    verbs : Verbs
    table : mapping of str to callable
        What to call, by verb.
    actions : iterable of Action
        As returned by `rebind`.
    """

    def __init__(
        self,
        annotator: Annotator,
        verbs: Verbs,
        table: Mapping[str, Callable[[], None]],
        actions: Iterable[Action],
    ) -> None:
        super().__init__()
        self._actions = tuple(actions)
        self._annotator = annotator
        self._verbs = verbs
        self.buttons = {
            verb: _button(text, verb, self._actions) for row in _BUTTONS for text, verb in row
        }
        for verb, button in self.buttons.items():
            button.clicked.connect(lambda _=False, call=table[verb]: call())
        self._build()
        self._lay_out()
        self._connect()
        self.show_drafting()
        self.show_preview()

    def _build(self) -> None:
        self.positive_radio = QRadioButton("● positive")
        key = key_sentence("toggle_polarity", self._actions)
        self.positive_radio.setToolTip(f"The next point or scribble lies on the object.{key}")
        self.negative_radio = QRadioButton("✕ negative")
        self.negative_radio.setToolTip(
            f"The next point or scribble lies on what does not belong to the object.{key}"
        )
        self._polarity_group = QButtonGroup(self)
        for radio in (self.positive_radio, self.negative_radio):
            self._polarity_group.addButton(radio)
        self.for_all_box = QCheckBox("for all")
        self.for_all_box.setToolTip(tooltip("toggle_for_all", self._actions))
        self.mode_combo = QComboBox()
        self.mode_combo.addItems(list(_MODES.values()))
        self.mode_combo.setToolTip(tooltip("toggle_many", self._actions))
        self.live_box = QCheckBox("live")
        self.live_box.setToolTip(tooltip("toggle_live", self._actions))
        self.hover_box = QCheckBox("under the pointer")
        self.hover_box.setToolTip(tooltip("toggle_hover", self._actions))
        self.overlap_combo = QComboBox()
        self.overlap_combo.addItems(list(get_args(CommitMode)))
        self.overlap_combo.setToolTip(_COMMIT_TIPS)

    def _lay_out(self) -> None:
        grid = QGridLayout()
        grid.setVerticalSpacing(3)
        for row, pair in enumerate(_BUTTONS):
            for column, (_, verb) in enumerate(pair):
                grid.addWidget(self.buttons[verb], row, column)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(_row(QLabel("Draw"), self.mode_combo))
        layout.addLayout(_row(self.positive_radio, self.negative_radio, self.for_all_box))
        layout.addLayout(grid)
        layout.addLayout(_row(QLabel("Overlaps"), self.overlap_combo))
        layout.addLayout(_row(QLabel("Preview"), self.live_box, self.hover_box))

    def _connect(self) -> None:
        self.positive_radio.clicked.connect(lambda: self._verbs.set_polarity(drawing.POSITIVE))
        self.negative_radio.clicked.connect(lambda: self._verbs.set_polarity(drawing.NEGATIVE))
        self.for_all_box.clicked.connect(self._verbs.toggle_for_all)
        self.mode_combo.activated.connect(self._on_mode)
        self.live_box.clicked.connect(self._annotator.set_live)
        self.hover_box.clicked.connect(self._annotator.set_hover)
        self.overlap_combo.currentTextChanged.connect(self._annotator.set_commit_mode)
        self._annotator.drafting_changed.connect(self.show_drafting)
        self._annotator.preview_changed.connect(self.show_preview)

    def show_drafting(self) -> None:
        """Show what the next prompt will be."""
        drafting = self._annotator.drafting
        polarity = drawing.POSITIVE if drafting is None else drafting.polarity
        is_positive = polarity == drawing.POSITIVE
        (self.positive_radio if is_positive else self.negative_radio).setChecked(True)
        mode = Mode.ONE_OBJECT if drafting is None else drafting.mode
        self.mode_combo.setCurrentText(_MODES[mode])
        is_many = mode is Mode.EACH_PROMPT
        self.for_all_box.setEnabled(not is_many)
        self.for_all_box.setChecked(is_many or (drafting is not None and drafting.is_for_all))

    def show_preview(self) -> None:
        """Show how masks are previewed."""
        self.live_box.setChecked(self._annotator.is_live)
        self.hover_box.setChecked(self._annotator.hover.is_on)

    def _on_mode(self, number: int) -> None:
        self._verbs.set_mode(list(_MODES)[number])


def _button(text: str, verb: str, actions: Iterable[Action]) -> QPushButton:
    keys = find_action(verb, actions).key_text
    button = QPushButton(f"{text} ({keys})" if keys else text)
    button.setToolTip(tooltip(verb, actions))
    # A click leaves the keys to the canvas.
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return button


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    for widget in widgets:
        row.addWidget(widget)
    return row
