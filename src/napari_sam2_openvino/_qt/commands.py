"""Commands of the palette and of napari's menus: most find the open widget and do one thing."""

from collections.abc import Callable, Mapping
from typing import Any

from napari.layers import Labels
from napari.utils.notifications import show_info
from napari.viewer import Viewer
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QMainWindow, QWidget

from napari_sam2_openvino._qt.actions import find_action

_PLUGIN = "napari-sam2-openvino"
_WIDGET = "SAM 2 Segment"
_MODELS = "SAM 2 Models"


def _command(verb: str) -> Callable[[Viewer], None]:
    def run(viewer: Viewer) -> None:
        run_verb(viewer, verb)

    run.__name__ = verb
    run.__doc__ = find_action(verb).tip
    return run


def run_verb(viewer: Any, verb: str) -> None:
    """Do something in the widget of a viewer, which is opened if there is none.

    Parameters
    ----------
    viewer : Viewer
    verb : str
        One of `ACTIONS`. The widget's attribute ``verbs`` says what to call.
    """
    verbs = _find_verbs(viewer)
    if verbs is None:
        viewer.window.add_plugin_dock_widget(_PLUGIN, _WIDGET)
        verbs = _find_verbs(viewer) or {}
    if verb in verbs:
        verbs[verb]()
    else:
        show_info(f"“{find_action(verb).title}” cannot be done now.")


def _find_verbs(viewer: Any) -> Mapping[str, Callable[[], None]] | None:
    from napari_sam2_openvino._qt.segment_widget import SegmentWidget

    for widget in viewer.window.dock_widgets.values():
        if isinstance(widget, SegmentWidget):
            verbs: Mapping[str, Callable[[], None]] = getattr(widget, "verbs", {})
            return verbs
    return None


def export_objects(viewer: Viewer) -> None:
    """Export the objects of the active Labels layer to a file."""
    from napari_sam2_openvino._qt.export_dialog import ExportDialog

    labels = viewer.layers.selection.active
    if not isinstance(labels, Labels):
        show_info("Select a Labels layer in the list of layers: its objects are exported.")
        return
    dialog = ExportDialog(viewer, labels, _main_window())
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.show()


def open_models(viewer: Any) -> None:
    """Open the dock for models, or show the one that is open."""
    dock, _ = viewer.window.add_plugin_dock_widget(_PLUGIN, _MODELS)
    dock.show()
    dock.raise_()


def _main_window() -> QWidget | None:
    """Return the window that a dialog belongs to."""
    windows = [QApplication.activeWindow(), *QApplication.topLevelWidgets()]
    return next((window for window in windows if isinstance(window, QMainWindow)), None)


draw_points = _command("draw_points")
draw_box = _command("draw_box")
draw_lasso = _command("draw_lasso")
draw_scribble = _command("draw_scribble")
place_point = _command("place_point")
toggle_polarity = _command("toggle_polarity")
toggle_for_all = _command("toggle_for_all")
undo = _command("undo")
redo = _command("redo")
next_object = _command("next_object")
previous_object = _command("previous_object")
clear = _command("clear")
edit_object = _command("edit_object")
toggle_many = _command("toggle_many")
next_mask = _command("next_mask")
grow_mask = _command("grow_mask")
shrink_mask = _command("shrink_mask")
toggle_hover = _command("toggle_hover")
toggle_live = _command("toggle_live")
commit = _command("commit")
commit_all = _command("commit_all")
find_objects = _command("find_objects")
commit_found = _command("commit_found")
propagate = _command("propagate")
take_back_propagation = _command("take_back_propagation")
next_plane = _command("next_plane")
previous_plane = _command("previous_plane")
show_help = _command("show_help")
show_input = _command("show_input")
save_session = _command("save_session")
open_session = _command("open_session")
clear_disk_cache = _command("clear_disk_cache")
