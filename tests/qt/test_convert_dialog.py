"""The dialog in the window, with a real checkpoint and the real child process."""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_sam2_openvino.core.paths import models_dir

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


def workers() -> list[str]:
    """Return the processes that convert, of this test; empty where there is no /proc."""
    home = os.environ["NAPARI_SAM2_HOME"].encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
            is_ours = home in (folder / "environ").read_bytes()
        except OSError:
            continue
        if b"conversion.worker" in command and is_ours:
            found.append(folder.name)
    return found


def left_behind() -> list[str]:
    return sorted(path.name for path in models_dir().glob("*")) if models_dir().is_dir() else []


def begin(window: Any, checkpoint: Path) -> Any:
    """Press the buttons that begin a conversion, and return the dialog."""
    window.widget.prompts_tab.convert_button.click()
    dialog = window.widget.convert_dialog
    dialog.checkpoint_combo.setCurrentText(str(checkpoint))
    dialog.config_edit.setText(str(MICRO_CONFIG))
    dialog.convert_button.click()
    return dialog


def wait_for(window: Any, dialog: Any, words: str) -> None:
    window.wait(lambda: words in dialog.progress.message_label.text(), timeout=LONG_MS)


@pytest.mark.usefixtures("sam2_home")
def test_a_conversion_is_cancelled_and_the_next_one_is_in_the_list(
    open_window: Any, micro_checkpoint: Path
) -> None:
    window = open_window(np.zeros((60, 80), np.uint8))
    dialog = begin(window, micro_checkpoint)
    wait_for(window, dialog, "Converting the image encoder")
    assert len(workers()) == (sys.platform == "linux")
    dialog.cancel_button.click()
    wait_for(window, dialog, "Cancelled: nothing was written.")
    assert (workers(), left_behind()) == ([], [])
    assert begin(window, micro_checkpoint) is dialog
    wait_for(window, dialog, "micro é is ready")
    assert (workers(), left_behind()) == ([], ["micro é"])
    window.wait(lambda: window.widget.choices.model_combo.value == "micro é")
    assert "starter" in window.widget.choices.model_combo.choices


@pytest.mark.usefixtures("sam2_home")
def test_closing_the_dock_ends_a_conversion(open_window: Any, micro_checkpoint: Path) -> None:
    window = open_window(np.zeros((60, 80), np.uint8))
    dialog = begin(window, micro_checkpoint)
    wait_for(window, dialog, "Reading the checkpoint")
    window.viewer.window.remove_dock_widget(window.widget)
    window.wait(lambda: not workers() and not left_behind(), timeout=LONG_MS)
    window.wait(lambda: not dialog.is_running, timeout=LONG_MS)
    window.widget.deleteLater()
