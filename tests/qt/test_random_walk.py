"""A thousand random edits in a real viewer: nothing breaks, and no stale mask is ever written."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.disc_engine import DiscEngine
from tests.random_walk import Walk, image_data

from napari_sam2_openvino._qt.commits import Commit
from napari_sam2_openvino._qt.committing import Committer
from napari_sam2_openvino.core.records import ModelRecord
from napari_sam2_openvino.core.replay import Replay

N_STEPS = 1000


class ReplayedDiscs:
    """Stands for a model and its decoder where a session is run again.

    Parameters
    ----------
    engine : DiscEngine
    """

    def __init__(self, engine: DiscEngine) -> None:
        self.key = engine.key
        self.image_size = engine.image_size
        self.encode = partial(engine.encode, cancelled=lambda: False)
        self.predict = partial(engine.decode, cancelled=lambda: False)


@pytest.fixture
def walk(
    open_window: Any, open_widget: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[int], Walk]:
    shown: list[str] = []
    monkeypatch.setattr("napari_sam2_openvino._qt.feedback.show_error", shown.append)

    def make(seed: int) -> Walk:
        window = open_window(image_data(np.random.default_rng(seed)), ahead=True)
        window.engines["other"] = DiscEngine("other", radius=7)

        def load(_: Replay, recorded: ModelRecord) -> Any:
            return (ReplayedDiscs(window.engines[recorded.name]),) * 2

        def open_again() -> None:
            window.viewer.window.remove_dock_widget(window.widget)
            window.qtbot.wait(50)
            another = open_widget(window)
            another.widget.overview.set_ahead(True)
            vars(window).update(vars(another))

        monkeypatch.setattr(Replay, "_load", load)
        walk = Walk(window, seed, open_again=open_again, folder=tmp_path)
        write = Committer._write

        def checked(self: Committer, commit: Commit, scan: Any = None) -> None:
            for answer in commit.answers:
                walk.check(answer.obj_id, answer.mask)
            write(self, commit, scan)

        monkeypatch.setattr(Committer, "_write", checked)
        return walk

    return make


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_random_edits_neither_break_anything_nor_write_a_stale_mask(
    walk: Callable[[int], Walk], seed: int
) -> None:
    from napari_sam2_openvino._layers import preview

    walker = walk(seed)
    window = walker.window
    for _ in range(N_STEPS // 2):
        walker.step()
    window.qtbot.wait(100)
    session = window.session
    assert walker.n_checked > N_STEPS // 100
    memory = session._planner.objects._memory
    assert memory.nbytes <= memory.max_bytes
    embeddings = session._embeddings
    assert embeddings.nbytes <= embeddings.max_bytes
    window.widget.close()
    window.qtbot.wait(50)
    assert not any(map(preview.is_preview, window.viewer.layers))
    assert not session.answers
    counts = [(each.n_encodes, len(each.decoded)) for each in window.engines.values()]
    for layer in window.viewer.layers:
        layer.name = "left over"
        layer.refresh()
    window.viewer.add_image(np.zeros((10, 10)))
    window.viewer.dims.set_current_step(0, 1)
    window.qtbot.wait(100)
    assert counts == [(each.n_encodes, len(each.decoded)) for each in window.engines.values()]
