"""What the list and the table say of objects, after everything that can happen to them."""

from typing import Any

import numpy as np
import pytest

STACK = np.zeros((6, 60, 80), np.uint8)


def commit_at(window: Any, *places: tuple[float, ...]) -> None:
    """Commit an object at each place of the plane in view."""
    for place in places:
        window.click(*place)
        window.settle()
        window.do("commit")
        window.settle()


def edit(window: Any, obj_id: int) -> None:
    """Bring an object back into hand with the prompts it was made from."""
    window.widget.objects.edit(window.annotator.target, obj_id)
    window.settle()


def test_a_correction_that_is_refused_stays_in_hand(
    open_window: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr("napari_sam2_openvino._qt.feedback.show_error", shown.append)
    window = open_window(STACK[0])
    commit_at(window, (30, 20), (30, 60))
    pixels, rows = window.labels.data.copy(), window.table()
    edit(window, 1)
    window.annotator.set_commit_mode("only where empty")
    window.click(30, 56)
    window.settle()
    window.do("commit")
    window.settle()
    assert "Nothing was written" in shown[-1]
    np.testing.assert_array_equal(window.labels.data, pixels)
    assert list(window.annotator.drawn) == [1]
    assert window.table() == rows
