"""What a session does, in a sentence for the user."""

from napari_sam2_openvino._engine import ObjectMask
from napari_sam2_openvino._qt.keys import KEY_COMMIT
from napari_sam2_openvino._session import AnnotationSession, State

NO_IMAGE = "Open an image, then choose it above."
NOTHING = "Nothing to commit: click on an object first."
WAIT = f"Wait for the mask, then commit ({KEY_COMMIT})."
_HINT = "Ready: press Points or Box, then click on an object."
_AGAIN = "The next change of the prompts starts again."


def describe(session: AnnotationSession, *, has_image: bool) -> str:
    """Return what a session does; nothing where there is nothing to say."""
    state, name = session.state, session.model_name
    if state is State.LOADING:
        return f"Loading model {name} …"
    if state is State.ENCODING:
        seconds = session.encode_seconds.get(name or "")
        return f"Encoding the image (about {seconds:.1f} s) …" if seconds else "Encoding …"
    if state is State.READY:
        return _describe_object(session.current_object)
    if state is State.CANCELLED and session.is_loading:
        return f"Cancelled: the model ends loading and is dropped. {_AGAIN}"
    if state is State.CANCELLED:
        return f"Cancelled. {_AGAIN}"
    return "" if has_image else NO_IMAGE


def _describe_object(answer: ObjectMask | None) -> str:
    if answer is None:
        return _HINT
    if answer.mask.size == 0:
        return "The model sees no object here: move the prompts or add one."
    return (
        f"Predicted IoU {answer.iou_prediction:.2f}. "
        f"{KEY_COMMIT} commits; more points correct the mask."
    )
