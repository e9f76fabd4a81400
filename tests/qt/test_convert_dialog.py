"""The dialog in the window, with a real checkpoint and the real child process."""

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.conversion.children import left_behind, workers

from napari_sam2_openvino._qt.models_widget import ModelsWidget

MICRO_CONFIG = Path(__file__).parents[1] / "conversion" / "micro.yaml"
# Far longer than it takes on a free machine.
LONG_MS = 240_000


@pytest.fixture(scope="module")
def micro_checkpoint(tmp_path_factory: Any) -> Path:
    torch = pytest.importorskip("torch", reason="converting needs the extra convert")
    pytest.importorskip("sam2", reason="converting needs the extra convert")
    from tests.reference import perturbed_model

    path = tmp_path_factory.mktemp("check points") / "micro é.pt"
    torch.save({"model": perturbed_model(MICRO_CONFIG, seed=7).state_dict()}, path)
    return Path(path)


@pytest.fixture
def open_models(make_napari_viewer: Any, sam2_home: Path) -> Iterator[Callable[[], Any]]:
    """Return a function that opens the dock for models in a viewer."""
    assert not sam2_home.exists()
    docks = []

    def open_it() -> Any:
        viewer = make_napari_viewer()
        widget = ModelsWidget(viewer)
        viewer.window.add_dock_widget(widget, name="SAM 2 Models")
        docks.append(widget)
        return viewer, widget

    yield open_it
    for widget in docks:
        # Qt may have destroyed the widget already.
        with suppress(RuntimeError):
            widget.close()


def begin(widget: Any, checkpoint: Path) -> Any:
    """Press the buttons that begin a conversion, and return the dialog."""
    widget.buttons.by_name["convert"].click()
    dialog = widget.convert_dialog
    dialog.checkpoint_combo.setCurrentText(str(checkpoint))
    dialog.config_edit.setText(str(MICRO_CONFIG))
    dialog.convert_button.click()
    return dialog


def wait_for(qtbot: Any, dialog: Any, words: str) -> None:
    qtbot.waitUntil(lambda: words in dialog.progress.message_label.text(), timeout=LONG_MS)


def test_a_conversion_is_cancelled_and_the_next_one_is_in_the_list(
    open_models: Any, qtbot: Any, micro_checkpoint: Path
) -> None:
    _, widget = open_models()
    qtbot.waitUntil(lambda: widget.chosen is not None, timeout=LONG_MS)
    dialog = begin(widget, micro_checkpoint)
    wait_for(qtbot, dialog, "Converting the image encoder")
    assert len(workers()) == (sys.platform == "linux")
    dialog.cancel_button.click()
    wait_for(qtbot, dialog, "Cancelled: nothing was written.")
    assert (workers(), left_behind()) == (set(), [])
    assert begin(widget, micro_checkpoint) is dialog
    wait_for(qtbot, dialog, "micro é is ready")
    assert (workers(), left_behind()) == (set(), ["micro é"])

    def is_listed() -> bool:
        widget.table.choose("micro é")
        return widget.chosen.name == "micro é"

    qtbot.waitUntil(is_listed, timeout=LONG_MS)
    assert "micro é.pt, SHA-256 " in widget.about_label.text()


def test_a_name_that_is_taken_is_refused_before_anything_is_downloaded(
    open_models: Any, qtbot: Any, sam2_home: Path
) -> None:
    _, widget = open_models()
    qtbot.waitUntil(lambda: widget.chosen is not None, timeout=LONG_MS)
    widget.buttons.by_name["convert"].click()
    dialog = widget.convert_dialog
    dialog.checkpoint_combo.setCurrentText("sam2.1_hiera_large")
    dialog.name_edit.setText("starter")
    dialog.convert_button.click()
    wait_for(qtbot, dialog, "choose another name")
    assert not list(sam2_home.rglob("*.pt*"))


def test_closing_the_dock_ends_a_conversion(
    open_models: Any, qtbot: Any, micro_checkpoint: Path
) -> None:
    viewer, widget = open_models()
    qtbot.waitUntil(lambda: widget.chosen is not None, timeout=LONG_MS)
    dialog = begin(widget, micro_checkpoint)
    wait_for(qtbot, dialog, "Reading the checkpoint")
    viewer.window.remove_dock_widget(widget)
    qtbot.waitUntil(lambda: not workers() and not left_behind(), timeout=LONG_MS)
    qtbot.waitUntil(lambda: not dialog.is_running, timeout=LONG_MS)
    widget.deleteLater()
