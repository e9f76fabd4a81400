"""Commits that the user asked for: checked, and put off until the masks are there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari.layers import Image

from napari_sam2_openvino._qt import status
from napari_sam2_openvino._qt.commits import Commit, DrawnCommit
from napari_sam2_openvino._qt.reading import Reading
from napari_sam2_openvino.core.errors import Sam2Error
from napari_sam2_openvino.core.marks import ObjectPrompts

if TYPE_CHECKING:
    from napari_sam2_openvino._qt.annotator import Annotator


@dataclass(frozen=True, eq=False)
class _Waiting:
    """What is to be committed: the image, the plane, and with which prompts."""

    image: Image | None
    reading: Reading


class CommitRequests:
    """Turns obj_ids into commits.

    Parameters
    ----------
    annotator : Annotator
    """

    def __init__(self, annotator: Annotator) -> None:
        self._annotator = annotator
        # Objects to commit as soon as their masks are there, unless others are drawn or in view.
        self._waiting: _Waiting | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether objects are committed as soon as their masks are there."""
        return self._waiting is not None

    def commit(self, obj_ids: list[int]) -> None:
        """Write some of the objects of the plane in view into the target."""
        annotator, session = self._annotator, self._annotator.session
        image, plane, drafting = annotator.image, annotator.plane, annotator.drafting
        answers = [answer for each in obj_ids if (answer := session.answer(each)) is not None]
        self._waiting = None
        if annotator.feedback.problem:
            annotator.feedback.show()
        elif not obj_ids and image is not None:
            annotator.feedback.say(status.nothing(annotator.drawn))
        elif len(answers) < len(obj_ids) and session.is_busy:
            self._waiting = _Waiting(image, Reading(plane, drawn=self._drawn(obj_ids)))
            annotator.feedback.say(status.WAIT)
        elif image is None or plane is None or drafting is None:
            annotator.feedback.show()
        elif there := tuple(answer for answer in answers if answer.area):
            annotator.feedback.forget_error()
            labels = {each.obj_id: drafting.labels.of(each.obj_id) for each in there}
            annotator.committer.commit(
                DrawnCommit(
                    image,
                    plane,
                    there,
                    {key: label for key, label in labels.items() if label is not None},
                    annotator.commit_mode,
                    drafting.objects.largest,
                )
            )
        else:
            annotator.feedback.show()

    def is_current(self, commit: Commit) -> bool:
        """Whether the answers of a commit are still the newest."""
        # Edits that wait to be read count as well, also while the preview is not live.
        annotator = self._annotator
        annotator.sync(show=True)
        is_here = (annotator.image, annotator.plane) == (commit.image, commit.plane)
        return is_here and (
            not isinstance(commit, DrawnCommit)
            or all(annotator.session.answer(each.obj_id) is each for each in commit.answers)
        )

    def retry(self) -> None:
        """Commit what waits, once its masks are there; give it up where it has changed."""
        if (waiting := self._waiting) is None:
            return
        obj_ids = list(waiting.reading.drawn)
        if self._has_changed(waiting):
            self._give_up()
        elif all(self._annotator.session.answer(each) is not None for each in obj_ids):
            self._waiting = None
            # Edits that were not read yet count as well: then it is another object.
            self._annotator.sync(show=True)
            if self._has_changed(waiting):
                self._give_up()
            else:
                self.commit(obj_ids)

    def cancel(self, _error: Sam2Error | None = None) -> None:
        """Commit nothing that still waits for its mask."""
        self._waiting = None

    def _drawn(self, obj_ids: list[int]) -> dict[int, ObjectPrompts]:
        drawn = self._annotator.drawn
        return {each: drawn[each] for each in obj_ids if each in drawn}

    def _has_changed(self, waiting: _Waiting) -> bool:
        now = Reading(self._annotator.plane, drawn=self._drawn(list(waiting.reading.drawn)))
        return self._annotator.image is not waiting.image or not now.is_as(waiting.reading)

    def _give_up(self) -> None:
        self._waiting = None
        self._annotator.feedback.announce(status.GIVEN_UP)
