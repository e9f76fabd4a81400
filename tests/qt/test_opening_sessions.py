"""Sessions that are opened where something is not as it was: image, channels, model, target."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.driven_window import Window

from napari_sam2_openvino.core.session_file import read_session

RNG = np.random.default_rng(5)


def image(value: int = 0) -> Any:
    """Return an image whose first pixel tells it from others."""
    pixels = RNG.integers(0, 200, (60, 80)).astype(np.uint8)
    pixels[0, 0] = value
    return pixels


def add(window: Window, name: str, value: int = 0) -> Any:
    layer = window.viewer.add_image(image(value), name=name)
    window.settle()
    return layer


def commit(window: Window, y: float, x: float) -> None:
    window.click(y, x)
    window.settle()
    window.do("commit")
    window.settle()


def save(window: Window, path: Path) -> str:
    """Save the session, and return what is said after its path."""
    window.widget.files.save(path)
    window.wait(lambda: str(path) in window.status)
    return window.status.partition(str(path))[2]


def open_session(window: Window, path: Path) -> str:
    """Open a session, and return what is said."""
    window.widget.files.open(path)
    window.wait(lambda: window.status.startswith("The session is open."))
    window.settle()
    return window.status.removeprefix("The session is open.").strip()


def test_a_session_is_opened_on_the_image_that_is_chosen_whatever_is_beside_it(
    open_window: Callable[..., Window], tmp_path: Path
) -> None:
    window, path = open_window(image()), tmp_path / "cells.json"
    window.settle()
    window.click(30, 40)
    window.settle()
    save(window, path)
    chosen = add(window, "cells day 2", 77)
    window.annotator.set_image(chosen)
    window.settle()
    assert open_session(window, path) == ""
    assert window.annotator.view.layers == (chosen,)
    commit(window, 10, 10)
    record = json.loads(window.table()[max(window.table())].prompts)
    assert record["channels"] == ["cells day 2"]


def test_channels_that_are_of_another_image_than_the_chosen_one_are_told(
    open_window: Callable[..., Window], tmp_path: Path
) -> None:
    window, path = open_window(image()), tmp_path / "two.json"
    window.settle()
    cells, green = window.viewer.layers["cells"], add(window, "green")
    window.annotator.set_image(cells)
    window.annotator.view.set_channels((cells, green))
    window.click(30, 40)
    window.settle()
    save(window, path)
    assert open_session(window, path) == ""
    window.annotator.set_image(add(window, "other"))
    window.settle()
    assert open_session(window, path) == "The network sees cells, green, not other."
    assert window.annotator.view.layers == (cells, green)


def test_channels_none_of_which_is_the_image_come_back_without_a_word(
    open_window: Callable[..., Window], tmp_path: Path
) -> None:
    window, path = open_window(image()), tmp_path / "others.json"
    window.settle()
    layers = add(window, "red"), add(window, "green")
    window.annotator.set_image(window.viewer.layers["cells"])
    window.annotator.view.set_channels(layers)
    window.click(30, 40)
    window.settle()
    save(window, path)
    window.annotator.view.set_channels()
    assert open_session(window, path) == ""
    assert window.annotator.view.layers == layers


def test_a_model_that_is_not_there_is_told(
    open_window: Callable[..., Window], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr("napari_sam2_openvino._qt.feedback.show_error", shown.append)
    window, path = open_window(image()), tmp_path / "cells.json"
    window.settle()
    window.click(30, 40)
    window.settle()
    save(window, path)
    saved = json.loads(path.read_text())
    saved["model"]["name"] = "mine"
    path.write_text(json.dumps(saved))
    assert open_session(window, path) == "Model mine is not there: starter is used."
    # Committed objects are made again, and by no other model than theirs.
    saved["objects"][0].update(committed=True, model=saved["model"])
    path.write_text(json.dumps(saved))
    window.widget.files.open(path)
    window.wait(lambda: shown)
    assert "There is no model 'mine'" in shown[0]
    assert "napari-sam2 recipe run --model" in shown[0]


def test_saving_tells_of_objects_that_were_committed_into_other_layers(
    open_window: Callable[..., Window], tmp_path: Path
) -> None:
    window = open_window(image())
    window.settle()
    commit(window, 20, 20)
    first = window.labels
    assert save(window, tmp_path / "all.json") == "."
    window.annotator.set_target(None)
    commit(window, 40, 60)
    said = save(window, tmp_path / "second.json")
    assert f"what was committed into {first.name} is not in it" in said
    assert [each.obj_id for each in read_session(tmp_path / "second.json").objects] == [2]
    # What the user is told to do.
    window.annotator.set_target(first)
    window.settle()
    save(window, tmp_path / "first.json")
    assert [each.obj_id for each in read_session(tmp_path / "first.json").objects] == [1]
    # Of another image nothing is left out.
    window.annotator.set_image(add(window, "other"))
    window.annotator.set_target(None)
    window.settle()
    assert save(window, tmp_path / "other.json") == "."


def test_objects_of_an_image_that_was_renamed_are_of_its_channels(
    open_window: Callable[..., Window], tmp_path: Path
) -> None:
    window = open_window(image())
    window.settle()
    commit(window, 20, 20)
    window.annotator.image.name = "renamed"
    commit(window, 40, 60)
    save(window, tmp_path / "renamed.json")
    session = read_session(tmp_path / "renamed.json")
    assert {each.channels for each in session.objects} == {("renamed",)}
