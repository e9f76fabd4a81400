"""What a session does, in a sentence for the user."""

from collections.abc import Collection, Iterable

from napari_sam2_openvino._qt.actions import ACTIONS, Action, find_action
from napari_sam2_openvino._session.annotation_session import AnnotationSession
from napari_sam2_openvino._session.answers import ObjectAnswer
from napari_sam2_openvino._session.jobs import State

NO_IMAGE = "Open an image, then choose it above."
_NOTHING = "Nothing to commit: click on an object first."
WAIT = "It is committed as soon as its mask is there, unless you draw on."
GIVEN_UP = "Not committed: it was changed, or is out of view, before its mask was there."
_NOT_LIVE = "Not live: {key} makes the mask and commits it."
_HINT = "Ready: press Points, Box, Lasso or Scribble, then draw on an object."
_BUTTONS = {"commit": "Commit", "next_mask": "Next mask"}
_AGAIN = "The next change of the prompts starts again."
_ELSEWHERE = (
    "The current object is not drawn on this plane: draw it here, or choose another in the list."
)


def describe(
    session: AnnotationSession,
    *,
    focus: int | None,
    has_image: bool,
    is_unasked: bool = False,
    actions: Iterable[Action] = ACTIONS,
) -> str:
    """Return what a session does; nothing where there is nothing to say.

    Parameters
    ----------
    session : AnnotationSession
    focus : int or None
        The object that the sentence is about.
    has_image : bool
        Whether an image is chosen.
    is_unasked : bool, optional
        Whether something is drawn that no mask was asked for.
    actions : iterable of Action, optional
        Whose keys are named, as returned by `rebind`.
    """
    state, name = session.state, session.model_name
    if state is State.LOADING:
        return f"Loading model {name} …"
    if state is State.ENCODING:
        seconds = session.encode_seconds.get(name or "")
        return f"Encoding the image (about {seconds:.1f} s) …" if seconds else "Encoding …"
    if state in (State.READY, State.ENCODING_AHEAD):
        not_live = _NOT_LIVE.format(key=_told("commit", actions))
        return not_live if is_unasked else _describe_objects(session, focus, actions)
    if state is State.CANCELLED and session.is_loading:
        return f"Cancelled: the model ends loading and is dropped. {_AGAIN}"
    if state is State.CANCELLED:
        return f"Cancelled. {_AGAIN}"
    return "" if has_image else NO_IMAGE


def nothing(drawn: Collection[int]) -> str:
    """Return why no object is committed, of those that are drawn on the plane in view."""
    return _ELSEWHERE if drawn else _NOTHING


def _describe_objects(
    session: AnnotationSession, focus: int | None, actions: Iterable[Action]
) -> str:
    answered, wanted = session.progress
    answer = None if focus is None else session.answer(focus)
    if answer is None:
        return _HINT
    if answer.mask.mask.size == 0:
        return "The model sees no object here: move the prompts or add one."
    summary = _sum_up(answer, _told("next_mask", actions))
    if wanted > 1:
        return f"{answered} of {wanted} objects have a mask. Object {focus}: {summary}"
    return f"{summary} {_told('commit', actions)} commits; more prompts correct it."


def _told(verb: str, actions: Iterable[Action]) -> str:
    """Return the key of a verb, or the name of its button where the user left it none."""
    return find_action(verb, actions).key_text or _BUTTONS[verb]


def _sum_up(answer: ObjectAnswer, next_mask: str) -> str:
    prediction = answer.prediction
    number = prediction.chosen + 1
    return (
        f"Predicted IoU {answer.iou_prediction:.2f}, mask {number} of "
        f"{len(prediction.candidates)} ({next_mask} shows the next)."
    )
