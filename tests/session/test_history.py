"""Undo and redo of values."""

from operator import is_

import numpy as np

from napari_sam2_openvino._session.history import PromptHistory


def make_history(*states: object, **options: object) -> PromptHistory:
    history = PromptHistory(**options)
    for state in states:
        history.record(state)
    return history


def test_undo_and_redo_go_back_and_forth() -> None:
    history = make_history("start", "a", "b")
    assert [history.undo(), history.undo(), history.undo()] == ["a", "start", None]
    assert [history.redo(), history.redo(), history.redo()] == ["a", "b", None]


def test_nothing_can_be_undone_at_first() -> None:
    history = make_history()
    assert history.undo() is None
    assert history.redo() is None
    assert history.current is None
    history.record("start")
    assert not history.can_undo


def test_an_edit_after_undo_forgets_what_was_undone() -> None:
    history = make_history("start", "a", "b")
    history.undo()
    history.record("c")
    assert not history.can_redo
    assert history.undo() == "a"


def test_equal_states_are_one() -> None:
    history = make_history("start", "a")
    assert not history.record("a")
    assert history.undo() == "start"


def test_what_is_restored_is_not_recorded_again() -> None:
    history = make_history("start", "a", "b")
    history.record(history.undo())
    assert history.redo() == "b"


def test_who_makes_a_history_says_what_is_the_same() -> None:
    one, two = [1], [1]
    history = make_history(one, two, is_same=is_)
    assert history.undo() is one


def test_the_oldest_states_are_forgotten() -> None:
    history = make_history(*range(11), most_levels=3)
    assert [history.undo() for _ in range(4)] == [9, 8, 7, None]


def test_after_any_edits_undoing_all_ends_at_the_start() -> None:
    rng = np.random.default_rng(0)
    history, model, position = make_history(0), [0], 0
    for step in range(1, 300):
        what = rng.integers(3)
        if what == 0:
            model = [*model[: position + 1], step]
            position += 1
            history.record(step)
        elif what == 1:
            expected = model[position - 1] if position else None
            position = max(0, position - 1)
            assert history.undo() == expected
        else:
            has_next = position + 1 < len(model)
            assert history.redo() == (model[position + 1] if has_next else None)
            position += has_next
        assert history.current == model[position]
        assert (history.can_undo, history.can_redo) == (position > 0, position + 1 < len(model))
    while history.can_undo:
        state = history.undo()
    assert state == 0


def test_cleared_history_is_empty() -> None:
    history = make_history("start", "a")
    history.clear()
    assert not history.can_undo
    assert history.current is None


def test_every_state_can_be_changed_also_those_that_were_undone() -> None:
    history = make_history("start", "a", "b")
    history.undo()
    history.change_all(str.upper)
    assert history.current == "A"
    assert [history.redo(), history.undo(), history.undo()] == ["B", "A", "START"]
