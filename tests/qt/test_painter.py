"""Outlines are drawn outside the main thread, and none is shown that is wanted no more."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from napari_sam2_openvino._qt import painter

STACK = np.random.default_rng(1).integers(0, 4000, (3, 60, 80)).astype(np.uint16)


class SlowHand:
    """Draws outlines as soon as it is let."""

    def __init__(self, draw: Callable[..., Any]) -> None:
        self._draw = draw
        self.may_go = threading.Event()
        self.may_go.set()
        self.threads: list[threading.Thread] = []
        self.n_outlines: list[int] = []

    def __call__(self, outlines: Any, *arguments: Any) -> Any:
        self.threads.append(threading.current_thread())
        self.n_outlines.append(len(outlines))
        assert self.may_go.wait(30)
        return self._draw(outlines, *arguments)


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowHand]:
    hand = SlowHand(painter.draw_outlines)
    monkeypatch.setattr(painter, "draw_outlines", hand)
    yield hand
    hand.may_go.set()


def test_the_main_thread_draws_nothing(window: Any, hand: SlowHand) -> None:
    window.click(40, 50)
    window.settle()
    assert window.preview.data.any()
    assert hand.threads
    assert threading.main_thread() not in hand.threads


def test_what_was_drawn_for_another_plane_is_not_shown(open_window: Any, hand: SlowHand) -> None:
    window = open_window(STACK)
    window.settle()
    window.show_plane(1)
    window.settle()
    hand.may_go.clear()
    window.click(1, 30, 40)
    window.wait(lambda: hand.threads)
    window.show_plane(2)
    window.wait(lambda: window.annotator.plane.index[0] == 2)
    hand.may_go.set()
    window.settle()
    assert not window.preview.data.any()
    window.show_plane(1)
    window.settle()
    assert window.preview.data.any()


def test_what_was_drawn_of_older_prompts_is_not_shown(
    window: Any, hand: SlowHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    window.click(40, 50)
    window.settle()
    shown = []
    show = window.layers.show

    def note(drawing: Any, plane: Any) -> None:
        shown.append(drawing.origin)
        show(drawing, plane)

    monkeypatch.setattr(window.layers, "show", note)
    hand.may_go.clear()
    window.layers.points.data = [[60, 70]]
    window.wait(lambda: len(hand.threads) == 2)
    window.layers.points.data = [[80, 90]]
    window.wait(lambda: window.answer is not None and window.clicks == [(90, 80)])
    hand.may_go.set()
    window.settle()
    rows, columns = np.nonzero(window.preview.data)
    assert window.preview.data_to_world((rows.min(), columns.min())) == pytest.approx((75, 85))
    assert shown == [(75, 85)]


def test_objects_are_shown_one_after_the_other_while_more_are_drawn(
    window: Any, hand: SlowHand
) -> None:
    window.do("toggle_many")
    window.click(40, 50)
    window.settle()
    hand.may_go.clear()
    window.click(60, 90)
    window.wait(lambda: len(window.session.answers) == 2 and len(hand.threads) == 2)
    window.click(90, 120)
    window.wait(lambda: len(window.session.answers) == 3)
    hand.may_go.set()
    window.settle()
    assert hand.n_outlines[-1] == 3
    assert window.preview.data.shape[0] > 50
