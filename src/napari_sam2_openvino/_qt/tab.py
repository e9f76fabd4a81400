"""What the tabs of a dock have in common: they scroll down, and are as wide as what is in them."""

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QScrollArea, QWidget


class Tab(QScrollArea):
    """Shows a widget that may be longer than the dock, without scrolling sideways."""

    def setWidget(self, widget: QWidget | None) -> None:  # noqa: N802
        """Show a widget."""
        self.setWidgetResizable(True)
        # What is inside takes the focus, and is scrolled to; this itself has nothing to say.
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        super().setWidget(widget)

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Be wide enough for what is inside."""
        content = self.widget()
        width = 0 if content is None else content.minimumSizeHint().width()
        if (bar := self.verticalScrollBar()) is not None:
            width += bar.sizeHint().width()
        return QSize(width, super().minimumSizeHint().height())
