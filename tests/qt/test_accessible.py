"""Whatever takes the keyboard's focus can be told by a screen reader."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractSlider, QFrame, QLabel, QWidget

from napari_sam2_openvino._qt.batch_widget import BatchWidget
from napari_sam2_openvino._qt.models_widget import ModelsWidget


def nameless(root: QWidget) -> list[str]:
    """Return the widgets that take the focus and say nothing of what they are for."""
    labelled = {label.buddy() for label in root.findChildren(QLabel)}
    return [
        f"{type(each).__name__} {each.objectName()} in {type(each.parent()).__name__}"
        for each in root.findChildren(QWidget)
        if each.focusPolicy() & Qt.FocusPolicy.TabFocus
        # Parts of Qt's own widgets, which speak for them: fields of spin boxes, lists of boxes.
        and not each.objectName().startswith("qt_")
        and not isinstance(each.window(), QFrame)
        and not (
            each.accessibleName()
            or getattr(each, "text", str)()
            or each.toolTip()
            or each in labelled
            # The slider of a labelled slider.
            or (isinstance(each, QAbstractSlider) and each.parentWidget().accessibleName())
        )
    ]


def segment(open_window: Callable[..., Any]) -> QWidget:
    widget: QWidget = open_window(np.zeros((3, 40, 60), np.uint8)).widget
    return widget


def test_the_window_for_prompts(open_window: Callable[..., Any]) -> None:
    assert "\n".join(nameless(segment(open_window))) == ""


@pytest.mark.parametrize("dock", [BatchWidget, ModelsWidget])
def test_the_other_docks(dock: Any, make_napari_viewer: Any, sam2_home: Any) -> None:
    assert not sam2_home.exists()
    viewer = make_napari_viewer()
    widget = dock(viewer)
    viewer.window.add_dock_widget(widget)
    assert "\n".join(nameless(widget)) == ""
    widget.close()
